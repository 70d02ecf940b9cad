"""Closeness: how far apart two settings of the knobs are, and whether two trees differ in more.

The distance is the sum over knobs of how far each is turned: for a number the part of its range
between the two values, on the knob's own scale (linear or logarithmic); for an option
`OPTION_STEP`, whichever it is. So 0.02 is a learning rate moved by a fiftieth of its range, and
any other option is far. A sum and not the largest part, because several small turns add up.

Distances are between settings; who wants to know whether two *trees* are nearly the same compares
their `skeleton`s too. Texts may be anybody's and are not parsed, see `agents.constants`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache

from agents.constants import find_constants, without_comments
from agents.knobs import Knob, same_value
from forum.messages import KnobValue

CLOSE = 0.02
"""Nearer than this, two trees are taken for the same idea: the shortest step of the built-in minds
is longer, and what so small a turn does drowns in the noise between seeds."""
OPTION_STEP = 0.5
"""Another option counts as half a number's range."""
_BLANK = "_"
"""A name, so that what is left still reads as a program."""


def to_unit(knob: Knob, value: KnobValue) -> float:
    """Return where a number lies in its range, from 0 to 1; beyond it, the nearer end."""
    low, high = bounds(knob)
    number = min(max(float(value), low), high)
    if knob.scale == "log":
        return math.log(number / low) / math.log(high / low)
    return (number - low) / (high - low)


def bounds(knob: Knob) -> tuple[float, float]:
    """Return the ends of a number's range."""
    assert knob.low is not None
    assert knob.high is not None
    return float(knob.low), float(knob.high)


def distance(
    knobs: Iterable[Knob],
    one: Mapping[str, KnobValue],
    other: Mapping[str, KnobValue],
    enough: float = math.inf,
) -> float:
    """Return how far two settings are apart; what a setting leaves out stands at its start.

    From `enough` on it does not count any further: what is returned is at least that.
    """
    apart = 0.0
    for knob in knobs:
        a, b = one.get(knob.name, knob.start), other.get(knob.name, knob.start)
        if a is b or same_value(a, b):
            continue
        is_range = knob.is_number and not isinstance(a, str) and not isinstance(b, str)
        apart += abs(to_unit(knob, a) - to_unit(knob, b)) if is_range else OPTION_STEP
        if apart >= enough:
            break
    return apart


@lru_cache(maxsize=2048)
def skeleton(text: str, knobs: tuple[Knob, ...]) -> str:
    """Return `text` without its comments and its knobs' literals: what else there is to it."""
    places, _ = find_constants(text)
    found = [places[knob.name] for knob in knobs if knob.name in places]
    for place in sorted(found, key=lambda place: place.begin, reverse=True):
        text = text[: place.begin] + _BLANK + text[place.end :]
    return without_comments(text)


def skeletons(
    tree: Mapping[str, str], knobs_path: str, knobs: tuple[Knob, ...]
) -> tuple[tuple[str, str], ...]:
    """Return a tree's editable files, by path, with the knobs' literals left out."""
    return tuple(
        (path, skeleton(text, knobs) if path == knobs_path else text)
        for path, text in sorted(tree.items())
    )
