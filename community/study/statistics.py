"""What many runs say together: means and paired differences over landscapes, with intervals.

Pure functions: arrays in, small frozen records out. One number per landscape, higher is better: the
landscape is the sampling unit, since the agents of one run end near one solution and their spread
says nothing about another landscape. scipy and statsmodels do the work where they have it. Curves
over time are in `community.study.curves`, graphs in `community.study.regression`.

Sources:
    Efron, B. (1987). Better bootstrap confidence intervals. JASA 82, 171-185. The intervals (BCa).
    Agarwal, R. et al. (2021). Deep reinforcement learning at the edge of the statistical
    precipice. NeurIPS 34. The interquartile mean: the mean without the best and worst quarter.
    Tukey, J. W. & McLaughlin, D. H. (1963). Less vulnerable confidence and significance procedures
    for location based on a single sample. Sankhya A 25, 331-352. Its interval in small samples.
    Cohen, J. (1988). Statistical power analysis for the behavioral sciences. 2nd ed. d_z.
    Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scand. J. Stat. 6, 65.

Differs:
    Below `FEW` landscapes a bootstrap interval is too narrow (at 5 it covers some 83 % instead of
    95), so Student's is taken there; `Estimate.method` says which.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats
from statsmodels.stats.multitest import multipletests

Floats = NDArray[np.float64]
Method = Literal["bootstrap", "t", "exact", "none"]

LEVEL = 0.95
"""Of every interval, two-sided."""
RESAMPLES = 10_000
FEW = 15
"""Landscapes below which intervals are Student's."""
TIE = 1e-9
"""Scores that differ by no more are the same solution: sums of tables in another order."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number that landscapes say together, and its 95 % interval."""

    value: float
    low: float
    """nan where `method` is ``none``: one landscape has no spread."""
    high: float
    n: int
    """Landscapes."""
    method: Method
    """exact: every landscape says the same."""

    @property
    def half(self) -> float:
        """Half the interval's width."""
        return (self.high - self.low) / 2


@dataclass(frozen=True, slots=True)
class Paired:
    """One arm beside another on the same landscapes, starts and streams of chance."""

    difference: Estimate
    """Mean of first less second."""
    sd: float
    """Standard deviation of the differences between landscapes."""
    dz: float
    """The difference in its own standard deviations; infinite where all differ by the same."""
    wins: int
    """Landscapes on which the first is better by more than the tie."""
    ties: int
    losses: int
    p: float
    """Two-sided, of no mean difference: Student's paired t; where all differ by the same, so that
    there is no spread to judge by, `p_sign`."""
    p_sign: float
    """Two-sided, of as many wins as losses: binomial over the landscapes that are no ties."""
    correlation: float
    """Between the two arms over landscapes; nan where one of them does not vary."""

    @property
    def n(self) -> int:
        """Landscapes."""
        return self.difference.n

    def smallest_gap(self, power: float, alpha: float = 1 - LEVEL) -> float:
        """Return the smallest true mean difference that this many landscapes find so often."""
        return smallest_gap(self.sd, self.n, power=power, alpha=alpha)


def mean(values: ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """Return the mean over landscapes.

    Args:
        values: Shape (landscapes,).
        seed: Of the resampling; the same values and seed give the same interval.
        resamples: Bootstrap samples.

    Raises:
        ValueError: there are none, or one is not finite.
    """
    return _estimate(_checked(values), _means, _student, seed, resamples)


def interquartile_mean(values: ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """Return the mean of the middle half of the landscapes; as `mean` otherwise."""
    return _estimate(_checked(values), _middle_means, _trimmed, seed, resamples)


def paired(
    first: ArrayLike, second: ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES
) -> Paired:
    """Compare two arms landscape by landscape.

    Args:
        first: Shape (landscapes,), higher is better.
        second: Of the same landscapes in the same order.
        seed: Of the resampling.
        resamples: Bootstrap samples.

    Raises:
        ValueError: they are not of one length, empty, or not finite.
    """
    one, other = _checked(first), _checked(second)
    if one.shape != other.shape:
        raise ValueError(f"{one.size} and {other.size} landscapes are no pairs")
    gaps = one - other
    gaps[np.abs(gaps) <= TIE] = 0.0
    wins, losses = int((gaps > 0).sum()), int((gaps < 0).sum())
    sd = float(gaps.std(ddof=1)) if gaps.size > 1 else math.nan
    if gaps.size > 1 and np.ptp(gaps) <= TIE:
        sd = 0.0
    p_sign = float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
    return Paired(
        difference=mean(gaps, seed=seed, resamples=resamples),
        sd=sd,
        dz=_standardised(float(gaps.mean()), sd),
        wins=wins,
        ties=gaps.size - wins - losses,
        losses=losses,
        p=_student_p(gaps, sd, p_sign),
        p_sign=p_sign,
        correlation=_correlation(one, other),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the given order.

    Raises:
        ValueError: one is no probability.
    """
    if not p_values:
        return []
    values = np.asarray(p_values, dtype=float)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("a p-value lies outside 0 to 1")
    return [float(p) for p in multipletests(values, method="holm")[1]]


def smallest_gap(sd: float, n: int, *, power: float = 0.9, alpha: float = 1 - LEVEL) -> float:
    """Return the smallest true mean of paired differences that a t-test finds so often.

    Args:
        sd: Standard deviation of the differences.
        n: Pairs.
        power: Probability to find it.
        alpha: Two-sided level; of a family the level of Holm's first step, alpha over its size.

    Returns:
        In the unit of `sd`; nan with fewer than two pairs, or where these do not differ at all.
    """
    if n < 2 or not math.isfinite(sd) or sd == 0:
        return math.nan
    return sd * _effect_size(n, power, alpha)


def pairs_needed(
    sd: float, gap: float, *, power: float = 0.9, alpha: float = 1 - LEVEL
) -> int | None:
    """Return how many landscapes find a true gap so often; None beyond ten million."""
    if gap <= 0 or not math.isfinite(gap):
        return None
    low, high = 2, 2
    while smallest_gap(sd, high, power=power, alpha=alpha) > gap:
        low, high = high, high * 2
        if high > 10_000_000:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if smallest_gap(sd, middle, power=power, alpha=alpha) > gap:
            low = middle
        else:
            high = middle
    return high


def _effect_size(n: int, power: float, alpha: float) -> float:
    """Return the d_z that `n` pairs find with `power`.

    The square of a t statistic has a non-central F distribution, which is exact; the non-central t
    of scipy, and with it statsmodels' power, is nan far out, where few pairs are.
    """
    least = stats.t.isf(alpha / 2, n - 1) ** 2

    def misses(effect: float) -> float:
        return power - float(stats.ncf.sf(least, 1, n - 1, n * effect**2))

    most = 1.0
    while misses(most) > 0:
        most *= 2
    return float(optimize.brentq(misses, 0.0, most))


def _checked(values: ArrayLike) -> Floats:
    array = np.array(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"one number per landscape is needed, not shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("a landscape's number is not finite")
    return array


def _estimate(
    values: Floats,
    statistic: Callable[..., Any],
    small: Callable[[Floats], tuple[float, float]],
    seed: int,
    resamples: int,
) -> Estimate:
    value, n = float(statistic(values)), values.size
    if n == 1:
        return Estimate(value, math.nan, math.nan, n, "none")
    if np.ptp(values) <= TIE:
        return Estimate(value, value, value, n, "exact")
    if n < FEW:
        return Estimate(value, *small(values), n, "t")
    return Estimate(value, *_bootstrap(values, statistic, seed, resamples), n, "bootstrap")


def _bootstrap(
    values: Floats, statistic: Callable[..., Any], seed: int, resamples: int
) -> tuple[float, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            (values,), statistic, n_resamples=resamples, batch=1000, vectorized=True,
            confidence_level=LEVEL, method="BCa", rng=np.random.default_rng(seed),
        )  # fmt: skip
    low, high = (float(end) for end in found.confidence_interval)
    if math.isnan(low) or math.isnan(high):  # nearly all landscapes say the same
        tail = (1 - LEVEL) / 2
        low, high = (float(q) for q in np.quantile(found.bootstrap_distribution, (tail, 1 - tail)))
    return low, high


def _means(values: Floats, axis: int = -1) -> Any:
    return np.mean(values, axis=axis)


def _middle_means(values: Floats, axis: int = -1) -> Any:
    return stats.trim_mean(values, 0.25, axis=axis)


def _student(values: Floats) -> tuple[float, float]:
    half = float(stats.sem(values)) * float(stats.t.ppf((1 + LEVEL) / 2, values.size - 1))
    centre = float(values.mean())
    return centre - half, centre + half


def _trimmed(values: Floats) -> tuple[float, float]:
    low, high = stats.mstats.trimmed_mean_ci(values, limits=(0.25, 0.25), alpha=1 - LEVEL)
    return float(low), float(high)


def _standardised(centre: float, sd: float) -> float:
    if math.isnan(sd):
        return math.nan
    if sd == 0:
        return math.copysign(math.inf, centre) if centre else 0.0
    return centre / sd


def _student_p(gaps: Floats, sd: float, p_sign: float) -> float:
    if gaps.size < 2:
        return 1.0
    if sd == 0:
        return p_sign
    return float(stats.ttest_1samp(gaps, 0.0).pvalue)


def _correlation(one: Floats, other: Floats) -> float:
    if one.size < 3 or np.ptp(one) <= TIE or np.ptp(other) <= TIE:
        return math.nan
    return float(np.corrcoef(one, other)[0, 1])
