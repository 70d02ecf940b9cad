"""Skill from ledger rows: what settles a claim, how much it weighs, and who scores on it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from archive_script import ended, queued, verdict

from community.archive.leaderboard import researchers
from community.archive.state import RunState
from community.chronicle import Chronicle
from community.events import (
    AgentJoined,
    AttemptStarted,
    Posted,
    Proposed,
    ReproductionOpened,
    StatusChanged,
)
from community.evidence_events import ConfirmationDrawn, ReviewerAssigned, VerdictRetracted
from community.reviewing import Regards, must_confirm, settlements, skills

SIGMA = 0.02
"""Of the chronicle's baseline."""


@dataclass
class Told:
    """Writes the rows of whole claims into a chronicle, one after the other."""

    chronicle: Chronicle
    count: int = 0

    @property
    def state(self) -> RunState:
        """The fold so far."""
        return self.chronicle.state

    def post(self, author: str = "ada", *, draw: bool = False, tree: str = "") -> str:
        """Post a hypothesis that karl is asked about; returns its post id."""
        self.count += 1
        commit, tree = f"c{self.count}", tree or f"t{self.count}"
        name = f"p{len(self.state.posts) + 1}"
        body = {
            "kind": "hypothesis", "title": "t", "parents": ["base"], "commit": commit,
            "prediction": {"gain": 0.1, "confidence": 0.5},
        }  # fmt: skip
        self.chronicle.record(
            Proposed(commit, ("base",), tree, author, "t", {}),
            Posted(name, f"m-{name}", author, None, body, {author: "everything", "karl": "diff"}),
            ReviewerAssigned(name, "karl"),
            *([ConfirmationDrawn(name, 0.1)] if draw else []),
        )
        return name

    def review(
        self, of: str, reproduced: float, middle: float = 0.0, by: str = "karl", **of_run: float
    ) -> None:
        """Post a review whose quantiles are one sigma about `middle`, in sigmas."""
        name = f"p{len(self.state.posts) + 1}"
        gain = [(middle + off) * SIGMA for off in (-1, 0, 1)]
        body = {
            "kind": "review", "hypothesis": of, "opinion": "doubt", "text": "",
            "forecast": {"reproduced": reproduced, "gain": gain, **of_run},
        }  # fmt: skip
        self.chronicle.record(Posted(name, f"m-{name}", by, of, body, {by: "everything"}))

    def screen(self, of: str, status: str = "improved", *, is_valid: bool = True) -> None:
        """Screen a hypothesis."""
        claim = self.state.hypotheses[of]
        run = queued(f"e-{of}", "screen", claim.commit, claim.tree_key, hypothesis=of)
        score = 2.9 if is_valid else None
        self.chronicle.record(
            run,
            AttemptStarted(run.experiment_id, 1, "cpu0"),
            ended(run.experiment_id, "cpu0", (0, 1), (1, 2)),
            verdict(run, score),
            StatusChanged(of, claim.commit, status, 0.1, 0.1, "ada", (f"v-{run.experiment_id}",)),
        )

    def confirm(self, of: str, status: str, gain: float | None, *, draw: bool = False) -> None:
        """Confirm it by the lab, with a gain in sigmas."""
        claim = self.state.hypotheses[of]
        run = queued(f"x-{of}", "confirm_child", claim.commit, claim.tree_key, hypothesis=of)
        gain = None if gain is None else gain * SIGMA
        self.chronicle.record(
            ReproductionOpened(of, "lab", is_drawn=draw),
            run,
            verdict(run, 2.9),
            StatusChanged(of, claim.commit, status, gain, 0.1, "lab", (f"v-{run.experiment_id}",)),
        )


@pytest.fixture
def told(chronicle: Chronicle) -> Told:
    """Give a community of two, in which karl is the one who reviews."""
    for name in ("ada", "karl"):
        chronicle.record(AgentJoined(name, "any", "policy:any", ()))
    return Told(chronicle)


def test_a_reviewer_who_knew_is_told_from_one_who_guessed(told: Told) -> None:
    """Right about three claims is above 0, wrong about them below, silent is unknown."""
    for reviewer, chances in (("karl", (0.9, 0.05, 0.05)), ("lena", (0.05, 0.9, 0.9))):
        for chance, status in zip(
            chances, ("reproduced", "not_improved", "undecided"), strict=True
        ):
            claim = told.post()
            told.chronicle.record(ReviewerAssigned(claim, "lena"))
            told.review(claim, chance, by=reviewer)
            told.screen(claim)
            told.confirm(claim, status, 4.0 if status == "reproduced" else 0.0)
    found = skills(told.state)
    assert found["lena"].points < 0.0 < found["karl"].points
    assert (found["karl"].settled, found["lena"].settled) == (3, 3)
    table = {one.agent: one for one in researchers(told.state)}
    assert table["karl"].review_skill == pytest.approx(found["karl"].points)
    assert (table["karl"].reviews_settled, table["ada"].reviews_settled) == (3, 0)
    assert table["ada"].review_skill is None


def test_what_only_the_draw_brought_to_light_weighs_one_over_its_share(told: Told) -> None:
    """Chosen claims weigh 1, drawn ones that somebody chose too; invalid ones settle at once."""
    names = [told.post(draw=True) for _ in range(5)]
    for name in names[:4]:
        told.screen(name, is_valid=name != names[2])
    told.screen(names[4], "undecided")
    told.confirm(names[0], "not_improved", -1.0, draw=True)
    told.confirm(names[1], "reproduced", 3.0)
    told.confirm(names[4], "not_improved", 0.1)  # the lab chooses what is improved, and only that
    found = settlements(told.state)
    assert found[names[4]].weight == 10.0
    assert [found[name].weight for name in names[:3]] == [10.0, 1.0, 1.0]
    assert (found[names[1]].is_reproduced, found[names[1]].gain) == (True, pytest.approx(3.0))
    assert (found[names[2]].is_reproduced, found[names[2]].gain) == (False, None)
    assert names[3] not in found


def test_a_confirmation_that_taught_nothing_or_was_taken_back_settles_nothing(told: Told) -> None:
    """A parent that failed, and a verdict that does not stand: the reviews are open again."""
    lost, back = told.post(), told.post()
    for name in (lost, back):
        told.review(name, 0.9)
        told.screen(name)
    told.confirm(lost, "undecided", None)
    told.confirm(back, "reproduced", 3.0)
    assert list(settlements(told.state)) == [back]
    assert skills(told.state)["karl"].settled == 1
    told.chronicle.record(VerdictRetracted(f"v-x-{back}", "a fault", "eve"))
    assert settlements(told.state) == {}
    assert skills(told.state) == {}


def test_nobody_scores_on_what_is_his_or_was_known_or_was_not_asked(told: Told) -> None:
    """Own claims, trees measured before, and reviews nobody asked for add nothing."""
    own, first = told.post("karl"), told.post()
    told.screen(first)
    twin = told.post(tree=told.state.hypotheses[first].tree_key)
    told.review(own, 1.0, 4.0)
    told.review(twin, 1.0, 4.0)
    told.review(own, 1.0, 4.0, by="lena")
    for name in (own, twin):
        told.screen(name)
        told.confirm(name, "reproduced", 4.0)
    assert len(settlements(told.state)) == 2
    assert skills(told.state) == {}


def test_a_drawn_claim_has_to_be_confirmed_once_and_only_when_it_ran(told: Told) -> None:
    """Neither before its screen nor without a valid run nor twice, nor what was not drawn."""
    drawn, crashed, other = told.post(draw=True), told.post(draw=True), told.post()
    assert not must_confirm(told.state, drawn)
    told.screen(drawn, "not_improved")
    told.screen(crashed, is_valid=False)
    told.screen(other)
    assert [must_confirm(told.state, name) for name in (drawn, crashed, other)] == [
        True, False, False,
    ]  # fmt: skip
    told.confirm(drawn, "not_improved", -1.0, draw=True)
    assert not must_confirm(told.state, drawn)
    twin = told.post(draw=True, tree=told.state.hypotheses[drawn].tree_key)
    told.screen(twin)
    assert not must_confirm(told.state, twin)


def test_only_skill_moves_the_queue(told: Told) -> None:
    """A newcomer's and a failure's word change nothing; who was right is listened to."""
    regards = Regards()
    fresh = told.post()
    told.review(fresh, 0.95, 4.0)
    assert regards.worth(told.state, fresh) == 1.0
    for _ in range(6):
        claim = told.post()
        told.review(claim, 0.9, 3.0)
        told.screen(claim)
        told.confirm(claim, "reproduced", 3.0)
    assert skills(told.state)["karl"].points > 1.0
    dull, open_to_all = told.post(), told.post()
    told.review(dull, 0.01, -2.0)
    assert regards.worth(told.state, fresh) > 1.0 > regards.worth(told.state, dull) > 0.0
    assert regards.worth(told.state, open_to_all) == 1.0
    for _ in range(12):
        claim = told.post()
        told.review(claim, 1.0, 3.0)
        told.screen(claim)
        told.confirm(claim, "not_improved", -2.0)
    assert skills(told.state)["karl"].points < 0.0
    assert regards.worth(told.state, fresh) == regards.worth(told.state, dull) == 1.0


def test_who_sees_crashes_coming_is_listened_to(told: Told) -> None:
    """A few right words on first runs weigh: a likely crash waits, a short run goes first."""
    regards = Regards()
    for number in range(8):
        claim, crashes = told.post(), number % 2 == 0
        told.review(claim, 0.1, invalid=0.95 if crashes else 0.02)
        told.screen(claim, "not_improved", is_valid=not crashes)
    karl = skills(told.state)["karl"]
    assert (karl.runs, karl.settled) == (8, 4)  # a crash settles its claim as well
    assert karl.run_points > 1.0
    doomed, usual, long, short = (told.post() for _ in range(4))
    told.review(doomed, 0.005, 0.0, invalid=0.95)
    told.review(usual, 0.1, 0.5)
    told.review(long, 0.1, 0.5, device_s=4.0)
    told.review(short, 0.1, 0.5, device_s=0.25)
    worth = {name: regards.worth(told.state, name) for name in (doomed, usual, long, short)}
    assert worth[doomed] < worth[usual]
    assert worth[long] < worth[usual] < worth[short]


def test_who_cries_wolf_is_not(told: Told) -> None:
    """Crashes that do not come cost him his weight, on runs and on gains."""
    regards = Regards()
    for _ in range(4):
        claim = told.post()
        told.review(claim, 0.1, invalid=0.9)
        told.screen(claim, "not_improved")
    assert skills(told.state)["karl"].run_points < 0.0
    fresh = told.post()
    told.review(fresh, 0.0, -3.0, invalid=0.99, device_s=100.0)
    assert regards.worth(told.state, fresh) == 1.0
