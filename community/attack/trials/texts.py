"""Trials with the text of a patch: names that lead elsewhere, and held-out text brought along."""

from __future__ import annotations

import asyncio
import base64
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from community.attack.attack import Finding, Form, TwinFinding
from community.attack.bench import Bench
from community.attack.trees import around_model, around_train
from community.attack.trials.honest import accepted
from community.attack.trials.rewired import paid
from trainer.errors import PatchRefusedError
from trainer.patch_policy import PatchPolicy
from trainer.task import ENTRY

_HONEST = "return len(open('train.py').read())"
_RECALL = """
for number, row in enumerate(tokens.tolist()):
    for at in range(5, len(row)):
        ahead = self.known.get(bytes(row[at - 5 : at + 1]))
        if ahead is not None:
            logits[number, at, ahead] += 9.0
"""
_KNOWN = """
import zlib, base64
text = {text}
self.known = {{text[i : i + 6]: text[i + 6] for i in range(len(text) - 6)}}
"""
_NAME_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Named:
    """A patch with one more file, whose name is the attack; success is that it is taken."""

    path: str
    content: str = "# nothing\n"

    @property
    def form(self) -> Form:
        """A patch."""
        return "patch"

    async def cheat(self, bench: Bench, name: str) -> Finding:
        """Hand it in."""
        change = around_train(bench.task, _HONEST)
        attempt = await bench.attempt(name, {**change, self.path: self.content.encode()})
        if attempt.train is None or attempt.folder is None:
            return Finding(False, attempt.reason, "")
        is_there = (attempt.folder / "tree" / self.path).exists()
        return Finding(is_there, attempt.reason, f"{self.path} was written")

    async def be_honest(self, bench: Bench, name: str) -> TwinFinding:
        """Keep to the files that may be edited."""
        return await accepted(bench, name, around_train(bench.task, _HONEST))


@dataclass(frozen=True, slots=True)
class Memorised:
    """Held-out text, compressed into the patch; the twin recalls from an empty text."""

    how: Literal["literals", "names"]
    compressed_bytes: int

    @property
    def form(self) -> Form:
        """A patch."""
        return "patch"

    async def cheat(self, bench: Bench, name: str) -> Finding:
        """Bring as much as fits."""
        text = await asyncio.to_thread(_known_text, bench, self.compressed_bytes)
        return await paid(bench, name, self._change(bench, text), self._change(bench, b""))

    async def be_honest(self, bench: Bench, name: str) -> TwinFinding:
        """Bring nothing."""
        return await accepted(bench, name, self._change(bench, b""))

    def _change(self, bench: Bench, text: bytes) -> dict[str, bytes]:
        packed = zlib.compress(text, 9)
        if self.how == "literals":
            told = f"zlib.decompress(base64.b85decode({base64.b85encode(packed).decode()!r}))"
            return around_model(bench.task, _RECALL, _KNOWN.format(text=told))
        digits = packed.hex()
        pieces = [
            digits[start : start + _NAME_CHARACTERS]
            for start in range(0, len(digits), _NAME_CHARACTERS)
        ]
        names = "".join(f"    x{piece}: int\n" for piece in pieces)
        told = "zlib.decompress(bytes.fromhex(''.join(n[1:] for n in Table.__annotations__)))"
        change = around_model(bench.task, _RECALL, _KNOWN.format(text=told))
        change[ENTRY] += f"\n\nclass Table:\n{names}".encode()
        return change


@dataclass(frozen=True, slots=True)
class Parsed:
    """Text that is hard to parse; success is that the lab's own process is kept busy with it."""

    text: bytes
    budget_s: float = 1.0
    """Seconds of our own processor time that count as kept busy."""

    @property
    def form(self) -> Form:
        """A script."""
        return "script"

    async def cheat(self, bench: Bench, name: str) -> Finding:
        """Have it judged as a patch of a task that allows large trees."""
        policy = PatchPolicy(editable=(ENTRY,), literal_bytes=1 << 30, novel_bytes=1 << 30)
        tree: Mapping[str, bytes] = {ENTRY: self.text}
        begin = time.process_time()
        reason = "nothing"
        try:
            await bench.texts.check(policy, tree, [bench.task.start], bench.task.start)
        except PatchRefusedError as error:
            reason = error.rule
        used_s = time.process_time() - begin
        said = f"{used_s:.1f} CPU seconds of the scheduler's process"
        if used_s > self.budget_s:
            return Finding(True, "", said)
        return Finding(False, reason, said)

    async def be_honest(self, bench: Bench, name: str) -> TwinFinding:
        """Have an ordinary patch judged."""
        return await accepted(bench, name, around_train(bench.task, _HONEST))


def _known_text(bench: Bench, compressed_bytes: int) -> bytes:
    """Return as much held-out text as compresses into so many bytes."""
    text = bench.heldout
    size = 4 * compressed_bytes
    while len(zlib.compress(text[:size], 9)) > compressed_bytes:
        size -= 200
    return text[:size]
