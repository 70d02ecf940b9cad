"""Copying: good changes that others made, put on another commit, alone or together."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from agents.knobs import same_value
from agents.minds.policy.proposing import short
from agents.minds.policy.view import Point, View, differences
from forum.messages import KnobValue

GOOD_DEEDS = 12
"""How many of the best visible commits lend their changes."""


class Candidate(NamedTuple):
    """Something that could be proposed next."""

    base: Point
    changes: dict[str, KnobValue]
    because: str


def copies_of(view: View, base: Point, rng: Random) -> list[Candidate]:
    """Return one to three known good changes of others, put on `base`."""
    deeds: list[tuple[Point, dict[str, KnobValue]]] = []
    for _, point in view.ranked():
        parent = view.built_on(point)
        if parent is None or point is base or not point.known.hypothesis:
            continue
        changes = {
            name: value
            for name, value in differences(parent.setting, point.setting).items()
            if name not in base.setting or not same_value(base.setting[name], value)
        }
        if changes:
            deeds.append((point, changes))
        if len(deeds) == GOOD_DEEDS:
            break
    found = [
        Candidate(base, changes, f"It helped in {short(point)}, so it may help here.")
        for point, changes in deeds
    ]
    for _ in range(2 * len(deeds)):
        chosen = rng.sample(deeds, min(len(deeds), rng.choice((2, 2, 3))))
        together = {
            name: value for _, changes in reversed(chosen) for name, value in changes.items()
        }
        sources = ", ".join(short(point) for point, _ in chosen)
        found.append(Candidate(base, together, f"These helped one by one in {sources}."))
    return found
