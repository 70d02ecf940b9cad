"""The order of contributions on a leaderboard: reproduced first, broken last. Pure.

It ranks what it is given; who may see it, and what a contribution is worth, is decided elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from scoring.verdict import DEGREES, Direction, Isolation, Outcome, Status


@dataclass(frozen=True, slots=True)
class Contribution:
    """One measured commit."""

    commit: str
    author: str
    status: Status
    outcome: Outcome
    """Of its first run on dev."""
    dev_mean: float | None
    """Mean of its scores on dev; None without any."""
    vault_mean: float | None
    """Mean of its scores on vault; None unless a confirmation ran."""
    isolation: Isolation = "full"
    """The weakest among its runs."""


def rank(contributions: Iterable[Contribution], direction: Direction) -> list[Contribution]:
    """Return the contributions, best first.

    A number measured behind fewer walls is never ranked beside one measured behind all of them:
    fully isolated contributions come first, partly isolated ones after all of those, then the rest.
    Groups within each, in this order: reproduced with a finite vault mean (by that mean);
    everything else that has a finite dev mean (by that); retracted ones; whatever is invalid or has
    no finite number.
    Equal scores keep the order given. Means on dev and on vault are never compared with each other.
    """
    sign = 1.0 if direction == "lower" else -1.0

    def place(contribution: Contribution) -> tuple[int, int, float]:
        group, score = _group(contribution)
        return DEGREES.index(contribution.isolation), group, sign * score

    return sorted(contributions, key=place)


def frontier(contributions: Iterable[Contribution], direction: Direction) -> Contribution | None:
    """Return the best reproduced contribution by its mean on vault, or None without any."""
    reproduced = [item for item in contributions if _group(item)[0] == 0]
    return rank(reproduced, direction)[0] if reproduced else None


def _group(contribution: Contribution) -> tuple[int, float]:
    """Return the group and the number that orders within it."""
    dev, vault = contribution.dev_mean, contribution.vault_mean
    if contribution.outcome != "ok":
        return 3, 0.0
    if contribution.status == "reproduced" and vault is not None and math.isfinite(vault):
        return 0, vault
    if dev is None or not math.isfinite(dev):
        return 3, 0.0
    return (2 if contribution.status == "retracted" else 1), dev
