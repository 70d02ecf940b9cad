"""A study's records as numbers: the one outcome that everything is told in, by arm and landscape.

The outcome is the same number everywhere: the share of the optimum where that is known, a classic
model's own score, else the gain over the baseline in the task's unit; always higher is better.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from community.study.design import Design
from community.study.records import Axis, Floats, RunRecord


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
        """Return outcomes at the end, of shape (landscapes,)."""
        return self.curves(arm, landscapes, "experiments", np.array([np.inf]))[:, 0]

    def ends(self, arm: str, landscapes: Sequence[int], axis: Axis) -> Floats:
        """Return how much each run had spent at its end."""
        return np.array([getattr(run.trace, axis)[-1] for run in self.runs(arm, landscapes)], float)

    def _scaled(self, run: RunRecord, values: Floats) -> Floats:
        if self._is_share:
            return values / (run.best or 1.0)
        sign = 1.0 if run.direction == "higher" else -1.0
        start = run.trace.confirmed[0] if run.ledger else 0.0
        return sign * (values - start)
