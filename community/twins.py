"""Twins: earlier claims that are the same tree or the same idea, and what knobs stand at.

The same tree by its key (`trainer.tree_key`); the same idea where two trees differ in knobs alone
and by less than `agents.closeness.CLOSE`. It says what is so, not who may know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agents.closeness import CLOSE, OPTION_STEP, distance, skeletons, to_unit
from agents.knobs import Knob, load_knobs, read_values
from community.archive.state import HypothesisState, RunState
from community.events import VerdictGiven
from community.screening import tree_of
from forum.messages import Conditions, KnobValue
from trainer.repository import Repository
from trainer.task import Task

_SLACK: Final = 1e-9
"""Of sums of many small steps in another order."""


@dataclass(frozen=True, slots=True)
class _Tree:
    """A tree as a setting of the knobs, and what else there is to it."""

    rest: int
    """Hash of the editable files without the knobs' literals."""
    setting: dict[str, KnobValue]
    row: NDArray[np.float64]
    """Where the knobs stand: rows that are no nearer than `CLOSE` are of settings that are not."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A claim's."""

    index: int
    """In the order of claims."""
    post_id: str
    tree: _Tree


class _Shelf:
    """Claims that may be near one another, as rows of one array."""

    def __init__(self, width: int) -> None:
        self._places: list[_Place] = []
        self._rows = np.empty((64, width))

    def put(self, place: _Place) -> None:
        """Add a claim."""
        count = len(self._places)
        if count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[count] = place.tree.row
        self._places.append(place)

    def near(self, tree: _Tree) -> list[_Place]:
        """Return those that may be near a tree: all that are, and seldom another."""
        apart = np.abs(self._rows[: len(self._places)] - tree.row).sum(axis=1)
        return [self._places[at] for at in np.flatnonzero(apart < CLOSE + _SLACK)]


class Twins:
    """Finds earlier claims that are the same tree or the same idea.

    Args:
        repository: Where the trees are.
        task: Whose knobs say what is close; without knobs only the same tree is a duplicate.
    """

    def __init__(self, repository: Repository, task: Task) -> None:
        self._repository = repository
        self._editable = task.editable
        self._path = task.knobs_path or ""
        self._knobs: tuple[Knob, ...] = ()
        if task.knobs_toml is not None and task.knobs_path is not None:
            start = task.start[task.knobs_path].decode()
            self._knobs = load_knobs(task.knobs_toml, start)
        self._trees: dict[str, _Tree] = {}
        self._known = 0
        """How many claims were taken in."""
        self._by_key: dict[str, list[_Place]] = {}
        self._shelves: dict[int, _Shelf] = {}
        """Claims whose trees differ in knobs alone."""

    def of(self, state: RunState, commit: str) -> list[tuple[str, float]]:
        """Return (post id, distance) of claims on other commits, the nearest first.

        Distance 0 is the very same tree, or one that differs in nothing that is compared here.
        """
        self._follow(state)
        key, tree = state.proposals[commit].tree_key, self._tree(commit)
        found: dict[str, tuple[float, int]] = {}
        for place in self._by_key.get(key, ()):
            found[place.post_id] = (0.0, place.index)
        for place in self._shelves[tree.rest].near(tree) if tree.rest in self._shelves else ():
            if place.post_id not in found:
                apart = distance(self._knobs, tree.setting, place.tree.setting, CLOSE)
                if apart < CLOSE:
                    found[place.post_id] = (apart, place.index)
        others = ((*each, name) for name, each in found.items())
        return [
            (name, apart)
            for apart, _, name in sorted(others)
            if state.hypotheses[name].commit != commit
        ]

    def _follow(self, state: RunState) -> None:
        """Take in the claims that are new since the last time."""
        new = islice(state.hypotheses.values(), self._known, None)
        for index, claim in enumerate(new, start=self._known):
            tree = self._tree(claim.commit)
            place = _Place(index, claim.post_id, tree)
            self._by_key.setdefault(claim.tree_key, []).append(place)
            if self._knobs:
                self._shelves.setdefault(tree.rest, _Shelf(len(self._knobs))).put(place)
        self._known = len(state.hypotheses)

    def setting(self, commit: str) -> dict[str, KnobValue]:
        """Return what a commit's knobs stand at; empty for a task without knobs."""
        return dict(self._tree(commit).setting)

    def _tree(self, commit: str) -> _Tree:
        if commit not in self._trees:
            files = self._repository.read(commit)
            texts = {p: files[p].decode(errors="replace") for p in self._editable if p in files}
            setting = read_values(texts.get(self._path, ""), self._knobs)
            rest = hash(skeletons(texts, self._path, self._knobs))
            self._trees[commit] = _Tree(rest, setting, _row(self._knobs, setting))
        return self._trees[commit]


def _row(knobs: tuple[Knob, ...], setting: Mapping[str, KnobValue]) -> NDArray[np.float64]:
    """Return a setting as numbers; two options are never near."""
    values = ((knob, setting.get(knob.name, knob.start)) for knob in knobs)
    return np.array(
        [
            to_unit(knob, value) if knob.is_number else OPTION_STEP * knob.options.index(value)
            for knob, value in values
        ]
    )


def conditions_of(
    state: RunState, claim: HypothesisState, verdict: VerdictGiven, twins: Twins | None
) -> Conditions:
    """Return what a claim was tried under, for whoever hears that it failed."""
    opened = state.opened
    assert opened is not None
    return Conditions(
        parent_tree=tree_of(state, claim.parents[0]),
        budget=f"{opened.budget_amount:g} {opened.budget_kind}",
        device_class=verdict.device_class[:300],
        around={} if twins is None else twins.setting(claim.commit),
    )
