"""Failures hold under their conditions: policies leave them alone until these have changed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from jump_loop import run_jumping
from made_observations import TREES, briefing, measured, observation
from modelled_lab import World, complete, make_agent, until_spent
from modelled_landscape import KNOBS, START

from agents.failures import EXPIRES_AT, Failures, has_expired
from agents.knobs import read_values
from agents.minds.policy.view import view_of
from agents.observation import Known
from forum.messages import Conditions, Evidence, Failure, Post

HERE = read_values(START, KNOBS)


def conditions(**changed) -> Conditions:
    """Return conditions that hold."""
    budget = briefing().budget
    whole = {"parent_tree": "t", "budget": budget, "device_class": "", "around": HERE}
    return Conditions(**{**whole, **changed})


def failure(of: Known, tried: Conditions | None) -> Post:
    """Return the post about a failed commit."""
    body = Failure(
        hypothesis=of.hypothesis, evidence=Evidence(verdict_id="v", status="not_improved"),
        knobs=dict(of.changes), conditions=tried,
    )  # fmt: skip
    return Post(post_id="p8", seq=8, at_us=0, author="eve", message_id="m", body=body)


def seen(*known: Known, posts=(), brief=None):
    """Return an observation with the failures that follow from posts."""
    plain = observation(*known)
    brief = brief or plain.briefing
    found = Failures().known(posts, plain.known, plain.trees, brief, KNOBS)
    return replace(plain, failures=found, briefing=brief)


BAD = measured("bad", {"LR": 0.02}, 4.5, status="not_improved")


@pytest.mark.parametrize(
    ("changed", "is_expired"),
    [
        ({}, False),
        ({"around": {**HERE, "LR": 0.05}}, False),  # what it turned itself does not count
        ({"around": {**HERE, "OPTIMIZER": "muon"}}, True),
        ({"budget": "20 cpu_seconds"}, True),
        ({"device_class": "another"}, True),
    ],
)
def test_a_failure_holds_as_long_as_what_it_was_tried_under(changed, is_expired):
    """Another budget, another machine, or other values around: then it says nothing any more."""
    found = has_expired(conditions(**changed), {"LR": 0.02}, HERE, briefing(), KNOBS)
    assert found == is_expired
    assert has_expired(None, {"LR": 0.02}, HERE, briefing(), KNOBS)


def test_what_is_built_on_moves_away_from_it():
    """It holds while the baseline leads, and expires when a commit leads a bold step away."""
    assert EXPIRES_AT <= 0.5
    posts = [failure(BAD, conditions())]
    (early,) = seen(BAD, posts=posts).failures
    far = measured("far", {"OPTIMIZER": "muon"}, 2.6, status="reproduced")
    (late,) = seen(BAD, far, posts=posts).failures
    assert (early.is_expired, late.is_expired) == (False, True)
    assert (early.hypothesis, early.gain, early.outcome) == ("p-bad", BAD.gain, "ok")


def test_what_fell_and_what_is_none_any_more():
    """A parent that was taken back takes the failure along; a claim that stands is no failure."""
    parent = measured("parent", {"WARMDOWN": 0.45}, 2.9, status="retracted")
    child = measured("child", {"LR": 0.02}, 4.5, parent="parent", status="not_improved")
    (found,) = seen(parent, child, posts=[failure(child, conditions())]).failures
    assert found.is_expired
    stands = replace(BAD, status="reproduced")
    assert seen(stands, posts=[failure(stands, conditions())]).failures == ()


def test_policies_leave_it_alone_until_it_has_expired():
    """The same change on another commit is closed while it holds, and open afterwards."""
    base = measured("base", {"WARMDOWN": 0.45}, 2.9)
    assert TREES["base"] != START
    held = view_of(seen(BAD, base, posts=[failure(BAD, conditions())]))
    setting = held.by_commit["base"].setting
    assert held.is_closed(setting, {"LR": 0.0201})
    assert not held.is_closed(setting, {"LR": 0.01})
    assert not held.is_closed(setting, {"LR": 0.02, "DEPTH": 3})
    brief = replace(briefing(), budget="20 cpu_seconds")
    gone = view_of(seen(BAD, base, posts=[failure(BAD, conditions())], brief=brief))
    assert not gone.is_closed(setting, {"LR": 0.0201})


def test_a_community_lives_with_its_failures():
    """Each agent folds failures from posts; without conditions they bind nobody."""
    world = World(complete("ada", "bob"), experiments=30)
    agents = [make_agent(world, name, "explorer", "policy:social") for name in ("ada", "bob")]
    run_jumping(until_spent(world, agents))
    assert any(isinstance(post.body, Failure) for post in world.posts)
    assert all(agent.spend.faults == 0 for agent in agents)
