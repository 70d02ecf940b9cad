"""Has the machine changed? A cumulative sum over sentinel runs. Pure functions, and one counter.

Sentinel runs measure a tree that is known, so what they show beyond its noise is the machine's.

Page, E. S. (1954), Continuous inspection schemes, Biometrika 41, 100-115. Hawkins, D. M. (1987),
Self-starting cusum charts for location and scale, The Statistician 36, 299-315.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from scipy.special import ndtri, stdtr

from scoring.errors import StatisticsError
from scoring.evidence.variance import Prior, moderated

ALLOWANCE = 0.5
"""Sigmas by which each residual is drawn to 0: half of the shift that is looked for."""
LIMIT = 5.0
"""Sigmas at which the sum raises the alarm: a steady machine does so once in about 465 sentinel
runs, one that moved by a sigma after about ten, by two after four (Montgomery 2009, Introduction to
Statistical Quality Control, table 9.3)."""
LARGEST = 4.0
"""Residuals count as no more than this, so that no single run raises the alarm."""


class Cusum:
    """Two one-sided sums (Page 1954): ``S = max(0, S + x - ALLOWANCE)``, and the same of -x."""

    def __init__(self, allowance: float = ALLOWANCE, limit: float = LIMIT) -> None:
        self._allowance = allowance
        self._limit = limit
        self.high = 0.0
        self.low = 0.0

    def add(self, residual: float) -> bool:
        """Count one standardised residual and say whether the alarm is raised now.

        Raises:
            StatisticsError: it is not a number.
        """
        if math.isnan(residual):
            raise StatisticsError("a residual that is not a number says nothing of the machine")
        x = min(max(residual, -LARGEST), LARGEST)
        self.high = max(0.0, self.high + x - self._allowance)
        self.low = max(0.0, self.low - x - self._allowance)
        return max(self.high, self.low) > self._limit


def has_drifted(residuals: Iterable[float]) -> bool:
    """Whether a `Cusum` over these residuals, oldest first, raises its alarm anywhere."""
    cusum = Cusum()
    return any(cusum.add(residual) for residual in residuals)


def residuals(scores: Sequence[float], prior: Prior) -> list[float]:
    """Return how far each run of one tree lies from those before it, as standard normal numbers.

    Hawkins (1987) compares each run with mean and spread of the earlier ones, so no calibration
    is needed; here the spread is moderated, so the second run already says something::

        T_n = (x_n - mean_(n-1)) / (s_(n-1) sqrt(1 + 1/(n-1))),  U_n = Phi^-1(F(T_n; d0 + n - 2))

    Args:
        scores: Of one tree on one split and slot, oldest first, since the last alarm.
        prior: Of the device class.

    Returns:
        One less than `scores`; none for the first.

    Raises:
        StatisticsError: a score that is not finite.
    """
    found: list[float] = []
    for n in range(1, len(scores)):
        before = scores[:n]
        spread = moderated([before], prior)
        error = spread.s * math.sqrt(1 + 1 / n)
        away = scores[n] - statistics.fmean(before)
        if not math.isfinite(away):
            raise StatisticsError(f"scores {list(scores)} are not all finite")
        if error > 0:
            u = float(ndtri(stdtr(spread.df, away / error)))
        else:
            u = math.copysign(math.inf, away) if away else 0.0
        found.append(u)
    return found
