"""What accepted trees are worth: shrunk gains, chained up to the baseline, with an interval.

A tree is accepted because it looked good, so the runs that it was accepted by flatter it: the
winner's curse. Here gains come from runs made after acceptance where there are any; the best of
many such gains still flatters, and empirical Bayes takes that back. Order by `Standing.low`.
Pure; `community.archive.standing` supplies the runs, `scoring.evidence.gains` one step's gain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from scoring.errors import StatisticsError
from scoring.evidence.effects import Combined, interval

Basis = Literal["after", "mixed", "confirmation", "screen"]
"""Which runs a gain comes from, best first. ``after``: runs on vault that had no part in accepting
the tree. ``mixed``: such runs of the tree, beside runs of its parent that had; about half the curse
is left (simulated: 0.17 sigma after eight pairs or fewer, instead of 0.35). ``confirmation``: the
pairs it was accepted or refused by; no claim of being unbiased. ``screen``: runs on dev, of which
researchers pick the best; still less so."""
BASES: tuple[Basis, ...] = ("after", "mixed", "confirmation", "screen")
FEWEST = 4
"""Accepted trees from which on their gains are shrunk; of fewer, nothing is known of the rest."""
_ROUNDS = 200
_CLOSE = 1e-10


@dataclass(frozen=True, slots=True)
class Step:
    """A tree beside its declared parent."""

    parent: str
    """Name of the parent's step; any other name is the baseline."""
    gain: Combined | None
    """Over the parent; None where nothing was measured side by side."""
    basis: Basis
    is_accepted: bool
    """Whether it was reproduced."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A tree's gain over the baseline."""

    estimate: float
    """In the task's unit; positive is better."""
    low: float
    """Lower end of the two-sided 95 % interval: what trees are ordered by."""
    high: float
    basis: Basis
    """The weakest among the steps of the chain."""
    raw: float
    """The same sum before shrinking."""
    variance: float
    df: float


@dataclass(frozen=True, slots=True)
class Shrunk:
    """One member of a population of gains."""

    estimate: float
    variance: float


def shrink(gains: Sequence[float], variances: Sequence[float]) -> list[Shrunk]:
    """Draw gains towards their common mean, by as much as they are noise.

    Normal-normal empirical Bayes with unequal variances: y_i ~ N(g_i, V_i), g_i ~ N(mu, A)::

        W_i = 1 / (V_i + A),  mu = sum W y / sum W
        A   = sum W_i (k/(k-1) (y_i - mu)^2 - V_i) / sum W,  at least 0; iterated
        B_i = (k-3)/(k-1) V_i / (V_i + A)
        g_i = (1 - B_i) y_i + B_i mu
        s_i^2 = V_i (1 - (k - r_i)/k B_i) + v_i (y_i - mu)^2
        r_i = k W_i / sum W,  v_i = 2/(k-3) B_i^2 (Vbar + A) / (V_i + A),  Vbar = sum W V / sum W

    Sources: Morris 1983, Journal of the American Statistical Association 78:47-55, section 5 (with
    only a mean to regress on, r = 1); Efron and Morris 1975, same journal 70:311-319. A posterior
    mean does not care which of the gains was picked for its size, which is why it is not cursed
    (Efron 2011, same journal 106:1602-1614). Fewer than `FEWEST` come back unchanged: the
    correction k - 3 needs them.

    Args:
        gains: y, one per accepted tree.
        variances: V, each above 0.

    Raises:
        StatisticsError: unequal numbers.
    """
    k = len(gains)
    if k != len(variances):
        raise StatisticsError(f"{k} gains have {len(variances)} variances")
    if k < FEWEST:
        return [Shrunk(y, v) for y, v in zip(gains, variances, strict=True)]
    a, mu = _population(gains, variances)
    weights = [1 / (v + a) for v in variances]
    total = math.fsum(weights)
    typical = math.fsum(w * v for w, v in zip(weights, variances, strict=True)) / total
    found = []
    for y, v, w in zip(gains, variances, weights, strict=True):
        b = (k - 3) / (k - 1) * v * w
        own = v * (1 - (1 - w / total) * b)
        unsure = 2 / (k - 3) * b * b * (typical + a) * w
        found.append(Shrunk((1 - b) * y + b * mu, own + unsure * (y - mu) ** 2))
    return found


def _population(gains: Sequence[float], variances: Sequence[float]) -> tuple[float, float]:
    """Return (A, mu) of `shrink`: variance and mean of the true gains."""
    k, a, mu = len(gains), 0.0, 0.0
    for _ in range(_ROUNDS):
        weights = [1 / (v + a) for v in variances]
        total = math.fsum(weights)
        mu = math.fsum(w * y for w, y in zip(weights, gains, strict=True)) / total
        excess = (
            w * (k / (k - 1) * (y - mu) ** 2 - v)
            for w, y, v in zip(weights, gains, variances, strict=True)
        )
        before, a = a, max(0.0, math.fsum(excess) / total)
        if abs(a - before) <= _CLOSE * (a + min(variances)):
            break
    return a, mu


def standings(steps: Mapping[str, Step]) -> dict[str, Standing]:
    """Return the gain over the baseline of every tree whose chain of parents was measured.

    The steps of accepted trees are shrunk together (`shrink`). A tree's gain is the sum of the
    steps from the baseline to it; variances are added. That two steps share the runs of the tree
    between them makes the true variance smaller, so intervals err on the wide side. Degrees of
    freedom are the fewest of any step: all lean on one prior of the spread. A parent of whose gain
    only screens are known adds nothing, but may take away. A tree whose chain has a step without a
    gain has no standing.

    Raises:
        StatisticsError: the steps run in a circle.
    """
    accepted = {n: s.gain for n, s in steps.items() if s.is_accepted and s.gain is not None}
    drawn = shrink(
        [gain.estimate for gain in accepted.values()],
        [gain.variance for gain in accepted.values()],
    )
    shrunk = dict(zip(accepted, drawn, strict=True))
    found: dict[str, Standing] = {}
    for name in steps:
        chain = _chain(steps, name)
        if all(steps[link].gain is not None for link in chain):
            found[name] = _summed(steps, shrunk, chain)
    return found


def _chain(steps: Mapping[str, Step], name: str) -> list[str]:
    """Return the names from `name` up to the step whose parent is the baseline."""
    chain: list[str] = []
    while name in steps:
        if name in chain:
            raise StatisticsError(f"{name!r} is its own ancestor")
        chain.append(name)
        name = steps[name].parent
    return chain


def _summed(
    steps: Mapping[str, Step], shrunk: Mapping[str, Shrunk], chain: Sequence[str]
) -> Standing:
    estimates, raws, variances, dfs = [], [], [], []
    for link in chain:
        step = steps[link]
        assert step.gain is not None
        is_hearsay = step.basis == "screen" and link != chain[0]
        raw = min(0.0, step.gain.estimate) if is_hearsay else step.gain.estimate
        kept = shrunk.get(link, Shrunk(raw, step.gain.variance))
        raws.append(raw)
        estimates.append(kept.estimate)
        variances.append(kept.variance)
        dfs.append(step.gain.df)
    estimate, variance = math.fsum(estimates), math.fsum(variances)
    low, high = interval(estimate, variance, min(dfs))
    basis = max((steps[link].basis for link in chain), key=BASES.index)
    return Standing(estimate, low, high, basis, math.fsum(raws), variance, min(dfs))
