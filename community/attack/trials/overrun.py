"""Trials on the budget: to take more than was granted, or to hold a slot without paying."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent

from community.attack.attack import Finding, Form, TwinFinding
from community.attack.bench import Bench
from community.attack.trees import ARTEFACT_PIPE, around_train
from community.attack.trials.honest import accepted
from trainer.experiment import GRACE, WALL_SHARE, Budget
from trainer.task import ENTRY

BUDGET = Budget("cpu_seconds", 0.5)
_HONEST = "return run.remaining()"


@dataclass(frozen=True, slots=True)
class Overrun:
    """Code that takes more than its budget; success is an artefact that is taken all the same."""

    trick: str
    at_import: str = ""
    """Module-level code, placed last."""
    needs_artefact: bool = False
    """Whether the trick writes to the artefact's pipe, as ``ARTEFACT``."""

    @property
    def form(self) -> Form:
        """A patch."""
        return "patch"

    async def cheat(self, bench: Bench, name: str) -> Finding:
        """Overrun, and see whether the artefact is taken."""
        prelude = ARTEFACT_PIPE if self.needs_artefact else ""
        change = around_train(bench.task, prelude + dedent(self.trick))
        change[ENTRY] += self.at_import.encode()
        attempt = await bench.attempt(name, change, budget=BUDGET)
        used = f"{attempt.cpu_s:.2f} of {BUDGET.amount:g} CPU seconds"
        if attempt.outcome == "ok" and attempt.cpu_s > BUDGET.amount * GRACE:
            return Finding(True, "", f"{used}, and the artefact was taken")
        return Finding(False, attempt.reason or "in time", used)

    async def be_honest(self, bench: Bench, name: str) -> TwinFinding:
        """Look at the budget and keep it."""
        return await accepted(bench, name, around_train(bench.task, _HONEST))


@dataclass(frozen=True, slots=True)
class Idle:
    """A candidate that sleeps on its slot; success is a charge below the share of the wall."""

    wait_s: float

    @property
    def form(self) -> Form:
        """A patch."""
        return "patch"

    async def cheat(self, bench: Bench, name: str) -> Finding:
        """Sleep, and see what it costs."""
        change = around_train(bench.task, f"import time\ntime.sleep({self.wait_s})")
        attempt = await bench.attempt(name, change, budget=BUDGET)
        if attempt.train is None or attempt.outcome != "ok":
            return Finding(False, attempt.reason, attempt.log[-100:])
        paid = f"{attempt.train.charge_s:.2f} s charged for {attempt.train.wall_s:.2f} s"
        is_free = attempt.train.charge_s < WALL_SHARE * self.wait_s
        return Finding(is_free, "" if is_free else "charged", paid)

    async def be_honest(self, bench: Bench, name: str) -> TwinFinding:
        """Do not sleep."""
        return await accepted(bench, name, around_train(bench.task, _HONEST))
