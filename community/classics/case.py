"""A number of ours beside a published one, and the one rule by which it passes.

The rule:
    A number *passes* if it lies within three standard errors of its target, those of both numbers
    taken together, and the tolerance `delta`. A table of a hundred honest numbers would break that
    now and then, so what lies further out *fails* only if Holm's procedure, over all numbers of its
    model, rejects it at a family-wise level of 0.01. Of a bound only the forbidden side counts.
    ``delta`` is 0 for exact results, for raw data and for runs of an independent implementation,
    0.02 for what was read off a figure, half a unit of the last digit for what is printed rounded.

    A *claim* (an ordering, a place of a peak) has no target to lie near and has to be shown: it
    passes if its `p`, the share of 10,000 bootstrap resamples over landscapes or runs that say
    otherwise, is at most `claim_p`, 0.01 unless its source asks for more.

Sources:
    Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal
    of Statistics 6, 65-70.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy.stats import norm

ALPHA: Final = 0.01
"""Family-wise level within a model."""
STANDARD_ERRORS: Final = 3.0
RESAMPLES: Final = 10_000
FIGURE: Final = 0.02
"""Tolerance of a number that was read off a figure."""
_BLOCKS: Final = 2000
_CHUNK: Final = 2_000_000
"""Indices drawn at once while resampling: 16 MB."""


@dataclass(frozen=True, slots=True)
class Case:
    """One number of a model beside what it has to be.

    Attributes:
        model: ``M1`` to ``M9``.
        name: What is compared, unique within the model.
        target: The published number. Of a claim: what has to be exceeded, 0 of a difference.
        target_se: Its standard error, 0 for what is exact.
        delta: Tolerance beside the standard errors.
        ours: What this laboratory came to.
        ours_se: Its standard error.
        source: Where the target is from, in a few words.
        p: Two-sided p of ``|ours - target|`` beyond `delta`; one-sided of a bound; of a claim the
            share of resamples without it.
        claim_p: None for a number; the largest `p` at which a claim counts as shown.
    """

    model: str
    name: str
    target: float
    target_se: float
    delta: float
    ours: float
    ours_se: float
    source: str
    p: float
    claim_p: float | None = None

    @property
    def standard_error(self) -> float:
        """Standard error of the difference of both numbers."""
        return math.hypot(self.ours_se, self.target_se)


def number(
    model: str,
    name: str,
    target: float,
    ours: float,
    ours_se: float,
    *,
    source: str,
    target_se: float = 0.0,
    delta: float = 0.0,
    side: Literal["both", "at least", "at most"] = "both",
) -> Case:
    """Return the case of a number that has to lie at its target, or on one side of it.

    Args:
        model: ``M1`` to ``M9``.
        name: What is compared.
        target: The published number, or the bound.
        ours: Our estimate of it.
        ours_se: Its standard error.
        source: Where the target is from.
        target_se: Standard error of the target.
        delta: Tolerance.
        side: ``both``, or where a bound allows numbers: ``at least`` or ``at most`` the target.
    """
    away = {"both": abs(ours - target), "at least": target - ours, "at most": ours - target}[side]
    beyond, error = away - delta, math.hypot(ours_se, target_se)
    if math.isnan(beyond) or math.isnan(error):
        p = 0.0  # no estimate is not a good one
    elif beyond <= 0:
        p = 1.0
    elif error == 0:
        p = 0.0
    else:
        p = float(norm.sf(beyond / error)) * (2 if side == "both" else 1)
    return Case(model, name, target, target_se, delta, ours, ours_se, source, min(p, 1.0))


def tested(model: str, name: str, target: float, ours: float, *, source: str, p: float) -> Case:
    """Return the case of a number whose `p` comes from a test of its own (Mann-Whitney, say)."""
    return Case(model, name, target, 0.0, 0.0, ours, 0.0, source, 0.0 if math.isnan(p) else p)


def ordering(model: str, name: str, differences: np.ndarray, *, source: str, seed: int = 0) -> Case:
    """Return the claim that the mean of paired `differences` (landscapes,) is above 0.

    The pairs are resampled `RESAMPLES` times; `p` is the share of resamples whose mean is not.
    """
    values = np.asarray(differences, dtype=float)
    p = float((~(resampled_means(values, seed) > 0)).mean())  # what is no number is no proof
    ours, ours_se = mean_and_error(values)
    return Case(model, name, 0.0, 0.0, 0.0, ours, ours_se, source, p, claim_p=ALPHA)


def beyond_errors(
    model: str, name: str, ours: float, ours_se: float, errors: float, *, source: str
) -> Case:
    """Return the claim that `ours` is more than `errors` standard errors above 0."""
    z = ours / ours_se if ours_se > 0 else math.copysign(math.inf, ours)
    p = 1.0 if math.isnan(ours_se) or math.isnan(z) or ours == 0 else float(norm.sf(z))
    most = float(norm.sf(errors))
    return Case(model, name, 0.0, 0.0, 0.0, ours, ours_se, source, p, claim_p=most)


def place(
    model: str,
    name: str,
    at: Sequence[float],
    runs: Sequence[np.ndarray],
    within: tuple[float, float],
    *,
    of: Literal["highest", "lowest"],
    source: str,
    seed: int = 0,
) -> Case:
    """Return the claim that the highest (lowest) of several means lies `within` an interval.

    Args:
        model: ``M1`` to ``M9``.
        name: What is claimed.
        at: Where the means are taken, the values of a factor.
        runs: The runs (n,) behind each mean; those of equally many are resampled together, since
            runs of one index begin alike.
        within: Both ends belong to it.
        of: Which of the means is looked for.
        source: Who claims it.
        seed: Of the resampling.
    """
    means = np.stack([resampled_means(each, seed) for each in runs])
    places, best = np.asarray(at, dtype=float), np.argmax if of == "highest" else np.argmin
    found = places[best(means, axis=0)]
    outside = (found < within[0]) | (found > within[1]) | np.isnan(means).any(axis=0)
    p = float(outside.mean())
    ours = float(places[best([np.mean(each) for each in runs])])
    middle, half = sum(within) / 2, (within[1] - within[0]) / 2
    return Case(model, name, middle, 0.0, half, ours, 0.0, source, p, claim_p=ALPHA)


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Return the mean of independent `values` (n,) and its standard error; nan of fewer than 2."""
    if len(values) < 2:
        return (float(np.mean(values)) if len(values) else math.nan), math.nan
    return float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(len(values)))


def share_and_error(hits: int, runs: int) -> tuple[float, float]:
    """Return a share and its standard error, which stays above 0 where the share is 0 or 1.

    The error is that of Agresti and Coull's estimate, with two hits and two misses added (The
    American Statistician 52, 119-126, 1998).
    """
    if runs == 0:
        return math.nan, math.nan
    middle = (hits + 2) / (runs + 4)
    return hits / runs, math.sqrt(middle * (1 - middle) / (runs + 4))


def resampled_means(values: np.ndarray, seed: int, resamples: int = RESAMPLES) -> np.ndarray:
    """Return the means (resamples,) of bootstrap resamples of `values` (n,).

    Equally many values are resampled alike, so that differences of what this returns are paired. Of
    twice `_BLOCKS` and more, means of so many blocks are resampled: as independent, and sooner.
    """
    size = max(1, len(values) // _BLOCKS)
    values = values[: len(values) // size * size].reshape(-1, size).mean(axis=1)
    rng, n = np.random.default_rng([seed, len(values)]), len(values)
    rows = max(1, _CHUNK // max(n, 1))
    means = [
        values[rng.integers(0, n, size=(min(rows, resamples - start), n))].mean(axis=1)
        for start in range(0, resamples, rows)
    ]
    return np.concatenate(means)


def verdicts(cases: Sequence[Case]) -> list[bool]:
    """Return which cases pass, by the rule at the head of this module, in their order."""
    passes = [case.claim_p is None or case.p <= case.claim_p for case in cases]
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for i, case in enumerate(cases):
        if case.claim_p is None:
            numbers[case.model].append(i)
    within = 2 * float(norm.sf(STANDARD_ERRORS))
    for family in numbers.values():
        rejected = holm([cases[i].p for i in family])
        for i, is_rejected in zip(family, rejected, strict=True):
            passes[i] = not is_rejected or cases[i].p >= within
    return passes


def holm(p: Sequence[float], alpha: float = ALPHA) -> list[bool]:
    """Return which of the hypotheses Holm's step-down procedure rejects at `alpha`."""
    rejected = [False] * len(p)
    for done, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if not p[i] <= alpha / (len(p) - done):
            break
        rejected[i] = True
    return rejected
