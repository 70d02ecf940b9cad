"""Minds that measure nothing new: reviewing by evidence, and choosing what to reproduce."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from made_observations import claim, crowd, decide, measured, observation, open_hypothesis
from modelled_landscape import SIGMA

from agents.actions import PostReview, Reproduce, Wait
from agents.minds.policy.surrogate import Surrogate
from agents.minds.policy.verify import _offer
from agents.minds.policy.view import view_of


def test_judge_predicts_from_what_it_saw():
    """A change that helped elsewhere is supported, one that hurt is not; the text says why."""
    helped = measured("helped", {"WARMDOWN": 0.5}, 2.7)
    hurt = measured("hurt", {"LR": 0.02}, 4.5, status="not_improved")
    seen = observation(helped, hurt)
    (good,) = decide("judge", replace(seen, open_hypotheses=(open_hypothesis({"WARMDOWN": 0.45}),)))
    (bad,) = decide("judge", replace(seen, open_hypotheses=(open_hypothesis({"LR": 0.025}),)))
    assert isinstance(good, PostReview)
    assert good.opinion == "support"
    assert good.forecast.gain[1] > 0.1
    assert bad.opinion in ("doubt", "reject")
    assert bad.forecast.gain[1] < 0
    assert bad.forecast.reproduced < 0.2 < good.forecast.reproduced
    assert "visible results" in good.text


def test_judge_is_silent_where_it_knows_nothing():
    """No review of free-form patches, unknown parents, odd knobs, a second time, or unasked."""
    for each in (
        open_hypothesis({}),
        open_hypothesis({"LR": 0.01}, parent="unknown"),
        open_hypothesis({"LR": 0.01, "SOMETHING": 2}),
        open_hypothesis({"LR": 0.01}, reviewed=True),
        open_hypothesis({"LR": 0.01}, asked=False),
    ):
        assert isinstance(decide("judge", observation(open_hypotheses=(each,)))[0], Wait)


def test_verify_takes_the_claim_that_leads_furthest():
    """The best unclaimed claim, improved before undecided."""
    claims = (
        claim("a", 2.9),
        claim("b", 2.6),
        claim("c", 2.5, is_claimed=True),
        claim("d", 2.4, status="undecided"),
    )
    assert decide("verify", observation(*crowd(40), open_claims=claims)) == [Reproduce("p-b")]


def test_verify_saves_six_runs_where_little_is_to_be_won():
    """Claims behind or barely ahead of what is reproduced, and an early rush, are let go."""
    done = measured("done", {"WARMDOWN": 0.5}, 2.5, status="reproduced")
    seen = observation(*crowd(60), done)
    for score in (2.6, 2.5 - SIGMA / 2, 2.5 - 2 * SIGMA):
        assert isinstance(
            decide("verify", replace(seen, open_claims=(claim("a", score),)))[0], Wait
        )
    assert decide("verify", replace(seen, open_claims=(claim("a", 2.3),))) == [Reproduce("p-a")]
    early = observation(*crowd(3), open_claims=(claim("a", 2.3),))
    assert isinstance(decide("verify", early)[0], Wait)


def test_verify_prefers_a_claim_that_will_hold():
    """A chain's end with a hair's breadth of gain over its parent is worth less than its parent."""
    claims = (claim("parent", 2.50), claim("end", 2.49, gain=0.01))
    assert decide("verify", observation(*crowd(), open_claims=claims)) == [Reproduce("p-parent")]


def test_verify_spends_the_last_runs_and_never_asks_for_what_cannot_be():
    """At the end the best claim is confirmed once nothing better is on its way; five is too few.

    Just before, a confirmation would leave runs over that could not confirm what they find.
    """
    seen = observation(*crowd(3), open_claims=(claim("a", 2.9),), remaining_experiments=6)
    assert decide("verify", seen) == [Reproduce("p-a")]
    coming = (open_hypothesis({"LR": 0.01}), open_hypothesis({"DIM": 120}))
    assert isinstance(decide("verify", replace(seen, open_hypotheses=coming))[0], Wait)
    late = replace(seen, open_hypotheses=coming, idle_s=31.0)
    assert decide("verify", late) == [Reproduce("p-a")]
    assert isinstance(decide("verify", replace(seen, remaining_experiments=5))[0], Wait)
    clear = replace(seen, open_claims=(claim("a", 2.4, gain=0.6),), known=(*seen.known, *crowd(30)))
    assert isinstance(decide("verify", replace(clear, remaining_experiments=11))[0], Wait)
    assert decide("verify", replace(clear, remaining_experiments=12)) == [Reproduce("p-a")]


def test_failed_confirmations_count_against_their_share():
    """Confirming costs the same whatever comes out: after three failures it is others' turn."""
    seen = observation(*crowd(20), open_claims=(claim("a", 2.4, gain=0.6),))
    assert decide("verify", seen) == [Reproduce("p-a")]
    assert isinstance(decide("verify", replace(seen, confirmations=3))[0], Wait)


def test_what_a_confirmation_shows_depends_on_its_pairs():
    """More pairs make a small gain likelier to hold, and a reproduced result surer."""
    done = measured("done", {"WARMDOWN": 0.5}, 2.5, status="reproduced")
    seen = observation(done)
    chances, doubts = [], []
    for runs in (2, 6, 24):
        view = view_of(replace(seen, briefing=replace(seen.briefing, confirmation_runs=runs)))
        chances.append(_offer(view, claim("a", 2.4, gain=2 * SIGMA)).chance)
        start, setting = view.points[0].setting, view.points[1].setting
        doubts.append(Surrogate(view).gain(start, setting)[1])
    assert chances == sorted(set(chances))
    assert doubts == sorted(set(doubts), reverse=True)
    three_pairs = (2 - 2.33 * math.sqrt(2 / 3)) / math.sqrt(2 + 2 / 3)
    assert chances[1] == pytest.approx(0.5 * math.erfc(-three_pairs / math.sqrt(2)))
