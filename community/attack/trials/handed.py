"""Trials that write an artefact of their own to the pipe, byte by byte as they like."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent

from community.attack.attack import Finding, Form, TwinFinding
from community.attack.bench import Bench
from community.attack.trees import ARTEFACT_PIPE, around_train
from community.attack.trials.honest import accepted

_HAND_OVER = """
rest = memoryview(body)
while rest:
    rest = rest[os.write(ARTEFACT, rest) :]
os.close(ARTEFACT)
__import__("time").sleep(60)
"""
_HONEST = "return len(model.state_dict())"


@dataclass(frozen=True, slots=True)
class Handed:
    """Code that makes `body`; success is that it is taken, or that opening it did harm."""

    make: str
    is_spoil: bool = False
    """Whether success is what its reader does: a file of the lab's, written on the host."""

    @property
    def form(self) -> Form:
        """An artefact."""
        return "artefact"

    async def cheat(self, bench: Bench, name: str) -> Finding:
        """Hand it over, and see what became of it."""
        make = bench.bait.filled(dedent(self.make))
        change = around_train(bench.task, ARTEFACT_PIPE + make + _HAND_OVER)
        attempt = await bench.attempt(name, change)
        spoil = attempt.folder / "spoil" if attempt.folder else None
        if self.is_spoil and spoil is not None and spoil.exists():
            return Finding(True, "", f"its reader was made to write {spoil.read_text()[:40]!r}")
        if attempt.outcome == "ok" and not self.is_spoil:
            return Finding(True, "", "it was taken")
        detail = attempt.train.detail if attempt.train else ""
        return Finding(False, attempt.reason or "unread", detail)

    async def be_honest(self, bench: Bench, name: str) -> TwinFinding:
        """Leave handing over to the harness."""
        return await accepted(bench, name, around_train(bench.task, _HONEST))
