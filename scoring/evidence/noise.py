"""The noise band: how much scores of one unchanged tree spread from seed to seed.

Estimated from the baseline's runs before any hypothesis is judged;
`scoring.evidence.variance` puts it together with what other trees show.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scoring.errors import StatisticsError


@dataclass(frozen=True, slots=True)
class NoiseBand:
    """Mean and spread of the baseline."""

    mean: float
    """In the task's unit."""
    sigma: float
    """Standard deviation between seeds, n - 1 in the denominator."""
    n: int
    scores: tuple[float, ...]
    """In the order they were measured."""


def estimate(scores: Sequence[float]) -> NoiseBand:
    """Return the band of at least two scores of one tree under different seeds.

    Raises:
        StatisticsError: fewer than two scores, or one that is not finite.
    """
    if len(scores) < 2:
        raise StatisticsError(
            f"{len(scores)} baseline scores give no spread; set noise.baseline_runs to 2 or more"
        )
    if not all(math.isfinite(score) for score in scores):
        raise StatisticsError(f"baseline scores {list(scores)} are not all finite")
    return NoiseBand(statistics.fmean(scores), statistics.stdev(scores), len(scores), tuple(scores))
