"""What scores mean together: screening one run, confirming by pairs. Pure functions, no state.

The simple rule: a gain counts when it exceeds what two means of an unchanged tree would differ by
chance in one case of a hundred (z = 2.33, one-sided), given the baseline's sigma between seeds. It
knows nothing of experiments, ledgers or people; `community` records what comes out.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scoring.errors import StatisticsError
from scoring.verdict import Direction

Z = 2.33
"""Quantile of the normal distribution that chance exceeds once in a hundred."""
LOTTERY_Z = 4.0
"""The same, demanded of a tree whose runs do not depend on the seed. It has one run, which may be
the best of many that were tried: chance exceeds this once in 30,000."""
PAIRS = 3
"""Pairs of runs (parent, child) on fresh seeds that a confirmation takes."""


@dataclass(frozen=True, slots=True)
class Screening:
    """What one run of a child says against its parent."""

    status: Literal["improved", "undecided", "not_improved"]
    gain: float
    """In the task's unit; positive is better."""
    threshold: float
    """The gain that had to be exceeded."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What the pairs measured so far say."""

    status: Literal["reproduced", "undecided", "not_improved"]
    gain: float
    threshold: float
    is_final: bool
    """Whether no further pair is needed."""


def gain_over(child: float, parent: float, direction: Direction) -> float:
    """Return how much better `child` is than `parent`: positive is better in either direction."""
    return parent - child if direction == "lower" else child - parent


def threshold(sigma: float, n_child: int, n_parent: int, z: float = Z) -> float:
    """Return ``z * sigma * sqrt(1/n_child + 1/n_parent)``.

    Raises:
        StatisticsError: sigma is negative or not finite, or a mean rests on no run.
    """
    if not (math.isfinite(sigma) and sigma >= 0):
        raise StatisticsError(f"sigma {sigma} is no spread; measure the baseline again")
    if n_child < 1 or n_parent < 1:
        raise StatisticsError(f"means of {n_child} and {n_parent} runs do not compare")
    return z * sigma * math.sqrt(1 / n_child + 1 / n_parent)


def screen(gain: float, sigma: float, n_parent: int, n_child: int = 1, z: float = Z) -> Screening:
    """Judge a gain on `dev`: improved if gain > t, undecided if gain > t - sigma, else not.

    Here t = `threshold` (sigma, n_child, n_parent, z).

    Args:
        gain: Of the child's mean over the parent's mean (`gain_over`).
        sigma: Of the noise band.
        n_parent: Runs the parent's mean rests on.
        n_child: Runs the child's mean rests on.
        z: `LOTTERY_Z` for a child whose runs do not depend on the seed.

    Raises:
        StatisticsError: a number that is not finite, or no runs.
    """
    needed = threshold(sigma, n_child, n_parent, z)
    _require_finite(gain)
    if gain > needed:
        return Screening("improved", gain, needed)
    if gain > needed - sigma:
        return Screening("undecided", gain, needed)
    return Screening("not_improved", gain, needed)


def confirm(
    child_scores: Sequence[float],
    parent_scores: Sequence[float],
    sigma: float,
    direction: Direction,
    pairs: int = PAIRS,
    *,
    is_child_fixed: bool = False,
    is_parent_fixed: bool = False,
) -> Confirmation:
    """Judge the pairs measured so far on `vault`; call it after each pair.

    Futility: when the mean gain so far is <= 0 the claim is ``not_improved`` at once. Before all
    `pairs` are in it is otherwise ``undecided`` and not final. With all of them the rule is that of
    `screen` with n_child = n_parent = `pairs`, where improved reads ``reproduced``. The runs of a
    tree that ends in the same bytes under any seed count as one, and of such a child `LOTTERY_Z` is
    demanded: fresh seeds say nothing new of it.

    Args:
        child_scores: One for each pair, in order.
        parent_scores: One for each pair, in order.
        sigma: Of the noise band.
        direction: Whether lower or higher scores are better.
        pairs: How many pairs make a confirmation.
        is_child_fixed: Whether the child's runs do not depend on the seed.
        is_parent_fixed: Whether the parent's do not.

    Raises:
        StatisticsError: no pair, unequal numbers, or a number that is not finite.
    """
    n = len(child_scores)
    if n != len(parent_scores) or n == 0:
        raise StatisticsError(f"{n} child and {len(parent_scores)} parent scores make no pairs")
    gain = gain_over(statistics.fmean(child_scores), statistics.fmean(parent_scores), direction)
    judged = screen(
        gain,
        sigma,
        n_parent=1 if is_parent_fixed else n,
        n_child=1 if is_child_fixed else n,
        z=LOTTERY_Z if is_child_fixed else Z,
    )
    if gain <= 0:
        return Confirmation("not_improved", gain, judged.threshold, is_final=True)
    if n < pairs:
        return Confirmation("undecided", gain, judged.threshold, is_final=False)
    if judged.status == "improved":
        return Confirmation("reproduced", gain, judged.threshold, is_final=True)
    return Confirmation(judged.status, gain, judged.threshold, is_final=True)


def _require_finite(gain: float) -> None:
    if not math.isfinite(gain):
        raise StatisticsError(f"gain {gain} is not finite; only outcomes that are ok are judged")
