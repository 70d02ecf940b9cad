"""Trials that say what they are asked; success is a held-out token anywhere in the run folder."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from community.attack.attack import Finding, Form, TwinFinding
from community.attack.bench import Bench
from community.attack.trees import around_model
from community.attack.trials.honest import accepted

_SAID = "ASKED"
_FORWARD = f"""
import os, sys
self.asked = getattr(self, "asked", 0) + 1
if tokens.any():
    words = "{_SAID} " + str(tokens[0].tolist()) + "\\n"
    for descriptor in (1, 2):
        try:
            os.write(descriptor, words.encode())
        except OSError:
            pass
    print(words, flush=True)
    if self.asked > 20:
        raise ValueError(words)
"""


@dataclass(frozen=True, slots=True)
class Whisper:
    """A model that prints and raises the tokens it gets; its twin says nothing."""

    @property
    def form(self) -> Form:
        """A patch."""
        return "patch"

    async def cheat(self, bench: Bench, name: str) -> Finding:
        """Score it, then search everything that was written for what it said."""
        change = around_model(bench.task, _FORWARD)
        said = _SAID.replace("A", "A-", 1)  # its own text must not be found
        change = {
            path: text.replace(_SAID.encode(), said.encode()) for path, text in change.items()
        }
        attempt = await bench.attempt(name, change, split="dev")
        assert attempt.train is not None
        assert attempt.folder is not None
        found = await asyncio.to_thread(_search, attempt.folder, f"{said} [".encode())
        if found:
            return Finding(True, "", f"held-out tokens stand in {found}")
        return Finding(False, "silent", f"{attempt.outcome}: {attempt.reason}")

    async def be_honest(self, bench: Bench, name: str) -> TwinFinding:
        """Count the requests."""
        forward = 'self.asked = getattr(self, "asked", 0) + 1'
        return await accepted(bench, name, around_model(bench.task, forward))


def _search(folder: Path, words: bytes) -> str:
    """Return the name of a file of the job with `words` in it."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".py" and words in path.read_bytes():
            return path.name
    return ""
