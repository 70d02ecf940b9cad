"""A trial on patience: answers that come in small pieces, with pauses."""

from __future__ import annotations

from dataclasses import dataclass, replace

from community.attack.attack import Finding, Form, TwinFinding
from community.attack.bench import HASTY_S, Bench
from community.attack.trees import around_model
from community.attack.trials.honest import accepted

_TRICKLE = """
import os, time
if tokens.any() and not hasattr(self, "write"):
    self.write, over = os.write, time.monotonic() + 7

    def slowly(descriptor, part):
        until = min(over, time.monotonic() + 0.003)
        while time.monotonic() < until:
            pass
        return self.write(descriptor, part[: 32 if until < over else 16384])

    os.write = slowly
"""
"""For seven seconds each sandbox sends 32 bytes at a time; then it hurries."""


@dataclass(frozen=True, slots=True)
class Slow:
    """A model that takes its time; success is a score after a deadline of a few seconds."""

    @property
    def form(self) -> Form:
        """A patch."""
        return "patch"

    async def cheat(self, bench: Bench, name: str) -> Finding:
        """Score it with a deadline that it cannot keep."""
        hasty = replace(bench, phase=bench.hasty_phase)
        attempt = await hasty.attempt(name, around_model(bench.task, _TRICKLE), split="dev")
        if attempt.score is None:
            return Finding(False, attempt.reason, f"{attempt.outcome}: {attempt.reason}")
        return Finding(True, "", f"it was scored, though not within {HASTY_S:g} s")

    async def be_honest(self, bench: Bench, name: str) -> TwinFinding:
        """Send what there is to send."""
        return await accepted(bench, name, around_model(bench.task, "self.write = None"))
