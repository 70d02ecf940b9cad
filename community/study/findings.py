"""The records of what a study says: arms, contrasts, strata. `community.study.analysis` makes them.

Figures, words and pages are made of these, and compute nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from community.study.curves import Band, Crossing, TimeTo
from community.study.records import Axis, Floats
from community.study.regression import Association, Fit
from community.study.statistics import FEW, Estimate, Paired

ALPHA = 0.05
"""Family-wise."""
Family = Literal["levels", "controls"]


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """One arm in numbers."""

    key: str
    label: str
    """Within its stratum: the level, or the control."""
    is_control: bool
    final: Estimate
    middle: Estimate
    """Interquartile mean of the same."""
    optimum: float | None
    """Share of landscapes on which the optimum was run, where it is known."""
    reach: TimeTo
    """Spending until the level at which the reference ends in the mean."""
    curve: Band
    """On the grid of the budget."""
    clock: Band
    """On the grid of run time."""
    numbers: Mapping[str, float]
    """Means of telemetry over the runs that have it."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two arms on the same landscapes."""

    family: Family
    stratum: str
    first: str
    second: str
    gap: Paired
    early: Paired | None
    """At equal run time: when the fastest arm of the stratum was through."""
    crossing: Crossing | None
    """When the first overtook the second; of levels alone."""
    p_holm: float = 1.0
    family_size: int = 1

    @property
    def level(self) -> float:
        """Of Holm's first step."""
        return ALPHA / self.family_size

    @property
    def is_shown(self) -> bool:
        """Whether a difference is shown, all contrasts of the family counted."""
        return self.p_holm < ALPHA

    def is_negligible(self, margin: float | None) -> bool:
        """Whether the interval lies within what does not matter.

        A few landscapes that all say the same have no interval by which that could be told.
        """
        low, high = self.gap.difference.low, self.gap.difference.high
        if self.gap.difference.method == "exact" and self.gap.n < FEW:
            return False
        return margin is not None and -margin < low and high < margin


@dataclass(frozen=True, slots=True)
class Stratum:
    """All levels of the compared factor under the same levels of the others."""

    label: str
    labels: Mapping[str, str]
    arms: tuple[ArmSummary, ...]
    """Levels in the file's order, then controls."""
    landscapes: int
    grid: Floats
    clock: Floats
    """Seconds of run time."""
    level: float
    """Where the reference ends in the mean."""
    equal_s: float
    """Run time at which the fastest arm was through, in the median."""


@dataclass(frozen=True, slots=True)
class MainEffect:
    """A factor's level against its first one, everything else averaged over."""

    factor: str
    first: str
    second: str
    gap: Paired
    p_holm: float = 1.0


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything that a report says."""

    outcome: str
    """What the number is, with its unit."""
    axis: Axis
    strata: tuple[Stratum, ...]
    contrasts: tuple[Contrast, ...]
    effects: tuple[MainEffect, ...]
    """Where more than one factor has levels."""
    graphs: tuple[tuple[str, Association], ...]
    """(stratum, association) of measures with the outcome over arms."""
    fit: Fit | None
    """Of the outcome on measures, within landscapes."""
