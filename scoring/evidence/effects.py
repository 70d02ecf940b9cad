"""One gain out of several device classes: random-effects inverse variance, its heterogeneity shown.

Raw scores of two classes are never compared; gains over the same class's parent are, here. The
arithmetic is statsmodels' `combine_effects`; `scoring.evidence.standing` asks for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from scoring.errors import StatisticsError

CONFIDENCE = 0.95
"""Of every two-sided interval here."""
ROUNDS = 500
"""Of the search for tau2, which about doubles each round: gains without any spread of their
own may be 1e9 of their errors apart, for which statsmodels' own 50 are too few."""


@dataclass(frozen=True, slots=True)
class Effect:
    """A gain as one device class shows it."""

    device_class: str
    estimate: float
    """In the task's unit; positive is better."""
    variance: float
    """Of the estimate, above 0."""
    df: float = math.inf
    """Degrees of freedom that the variance is known with."""


@dataclass(frozen=True, slots=True)
class Combined:
    """A gain over all device classes it was measured in."""

    estimate: float
    variance: float
    df: float
    """Of the t interval."""
    low: float
    """Two-sided 95 %, like `high`."""
    high: float
    tau2: float
    """Variance of the gain between classes, by Paule and Mandel; 0 with one class."""
    i2: float
    """Share of the spread that is between classes and not noise, from 0 to 1 (Higgins 2002)."""
    q: float
    """Cochran's Q: the squared distances from the fixed-effect mean, in variances."""
    p: float
    """Of Q under one common gain: chi-square with classes - 1 degrees of freedom; 1 with one."""
    classes: int


def interval(estimate: float, variance: float, df: float) -> tuple[float, float]:
    """Return the two-sided 95 % t interval with `df` degrees of freedom (normal where infinite)."""
    half = float(special.stdtrit(df, (1 + CONFIDENCE) / 2)) * math.sqrt(variance)
    return estimate - half, estimate + half


def satterthwaite(variances: Sequence[float], dfs: Sequence[float]) -> float:
    """Return the degrees of freedom of a sum: ``(sum v)^2 / sum(v^2 / df)``.

    Source: Satterthwaite 1946, Biometrics Bulletin 2:110-114.
    """
    total = math.fsum(variances)
    below = math.fsum(v * v / df for v, df in zip(variances, dfs, strict=True))
    return math.inf if below == 0 else total * total / below


def combine(effects: Sequence[Effect]) -> Combined:
    """Return the random-effects mean ``sum(w y) / sum w`` with ``w = 1 / (v + tau2)``.

    tau2 is Paule and Mandel's (DerSimonian and Kacker 2007, Contemporary Clinical Trials
    28:105-114, appendix 8). A single class passes through. The small-sample interval is t with the
    degrees of freedom of Satterthwaite: the part of the variance that is noise has those of the
    effects, the part that is tau2 has classes - 1. Hartung and Knapp's interval covers better
    between classes that truly differ, but with two of them it is four to five times as wide, which
    would undo every claim that a restart on a slower morning measured again. Simulated coverage of
    this one with two and three classes of equal gain: 95 to 96 %; where their gains differ by half
    a standard error, 92 to 93 %; by a whole one, 87 to 89 %. Look at `i2` and `p`.

    Raises:
        StatisticsError: no effect, or one whose numbers are no gain with a spread.
    """
    if not effects:
        raise StatisticsError("no effect to combine; measure child and parent in one class")
    for effect in effects:
        if not (math.isfinite(effect.estimate) and 0 < effect.variance < math.inf):
            raise StatisticsError(
                f"gain {effect.estimate} with variance {effect.variance} in "
                f"{effect.device_class!r} is no measurement"
            )
    if len(effects) == 1:
        one = effects[0]
        low, high = interval(one.estimate, one.variance, one.df)
        return Combined(one.estimate, one.variance, one.df, low, high, 0.0, 0.0, 0.0, 1.0, 1)
    return _combined(
        np.array([effect.estimate for effect in effects]),
        np.array([effect.variance for effect in effects]),
        [effect.df for effect in effects],
    )


def _combined(
    gains: NDArray[np.float64], variances: NDArray[np.float64], dfs: list[float]
) -> Combined:
    from statsmodels.stats.meta_analysis import combine_effects  # takes a second to import

    at = gains[variances.argmin()]  # Q is a difference of squares there: exact about 0 alone
    with np.errstate(divide="ignore"):  # it divides by Q, which is 0 where all gains are equal
        found = combine_effects(gains - at, variances, method_re="iterated", maxiter=ROUNDS)
    tau2, classes, q = max(0.0, float(found.tau2)), len(gains), max(0.0, float(found.q))
    shares = np.asarray(found.weights_rel_re, dtype=np.float64)
    parts = [*(shares**2 * variances), float((shares**2).sum()) * tau2]
    df = satterthwaite(parts, [*dfs, classes - 1])
    mean, variance = float(found.mean_effect_re + at), float(found.var_eff_w_re)
    low, high = interval(mean, variance, df)
    return Combined(
        estimate=mean,
        variance=variance,
        df=df,
        low=low,
        high=high,
        tau2=tau2,
        i2=max(0.0, 1 - (classes - 1) / q) if q > 0 else 0.0,
        q=q,
        p=float(special.chdtrc(classes - 1, q)),
        classes=classes,
    )
