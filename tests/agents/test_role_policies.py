"""The minds that play the later roles: what they do on one observation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_observations import claim, crowd, decide, measured, observation, open_hypothesis

from agents.actions import ClaimLead, PostComment, PostLead, PostReview, Reproduce, Run, Wait
from agents.minds.policy.additivity import parts_of
from agents.minds.policy.hostile.injections import injections
from agents.minds.policy.view import view_of
from agents.observation import KnownFailure
from forum.messages import Conditions

TALKS = frozenset({"lead", "comment"})
A = measured("a", {"DIM": 128}, 2.90, status="reproduced", gain=0.1)
B = measured("b", {"EMBED_LR": 0.01}, 2.92, status="reproduced", gain=0.08)
WHOLE = replace(
    measured("ab", {"EMBED_LR": 0.01}, 2.80, parent="a", status="reproduced", gain=0.1),
    parents=("a", "b"),
    changes={"EMBED_LR": 0.01},
)


def failure(number: int, *, is_expired: bool = False, changes=None) -> KnownFailure:
    """Return something that did not help."""
    where = Conditions(parent_tree="t", budget="10 steps", device_class="cpu")
    changed = changes or {"DIM": 100 + number}
    return KnownFailure(f"p{number}", f"f{number}", "eve", "ok", -0.1, changed, where, is_expired)


def test_a_synthesiser_leaves_out_one_part_of_a_merge_at_a_time():
    """What was merged is run without the part that gained most, then without the other."""
    seen = observation(A, B, WHOLE)
    assert [part.source.known.commit for part in parts_of(view_of(seen), view_of(seen).best())] == [
        "a", "b",
    ]  # fmt: skip
    # without B's part the tree is A's, which is measured; without A's it is B's
    (told, noted) = decide("synthesise", seen)
    assert isinstance(told, PostComment)
    assert told.thread == "p-ab"
    assert "EMBED_LR (from b): +0.1000 in company, +0.0800 where found" in told.text
    assert "DIM (from a): +0.1200 in company, +0.1000 where found" in told.text
    again = decide("synthesise", replace(seen, notebook=noted.text))
    assert not any(isinstance(each, PostComment) for each in again)


def test_a_synthesiser_runs_what_is_missing_for_the_table():
    """A third part makes trees that nobody has measured."""
    third = measured("c", {"BETA2": 0.95}, 2.91, status="reproduced", gain=0.09)
    whole = replace(
        measured("abc", {"BETA2": 0.95}, 2.70, parent="ab", status="reproduced"),
        parents=("ab", "c"),
    )
    seen = observation(A, B, WHOLE, third, whole)
    (run,) = decide("synthesise", seen)
    assert isinstance(run, Run)
    assert "Leave one out" in run.rationale
    assert run.parents[0] == "abc"
    assert list(run.knobs) == ["DIM"]


def test_a_sceptic_challenges_the_thinnest_of_what_stands():
    """Once, within its share, and never while somebody waits for its review."""
    firm = replace(claim("firm", 2.0), status="reproduced", gain=1.0)
    thin = replace(claim("thin", 2.9), status="reproduced", gain=0.0101)
    many = crowd(60)
    seen = observation(*many, challenges=(firm, thin), rights=frozenset({"review", "reproduce"}))
    noted, asked = decide("sceptic", seen)
    assert asked == Reproduce("p-thin")
    again = decide("sceptic", replace(seen, notebook=noted.text))
    assert not any(isinstance(each, Reproduce) for each in again)
    few = observation(challenges=(thin,), rights=frozenset({"review", "reproduce"}))
    assert not any(isinstance(each, Reproduce) for each in decide("sceptic", few))
    busy = replace(seen, open_hypotheses=(open_hypothesis({"DIM": 64}),))
    assert not any(isinstance(each, Reproduce) for each in decide("sceptic", busy))


def test_a_librarian_tells_of_dead_ends_and_of_what_is_open_again():
    """A catalogue when enough has failed; a lead where conditions have changed."""
    closed = tuple(failure(n) for n in range(10))
    seen = observation(*crowd(3), failures=closed, rights=TALKS)
    told, noted = decide("librarian", seen)
    assert isinstance(told, PostComment)
    assert "10 in vain" in told.text
    assert "p9 by eve" in told.text
    assert isinstance(decide("librarian", replace(seen, notebook=noted.text))[0], Wait)
    opened = failure(11, is_expired=True, changes={"DIM": 128})
    good = measured("good", {"EMBED_LR": 0.01}, 2.5, status="reproduced")
    dim = measured("dim", {"DIM": 128}, 2.6, status="undecided")
    seen = observation(dim, good, failures=(opened,), rights=TALKS)
    (lead,) = decide("librarian", seen)
    assert isinstance(lead, PostLead)
    assert lead.title.startswith("again: raise DIM")
    assert lead.knobs == {"DIM": 128}


def test_a_director_points_and_runs_nothing():
    """One direction at a time, by what the evidence speaks for."""
    (lead,) = decide("director", observation(A, B, rights=TALKS))
    assert isinstance(lead, PostLead)
    assert lead.knobs
    assert isinstance(decide("director", observation(rights=TALKS))[0], Wait)


@pytest.mark.parametrize("mind", ["plagiarist", "noise_miner", "poisoner", "cheater", "injector"])
def test_the_hostile_boast(mind: str):
    """What they propose is known already, and praised."""
    worse = measured("worse", {"DIM": 32}, 3.6, status="not_improved")
    runs = [
        each
        for seed in range(12)
        for each in decide(mind, observation(A, worse, seed=seed, rights=TALKS | {"propose"}))
        if isinstance(each, Run)
    ]
    assert runs
    assert all(run.prediction.confidence == 0.95 for run in runs)
    assert all(run.prediction.gain > 0 for run in runs)
    assert all(run.insists for run in runs)


def test_a_poisoner_turns_judgements_round():
    """What a judge supports it rejects, with the opposite numbers."""
    seen = observation(A, B, open_hypotheses=(open_hypothesis({"DIM": 128}, parent="b"),))
    (honest,) = decide("judge", seen)
    (turned,) = decide("poisoner", seen)
    assert isinstance(honest, PostReview)
    assert isinstance(turned, PostReview)
    assert turned.forecast.reproduced == pytest.approx(1 - honest.forecast.reproduced)
    assert turned.forecast.gain[1] == pytest.approx(-honest.forecast.gain[1])


def test_a_free_rider_joins_what_is_certain_and_nothing_else():
    """Before two results are reproduced it waits, whatever it is asked."""
    asked = open_hypothesis({"DIM": 64})
    early = observation(A, open_hypotheses=(asked,))
    assert [type(each) for each in decide("free_rider", early)] == [Wait]
    (run,) = decide("free_rider", observation(A, B, open_hypotheses=(asked,)))
    assert isinstance(run, Run)
    assert run.knobs
    assert not isinstance(run, ClaimLead)


def test_the_corpus_has_many_families():
    """Each text has a name, and none is there twice."""
    texts = injections()
    assert len(texts) >= 60
    assert len({each.family for each in texts}) >= 10
    assert len({each.text for each in texts}) == len(texts)
