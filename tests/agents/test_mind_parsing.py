"""From tool calls to actions: what a proposal's parents are, merges, reviews, leads, commits."""

from __future__ import annotations

import json

import pytest
from made_observations import WORLD, ModelLab, claim, measured, observation, open_hypothesis

from agents.actions import ClaimLead, PostLead, PostReview, Reproduce, Run
from agents.lab import Merged
from agents.minds.exchange import ToolCall, bounded_calls
from agents.minds.parsing import MOST_CALLS, parse_calls
from agents.observation import OpenLead
from forum.messages import Lead, Post

PATH = "train.py"
BASE = {"title": "t", "rationale": "r", "gain": 0.1, "confidence": 0.5}
NOTHING = observation()


def call(name: str, number: int = 0, /, **arguments) -> ToolCall:
    """Return a call as a model writes it."""
    return ToolCall(f"c{number}", name, json.dumps(arguments))


def proposal(search: str, text: str, **changed) -> ToolCall:
    """Return a proposal of one edit."""
    edit = {"path": PATH, "how": "replace", "search": search, "text": text}
    return call("propose", **{**BASE, "parent": "", "edits": [edit], "lead": "", **changed})


async def parsed(*calls: ToolCall, seen=NOTHING, lab=None):
    """Return what is made of calls."""
    return await parse_calls(calls, seen, lab or ModelLab(WORLD, "ada"))


SCREENED = observation(measured("c-screened", {"DIM": 128}, 2.9))
CONFIRMED = observation(measured("c-confirmed", {"DIM": 128}, 2.9, status="reproduced"))


async def test_what_is_built_on_the_confirmed_has_one_parent():
    """A gain over what is well known is measured against it alone."""
    done = await parsed(proposal("DEPTH = 3", "DEPTH = 4"), seen=CONFIRMED)
    (run,) = done.actions
    assert isinstance(run, Run)
    assert run.parents == ("c-confirmed",)
    assert dict(run.knobs) == {"DEPTH": 4}


async def test_what_is_built_on_one_lucky_run_declares_its_gain_over_the_start():
    """The unconfirmed commit follows as a further parent; the tree differs by both changes."""
    done = await parsed(proposal("DEPTH = 3", "DEPTH = 4"), seen=SCREENED)
    (run,) = done.actions
    assert isinstance(run, Run)
    assert run.parents == (WORLD.baseline, "c-screened")
    assert dict(run.knobs) == {"DIM": 128, "DEPTH": 4}
    assert "DIM = 128" in run.files[PATH]


async def test_another_parent_is_named_by_the_beginning_of_its_name():
    """Seven letters and only one such commit, or it is refused with the reason."""
    named = proposal("DIM = 96", "DIM = 64", parent=WORLD.baseline[:8])
    (run,) = (await parsed(named, seen=CONFIRMED)).actions
    assert isinstance(run, Run)
    assert run.parents == (WORLD.baseline,)
    for parent in (WORLD.baseline[:3], "deadbeef"):
        wrong = proposal("DIM = 96", "DIM = 64", parent=parent)
        (fault,) = (await parsed(wrong, seen=CONFIRMED)).faults.values()
        assert "names no commit" in fault


async def test_a_merge_is_the_lab_s_and_conflicts_go_back():
    """What merges is proposed with both parents; what conflicts is for the mind to settle."""
    one = measured("c-one-111", {"DIM": 128}, 2.9, status="reproduced")
    two = measured("c-two-222", {"DEPTH": 4}, 2.95, status="reproduced")
    seen = observation(one, two)
    merge = call("merge", **BASE, first="c-one-111", second="c-two-222")
    text = seen.trees["c-one-111"][PATH].replace("DEPTH = 3", "DEPTH = 4")

    class Merging(ModelLab):
        conflicts: tuple[str, ...] = ()

        async def merge(self, first, second):
            return Merged({PATH: text}, self.conflicts)

    lab = Merging(WORLD, "ada")
    (run,) = (await parsed(merge, seen=seen, lab=lab)).actions
    assert isinstance(run, Run)
    assert run.parents == ("c-one-111", "c-two-222")
    assert dict(run.knobs) == {"DEPTH": 4}
    lab.conflicts = (PATH,)
    (fault,) = (await parsed(merge, seen=seen, lab=lab)).faults.values()
    assert "change the same lines of train.py" in fault


async def test_a_review_is_of_what_one_is_asked_about():
    """The forecast's quantiles do not fall, and nobody judges what he is not asked."""
    judgement = {
        "hypothesis": "p7", "opinion": "doubt", "reproduced": 0.2, "gain_low": -0.1,
        "gain_mid": 0.0, "gain_high": 0.1, "fails": 0.05, "text": "too small",
    }  # fmt: skip
    asked = observation(open_hypotheses=(open_hypothesis({"DIM": 64}),))
    (review,) = (await parsed(call("review", **judgement), seen=asked)).actions
    assert isinstance(review, PostReview)
    assert (review.forecast.gain, review.forecast.invalid) == ((-0.1, 0.0, 0.1), 0.05)
    falling = call("review", **{**judgement, "gain_mid": 5.0})
    assert "must not fall" in (await parsed(falling, seen=asked)).faults["c0"]
    not_asked = observation(open_hypotheses=(open_hypothesis({"DIM": 64}, asked=False),))
    done = await parsed(call("review", **judgement), seen=not_asked)
    assert "there are: none" in done.faults["c0"]


async def test_claims_and_leads_are_those_that_there_are():
    """What is not offered cannot be taken; a lead is followed by who holds it."""
    post = Post(post_id="l1", seq=3, at_us=0, author="eve", message_id="m", body=Lead(title="t"))
    held = OpenLead(post, 30.0, False)
    seen = observation(open_claims=(claim("c-x", 3.0),), open_leads=(held,))
    calls = (
        call("lead", 0, title="width", text="try"),
        call("claim_lead", 1, lead="l1"),
        call("reproduce", 2, hypothesis="p-c-x"),
    )
    done = await parsed(*calls, seen=seen)
    assert done.actions == (PostLead("width", "try"), ClaimLead("l1"), Reproduce("p-c-x"))
    followed = await parsed(proposal("DIM = 96", "DIM = 64", lead="l1"), seen=seen)
    assert followed.actions[0].lead == "l1"
    wrong = (call("claim_lead", 0, lead="l9"), call("reproduce", 1, hypothesis="p9"))
    assert len((await parsed(*wrong, seen=seen)).faults) == 2
    lead = proposal("DIM = 96", "DIM = 64", lead="l9")
    assert "lead that you hold" in (await parsed(lead, seen=seen)).faults["c0"]


async def test_one_experiment_and_so_many_calls_a_turn():
    """The first experiment counts, the second goes back; so does the thirteenth call."""
    twice = (
        proposal("DIM = 96", "DIM = 64"),
        ToolCall("c1", "propose", proposal("DIM = 96", "DIM = 32").arguments),
    )
    done = await parsed(*twice)
    assert len(done.actions) == 1
    assert "already in this turn" in done.faults["c1"]
    many = [call("wait", number, seconds=1) for number in range(MOST_CALLS + 2)]
    assert len((await parsed(*many)).faults) == 2


@pytest.mark.parametrize("name", ["propose", "merge", "reproduce", "lead", "claim_lead"])
async def test_tools_that_a_role_does_not_have_are_unknown_to_it(name):
    """Rights are the lab's; a call beyond them is refused here already, in words."""
    reviewer = observation(rights=frozenset({"review", "comment"}))
    (fault,) = (await parsed(call(name), seen=reviewer)).faults.values()
    assert "yours are review, comment, notebook, wait" in fault


@pytest.mark.parametrize(
    "ids", [("", "", ""), ("x", "x", "x"), ("x", "x-2", "x"), ("x" * 200,) * 3]
)
async def test_calls_are_told_apart_whatever_a_server_calls_them(ids):
    """Some servers give no ids, or one for all: the wrong call alone is told to be wrong."""
    bodies = ('{"text": "a"}', '{"words": "b"}', '{"text": "c"}')
    given = [ToolCall(each, "comment", body) for each, body in zip(ids, bodies, strict=True)]
    calls = bounded_calls(given, MOST_CALLS)
    assert len({each.call_id for each in calls}) == 3
    assert all(0 < len(each.call_id) <= 128 for each in calls)
    done = await parsed(*calls)
    assert len(done.actions) == 2
    assert [*done.faults] == [calls[1].call_id]
