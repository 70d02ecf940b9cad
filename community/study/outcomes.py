"""A study's records as numbers: the one outcome that everything is told in, by arm and landscape.

The outcome is the same number everywhere: the share of the optimum where that is known, a classic
model's own score, else the gain over the baseline in the task's unit; always higher is better.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from community.study.design import STOPS, Design
from community.study.records import Axis, Floats, RunRecord
from community.study.statistics import TIE

Bools = NDArray[np.bool_]
AXES: Final[Mapping[str, Axis]] = {
    "experiments": "experiments",
    "device_seconds": "device_seconds",
    "wall_s": "run_s",
    "usd": "usd",
}
"""Budget -> the axis that it is spent on."""


class Results:
    """A study's records, arranged by arm and landscape.

    Args:
        design: The study, or the part of it that was run.
        records: At least one run of each of its arms.
    """

    def __init__(self, design: Design, records: Iterable[RunRecord]) -> None:
        self.design = design
        self._runs: dict[str, dict[int, RunRecord]] = {}
        for record in records:
            self._runs.setdefault(record.arm, {})[record.replicate] = record
        self._value = design.study.file.study.outcome
        self._any = next(iter(next(iter(self._runs.values())).values()))

    @cached_property
    def has_optimum(self) -> bool:
        """Whether the optimum is known on every landscape."""
        return all(run.best for runs in self._runs.values() for run in runs.values())

    @cached_property
    def outcome(self) -> str:
        """What the number is."""
        one = self._any
        if self._is_share and any(
            run.best != 1 for runs in self._runs.values() for run in runs.values()
        ):
            return "share of the optimum"
        if self._is_share or not one.ledger:
            return f"{one.metric} ({one.unit})"
        return f"gain over the baseline ({one.unit})"

    @property
    def is_timed(self) -> bool:
        """Whether being early is being good: not of a model whose outcome is itself a time."""
        return bool(self._any.ledger) or self._any.direction == "higher"

    @property
    def _is_share(self) -> bool:
        return self.has_optimum and self._any.direction == "higher"

    def landscapes(self, arms: Iterable[str]) -> list[int]:
        """Return the replicates of which every one of these arms has a run."""
        found = [set(self._runs.get(key, {})) for key in arms]
        return sorted(set.intersection(*found)) if found else []

    def runs(self, arm: str, landscapes: Sequence[int]) -> list[RunRecord]:
        """Return an arm's runs on these landscapes."""
        return [self._runs[arm][replicate] for replicate in landscapes]

    def curves(self, arm: str, landscapes: Sequence[int], axis: Axis, grid: Floats) -> Floats:
        """Return outcomes of shape (landscapes, grid)."""
        return np.array(
            [
                self._scaled(run, run.trace.on(axis, self._value, grid))
                for run in self.runs(arm, landscapes)
            ]
        )

    def finals(self, arm: str, landscapes: Sequence[int]) -> Floats:
        """Return outcomes when the budget was spent, of shape (landscapes,).

        What was under way then may still have ended: as many runs as an arm has slots.
        """
        return self.curves(arm, landscapes, self.axis, self._end(arm))[:, 0]

    def is_optimum(self, arm: str, landscapes: Sequence[int]) -> Bools:
        """Return on which landscapes, shape (landscapes,), the optimum was run by then."""
        found = [
            run.trace.on(self.axis, "found", self._end(arm))[0] - (run.best or 0.0)
            for run in self.runs(arm, landscapes)
        ]
        return np.asarray(np.abs(found) < TIE, dtype=np.bool_)

    @property
    def axis(self) -> Axis:
        """What the budget is counted in; experiments (rounds) of a classic model."""
        return AXES[self.design.study.budget[0]] if self.design.study.budget else "experiments"

    def limit(self, arm: str) -> float:
        """Return the budget of an arm, which may be a factor; infinite of a classic model."""
        scenario, budget = self.design.arms[arm].scenario, self.design.study.budget
        if scenario is None or budget is None:
            return math.inf
        return float(getattr(scenario.stop, STOPS.get(budget[0], budget[0])))

    def _end(self, arm: str) -> Floats:
        return np.array([self.limit(arm) * (1 + TIE)])

    def ends(self, arm: str, landscapes: Sequence[int], axis: Axis) -> Floats:
        """Return how much each run had spent at its end."""
        return np.array([run.trace.along(axis)[-1] for run in self.runs(arm, landscapes)], float)

    def _scaled(self, run: RunRecord, values: Floats) -> Floats:
        if self._is_share:
            return values / (run.best or 1.0)
        sign = 1.0 if run.direction == "higher" else -1.0
        start = run.trace.confirmed[0] if run.ledger else 0.0
        return sign * (values - start)
