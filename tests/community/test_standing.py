"""Standings from a ledger: which runs tell a gain, who leads, and that every view agrees."""

from __future__ import annotations

import dataclasses

import pytest
from archive_script import BASE, opened, queued, rows, run_whole

from community import events as ev
from community import evidence_events as evidence
from community.archive.frontier import frontier_move
from community.archive.leaderboard import contributions
from community.archive.queries import best_commit, leader
from community.archive.spreads import prior_of, replicated
from community.archive.standing import placed
from community.archive.state import RunState


class Story:
    """Events of a run, told one after another; a hypothesis ``h`` has the commit and tree ``h``."""

    def __init__(self) -> None:
        self.at = 0
        self.events: list[tuple[int, ev.Event]] = [(0, opened())]
        self.count = 0
        self.device_class = "cpu"

    def run(
        self, purpose: ev.Purpose, commit: str, score: float, *, serves: str = "", slot: str = "a"
    ) -> str:
        """Tell one experiment and return its verdict's id."""
        self.count += 1
        split = "dev" if purpose in ("baseline", "screen", "parent", "sentinel") else "vault"
        tree = "t-base" if commit == BASE else commit
        name = f"e{self.count:04}"
        one = queued(name, purpose, commit, tree, hypothesis=serves, split=split)
        told = run_whole(one, slot, self.at, score)
        self.at += 10
        for at, event in told:
            if isinstance(event, ev.VerdictGiven):
                event = dataclasses.replace(event, device_class=self.device_class)
            self.events.append((at, event))
        return f"v-{name}"

    def propose(self, name: str, parent: str, score: float) -> None:
        """Tell of a hypothesis and its screen."""
        body = {
            "kind": "hypothesis",
            "title": name,
            "parents": [parent],
            "prediction": {"gain": 0.1, "confidence": 0.5},
            "commit": name,
        }
        self.events += [
            (self.at, ev.Proposed(name, (parent,), name, "ada", name, {})),
            (self.at, ev.Posted(name, name, "ada", None, body, {})),
        ]
        self.decide(name, "improved", [self.run("screen", name, score, serves=name)], by="ada")

    def confirm(
        self,
        name: str,
        parent: str,
        *pairs: tuple[float, float],
        slots: tuple[str, str] = ("a", "a"),
    ) -> list[str]:
        """Tell of pairs (child, parent) and return their verdicts; nothing is decided yet."""
        self.events.append((self.at, ev.ReproductionOpened(name, "ben")))
        return [
            verdict
            for child, own in pairs
            for verdict in (
                self.run("confirm_child", name, child, serves=name, slot=slots[0]),
                self.run("confirm_parent", parent, own, serves=name, slot=slots[1]),
            )
        ]

    def decide(self, name: str, status: str, verdicts: list[str], *, by: str = "ben", p=None):
        """Tell of a change of status and return it."""
        change = ev.StatusChanged(name, name, status, 0.1, 0.0, by, tuple(verdicts), p=p)
        self.events.append((self.at, change))
        return change

    def accept(self, name: str, parent: str, *pairs: tuple[float, float], p=None) -> None:
        """Propose, confirm, reproduce, and move the frontier where it ought to move."""
        self.propose(name, parent, pairs[0][0])
        self.decide(name, "reproduced", self.confirm(name, parent, *pairs), p=p)
        self.events += [(self.at, move) for move in frontier_move(self.state())]

    def state(self) -> RunState:
        """Return the fold of what was told."""
        return RunState.from_rows(rows(self.events))


@pytest.fixture
def story() -> Story:
    """A run with a baseline of sigma 0.1 or so."""
    told = Story()
    for score in (3.0, 3.2, 3.1, 2.9):
        told.run("baseline", BASE, score)
    return told


def standing_of(state: RunState, name: str):
    """Return the standing of one hypothesis."""
    return next(place.standing for place in placed(state) if place.hypothesis.post_id == name)


def test_runs_after_acceptance_take_the_place_of_the_pairs(story: Story) -> None:
    """As soon as both sides have one; until then it says ``confirmation``, then ``mixed``."""
    story.accept("x", BASE, (2.0, 3.0), (2.0, 3.0))
    before = standing_of(story.state(), "x")
    assert (before.basis, before.estimate) == ("confirmation", pytest.approx(1.0))
    story.propose("y", "x", 1.9)
    story.confirm("y", "x", (1.8, 2.4))
    halfway = standing_of(story.state(), "x")
    assert (halfway.basis, halfway.estimate) == ("mixed", pytest.approx(3.0 - 2.4))
    story.propose("z", BASE, 2.9)
    story.confirm("z", BASE, (2.9, 3.2))
    after = contributions(story.state())[0]
    assert (after.hypothesis, after.basis, after.runs_after) == ("x", "after", 1)
    assert after.estimate == pytest.approx(3.2 - 2.4)
    assert after.low < after.estimate < after.high
    assert standing_of(story.state(), "y").basis == "screen", "its pairs are under way"


def test_a_parent_is_measured_by_runs_that_did_not_choose_its_child(story: Story) -> None:
    """Another claim's runs of the parent count, the child's own do not."""
    story.propose("other", BASE, 2.9)
    story.confirm("other", BASE, (2.9, 3.0))
    story.accept("x", BASE, (2.0, 3.5), (2.0, 3.5))
    story.run("credit", "x", 2.2)
    found = standing_of(story.state(), "x")
    assert (found.basis, found.estimate) == ("after", pytest.approx(3.0 - 2.2))


def test_gains_are_chained_to_the_baseline(story: Story) -> None:
    """A grandchild's gain is the sum of two steps, and its interval is wider than either's."""
    story.accept("x", BASE, (2.0, 3.0), (2.1, 3.1))
    story.accept("y", "x", (1.5, 2.0), (1.6, 2.1))
    state = story.state()
    x, y = standing_of(state, "x"), standing_of(state, "y")
    assert y.estimate == pytest.approx(1.0 + 0.5)
    assert y.variance > x.variance
    assert [c.hypothesis for c in contributions(state)] == ["y", "x"]


def test_the_surest_gain_leads_and_not_the_best_mean(story: Story) -> None:
    """One lucky pair does not beat eight; leaderboard, frontier and best commit say the same."""
    story.accept("sure", BASE, *[(2.5, 3.0), (2.6, 3.1)] * 4)
    story.accept("lucky", BASE, (2.42, 3.0))
    state = story.state()
    assert state.mean_score("lucky", "vault") < state.mean_score("sure", "vault")
    board = contributions(state)
    assert [c.hypothesis for c in board] == ["sure", "lucky"]
    assert board[1].estimate > board[0].estimate
    assert board[1].low < board[0].low
    assert [moved.commit for _, moved in state.frontier] == ["sure"]
    best = best_commit(state)
    assert best is not None
    assert best.hypothesis.commit == leader(state).commit == "sure"
    assert best.standing.low == board[0].low


def test_a_decision_moves_the_frontier_in_the_row_beside_it(story: Story) -> None:
    """It counts before it is recorded; one that changes nothing moves nothing."""
    story.accept("x", BASE, (2.5, 3.0), (2.6, 3.1))
    story.propose("y", BASE, 2.0)
    verdicts = story.confirm("y", BASE, (2.0, 3.0), (2.1, 3.1))
    state = story.state()
    fields = {"hypothesis": "y", "commit": "y", "gain": 1.0, "threshold": 0.1, "by": "ben"}
    won = ev.StatusChanged(status="reproduced", verdicts=tuple(verdicts), **fields)
    lost = ev.StatusChanged(status="undecided", verdicts=tuple(verdicts), **fields)
    assert frontier_move(state, won) == [ev.FrontierMoved("y", "y", pytest.approx(2.05))]
    assert frontier_move(state, lost) == []
    assert state.hypotheses["y"].status == "improved", "asking changes nothing"


def test_a_leader_that_falls_is_followed_by_the_surest(story: Story) -> None:
    """Contested claims are listed with the unconfirmed; a retraction leaves nothing to lead."""
    story.accept("x", BASE, (2.5, 3.0), (2.6, 3.1))
    story.accept("y", BASE, (2.0, 3.0), (2.1, 3.1))
    fall = ev.StatusChanged("y", "y", "contested", 0.0, None, "ben", ())
    assert [move.commit for move in frontier_move(story.state(), fall)] == ["x"]
    story.events.append((story.at, fall))
    assert [c.hypothesis for c in contributions(story.state())] == ["x", "y"]
    story.decide("x", "retracted", [])
    assert frontier_move(story.state()) == []
    best = best_commit(story.state())
    assert best is None or best.hypothesis.post_id != "x"


def test_a_verdict_that_was_taken_back_counts_no_more(story: Story) -> None:
    """The gain falls back on what is left."""
    story.accept("x", BASE, (2.0, 3.0), (2.0, 3.0))
    story.propose("z", BASE, 2.9)
    story.confirm("z", BASE, (2.9, 3.2))
    lucky = story.run("credit", "x", 1.0)
    assert standing_of(story.state(), "x").estimate == pytest.approx(2.2)
    story.events.append((story.at, evidence.VerdictRetracted(lucky, "broken", "eve")))
    found = standing_of(story.state(), "x")
    assert (found.basis, found.estimate) == ("confirmation", pytest.approx(1.0))


def test_pairs_on_two_slots_still_make_a_gain(story: Story) -> None:
    """As older ledgers have them: side by side, so that no slot ran both."""
    story.propose("x", BASE, 2.0)
    verdicts = story.confirm("x", BASE, (2.0, 3.0), (2.0, 3.0), slots=("a", "b"))
    story.decide("x", "reproduced", verdicts)
    found = standing_of(story.state(), "x")
    assert (found.basis, found.estimate) == ("confirmation", pytest.approx(1.0))


def test_runs_from_before_a_drift_are_not_set_against_runs_after_it(story: Story) -> None:
    """The machine became another one; pairs, which lie on one side of the alarm, still count."""
    story.propose("z", BASE, 2.9)
    story.confirm("z", BASE, (2.9, 3.2))
    story.accept("x", BASE, (2.0, 3.0), (2.0, 3.0))
    story.run("credit", "x", 2.2)
    assert standing_of(story.state(), "x").basis == "after"
    story.events.insert(
        -4, (story.at - 10, evidence.AlarmRaised("a1", "drift", "cpu", "", "a slow morning"))
    )
    found = standing_of(story.state(), "x")
    assert (found.basis, found.estimate) == ("confirmation", pytest.approx(1.0))


def test_device_classes_are_combined(story: Story) -> None:
    """After a restart on a slower morning scores are others, and gains are the same."""
    story.propose("x", BASE, 2.0)
    verdicts = story.confirm("x", BASE, (2.0, 3.0), (2.1, 3.1))
    story.device_class = "slow"
    for child, parent in ((12.0, 13.0), (12.1, 13.1)):
        verdicts.append(story.run("confirm_child", "x", child, serves="x"))
        verdicts.append(story.run("confirm_parent", BASE, parent, serves="x"))
    story.decide("x", "reproduced", verdicts)
    found = standing_of(story.state(), "x")
    assert found.estimate == pytest.approx(1.0)


def test_a_commit_that_nobody_proposed_has_no_standing(story: Story) -> None:
    """Nor has what was built on it; both are listed, by their means."""
    story.propose("x", "elsewhere", 2.0)
    story.propose("y", "x", 1.9)
    story.events = [
        (at, event)
        for at, event in story.events
        if not (isinstance(event, ev.Proposed) and event.commit == "y")
    ]
    board = contributions(story.state())
    assert [(c.hypothesis, c.estimate, c.basis) for c in board][:1] == [("x", None, None)]
    assert {c.hypothesis for c in board} == {"x", "y"}


def test_q_values_are_over_all_confirmations(story: Story) -> None:
    """Benjamini and Hochberg's; a hypothesis that was only screened has none."""
    story.accept("x", BASE, (2.0, 3.0), p=0.001)
    story.accept("y", BASE, (2.4, 3.0), p=0.03)
    story.propose("z", BASE, 2.9)
    board = {c.hypothesis: c for c in contributions(story.state())}
    assert board["x"].q_value == pytest.approx(0.002)
    assert board["y"].q_value == pytest.approx(0.03)
    assert board["z"].q_value is None
    assert (board["x"].pairs, board["z"].pairs) == (1, 0)


def test_spreads_leave_screens_and_single_runs_out(story: Story) -> None:
    """One group for each tree, split and class that ran twice, never across them."""
    story.accept("x", BASE, (2.0, 3.0), (2.1, 3.1))
    groups = replicated(story.state())
    assert sorted(groups) == [(2.0, 2.1), (3.0, 3.1), (3.0, 3.2, 3.1, 2.9)]
    assert prior_of(story.state()).s0 == pytest.approx(0.1, rel=0.3)
    assert replicated(story.state(), "gpu") == []
    empty = RunState.from_rows(rows([(0, opened())]))
    assert prior_of(empty) is None
    taken_over = rows([(0, opened()), (0, ev.NoiseEstimated("cpu", 3.0, 0.1, (2.9, 3.1)))])
    assert replicated(RunState.from_rows(taken_over)) == [(2.9, 3.1)]
