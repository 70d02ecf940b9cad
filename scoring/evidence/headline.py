"""The number a report leads with: a commit's gain on seal over the baseline, with its interval.

Seal decided nothing: the commit was chosen by its runs on vault before anybody asked seal, so this
gain is free of the winner's curse. That holds of the commit named beforehand and not of whichever
of several does best on seal. Pure.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scoring.errors import StatisticsError
from scoring.evidence.gains import Measured, gain_of
from scoring.evidence.variance import Prior
from scoring.verdict import Direction


@dataclass(frozen=True, slots=True)
class Headline:
    """A gain on seal."""

    gain: float
    """In the task's unit; positive is better."""
    low: float
    """Two-sided 95 %, like `high`."""
    high: float
    percent: float
    """`gain` in percent of the baseline's mean on seal; that mean's own error is left out, which is
    some thousandth of it. Not a number where the mean is 0."""
    percent_low: float
    percent_high: float
    candidate_mean: float
    baseline_mean: float
    runs: tuple[int, int]
    """Of the commit and of the baseline."""
    df: float

    @property
    def is_gain(self) -> bool:
        """Whether the interval lies above 0."""
        return self.low > 0


def headline(
    candidate_seal_scores: Sequence[float],
    baseline_seal_scores: Sequence[float],
    prior: Prior,
    direction: Direction,
    *,
    is_candidate_fixed: bool = False,
) -> Headline:
    """Return the gain of fresh seal runs over the baseline's, from one device class.

    A t interval with pooled moderated spread: ``gain +- t(0.975, d0 + n + m - 2) s
    sqrt(1/n + 1/m)``, s from both groups and the prior (Smyth 2004, section 3, as in
    `scoring.evidence.variance`). The prior stands in for Welch's separate variances, which four
    runs cannot tell.

    Args:
        candidate_seal_scores: One for each fresh seed.
        baseline_seal_scores: The same of the baseline.
        prior: Of the spread between seeds.
        direction: Whether lower or higher scores are better.
        is_candidate_fixed: Whether the commit ends in the same bytes under any seed; its runs count
            as one.

    Raises:
        StatisticsError: no score on a side, or one that is not finite.
    """
    sides = tuple(candidate_seal_scores), tuple(baseline_seal_scores)
    if not all(sides) or not all(math.isfinite(score) for side in sides for score in side):
        raise StatisticsError(
            f"seal scores {list(sides[0])} and {list(sides[1])} make no gain; run both sides again"
        )
    child, parent = ([Measured(score, "", "") for score in side] for side in sides)
    gain = gain_of(child, parent, prior, direction, is_child_fixed=is_candidate_fixed)
    assert gain is not None
    reference = statistics.fmean(sides[1])
    scale = 100 / abs(reference) if reference else math.nan
    return Headline(
        gain=gain.estimate,
        low=gain.low,
        high=gain.high,
        percent=scale * gain.estimate,
        percent_low=scale * gain.low,
        percent_high=scale * gain.high,
        candidate_mean=statistics.fmean(sides[0]),
        baseline_mean=reference,
        runs=(len(sides[0]), len(sides[1])),
        df=gain.df,
    )
