"""View: an observation as points in the space of knob settings, with costs (lower is better).

Pure arithmetic on one `Observation`; holds no opinion on what to try next. Whatever others wrote is
tolerated: a knob that vanished from a tree keeps its start value, a commit whose settings cannot be
known is left out of the points but not of the scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from agents.closeness import distance
from agents.knobs import Knob, read_values, same_value, unfit
from agents.observation import Known, KnownFailure, Observation
from forum.messages import KnobValue

Setting = Mapping[str, KnobValue]
"""A value for every knob of the task."""
Key = tuple[tuple[str, str], ...]
"""A setting's name: each knob's, in order, with its value as printed."""
Row = tuple[list[float], list[int]]
"""A setting's numbers, from 0 to 1, and its options, by number: in the order of its knobs."""
_T = TypeVar("_T")
_ABSENT: KnobValue = "absent, and no value of any knob"

GOOD = ("improved", "reproduced")
AGAIN = 0.05
"""Changes of the same knobs that are nearer than this are the same change again."""
FEWEST_SIGMA = 1e-4
"""Least noise taken for granted, relative to the baseline's score."""


class Whole(dict[str, KnobValue]):
    """A setting that nobody changes any more; what was computed of it is kept with it."""

    __slots__ = ("_changed", "_from", "_key", "_places", "row", "row_of")

    row: Row
    row_of: tuple[Knob, ...] | None
    """The knobs for which `row` holds."""

    def __init__(self, values: Mapping[str, KnobValue]) -> None:
        super().__init__(values)
        self._key: Key | None = None
        self._places: dict[str, int] = {}
        self._from: dict[int, tuple[Whole, dict[str, KnobValue]]] = {}
        self._changed: dict[object, Whole] = {}
        self.row_of = None

    @property
    def key(self) -> Key:
        """Its name."""
        if self._key is None:
            self._key = _key_of(self)
        return self._key

    def key_with(self, changes: Setting) -> Key:
        """Return the name of the setting that `changes` make of this one."""
        key = list(self.key)
        places = self._places = self._places or {name: at for at, (name, _) in enumerate(key)}
        for name, value in changes.items():
            if name not in places:
                return _key_of({**self, **changes})
            key[places[name]] = (name, _printed(value))
        return tuple(key)

    def changed(self, knobs: tuple[Knob, ...], changes: Setting) -> Whole:
        """Return the setting that those of `changes` make of this one which fit their knobs."""
        name = (knobs, *((name, type(value), value) for name, value in changes.items()))
        if name not in self._changed:
            self._changed[name] = Whole({**self, **_fitting(knobs, changes)})
        return self._changed[name]

    def differences_from(self, old: Whole) -> dict[str, KnobValue]:
        """Return the knobs that `old` has otherwise, with the values here; nobody changes it."""
        if id(old) not in self._from:
            self._from[id(old)] = (old, _differences(old, self))  # kept alive, so that ids hold
        return self._from[id(old)][1]


class Point(NamedTuple):
    """One measured commit as a setting with a cost."""

    known: Known
    setting: Whole
    cost: float | None
    """Score with the sign turned so that lower is better; None when the run was invalid."""

    @property
    def is_good(self) -> bool:
        """Whether the lab called it an improvement."""
        return self.known.status in GOOD


@dataclass(frozen=True, slots=True)
class View:
    """What the policies work with."""

    observation: Observation
    baseline: Point
    points: tuple[Point, ...]
    """In order of arrival, the baseline first."""
    sigma: float
    """Seed-to-seed standard deviation of a cost."""
    tried: frozenset[Key]
    """Keys of every setting measured or on its way, as far as is visible."""
    pending: tuple[Setting, ...]
    """Settings of neighbours' open hypotheses: on their way, without a result."""
    by_commit: Mapping[str, Point] = field(repr=False)
    memory: dict[object, Any] = field(default_factory=dict, repr=False, compare=False)
    """What was computed of it in this turn; see `once`."""

    def once(self, name: object, compute: Callable[[], _T]) -> _T:
        """Return what `compute` returns, computed the first time that `name` is asked for."""
        if name not in self.memory:
            self.memory[name] = compute()
        value: _T = self.memory[name]
        return value

    @property
    def knobs(self) -> tuple[Knob, ...]:
        """The task's knobs."""
        return self.observation.knobs

    @property
    def confirmation_pairs(self) -> int:
        """How many pairs of runs, parent and child, a confirmation takes at least."""
        return max(1, self.observation.briefing.confirmation_runs // 2)

    @property
    def readable(self) -> tuple[Point, ...]:
        """Points whose tree can be built on."""
        return self.once("readable", self._readable)

    def _readable(self) -> tuple[Point, ...]:
        trees, path = self.observation.trees, self.observation.briefing.knobs_path
        return tuple(point for point in self.points if path in trees.get(point.known.commit, {}))

    def ranked(self) -> list[tuple[float, Point]]:
        """Return readable points worth building on with their careful costs, best first.

        Careful: a result pays for doubt about it, so that one lucky run leads nobody astray. The
        baseline is always among them.
        """
        return self.once("ranked", self._ranked)

    def _ranked(self) -> list[tuple[float, Point]]:
        doubt = {"reproduced": 0.0, "improved": 0.5, "undecided": 2.0}
        ranked = [(0.0 if self.baseline.cost is None else self.baseline.cost, self.baseline)]
        ranked += [
            (point.cost + doubt[point.known.status] * self.sigma, point)
            for point in self.readable
            if point.cost is not None and point.known.status in doubt
        ]
        return sorted(ranked, key=lambda each: each[0])

    def best(self) -> Point:
        """Return the best point to build on by careful cost."""
        return self.ranked()[0][1]

    def reference(self) -> Point:
        """Return what gains are declared against: the best reproduced commit, else the baseline.

        Others' means rest on one run each, so a gain over them says little.
        """
        confirmed = [
            (point.cost, index, point)
            for index, point in enumerate(self.readable)
            if point.known.status == "reproduced" and point.cost is not None
        ]
        return min(confirmed)[2] if confirmed else self.baseline

    def built_on(self, point: Point) -> Point | None:
        """Return the visible parent that `point` differs from in the fewest knobs."""
        parents = [self.by_commit[name] for name in point.known.parents if name in self.by_commit]
        scored = [parent for parent in parents if parent.cost is not None]
        if len(scored) < 2:
            return scored[0] if scored else None
        return min(scored, key=lambda p: len(differences(p.setting, point.setting)))

    def best_reproduced_cost(self) -> float:
        """Return the lowest screening cost among reproduced commits, or the baseline's."""
        costs = [point.cost for point in self.points if point.known.status == "reproduced"]
        return min(
            (cost for cost in costs if cost is not None),
            default=self.baseline.cost if self.baseline.cost is not None else 0.0,
        )

    def cost_of(self, score: float) -> float:
        """Return a score with the sign turned so that lower is better."""
        return score if self.observation.briefing.direction == "lower" else -score

    def is_tried(self, setting: Setting) -> bool:
        """Whether this very setting was measured, or is on its way."""
        return setting_key(setting) in self.tried

    def is_closed(self, base: Setting, changes: Setting) -> bool:
        """Whether this very setting was tried, or these changes failed under what still holds."""
        key = base.key_with(changes) if isinstance(base, Whole) else None
        is_tried = key in self.tried if key is not None else self.is_tried({**base, **changes})
        if is_tried:
            return True
        failed = self.once("failed", self._failed).get(frozenset(changes), ())
        return any(distance(self.knobs, failure.changes, changes) < AGAIN for failure in failed)

    def _failed(self) -> dict[frozenset[str], list[KnownFailure]]:
        """Return the failures that still hold, by the knobs that they turned."""
        found: dict[frozenset[str], list[KnownFailure]] = {}
        for failure in self.observation.failures:
            if failure.changes and not failure.is_expired:
                found.setdefault(frozenset(failure.changes), []).append(failure)
        return found


def setting_key(setting: Setting) -> Key:
    """Return a hashable name of a setting; numbers that print alike are alike."""
    return setting.key if isinstance(setting, Whole) else _key_of(setting)


def _key_of(setting: Setting) -> Key:
    return tuple((name, _printed(setting[name])) for name in sorted(setting))


def view_of(observation: Observation) -> View:
    """Return the view of `observation`."""
    start = Whole({knob.name: knob.start for knob in observation.knobs})
    sign = 1.0 if observation.briefing.direction == "lower" else -1.0
    points: list[Point] = []
    settings: dict[str, Whole] = {}
    for known in observation.known:
        setting = _setting(observation, known, settings, start)
        if setting is None:
            continue
        if known.commit:
            settings.setdefault(known.commit, setting)
        cost = None if known.score is None or known.outcome != "ok" else sign * known.score
        points.append(Point(known, setting, cost))
    pending: list[Setting] = []
    for each in observation.open_hypotheses:
        body = each.post.body
        parents = tuple(getattr(body, "parents", ()) or ())
        base = settings.get(parents[0]) if parents else None
        if base is not None:
            pending.append(base.changed(observation.knobs, getattr(body, "knobs", {}) or {}))
    briefing = observation.briefing
    return View(
        observation=observation,
        baseline=points[0],
        points=tuple(points),
        sigma=max(briefing.baseline_sigma, FEWEST_SIGMA * abs(briefing.baseline_mean), 1e-12),
        tried=frozenset(map(setting_key, [*(point.setting for point in points), *pending])),
        pending=tuple(pending),
        by_commit={point.known.commit: point for point in reversed(points) if point.known.commit},
    )


def differences(old: Setting, new: Setting) -> dict[str, KnobValue]:
    """Return the knobs whose values differ, with the new values."""
    if isinstance(new, Whole) and isinstance(old, Whole):
        return new.differences_from(old)
    return _differences(old, new)


def _differences(old: Setting, new: Setting) -> dict[str, KnobValue]:
    return {
        name: value
        for name, value in new.items()
        if (had := old.get(name, _ABSENT)) is not value and not same_value(had, value)
    }


def _setting(
    observation: Observation, known: Known, settings: Mapping[str, Whole], start: Whole
) -> Whole | None:
    """Return what `known` had its knobs at, from its tree or from its parent and its changes."""
    path = observation.briefing.knobs_path
    tree = observation.trees.get(known.commit, {}) if known.commit else {}
    if path in tree:
        return _written(tree[path], observation.knobs)
    if not known.hypothesis and known.commit == observation.briefing.baseline_commit:
        return start
    parent = settings.get(known.parents[0]) if known.parents else None
    changes = _fitting(observation.knobs, known.changes)
    if parent is None or not changes:
        return None
    return Whole({**parent, **changes})


@lru_cache(maxsize=2048)
def _written(text: str, knobs: tuple[Knob, ...]) -> Whole:
    """Return what a text has the knobs at; one that vanished from it stands at its start."""
    return Whole({**{knob.name: knob.start for knob in knobs}, **read_values(text, knobs)})


def _fitting(knobs: tuple[Knob, ...], changes: Setting) -> dict[str, KnobValue]:
    by_name = {knob.name: knob for knob in knobs}
    return {
        name: value
        for name, value in changes.items()
        if name in by_name and not unfit(by_name[name], value)
    }


@lru_cache(maxsize=8192, typed=True)
def _printed(value: KnobValue) -> str:
    if isinstance(value, (bool, str)):
        return repr(value)
    return f"{float(value):.4g}"
