"""Trials that take more processor time than the budget, and hand in an artefact all the same."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent

from community.attack.attack import Finding, Form, TwinFinding
from community.attack.bench import Bench
from community.attack.trees import around_train
from community.attack.trials.honest import accepted
from trainer.experiment import GRACE, Budget

BUDGET = Budget("cpu_seconds", 0.5)
_WORK = """
import time as _time
_until = _time.clock_gettime(_time.CLOCK_PROCESS_CPUTIME_ID) + 0.7
while _time.clock_gettime(_time.CLOCK_PROCESS_CPUTIME_ID) < _until:
    sum(range(1000))
return "worked"
"""


@dataclass(frozen=True, slots=True)
class Overrun:
    """Code that runs before training and takes three times the budget; the twin takes none."""

    trick: str
    """What is meant to hide it."""
    honest: str = "return run.remaining()"
    budget: Budget = BUDGET

    @property
    def form(self) -> Form:
        """A patch."""
        return "patch"

    async def cheat(self, bench: Bench, name: str) -> Finding:
        """Overrun, and see whether the artefact is taken."""
        change = around_train(bench.task, dedent(self.trick) + _WORK)
        attempt = await bench.attempt(name, change, budget=self.budget)
        used = f"{attempt.cpu_s:.2f} of {self.budget.amount:g} CPU seconds"
        if attempt.outcome == "ok" and attempt.cpu_s > self.budget.amount * GRACE:
            return Finding(True, "", f"{used}, and the artefact was taken")
        reason = attempt.reason or "in time"
        return Finding(False, reason, used)

    async def be_honest(self, bench: Bench, name: str) -> TwinFinding:
        """Train with fixed steps."""
        return await accepted(bench, name, around_train(bench.task, self.honest))
