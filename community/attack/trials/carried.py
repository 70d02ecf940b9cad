"""Trials that bring along, within the caps of a patch, the very blocks that will be asked."""

from __future__ import annotations

import asyncio
import base64
import zlib
from dataclasses import dataclass
from typing import Literal

from community.attack.attack import Finding, Form, TwinFinding
from community.attack.bench import PUBLIC_SECRET, Bench
from community.attack.trees import around_model
from community.attack.trials.honest import accepted
from community.attack.trials.rewired import paid
from scoring.verdict import Split

_RECALL = """
for number, row in enumerate(tokens.tolist()):
    for at in range(47, len(row)):
        ahead = self.known.get(bytes(row[at - 47 : at + 1]))
        if ahead is not None:
            logits[number, at, ahead] += 9.0
"""
_KNOWN = """
import zlib, base64
text = zlib.decompress(base64.b85decode({packed!r}))
self.known = {{text[i : i + 48]: text[i + 48] for i in range(len(text) - 48)}}
"""
_PACKED_BYTES = 1300
"""As base85 it fits below the cap on literals, with what else the patch adds."""
_OTHER_SECRET = bytes(32)


@dataclass(frozen=True, slots=True)
class Carried:
    """Drawn blocks in a string; the twin brings as many that another secret draws.

    Text of ``dev`` pays a little wherever it is from, since a fifth of ``dev`` is asked. So to
    foretell succeeds only if it gains, and if the blocks are exactly those that are asked.
    """

    knows: Literal["seed", "verdicts"]
    """Where the blocks are known from: they are computed from what is public, or many verdicts on
    ``dev`` have given them away."""
    split: Split

    @property
    def form(self) -> Form:
        """A patch."""
        return "patch"

    async def cheat(self, bench: Bench, name: str) -> Finding:
        """Score it beside the twin."""
        secret = PUBLIC_SECRET if self.knows == "seed" else None
        change = await self._change(bench, secret)
        twin = await self._change(bench, _OTHER_SECRET)
        finding = await paid(bench, name, change, twin, split=self.split)
        if secret is not None and bench.drawn(secret) != bench.drawn(None):
            return Finding(
                False, "other blocks", f"it foretold blocks not asked; {finding.evidence}"
            )
        return finding

    async def be_honest(self, bench: Bench, name: str) -> TwinFinding:
        """Bring what nobody will ask, or no more than by accident."""
        twin = await self._change(bench, _OTHER_SECRET)
        return await accepted(bench, name, twin, self.split)

    async def _change(self, bench: Bench, secret: bytes | None) -> dict[str, bytes]:
        text = await asyncio.to_thread(bench.drawn, secret)
        size = 4 * _PACKED_BYTES
        while len(zlib.compress(text[:size], 9)) > _PACKED_BYTES:
            size -= 100
        packed = base64.b85encode(zlib.compress(text[:size], 9)).decode()
        return around_model(bench.task, _RECALL, _KNOWN.format(packed=packed))
