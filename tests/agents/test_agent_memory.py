"""Memory: posts in, knowledge out, whatever the order, thinning or malice of the posts."""

from __future__ import annotations

import pytest
from made_observations import HUNCH

from agents.lab import Briefing
from agents.memory import Memory
from forum.messages import (
    Claim,
    Comment,
    Evidence,
    Finding,
    Hypothesis,
    Post,
    Prediction,
    Review,
)

BRIEFING = Briefing(
    task="t",
    brief="",
    metric="val_bpb",
    unit="bits per byte",
    direction="lower",
    knobs_path="train.py",
    baseline_commit="base",
    baseline_mean=3.0,
    baseline_sigma=0.02,
    budget="10 cpu_seconds",
)
GUESS = Prediction(gain=0.1, confidence=0.5)


def post(seq: int, author: str, body, *, thread: str | None = None) -> Post:
    """Return a post named after its number."""
    return Post(
        post_id=f"p{seq}",
        seq=seq,
        at_us=seq * 1_000_000,
        author=author,
        message_id=f"{author}-{seq}h",
        thread=thread,
        body=body,
    )


def hypothesis(commit: str = "c1", **changed) -> Hypothesis:
    """Return a hypothesis on the baseline."""
    known = {"title": "t", "parents": ("base",), "prediction": GUESS, "knobs": {"LR": 0.1}}
    return Hypothesis(**{**known, "commit": commit, **changed})


def finding(status: str, score: float | None, gain: float | None, **changed) -> Finding:
    """Return a finding on hypothesis p1."""
    evidence = Evidence(verdict_id="v", score=score, status=status, gain=gain)
    known = {"hypothesis": "p1", "evidence": evidence, "commit": "c1", "parents": ("base",)}
    return Finding(**{**known, **changed})


@pytest.fixture
def memory():
    """The memory of an agent called me."""
    return Memory("me", BRIEFING)


def test_the_baseline_is_known_from_the_start(memory):
    """Somebody who heard nothing can still build on the baseline."""
    (baseline,) = memory.known()
    assert (baseline.commit, baseline.score, baseline.is_readable) == ("base", 3.0, True)


def test_a_hypothesis_is_open_until_its_result_is_heard(memory):
    """What was open becomes known, with the changes and the parents of the hypothesis."""
    assert memory.fold(post(1, "ada", hypothesis()))
    assert [each.post.post_id for each in memory.open_hypotheses()] == ["p1"]
    memory.fold(post(2, "me", Review(hypothesis="p1", opinion="doubt", forecast=HUNCH)))
    assert not memory.open_hypotheses()[0].is_mine_to_review
    assert memory.open_hypotheses(frozenset({"p1"}))[0].is_mine_to_review
    assert memory.open_hypotheses()[0].is_reviewed_by_me
    memory.fold(post(5, "ada", finding("improved", 2.5, 0.5)))
    assert memory.open_hypotheses() == ()
    known = memory.known()[1]
    assert (known.commit, known.author, known.changes) == ("c1", "ada", {"LR": 0.1})
    assert (known.score, known.status, known.gain) == (2.5, "improved", 0.5)
    assert memory.usual_run_s() == 4.0


def test_a_reproduction_updates_the_status_but_not_the_score(memory):
    """Confirmations are measured on another split; their numbers do not mix with screening."""
    memory.fold(post(1, "ada", hypothesis()))
    memory.fold(post(2, "ada", finding("improved", 2.5, 0.5)))
    assert [claim.score for claim in memory.open_claims()] == [2.5]
    memory.fold(post(3, "eve", Claim(target="p1")))
    assert memory.open_claims()[0].is_claimed
    memory.fold(post(4, "eve", finding("reproduced", 2.7, 0.4, parents=(), commit="")))
    known = memory.known()[1]
    assert (known.status, known.score, known.gain) == ("reproduced", 2.5, 0.4)
    assert memory.open_claims() == ()


def test_the_order_of_arrival_does_not_matter(memory):
    """Feed and catch-up may overlap: the newest number wins, a repeated post changes nothing."""
    posts = [
        post(1, "ada", hypothesis()),
        post(2, "ada", finding("improved", 2.5, 0.5)),
        post(3, "eve", finding("reproduced", 2.7, 0.4)),
    ]
    for each in posts:
        memory.fold(each)
    other = Memory("me", BRIEFING)
    for each in [*reversed(posts), *posts]:
        other.fold(each)
    assert other.known() == memory.known()
    assert not other.fold(posts[0])


def test_a_commit_known_by_its_reproduction_alone_gets_a_comparable_score(memory):
    """Who does not hear the proposer puts the confirmed gain on the parent's score."""
    memory.fold(post(3, "eve", finding("reproduced", 2.75, 0.4)))
    assert memory.known()[1].score == pytest.approx(2.6)


def test_thinned_posts_are_known_without_being_readable(memory):
    """An edge that carries the score alone still tells how far others are."""
    thin = hypothesis("", parents=(), knobs={})
    memory.fold(post(1, "ada", thin))
    memory.fold(post(2, "ada", finding("improved", 2.5, 0.5, commit="", parents=())))
    known = memory.known()[1]
    assert (known.score, known.commit, known.is_readable) == (2.5, "", False)
    assert memory.open_claims() == ()


def test_own_results_are_no_claims_of_mine_to_confirm(memory):
    """The proposer never confirms itself, and watches its own unsettled results instead."""
    memory.fold(post(1, "me", hypothesis()))
    memory.fold(post(2, "me", finding("improved", 2.5, 0.5)))
    assert memory.open_claims() == ()
    assert memory.unsettled_own() == (("p1", "v"),)
    assert memory.experiments == 1


def test_what_was_left_unreported_is_found_after_a_restart(memory):
    """Own hypotheses and claims that were neither reported on nor taken back are unfinished."""
    memory.fold(post(1, "ada", hypothesis()))
    memory.fold(post(2, "ada", finding("improved", 2.5, 0.5)))
    memory.fold(post(3, "me", Claim(target="p1")))
    memory.fold(post(4, "me", hypothesis("c4")))
    assert [each.post_id for each in memory.unfinished_runs()] == ["p4"]
    assert [each.post_id for each in memory.unfinished_reproductions()] == ["p3"]
    aside = post(5, "me", Comment(text="I wonder"), thread="p4")
    memory.fold(aside)
    assert [each.post_id for each in memory.unfinished_runs()] == ["p4"]
    memory.fold(aside.model_copy(update={"post_id": "p7", "message_id": "me-4x"}))
    memory.fold(post(6, "me", finding("reproduced", 2.6, 0.4)))
    assert memory.unfinished_runs() == ()
    assert memory.unfinished_reproductions() == ()


def test_a_hypothesis_that_its_proposer_took_back_is_not_open(memory):
    """It will never have a result; others' withdrawals and plain comments leave it open."""
    aside = Comment(text="not measured")
    taken_back = post(4, "ada", aside, thread="p1").model_copy(update={"message_id": "ada-3x"})
    memory.fold(post(1, "ada", hypothesis()))
    memory.fold(post(2, "ada", aside, thread="p1"))
    memory.fold(taken_back.model_copy(update={"post_id": "p3", "seq": 3, "author": "eve"}))
    assert [each.post.post_id for each in memory.open_hypotheses()] == ["p1"]
    memory.fold(taken_back)
    assert memory.open_hypotheses() == ()
    late = Memory("me", BRIEFING)
    late.fold(taken_back)
    late.fold(post(1, "ada", hypothesis()))
    assert late.open_hypotheses() == ()


def test_a_withdrawn_claim_is_not_offered_again(memory):
    """What the lab would not let me confirm is left to others."""
    memory.fold(post(1, "ada", hypothesis()))
    memory.fold(post(2, "ada", finding("improved", 2.5, 0.5)))
    memory.give_up("p1")
    assert memory.open_claims() == ()


def test_a_withdrawal_frees_a_claim_for_others_and_is_remembered(memory):
    """Who took a claim back does not hold it, and does not take it again after a restart."""
    memory.fold(post(1, "ada", hypothesis()))
    memory.fold(post(2, "ada", finding("improved", 2.5, 0.5)))
    memory.fold(post(3, "eve", Claim(target="p1")))
    back = post(4, "eve", Comment(text="I could not"), thread="p1")
    back = back.model_copy(update={"message_id": "eve-0-0x"})
    eve = Memory("eve", BRIEFING)
    for each in (post(1, "ada", hypothesis()), post(2, "ada", finding("improved", 2.5, 0.5)), back):
        eve.fold(each)
    memory.fold(back)
    assert not memory.open_claims()[0].is_claimed
    assert eve.open_claims() == ()


def test_own_runs_are_timed_by_the_ledger(memory):
    """What is folded at once has no time; the board's echo brings it, and failures count too."""
    own = [post(1, "me", hypothesis()), post(9, "me", finding("improved", 2.5, 0.5))]
    for each in own:
        memory.fold(each.model_copy(update={"at_us": 0}))
    assert memory.usual_run_s() is None
    for each in own:
        assert not memory.fold(each)
    assert memory.usual_run_s() == 8.0
    assert memory.confirmations() == 0
    memory.fold(post(12, "eve", finding("not_improved", None, -0.1)))
    assert memory.confirmations() == 1


def test_a_score_that_was_taken_back_is_forgotten(memory):
    """From the lab's word on, only a later run tells what a commit scores."""
    memory.fold(post(1, "ada", hypothesis()))
    memory.fold(post(2, "ada", finding("improved", 2.5, 0.5)))
    memory.fold(post(3, "lab", finding("measured", None, None)))
    (known,) = [each for each in memory.known() if each.hypothesis]
    assert (known.status, known.score) == ("measured", None)
    assert memory.open_claims() == ()
    memory.fold(post(4, "lab", finding("not_improved", 3.1, -0.1)))
    (known,) = [each for each in memory.known() if each.hypothesis]
    assert (known.status, known.score, known.gain) == ("not_improved", 3.1, -0.1)
