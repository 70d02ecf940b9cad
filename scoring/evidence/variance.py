"""How much the runs of one tree spread from seed to seed, borrowed across trees. Pure functions.

A tree has one to eight runs of its own, too few to know its spread by. So each tree's variance is
drawn towards that of all replicated trees of the device class, by as much as they are alike (Smyth
2004): ``s^2 = (d0 s0^2 + d s^2) / (d0 + d)``, with d degrees of freedom of its own.

Smyth, G. K. (2004), Linear models and empirical Bayes methods for assessing differential expression
in microarray experiments, Statistical Applications in Genetics and Molecular Biology 3(1), article
3. Phipson, B. et al. (2016), Annals of Applied Statistics 10, 946-963: robust and unequal degrees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtr, digamma, fdtr, zeta

from scoring.errors import StatisticsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LOG_SD = 0.3
"""What is believed of a class of which nothing is known: by how much the logarithm of sigma differs
between trees (standard deviation)."""
BELIEF = 12.0
"""How firmly, as the information (see `fit_sums`) that replicated trees have to bring to weigh as
much: about five trees of eight runs each, or sixty of two."""
LEAST_LOG_SD = 0.15
"""However alike the trees look, `fit_prior` takes them to differ by this: d0 stays below 24."""
FAR_P = 0.01
"""A tree that spreads so much more or less than the baseline leads one to expect, on either side,
says nothing of the next tree."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What the replicated trees of a device class say of the next tree's spread."""

    s0: float
    """Standard deviation between seeds of one tree, the task's unit."""
    d0: float
    """Degrees of freedom it is worth; infinite only where no run differs from another."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A moderated standard deviation."""

    s: float
    """In the task's unit."""
    df: float
    """Degrees of freedom: d0 + d."""


def fit_prior(groups: Sequence[Sequence[float]]) -> Prior:
    """Fit s0 and d0 to the spreads of replicated trees.

    Args:
        groups: Each the scores of one tree on one split in one device class under fresh seeds,
            two or more; trees that do not depend on the seed are left out.

    Raises:
        StatisticsError: no group, a group of fewer than two, or a score that is not finite.
    """
    if not groups or any(len(group) < 2 for group in groups):
        raise StatisticsError("a spread needs two runs of one tree; set noise.baseline_runs to 2")
    about = [(sum_of_squares(group), len(group) - 1) for group in groups]
    spread_out = [(square, d) for square, d in about if square > 0]
    if not spread_out:
        return Prior(0.0, math.inf)
    width = max(d for _, d in spread_out) + 1
    count, total, total2 = (np.zeros(width) for _ in range(3))
    for square, d in spread_out:
        y = log_variance(np.float64(square / d), d)
        count[d] += 1
        total[d] += y
        total2[d] += y * y
    s0, d0 = fit_sums(count, total, total2)
    return Prior(float(s0), float(d0))


def alike(groups: Sequence[Sequence[float]], baseline: Sequence[float]) -> list[Sequence[float]]:
    """Return the groups whose spread is what the baseline alone leads one to expect.

    Their `variance_rank` under the baseline's own prior (`fit_prior`) lies between `FAR_P` and
    1 - `FAR_P`: one honest tree in fifty is left out. F of the two variances alone would leave out
    more, and the wild ones above all, because trees differ; what is left would then look too sure.

    Trees are researchers' own: a few with next to no spread would make everybody's luck look like
    a gain, a few wild ones would hide everybody's gain. Phipson et al. 2016 draw such outliers in;
    as they may be in the majority here, they are left out, and what the lab chose itself decides.

    Args:
        groups: As for `fit_prior`.
        baseline: Scores of the unmodified start, two or more; without spread all groups are kept.
    """
    expected = _prior_of_one(tuple(baseline))
    return [
        group
        for group in groups
        if _is_near(sum_of_squares(group) / (len(group) - 1), len(group) - 1, expected)
    ]


@lru_cache(maxsize=64)
def _prior_of_one(group: tuple[float, ...]) -> Prior:
    return fit_prior([group])


@lru_cache(maxsize=4096)
def _is_near(s2: float, d: int, expected: Prior) -> bool:
    """Return `is_near` of one tree: most trees are asked about again with the next verdict."""
    return bool(is_near(s2, d, expected.s0, expected.d0))


def is_near(
    s2: Floats | float, d: int, s0: Floats | float, d0: Floats | float
) -> NDArray[np.bool_]:
    """Return what `alike` keeps of sample variances on `d` degrees of freedom."""
    below = variance_rank(s2, d, s0, d0)
    return (below >= FAR_P) & (below <= 1 - FAR_P)


def variance_rank(
    s2: Floats | float, d: int, s0: Floats | float, d0: Floats | float
) -> NDArray[np.float64]:
    """Return the probability that a tree's sample variance is below `s2`.

    ``s^2 / s0^2`` is F distributed on d and d0 degrees of freedom (Smyth 2004, section 4: the
    marginal of s^2).

    Args:
        s2: Sample variances on `d` degrees of freedom.
        d: Theirs.
        s0: Of the prior, broadcast against `s2`; where it is 0, nothing is known and the rank 1/2.
        d0: The same.
    """
    s0, d0 = np.asarray(s0, np.float64), np.asarray(d0, np.float64)
    ratio = s2 / np.where(s0 > 0, s0 * s0, 1.0)
    below = np.where(np.isinf(d0), chdtr(d, d * ratio), fdtr(d, d0, ratio))
    return np.where(s0 > 0, below, 0.5)


def log_variance(s2: Floats | np.float64, d: int) -> Floats | np.float64:
    """Return an unbiased estimate of log sigma^2 (Smyth 2004, section 6.2: e_g).

    ``e = log s^2 - digamma(d/2) + log(d/2)``; its variance is trigamma(d/2).

    Args:
        s2: Sample variances on `d` degrees of freedom, > 0.
        d: Their degrees of freedom.
    """
    digamma_d, log_d = _about(d)
    return np.log(s2) - digamma_d + log_d


@lru_cache(maxsize=256)
def _about(d: int) -> tuple[float, float]:
    return float(digamma(d / 2)), math.log(d / 2)


def fit_sums(count: Floats, total: Floats, total2: Floats) -> tuple[Floats, Floats]:
    """Return (s0, d0) from sums over trees, sorted by their degrees of freedom.

    With e_g of `log_variance` and v_g = trigamma(d_g/2), e_g has the variance tau^2 + v_g, where
    tau is the standard deviation of log sigma^2 between trees. As in Smyth's section 6.2 moments
    are matched, but with weights a_g = 1/v_g, because trees with two runs stand beside trees with
    eight (DerSimonian & Laird 1986, Controlled Clinical Trials 7, equation 8)::

        tau^2 = (BELIEF (2 LOG_SD)^2 + Q - (G - 1)) / (BELIEF + C)
        Q = sum a_g (e_g - mean)^2,  C = sum a - sum a^2 / sum a

    C is the information the trees bring; with one tree it is 0, and what `LOG_SD` says of trees in
    general remains. Then the mean mu of log sigma^2 (weights 1/(tau^2 + v_g)) has a variance of its
    own. The *next* tree's log sigma^2 differs from mu by tau^2 + var(mu), which gives d0 by the
    inverse trigamma, and s0 with it::

        trigamma(d0/2) = tau^2 + var(mu),  log s0^2 = mu + digamma(d0/2) - log(d0/2)

    So one tree of k runs gives d0 below k - 1 (4 runs: 2.0, 8 runs: 2.8): neither infinite, as if
    all trees spread alike and the baseline told their spread, nor on top of the k - 1 degrees that
    it comes from, which would count its runs twice. As trees get replicated d0 rises to 6 or so.

    Args:
        count: How many trees have d degrees of freedom; float64, shape (..., d_max + 1).
        total: Sum of their e_g, same shape.
        total2: Sum of their squares, same shape.

    Returns:
        s0 and d0, each float64 of shape (...).
    """
    degrees = np.arange(1, count.shape[-1])
    v = _trigamma(degrees / 2)
    count, total, total2 = count[..., 1:], total[..., 1:], total2[..., 1:]
    a = 1 / v
    weight = (count * a).sum(-1)
    q = (total2 * a).sum(-1) - (total * a).sum(-1) ** 2 / weight
    information = weight - (count * a * a).sum(-1) / weight
    believed = (2 * LOG_SD) ** 2
    excess = q - (count.sum(-1) - 1)
    tau2 = (BELIEF * believed + excess) / (BELIEF + information)
    tau2 = np.maximum(tau2, (2 * LEAST_LOG_SD) ** 2)
    w = 1 / (tau2[..., None] + v)
    total_w = (count * w).sum(-1)
    mu = (total * w).sum(-1) / total_w
    half = inverse_trigamma(tau2 + 1 / total_w)
    s0 = np.exp((mu + digamma(half) - np.log(half)) / 2)
    return s0, 2 * half


def inverse_trigamma(x: Floats) -> Floats:
    """Solve trigamma(y) = x for y > 0 by Newton's method (Smyth 2004, appendix)."""
    x = np.asarray(x, dtype=np.float64)
    y = 0.5 + 1 / x
    for _ in range(8):
        trigamma = _trigamma(y)
        y = y + trigamma * (1 - trigamma / x) / (-2 * zeta(3, y))
    return y


def _trigamma(x: Floats) -> Floats:
    """Return the second derivative of log gamma: the Hurwitz zeta function of 2."""
    found: Floats = zeta(2, x)
    return found


def moderated(groups: Sequence[Sequence[float]], prior: Prior) -> Spread:
    """Return the spread of these trees: their squares within groups, drawn towards the prior.

    ``s^2 = (d0 s0^2 + sum of squares) / (d0 + d)`` (Smyth 2004, equation 2); groups of none or one
    add no degrees of freedom.

    Raises:
        StatisticsError: a score that is not finite.
    """
    kept = [group for group in groups if len(group) >= 2]
    squares = sum(sum_of_squares(group) for group in kept)
    d = sum(len(group) - 1 for group in kept)
    if prior.s0 == 0 and squares > 0:  # nothing varied so far, and now something does
        return Spread(math.sqrt(squares / d), d)
    if math.isinf(prior.d0):
        return Spread(prior.s0, math.inf)
    return Spread(float(moderate(prior.s0, prior.d0, squares, d)), prior.d0 + d)


def moderate(
    s0: Floats | float, d0: Floats | float, squares: Floats | float, d: Floats | float
) -> Floats | float:
    """Return ``sqrt((d0 s0^2 + squares) / (d0 + d))``, of numbers or of arrays."""
    return np.sqrt((d0 * s0 * s0 + squares) / (d0 + d))


def sum_of_squares(group: Sequence[float]) -> float:
    """Return the sum of squares about the group's mean; exactly 0 where all scores are equal.

    The mean is taken of distances from the first score: that of ``[1.1] * 3`` itself is not 1.1.

    Raises:
        StatisticsError: a score, or the sum, is not finite.
    """
    away = [score - group[0] for score in group]
    mean = sum(away) / len(away)
    found = sum((x - mean) * (x - mean) for x in away)
    if not math.isfinite(found):
        raise StatisticsError(f"scores {list(group)} are not all finite, or too far apart")
    return found
