"""Curves over a budget: bands, when one overtakes another, how long until a level is reached.

Pure functions of arrays of shape (landscapes, times), higher is better, all arms on the same
landscapes in the same order, so that one draw of landscapes serves both arms of a comparison.

Sources:
    Kaplan, E. L. & Meier, P. (1958). Nonparametric estimation from incomplete observations. JASA
    53, 457-481. What runs that never got there say all the same.
    Cousineau, D. (2005). Confidence intervals in within-subject designs. Tutorials in Quantitative
    Methods for Psychology 1, 42-45; with the correction of Morey, R. D. (2008), ibid. 4, 61-64.
    Bands of arms on common landscapes, which the landscapes' own differences do not widen.
    Royston, P. & Parmar, M. K. B. (2013). Restricted mean survival time. BMC Medical Research
    Methodology 13, 152. The mean time until a level is reached, up to a horizon.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from community.study.statistics import LEVEL, TIE, Estimate, Floats, mean

RESAMPLES = 4000
_TAIL = (1 - LEVEL) / 2


@dataclass(frozen=True, slots=True)
class Band:
    """A mean curve and, at each time for itself, the 95 % interval of the mean."""

    mean: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class Crossing:
    """From when on the mean of the first arm is above the second's, having been below it."""

    time: float
    """-inf where it was never below, inf where it is not above at the end."""
    low: float
    """Ends of the 95 % interval; infinite alike."""
    high: float
    share: float
    """Of the resamples, those in which the curves cross at all."""

    @property
    def is_seen(self) -> bool:
        """Whether the mean curves cross."""
        return math.isfinite(self.time)


@dataclass(frozen=True, slots=True)
class TimeTo:
    """How long until a level is reached, runs that never got there counted as such."""

    reached: int
    n: int
    median: float
    """Kaplan and Meier's; inf where fewer than half got there."""
    restricted_mean: Estimate
    """Mean of the time, cut at the horizon."""
    horizon: float


def band(curves: ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES) -> Band:
    """Return the mean curve over landscapes.

    Args:
        curves: Shape (landscapes, times).
        seed: Of the resampling.
        resamples: Bootstrap samples.

    Raises:
        ValueError: the shape is another, or a value is not finite.
    """
    values = _checked(curves)
    drawn = _weights(values.shape[0], seed, resamples) @ values
    low, high = np.quantile(drawn, (_TAIL, 1 - _TAIL), axis=0)
    return Band(values.mean(axis=0), low, high)


def within(arms: Sequence[ArrayLike]) -> list[Floats]:
    """Return the arms' curves with what is the landscape's taken out, for bands of paired arms.

    From each landscape the mean over arms is taken, at each time, and the mean over all put in its
    place; what is left is widened by the share that this takes from the spread.

    Args:
        arms: Curves of each arm, shape (landscapes, times), the same landscapes in the same order.
    """
    every = np.array([_checked(curves) for curves in arms])
    count = every.shape[0]
    if count < 2:
        return [every[0]]
    own = every.mean(axis=1, keepdims=True)
    left = every - every.mean(axis=0, keepdims=True) + every.mean(axis=(0, 1))
    widened = own + (left - left.mean(axis=1, keepdims=True)) * math.sqrt(count / (count - 1))
    return list(widened)


def crossing(
    first: ArrayLike,
    second: ArrayLike,
    times: ArrayLike,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Crossing:
    """Return from when on `first` is above `second`.

    Args:
        first: Shape (landscapes, times).
        second: Of the same landscapes and times.
        times: Shape (times,), rising.
        seed: Of the resampling.
        resamples: Bootstrap samples.

    Raises:
        ValueError: shapes do not fit, or a value is not finite.
    """
    one, other, when = _checked(first), _checked(second), np.asarray(times, dtype=np.float64)
    if one.shape != other.shape or when.shape != one.shape[1:]:
        raise ValueError(f"shapes {one.shape}, {other.shape} and {when.shape} do not fit")
    gaps = one - other
    drawn = _overtakes(_weights(one.shape[0], seed, resamples) @ gaps, when)
    low, high = np.quantile(drawn, (_TAIL, 1 - _TAIL), method="inverted_cdf")
    return Crossing(
        time=float(_overtakes(gaps.mean(axis=0)[None], when)[0]),
        low=float(low),
        high=float(high),
        share=float(np.isfinite(drawn).mean()),
    )


def first_reaching(curves: ArrayLike, times: ArrayLike, level: float) -> Floats:
    """Return, per landscape, the first time at which a curve is at `level` or above; else inf.

    Raises:
        ValueError: the shape is another, or a value is not finite.
    """
    values, when = _checked(curves), np.asarray(times, dtype=np.float64)
    is_there = values >= level - TIE
    found = when[is_there.argmax(axis=1)]
    return np.where(is_there.any(axis=1), found, math.inf)


def time_to(
    waits: ArrayLike,
    ends: ArrayLike,
    *,
    horizon: float | None = None,
    seed: int = 0,
) -> TimeTo:
    """Return how long it took to get somewhere.

    Args:
        waits: Shape (landscapes,), inf where it was not reached.
        ends: How long each was watched: where it was not reached, it is known to take longer.
        horizon: Of the restricted mean; by default the longest time that all were watched.
        seed: Of the resampling.

    Raises:
        ValueError: there are none, or somebody was watched for no time.
    """
    when = np.asarray(waits, dtype=np.float64)
    until = np.broadcast_to(np.asarray(ends, dtype=np.float64), when.shape)
    if when.ndim != 1 or not when.size or not (until > 0).all() or not np.isfinite(until).all():
        raise ValueError("one time per landscape is needed, each watched for some time")
    is_reached = when <= until
    cut = float(until.min()) if horizon is None else horizon
    seen = np.where(is_reached, when, until)
    if (until >= cut).all():  # nobody was lost before the horizon: the plain mean is exact
        restricted = mean(np.minimum(seen, cut), seed=seed)
    else:
        restricted = _resampled_mean(seen, is_reached, cut, seed)
    return TimeTo(
        reached=int(is_reached.sum()),
        n=when.size,
        median=_median(seen, is_reached),
        restricted_mean=restricted,
        horizon=cut,
    )


def survival(seen: ArrayLike, is_reached: ArrayLike) -> tuple[Floats, Floats]:
    """Return Kaplan and Meier's curve: times, and the share that has not got there by then.

    Args:
        seen: Shape (landscapes,): when it was reached, or until when it was watched in vain.
        is_reached: Which of the two.
    """
    times, reached = np.asarray(seen, dtype=np.float64), np.asarray(is_reached, dtype=bool)
    data = stats.CensoredData(uncensored=times[reached], right=times[~reached])
    curve = stats.ecdf(data).sf
    return curve.quantiles, curve.probabilities


def _median(seen: Floats, is_reached: np.ndarray) -> float:
    times, left = survival(seen, is_reached)
    below = np.flatnonzero(left <= 0.5 + 1e-12)
    return float(times[below[0]]) if below.size else math.inf


def _area(seen: Floats, is_reached: np.ndarray, horizon: float) -> float:
    """Return the area below Kaplan and Meier's curve from 0 to `horizon`."""
    times, left = survival(seen, is_reached)
    inside = times < horizon
    edges = np.concatenate([[0.0], times[inside], [horizon]])
    heights = np.concatenate([[1.0], left[inside]])
    return float(np.sum(np.diff(edges) * heights))


def _resampled_mean(seen: Floats, is_reached: np.ndarray, horizon: float, seed: int) -> Estimate:
    chance = np.random.default_rng(seed)
    n = seen.size
    drawn = []
    for _ in range(1000):
        chosen = chance.integers(0, n, n)
        drawn.append(_area(seen[chosen], is_reached[chosen], horizon))
    low, high = np.quantile(drawn, (_TAIL, 1 - _TAIL))
    value = _area(seen, is_reached, horizon)
    return Estimate(value, float(low), float(high), n, "bootstrap")


def _checked(curves: ArrayLike) -> Floats:
    values = np.asarray(curves, dtype=np.float64)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"finite numbers of shape (landscapes, times), not {values.shape}")
    return values


def _weights(n: int, seed: int, resamples: int) -> Floats:
    """Return how often each landscape is drawn, as shares: shape (resamples, n)."""
    chance = np.random.default_rng(seed)
    return chance.multinomial(n, np.full(n, 1 / n), size=resamples) / n


def _overtakes(gaps: Floats, times: Floats) -> Floats:
    """Return for each row of `gaps` from when on it is above 0, having been below."""
    below = gaps < -TIE
    after = gaps.shape[1] - below[:, ::-1].argmax(axis=1)  # first place after the last one below
    place = np.arange(gaps.shape[1])
    is_above = (gaps > TIE) & (place >= after[:, None])
    found = np.where(is_above.any(axis=1), times[is_above.argmax(axis=1)], math.inf)
    return np.where(below.any(axis=1), found, -math.inf)
