"""Turning: which knob to turn which way, from what visible changes did before.

Every visible result is read as a lesson about each knob it changed against its parent. A way that
paid is followed further, a way that failed is tried in the opposite direction, and a knob of which
both ways failed is left alone for a while.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from agents.closeness import to_unit
from agents.knobs import Knob, same_value
from agents.minds.policy.steps import bold_size, moved, turned
from agents.minds.policy.view import Point, Setting, View, differences
from forum.messages import KnobValue

SEVERAL = (0.75, 0.95)
"""Three in four changes turn one knob, one in five two, one in twenty three."""
CLEAR_LOSS_SIGMAS = 1.5
"""A loss beyond this says something about the direction, not only about the seed."""
NEAR = 0.12
"""Lessons learnt within this part of the range hold here too."""


class Lesson(NamedTuple):
    """What one visible change of one knob did."""

    knob: str
    before: KnobValue
    after: KnobValue
    gain: float
    """In cost, over the parent; shared evenly where several knobs were turned at once."""


class Lessons(tuple[Lesson, ...]):
    """Lessons in order of arrival."""

    _by_knob: dict[str, list[Lesson]] | None = None

    def about(self, knob: str) -> list[Lesson]:
        """Return those about one knob."""
        if self._by_knob is None:
            self._by_knob = {}
            for each in self:
                self._by_knob.setdefault(each.knob, []).append(each)
        return self._by_knob.get(knob, [])


def lessons_of(view: View) -> Lessons:
    """Return the lessons of all visible results, in order of arrival."""
    return view.once("lessons", lambda: Lessons(_lessons(view)))


def _lessons(view: View) -> list[Lesson]:
    lessons: list[Lesson] = []
    for point in view.points:
        parent = view.built_on(point)
        if parent is None or parent.cost is None:
            continue
        changes = differences(parent.setting, point.setting)
        # An invalid run is a clear no; its size does not matter here.
        gain = -10 * view.sigma if point.cost is None else parent.cost - point.cost
        lessons += [
            Lesson(name, parent.setting[name], value, gain / len(changes))
            for name, value in changes.items()
            if name in parent.setting
        ]
    return lessons


def scale_of(view: View) -> float:
    """Return how bold steps should be: halved while nothing helps, whole when things go well."""
    recent = [p for p in view.points if p.known.author == view.observation.agent][-6:]
    if len(recent) < 3:
        return 1.0
    helped = sum(point.is_good for point in recent)
    return (0.5, 0.75, 1.0, 1.2)[min(helped, 3)]


def survey(view: View, base: Point, rng: Random, lessons: Lessons) -> dict[str, KnobValue] | None:
    """Return a bold turn of one knob about which too little is known; None if all were looked at.

    That is a knob nobody has turned yet as far as is visible, or one that lost clearly in the only
    direction it was turned: the other direction is then twice as likely to be drawn. One knob at a
    time, so that the result says what it was due to.
    """
    on_its_way = {
        name
        for setting in view.pending
        if len(changed := differences(base.setting, setting)) <= 2
        for name in changed
    }
    ways = [
        (knob, way)
        for knob in view.knobs
        if knob.name not in on_its_way
        for way in _unsurveyed(knob, lessons, view.sigma)
    ]
    rng.shuffle(ways)
    for knob, way in ways:
        value = base.setting[knob.name]
        new = moved(knob, value, way * bold_size(rng)) if way else turned(knob, value, rng)
        if new is not None and not view.is_closed(base.setting, {knob.name: new}):
            return {knob.name: new}
    return None


def _unsurveyed(knob: Knob, lessons: Lessons, sigma: float) -> tuple[int, ...]:
    """Return the ways worth a look, for drawing: 0 is any, 1 is up, -1 is down."""
    mine = lessons.about(knob.name)
    if not mine:
        return (0,)
    if not knob.is_number:
        return ()
    gains: dict[int, list[float]] = {}
    for each in mine:
        way = 1 if to_unit(knob, each.after) > to_unit(knob, each.before) else -1
        gains.setdefault(way, []).append(each.gain)
    if len(gains) > 1:
        return ()
    ((way, found),) = gains.items()
    is_lost = max(found) <= 0 and min(found) < -CLEAR_LOSS_SIGMAS * sigma
    return (-way, -way) if is_lost else ()


def next_change(
    view: View, base: Point, rng: Random, lessons: Lessons
) -> dict[str, KnobValue] | None:
    """Return an untried change of one to three knobs of `base`; None if chance finds none."""
    surveyed = survey(view, base, rng, lessons)
    if surveyed is not None:
        return surveyed
    scale = scale_of(view)
    for _ in range(60):
        roll = rng.random()
        count = 1 if roll < SEVERAL[0] else 2 if roll < SEVERAL[1] else 3
        changes: dict[str, KnobValue] = {}
        for knob in _drawn(view, base.setting, rng, lessons, count):
            value = advised(knob, base.setting, rng, lessons, view.sigma, scale)
            if value is not None:
                changes[knob.name] = value
        if changes and not view.is_closed(base.setting, changes):
            return changes
    return None


def advised(
    knob: Knob,
    setting: Setting,
    rng: Random,
    lessons: Lessons,
    sigma: float,
    scale: float,
) -> KnobValue | None:
    """Return a new value for `knob` that heeds the lessons about it."""
    value = setting[knob.name]
    mine = lessons.about(knob.name)
    if not mine or rng.random() < 0.15:
        return turned(knob, value, rng, scale)
    if not knob.is_number:
        good = [m.after for m in mine if m.gain > sigma and not same_value(m.after, value)]
        bad = [m.after for m in mine if m.gain <= 0]
        fresh = [o for o in knob.options if not same_value(o, value) and o not in bad]
        choices = good or fresh
        return rng.choice(choices) if choices else turned(knob, value, rng, scale)
    last = mine[-1]
    way = 1.0 if to_unit(knob, last.after) > to_unit(knob, last.before) else -1.0
    if last.gain <= 0:
        way = -way
    new = moved(knob, value, way * bold_size(rng, scale))
    return moved(knob, value, -way * bold_size(rng, scale)) if new is None else new


def _drawn(view: View, setting: Setting, rng: Random, lessons: Lessons, count: int) -> list[Knob]:
    """Draw `count` knobs, fewer where both ways are known to fail."""
    left = list(view.knobs)
    drawn: list[Knob] = []
    while left and len(drawn) < count:
        weights = [_promise(knob, setting, lessons, view.sigma) for knob in left]
        drawn.append(rng.choices(left, weights)[0])
        left.remove(drawn[-1])
    return drawn


def _promise(knob: Knob, setting: Setting, lessons: Lessons, sigma: float) -> float:
    """Return the weight with which a knob is drawn: 1 when nothing is known of it."""
    mine = lessons.about(knob.name)
    if not mine:
        return 1.0
    if mine[-1].gain > 2 * sigma:
        return 3.0
    if not knob.is_number:
        failed = sum(each.gain <= 0 for each in mine)
        return 1.0 if failed < len(knob.options) - 1 else 0.15
    here = to_unit(knob, setting[knob.name])
    ways = {
        to_unit(knob, each.after) > to_unit(knob, each.before)
        for each in mine
        if each.gain <= 0 and abs(to_unit(knob, each.before) - here) < NEAR
    }
    return (1.2, 0.8, 0.15)[len(ways)]
