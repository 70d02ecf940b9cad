"""Minds that measure nothing new: reviewing by evidence, and choosing what to reproduce."""

from __future__ import annotations

from dataclasses import replace

from made_observations import briefing, claim, crowd, decide, measured, observation, open_hypothesis
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
    """At the end the best claim is confirmed once nothing better is on its way; five is too few."""
    seen = observation(*crowd(3), open_claims=(claim("a", 2.9),), remaining_experiments=6)
    assert decide("verify", seen) == [Reproduce("p-a")]
    coming = (open_hypothesis({"LR": 0.01}), open_hypothesis({"DIM": 120}))
    assert isinstance(decide("verify", replace(seen, open_hypotheses=coming))[0], Wait)
    late = replace(seen, open_hypotheses=coming, idle_s=31.0)
    assert decide("verify", late) == [Reproduce("p-a")]
    assert isinstance(decide("verify", replace(seen, remaining_experiments=5))[0], Wait)
    assert isinstance(decide("verify", replace(seen, remaining_experiments=7))[0], Wait)


def test_failed_confirmations_count_against_their_share():
    """Confirming costs the same whatever comes out: after three failures it is others' turn."""
    seen = observation(*crowd(20), open_claims=(claim("a", 2.4, gain=0.6),))
    assert decide("verify", seen) == [Reproduce("p-a")]
    assert isinstance(decide("verify", replace(seen, confirmations=3))[0], Wait)


def test_a_large_gain_is_cheap_to_confirm_and_a_small_one_likelier_to_hold_with_more_pairs():
    """Four runs for six sigma, more for less, as far as the rules and what is left allow."""
    briefed = replace(briefing(), confirmation_runs=4, confirmation_runs_most=16)
    seen = observation(briefing=briefed, remaining_experiments=None)
    view = view_of(seen)
    gains = (6, 4, 3.2, 2.5, 1.7, 1.0)
    offers = [_offer(view, claim("a", 2.4, gain=sigmas * view.sigma)) for sigmas in gains]
    assert [offer.runs for offer in offers] == [4, 6, 8, 12, 16, 16]
    chances = [offer.chance for offer in offers]
    assert chances == sorted(chances, reverse=True)
    small = claim("a", 2.4, gain=2.5 * view.sigma)
    few = view_of(replace(seen, remaining_experiments=8))
    assert _offer(few, small).chance < _offer(view, small).chance
    assert _offer(few, small).runs == 8


def test_an_expensive_confirmation_waits_longer_for_its_share():
    """What four runs confirm is confirmed sooner than what takes eight."""
    briefed = replace(briefing(), confirmation_runs=4, confirmation_runs_most=16)
    seen = observation(*crowd(13), briefing=briefed, remaining_experiments=None)
    clear, fair = (claim("a", 2.4, gain=sigmas * SIGMA) for sigmas in (6, 3.3))
    assert decide("verify", replace(seen, open_claims=(clear,))) == [Reproduce("p-a")]
    assert isinstance(decide("verify", replace(seen, open_claims=(fair,)))[0], Wait)


def test_a_reproduced_result_is_surer_with_more_pairs():
    """What the surrogate learns of it has less doubt."""
    done = measured("done", {"WARMDOWN": 0.5}, 2.5, status="reproduced")
    seen, doubts = observation(done), []
    for runs in (2, 6, 24):
        view = view_of(replace(seen, briefing=replace(seen.briefing, confirmation_runs=runs)))
        start, setting = view.points[0].setting, view.points[1].setting
        doubts.append(Surrogate(view).gain(start, setting)[1])
    assert doubts == sorted(set(doubts), reverse=True)
