"""Trials that fill the host's disk through what the lab writes down of a job."""

from __future__ import annotations

from dataclasses import dataclass

from community.attack.attack import Finding, Form, TwinFinding
from community.attack.bench import Bench
from community.attack.trees import around_train
from community.attack.trials.honest import accepted

_ROOM_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class Flood:
    """Code that prints a great deal; success is a log of more than 2 MiB on the host."""

    look: str
    honest: str = "print('a line')"

    @property
    def form(self) -> Form:
        """A patch."""
        return "patch"

    async def cheat(self, bench: Bench, name: str) -> Finding:
        """Print, and measure what was kept."""
        attempt = await bench.attempt(name, around_train(bench.task, self.look))
        kept = f"{len(attempt.log) / (1 << 20):.1f} MiB kept"
        if len(attempt.log) > _ROOM_BYTES:
            return Finding(True, "", kept)
        return Finding(False, "cut off" if attempt.outcome == "ok" else attempt.reason, kept)

    async def be_honest(self, bench: Bench, name: str) -> TwinFinding:
        """Print a line."""
        return await accepted(bench, name, around_train(bench.task, self.honest))
