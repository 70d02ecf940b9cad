"""The order of contributions on a leaderboard: reproduced first, broken last. Pure.

It ranks what it is given; who may see it, and what a contribution is worth, is decided elsewhere:
its gain by `scoring.evidence.standing`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from scoring.verdict import DEGREES, Direction, Isolation, Outcome, Status


@dataclass(frozen=True, slots=True)
class Contribution:
    """One measured hypothesis."""

    name: str
    status: Status
    outcome: Outcome
    """Of its first run on dev."""
    dev_mean: float | None
    """Mean of its scores on dev; None without any."""
    vault_mean: float | None
    """Mean of its scores on vault; None unless a confirmation ran."""
    isolation: Isolation = "full"
    """The weakest among its runs."""
    low: float | None = None
    """Lower end of the 95 % interval of its gain over the baseline; None where that is unknown."""


def weakest(degrees: Iterable[Isolation]) -> Isolation:
    """Return the weakest of some degrees of isolation; full where there are none."""
    return DEGREES[max((DEGREES.index(degree) for degree in degrees), default=0)]


def rank(contributions: Iterable[Contribution], direction: Direction) -> list[Contribution]:
    """Return the contributions, best first.

    A number measured behind fewer walls is never ranked beside one measured behind all of them:
    fully isolated contributions come first, partly isolated ones after all of those, then the rest.
    Groups within each, in this order: reproduced with a finite vault mean; everything else that has
    a finite dev mean; retracted ones; whatever is invalid or has no finite number. Within a group
    the higher `low` comes first: a gain counts by what it surely is, not by its best guess. After
    those come contributions whose gain is unknown, by their mean: on vault in the first group, on
    dev in the others. Equal ones keep the order given.
    """
    sign = 1.0 if direction == "lower" else -1.0

    def place(contribution: Contribution) -> tuple[int, int, bool, float]:
        group, score = _group(contribution)
        low = contribution.low
        is_unknown = low is None or not math.isfinite(low)
        order = sign * score if low is None or is_unknown else -low
        return DEGREES.index(contribution.isolation), group, is_unknown, order

    return sorted(contributions, key=place)


def reproduced(contributions: Iterable[Contribution], direction: Direction) -> list[Contribution]:
    """Return the reproduced contributions in the order of `rank`; the first is the frontier."""
    return rank((item for item in contributions if _group(item)[0] == 0), direction)


def _group(contribution: Contribution) -> tuple[int, float]:
    """Return the group and the mean that orders within it where no gain is known."""
    dev, vault = contribution.dev_mean, contribution.vault_mean
    if contribution.outcome != "ok":
        return 3, 0.0
    if contribution.status == "reproduced" and vault is not None and math.isfinite(vault):
        return 0, vault
    if dev is None or not math.isfinite(dev):
        return 3, 0.0
    return (2 if contribution.status == "retracted" else 1), dev
