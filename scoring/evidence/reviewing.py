"""What a reviewer's forecasts were worth, once the claims that they were about are settled.

A forecast is a probability that a claim will be reproduced and three quantiles of the gain its
confirmation will measure. It earns what it was better by than the base rate that everybody could
have quoted at that moment, and loses what it was worse by.

Sources:
    Brier, G. W. (1950). Verification of forecasts expressed in terms of probability. Monthly
    Weather Review 78, 1-3: the squared error of a probability.
    Koenker, R. & Bassett, G. (1978). Regression quantiles. Econometrica 46, 33-50, section 2: the
    loss that a quantile minimises (the pinball loss).
    Horvitz, D. G. & Thompson, D. J. (1952). A generalization of sampling without replacement from a
    finite universe. JASA 47, 663-685: weights of one over the probability of being observed make
    a sum over what was observed unbiased for the sum over everything.

Why these: both losses are strictly proper, so nobody expects to gain by saying anything but what he
believes (Gneiting & Raftery 2007, JASA 102, 359-378, sections 3.1 and 6). The base rate is fixed
before the forecast is made and does not depend on it, so that subtracting it changes nobody's
incentive; it makes silence worth 0, and volume worth nothing. The weights are what keeps a reviewer
from burying what would refute him: a claim that is confirmed only because it was drawn stands for
all those that were not, so claims nobody bothers to confirm count in full, on average.

Differs: gains are cut at `LARGEST` noise deviations, on both sides of the comparison. The quantiles
of a cut gain are the cut quantiles, so the loss stays proper (Gneiting 2011, JASA 106, theorem 9,
for any increasing transform), and no single diverged run decides what a reviewer is worth.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Quantiles = tuple[float, float, float]

LEVELS: Quantiles = (0.1, 0.5, 0.9)
LARGEST = 4.0
"""Noise deviations at which gains and quantiles are cut; also the unit that brings the pinball loss
to the size of a squared probability."""
LEARNING_RATE = 2.0
"""Of the squared error of a probability, for which the source's bound holds."""
MOST_WEIGHT = 20.0
"""However much somebody earned, the base rate keeps a twentieth."""
PRIOR_CLAIMS = 10.0
"""The base rate starts as if so many claims had been settled before the run,"""
PRIOR_SHARE = 0.1
"""this share of them reproduced,"""
PRIOR_GAINS = (-3.29, -2.07, -1.35, -0.77, -0.25, 0.25, 0.77, 1.35, 2.07, 3.29)
"""with these gains: evenly spaced quantiles of a normal, two noise deviations wide, about none."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a claim came out."""

    at: float
    """When: anything that orders settlements and forecasts."""
    is_reproduced: bool
    gain: float | None
    """What its confirmation measured over its parent, in noise deviations; None without one."""
    weight: float = 1.0
    """One over the probability that it would be settled at all, known when it was posted."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a reviewer said of one claim."""

    at: float
    """When he said it."""
    reproduced: float
    """Probability from 0 to 1."""
    gain: Quantiles
    """10, 50 and 90 % quantiles, in noise deviations."""


@dataclass(frozen=True, slots=True)
class Usual:
    """What everybody could have said: how claims settled so far came out, with the prior."""

    share: float
    gain: Quantiles


class History:
    """The base rate as it stood at any moment.

    Args:
        settled: Claims that were settled, in any order.
    """

    def __init__(self, settled: Iterable[Settlement]) -> None:
        self._settled = sorted(settled, key=lambda one: one.at)
        self._times = [one.at for one in self._settled]
        self._known: dict[int, Usual] = {}

    def before(self, at: float) -> Usual:
        """Return the base rate from what was settled before `at`; what comes later never moves it.

        Claims weigh as in the score, or a reviewer would look good by knowing that claims worth
        confirming are better than others.
        """
        count = bisect_left(self._times, at)
        if count not in self._known:
            self._known[count] = usual_of(self._settled[:count])
        return self._known[count]


def usual_of(settled: Sequence[Settlement]) -> Usual:
    """Return the weighted share reproduced and the weighted quantiles of the gains."""
    weight = PRIOR_CLAIMS + sum(one.weight for one in settled)
    reproduced = PRIOR_CLAIMS * PRIOR_SHARE + sum(o.weight for o in settled if o.is_reproduced)
    gains = [(gain, PRIOR_CLAIMS / len(PRIOR_GAINS)) for gain in PRIOR_GAINS]
    gains += [(_cut(one.gain), one.weight) for one in settled if one.gain is not None]
    low, middle, high = (_quantile(sorted(gains), level) for level in LEVELS)
    return Usual(reproduced / weight, (low, middle, high))


def points(forecast: Forecast, settled: Settlement, base: Usual) -> float:
    """Return w * [(b - y)^2 - (p - y)^2 + (pinball of the base - of the forecast) / `LARGEST`].

    Args:
        forecast: p and the quantiles.
        settled: y, the gain and w.
        base: b and its quantiles, as they stood when the forecast was made.

    Raises:
        ValueError: a probability is none, or a weight is below 1.
    """
    if not 0.0 <= forecast.reproduced <= 1.0:
        raise ValueError(f"{forecast.reproduced} is no probability; give 0 to 1")
    if not settled.weight >= 1.0:
        raise ValueError(f"a weight of {settled.weight} is one over no probability; give 1 or more")
    y = float(settled.is_reproduced)
    better = (base.share - y) ** 2 - (forecast.reproduced - y) ** 2
    if settled.gain is not None:
        better += (
            pinball(base.gain, settled.gain) - pinball(forecast.gain, settled.gain)
        ) / LARGEST
    return settled.weight * better


def weight_of(points: float) -> float:
    """Return how much the word of somebody with `points` weighs, where the base rate weighs 1.

    exp(`LEARNING_RATE` * points) - 1, never below 0: who has shown nothing weighs nothing.

    Source: Vovk, V. & Zhdanov, F. (2009). Prediction with expert advice for the Brier game. JMLR
    10, 2445-2471: weights that grow exponentially with what was earned lose little to whoever turns
    out best. Differs: a newcomer starts at 0 instead of 1, and no weight exceeds `MOST_WEIGHT`.
    """
    return min(max(0.0, math.expm1(min(LEARNING_RATE * points, 50.0))), MOST_WEIGHT)


def pinball(quantiles: Quantiles, gain: float) -> float:
    """Return the mean of max(tau * (x - q), (tau - 1) * (x - q)) over the three levels tau."""
    x = _cut(gain)
    losses = (
        max(level * (x - _cut(q)), (level - 1.0) * (x - _cut(q)))
        for level, q in zip(LEVELS, quantiles, strict=True)
    )
    return sum(losses) / len(LEVELS)


def expected_worth(reproduced: float, gain: Quantiles) -> float:
    """Return the probability of being reproduced times the gain that is then hoped for.

    That gain is the mean of its positive part, from three quantiles by the weights 0.3, 0.4 and 0.3
    (Swanson's rule: Hurst, Brown & Swanson 2000, AAPG Bulletin 84, 1883-1891).
    """
    hoped = sum(w * max(0.0, _cut(q)) for w, q in zip((0.3, 0.4, 0.3), gain, strict=True))
    return reproduced * hoped


def _cut(gain: float) -> float:
    return min(max(gain, -LARGEST), LARGEST)


def _quantile(ascending: Sequence[tuple[float, float]], level: float) -> float:
    """Return the smallest value that at least `level` of the weight does not exceed."""
    wanted = level * math.fsum(weight for _, weight in ascending)
    reached = 0.0
    for value, weight in ascending:
        reached += weight
        if reached >= wanted * (1 - 1e-12):
            return value
    return ascending[-1][0]
