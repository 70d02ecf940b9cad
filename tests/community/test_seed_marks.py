"""Whose runs count as one because they end too much alike: real short trainings, and inheritance.

`benchmarks/seed_distances.py` has more and longer trainings.
"""

from __future__ import annotations

import random
from functools import lru_cache

import pytest

from benchmarks.cheat_rows import opened, sketch_of, verdict
from benchmarks.seed_distances import (
    BEGUN,
    FAST,
    INIT,
    LAB,
    LATE,
    NAMED,
    SMALL,
    Trial,
    drawn,
    measure,
)
from community import events as ev
from community.archive.state import RunState
from community.seed_rule import PINNED_SHARE, is_deterministic

STEPS = 20


@lru_cache(maxsize=1)
def bar() -> float:
    """Below this the runs of a small tree count as one."""
    return PINNED_SHARE * measure(Trial(SMALL, (), STEPS))


def trees() -> list[dict[str, object]]:
    """Return rates that move weights far, and knobs turned by lot."""
    chance = random.Random(11)
    return [FAST, *(drawn(chance) | SMALL for _ in range(3))]


@pytest.mark.parametrize("number", range(len(trees())))
def test_honest_trees_lie_above_the_bar_and_pinned_ones_below(number: int):
    """Whatever knobs are turned, and also if the tree begins again after the seed gate."""
    knobs = trees()[number]
    assert measure(Trial(knobs, (), STEPS)) > 1.3 * bar()
    assert measure(Trial(knobs, (INIT, LAB), STEPS)) < bar() / 1.5
    assert measure(Trial(knobs, (BEGUN, LATE), STEPS)) < bar() / 1.5


@pytest.mark.parametrize(
    ("name", "is_below"),
    [
        ("head begins at 0", False),
        ("up matrices begin all alike", False),
        ("a table over pairs of bytes, from 0", True),
        ("pins the embedding alone", True),
        ("pins all but the embedding", True),
        ("pins the order of its data", False),
    ],
)
def test_what_begins_without_chance_and_what_is_pinned_in_part(name: str, is_below: bool):
    """A table that is learnt from 0 cannot be told from a pinned one; an order leaves no trace."""
    edits = next(edits for each, _, edits in NAMED if each == name)
    assert (measure(Trial(FAST, edits, STEPS)) < bar()) == is_below


class Ledger:
    """A ledger of runs that say nothing but how they ended."""

    def __init__(self) -> None:
        self.state = RunState()
        self.chance = random.Random(3)
        self.apply(opened())
        for _ in range(4):
            self.run("base", "t-base", self.ended("base", 0.0))

    def apply(self, event: object) -> None:
        """Append a row, a second after the one before."""
        seq = self.state.last_seq + 1
        self.state.apply(ev.Row(seq, seq * 1_000_000, event))

    def ended(self, own: str, likeness: float) -> str:
        """Return the sketch of one of runs that are so alike, about what `own` stands for."""
        return sketch_of(own, self.chance, likeness)

    def run(self, commit: str, tree: str, sketch: str) -> None:
        """Run a tree once; it ends in this."""
        number = len(self.state.experiments) + 1
        purpose = "baseline" if commit == "base" else "screen"
        queued = ev.ExperimentQueued(
            f"e{number}", purpose, commit, tree, "", "ada", "ada", "dev", number, number,
            slot="cpu0",
        )  # fmt: skip
        self.apply(queued)
        self.apply(verdict(queued, 1.0, sketch))

    def proposed(self, commit: str, *sketches: str) -> str:
        """Propose and run a tree, once for each sketch; its tree key."""
        tree = f"t-{commit}"
        self.apply(ev.Proposed(commit, ("base",), tree, "ada", commit, {}))
        for sketch in sketches:
            self.run(commit, tree, sketch)
        return tree

    def is_marked(self, tree: str) -> bool:
        """Whether the tree's runs count as one."""
        return is_deterministic(self.state, tree)


def test_what_a_leader_has_shown_is_inherited_and_a_seed_drawn_anew_is_not():
    """A table that led marks none of those that build on it later; other luck is marked as ever."""
    ledger = Ledger()

    def proposed(commit: str, own: str, likeness: float = 0.9) -> str:
        return ledger.proposed(commit, *(ledger.ended(own, likeness) for _ in range(2)))

    before, first = proposed("before", "table"), proposed("first", "table")
    assert ledger.is_marked(before)
    assert ledger.is_marked(first)
    ledger.apply(ev.FrontierMoved("first", "", 1.0))
    assert not ledger.is_marked(proposed("after", "table"))
    assert ledger.is_marked(proposed("lottery", "another"))
    assert ledger.is_marked(before)
    assert ledger.is_marked(first)
    assert not ledger.is_marked(proposed("honest", "none", likeness=0.0))


def test_a_tensor_kept_in_part_and_drawn_anew_in_part_is_not_inherited():
    """It has to be as much like the leader's as its own runs are like one another."""
    ledger = Ledger()
    one, other, third = (ledger.ended("table", 0.75) for _ in range(3))
    ledger.proposed("first", one, other)
    ledger.apply(ev.FrontierMoved("first", "", 1.0))
    assert not ledger.is_marked(ledger.proposed("after", third, ledger.ended("table", 0.75)))
    assert ledger.is_marked(ledger.proposed("narrower", third, third))
