"""The decision rule: screens on dev, then group-sequential confirmation on vault. Pure functions.

A *screen* compares one run of a child on dev with fresh runs of its parent; where that says little
it asks for a second and a third seed. It can only give the right to be confirmed. A *confirmation*
compares fresh runs of both on vault in pairs and stops at the first look that says enough. Noise is
`scoring.evidence.variance`'s; the numbers here were chosen by, and are kept honest by,
`benchmarks/evidence_rule.py`, which gives the rates of error and the power that they have.

Jennison, C. & Turnbull, B. W. (2000), Group Sequential Methods with Applications to Clinical
Trials, Chapman & Hall: chapter 7 (error spending), 9 (repeated intervals and p-values).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from scipy.special import stdtr, stdtrit

from scoring.errors import StatisticsError
from scoring.evidence.variance import Prior, moderated, sum_of_squares, variance_rank
from scoring.verdict import Direction

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

IMPROVED_T = 3.0
"""A screen's t from which a claim is `improved`, if also p <= `IMPROVED_P`."""
IMPROVED_P = 0.003
"""What keeps a t of 3 honest while few runs say what sigma is."""
UNDECIDED_T = 0.5
"""A screen's t below which a claim is `not_improved`."""
LOTTERY_Z = 4.0
"""The t demanded, in screen and confirmation, of a tree whose runs do not depend on the seed. It
has one run, which may be the best of many that were tried: where sigma is known, chance exceeds
this once in 30,000."""
SAME_P = 0.001
"""Runs that spread so little as one honest tree's in a thousand would are one run told several
times too, whatever their bytes: a tree that brings its own lucky seed may add a jitter to it."""
ALPHA = 0.0085
"""One-sided error of a confirmation, all looks together. One null in 20 passes the screen and is
confirmed at all."""
ALPHA_DRAWN = 0.0005
"""The same for a claim that is confirmed although its screen gave no right to it, because it was
drawn by lot: it owes what the screen would have asked of it."""
REFERENCE_AGE_S = 1800.0
"""No decision uses runs of the parent that are older, or of another slot."""


class Stage(NamedTuple):
    """What a screen does with one more seed of the child."""

    references: int
    """Runs of the parent that are wanted (same slot, fresh); more are used, fewer are judged."""
    confirm_t: float
    """From this t on the claim may be confirmed."""
    again_t: float
    """From this t on a further seed is asked for."""


class Look(NamedTuple):
    """One look of a confirmation."""

    pairs: int
    share: float
    """Of alpha, spent here."""
    futility_t: float
    """Below this t the claim is given up."""


STAGES = (Stage(2, 3.0, 0.55), Stage(4, 2.5, 1.2), Stage(6, 1.85, math.inf))
"""By how many seeds the child has, on dev."""
SCHEDULE = (
    Look(2, 0.05, 0.3),
    Look(3, 0.05, 0.8),
    Look(4, 0.10, 1.2),
    Look(6, 0.20, 2.0),
    Look(8, 0.60, -math.inf),
)
LOOKS = tuple(look.pairs for look in SCHEDULE)
REFERENCES = STAGES[0].references
"""Parent runs that the first seed of a screen wants; see `references_wanted`."""
SEEDS = len(STAGES)
"""Dev seeds that a screen takes at most."""

Word = Literal["improved", "undecided", "not_improved", "reproduced"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the runs so far say of a claim."""

    status: Word
    gain: float
    """In the task's unit; positive is better."""
    low: float
    high: float
    """Two-sided 95 % of the gain by t, as if this number of runs had been fixed beforehand."""
    t: float
    df: float
    p: float
    """One-sided. Of a confirmation valid at whatever look it ends: the least alpha at which it
    would have passed by now."""
    needed: float
    """The gain that would pass: make a screen `improved`, a confirmation `reproduced` at this look
    (inf between looks)."""
    is_final: bool
    """Whether no further run is asked for; False: one more seed, or pairs up to the next look."""
    may_confirm: bool
    """Whether the screen gives the right to confirmation; of a confirmation always False."""


def references_wanted(seeds: int) -> int:
    """Return how many parent runs a screen wants that has `seeds` runs of the child."""
    return STAGES[min(max(seeds, 1), SEEDS) - 1].references


def looks_within(pairs_allowed: int) -> list[Look]:
    """Return the looks that this many pairs permit; the last one spends what is left of alpha.

    Raises:
        StatisticsError: fewer pairs than the first look takes.
    """
    looks = [look for look in SCHEDULE if look.pairs <= pairs_allowed]
    if not looks:
        raise StatisticsError(f"{pairs_allowed} pairs are fewer than the first look takes")
    rest = 1 - sum(look.share for look in looks[:-1])
    return [*looks[:-1], looks[-1]._replace(share=rest)]


def gain_over(child: float, parent: float, direction: Direction) -> float:
    """Return how much better `child` is than `parent`: positive is better in either direction."""
    return parent - child if direction == "lower" else child - parent


def judge_screen(
    child: Sequence[float],
    parent: Sequence[float],
    prior: Prior,
    direction: Direction,
    *,
    is_child_fixed: bool = False,
    is_parent_fixed: bool = False,
) -> Judgement:
    """Judge a claim by the child's one to `SEEDS` runs on dev; call it after each.

    ``t = gain / (s sqrt(1/n_child + 1/n_parent))`` on d0 + d degrees of freedom, s moderated.
    `improved` from `IMPROVED_T`, `not_improved` below `UNDECIDED_T`, else `undecided`. What may be
    confirmed, and when a further seed is asked for, says `STAGES`. The runs of a tree that ends in
    the same bytes under any seed count as one; such a child has one seed and faces `LOTTERY_Z`. So
    do those of a child that hardly differ (`hardly_varies`).

    Args:
        child: Its scores on dev.
        parent: Scores of the declared parent on dev: same slot and class, fresh, none of them a
            screening run.
        prior: Of the device class.
        direction: Whether lower or higher scores are better.
        is_child_fixed: Whether the child's runs do not depend on the seed.
        is_parent_fixed: Whether the parent's do not.

    Raises:
        StatisticsError: no run of either, or a number that is not finite.
    """
    is_child_fixed = is_child_fixed or hardly_varies(child, prior)
    measured = _compare(child, parent, prior, direction, is_child_fixed, is_parent_fixed)
    t, df = measured.t, measured.df
    p = tail(t, df)
    stage = STAGES[min(len(child), SEEDS) - 1]
    bar = LOTTERY_Z if is_child_fixed else IMPROVED_T
    is_improved = t >= bar and p <= IMPROVED_P
    may_confirm = is_improved or (not is_child_fixed and t >= stage.confirm_t)
    status: Word = "undecided" if t >= UNDECIDED_T else "not_improved"
    return measured.judgement(
        status="improved" if is_improved else status,
        p=p,
        needed_t=max(bar, quantile(IMPROVED_P, df)),
        is_final=is_child_fixed or may_confirm or not t >= stage.again_t,
        may_confirm=may_confirm,
    )


def judge_pairs(
    child: Sequence[float],
    parent: Sequence[float],
    prior: Prior,
    direction: Direction,
    *,
    alpha: float = ALPHA,
    is_child_fixed: bool = False,
    is_parent_fixed: bool = False,
    pairs_allowed: int = LOOKS[-1],
) -> Judgement:
    """Judge a confirmation by its pairs on vault; call it after each pair.

    At each look of `SCHEDULE` a moderated t of the paired differences is compared with the
    quantile of the look's share of alpha: the shares add up, so that whatever look it ends at, a
    null passes with probability alpha at most (Bonferroni's spending; Jennison & Turnbull,
    section 7.2, use the looks' correlation on top). Passing is `reproduced`. A t below the look's
    futility bound is `not_improved`. After the last look that `pairs_allowed` permits the claim is
    `not_improved` if the upper bound of its gain is below half a sigma, else parked as `undecided`.
    The first look that decides stands: pairs beyond it change gain and interval only (for
    `judge_pool`), and neither status nor p.

    Of fixed trees (see `judge_screen`) all runs count as one and t is that of two samples; of a
    fixed child it must reach `LOTTERY_Z` as well. A child whose runs hardly differ
    (`hardly_varies`) is taken for one.

    Args:
        child: Its scores on vault, one for each pair, in order.
        parent: The parent's.
        prior: Of the device class.
        direction: Whether lower or higher scores are better.
        alpha: To be spent over all looks.
        is_child_fixed: Whether the child's runs do not depend on the seed.
        is_parent_fixed: Whether the parent's do not.
        pairs_allowed: Beyond these no pair will come; fixed before the first (`looks_within`).

    Raises:
        StatisticsError: no pair, unequal numbers, a number that is not finite, or fewer pairs
            allowed than the first look takes.
    """
    if len(child) != len(parent) or not child:
        raise StatisticsError(f"{len(child)} child and {len(parent)} parent scores make no pairs")
    looks = looks_within(pairs_allowed)
    is_fixed = is_child_fixed or hardly_varies(child, prior)
    now = _paired(child, parent, prior, direction, is_fixed, is_parent_fixed)
    status: Word = "undecided"
    is_final, p, needed_t = False, 1.0, math.inf
    for look in looks:
        n = look.pairs
        if n > len(child) or is_final:
            break
        is_fixed = is_child_fixed or hardly_varies(child[:n], prior)
        seen = _paired(child[:n], parent[:n], prior, direction, is_fixed, is_parent_fixed)
        bar = LOTTERY_Z if is_fixed else -math.inf
        one = tail(seen.t, seen.df)
        if seen.t >= bar:
            p = min(p, one / look.share)
        if one <= alpha * look.share and seen.t >= bar:
            status, is_final = "reproduced", True
        elif seen.t < look.futility_t:
            status, is_final = "not_improved", True
        elif look is looks[-1]:
            is_final = True
            status = "not_improved" if seen.high < 0.5 * prior.s0 else "undecided"
        needed_t = max(bar, quantile(alpha * look.share, seen.df)) if n == len(child) else math.inf
    return now.judgement(status, p, needed_t, is_final, may_confirm=False)


def hardly_varies(scores: Sequence[float], prior: Prior) -> bool:
    """Whether runs of one tree under fresh seeds are too alike for trees of this class.

    Below the `SAME_P` point of what variances trees have (`variance.variance_rank`) nobody believes
    that the seed matters. Who hides a seed of his own among noise as large as everybody's is not
    found by this, nor by anything else.
    """
    d = len(scores) - 1
    return d > 0 and bool(is_same(sum_of_squares(scores) / d, d, prior.s0, prior.d0))


def is_same(
    s2: Floats | float, d: int, s0: Floats | float, d0: Floats | float
) -> NDArray[np.bool_]:
    """Return what `hardly_varies` says of sample variances on `d` degrees of freedom."""
    return variance_rank(s2, d, s0, d0) < SAME_P


def judge_pool(effect_low: float, effect_high: float) -> Literal["contested", "retracted"] | None:
    """Say what all runs of a reproduced tree, pooled, make of it.

    Args:
        effect_low: Lower 95 % bound of the pooled gain.
        effect_high: Upper bound.

    Returns:
        retracted if the upper bound is below 0, contested if the lower is not above it.
    """
    if not effect_low <= effect_high:
        raise StatisticsError(f"{effect_low} to {effect_high} is no interval")
    if effect_high < 0:
        return "retracted"
    return "contested" if effect_low <= 0 else None


def tail(t: float, df: float) -> float:
    """Return the probability that Student's t exceeds `t`."""
    return float(stdtr(df, -t))


def quantile(p: float, df: float) -> float:
    """Return the t that is exceeded with probability `p`."""
    return -float(stdtrit(df, p))


@dataclass(frozen=True, slots=True)
class _Comparison:
    """A gain with its standard error."""

    gain: float
    error: float
    df: float

    @property
    def t(self) -> float:
        """Gain over error; without noise any gain counts."""
        if self.error > 0:
            return self.gain / self.error
        return math.copysign(math.inf, self.gain) if self.gain else 0.0

    @property
    def high(self) -> float:
        """Upper end of the two-sided 95 % interval."""
        return self.gain + (quantile(0.025, self.df) * self.error if self.error else 0.0)

    def judgement(
        self, status: Word, p: float, needed_t: float, is_final: bool, may_confirm: bool
    ) -> Judgement:
        """Put it all together."""
        return Judgement(
            status=status,
            gain=self.gain,
            low=2 * self.gain - self.high,
            high=self.high,
            t=self.t,
            df=self.df,
            p=min(p, 1.0),
            needed=needed_t if math.isinf(needed_t) else needed_t * self.error,
            is_final=is_final,
            may_confirm=may_confirm,
        )


def _compare(
    child: Sequence[float],
    parent: Sequence[float],
    prior: Prior,
    direction: Direction,
    is_child_fixed: bool,
    is_parent_fixed: bool,
) -> _Comparison:
    """Compare two means; `prior` and both trees' own squares give the spread."""
    if not child or not parent:
        raise StatisticsError(f"means of {len(child)} and {len(parent)} runs do not compare")
    child, parent = (
        child[:1] if is_child_fixed else child,
        parent[:1] if is_parent_fixed else parent,
    )
    spread = moderated([child, parent], prior)
    gain = gain_over(statistics.fmean(child), statistics.fmean(parent), direction)
    _require_finite(gain)
    return _Comparison(gain, spread.s * math.sqrt(1 / len(child) + 1 / len(parent)), spread.df)


def _paired(
    child: Sequence[float],
    parent: Sequence[float],
    prior: Prior,
    direction: Direction,
    is_child_fixed: bool,
    is_parent_fixed: bool,
) -> _Comparison:
    """Compare pair by pair: a difference of two runs varies sqrt(2) times as much as one run."""
    if is_child_fixed or is_parent_fixed:
        return _compare(child, parent, prior, direction, is_child_fixed, is_parent_fixed)
    gains = [gain_over(c, p, direction) for c, p in zip(child, parent, strict=True)]
    gain = statistics.fmean(gains)
    _require_finite(gain)
    spread = moderated([gains], Prior(math.sqrt(2) * prior.s0, prior.d0))
    return _Comparison(gain, spread.s / math.sqrt(len(gains)), spread.df)


def _require_finite(gain: float) -> None:
    if not math.isfinite(gain):
        raise StatisticsError(f"gain {gain} is not finite; only outcomes that are ok are judged")
