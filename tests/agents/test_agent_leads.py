"""Leads among agents: who points at something, who follows it, a community that does both."""

from __future__ import annotations

from dataclasses import replace

from jump_loop import run_jumping
from made_observations import decide, measured, observation
from modelled_lab import World, complete, make_agent, until_spent

from agents.actions import ClaimLead, PostLead, Run, Wait
from agents.observation import OpenLead
from forum.messages import Claim, Hypothesis, Lead, Post


def lead(changes, *, held_s=0.0, is_mine=False, name="p9") -> OpenLead:
    """Return a lead as an agent sees it."""
    body = Lead(title="try this", knobs=changes)
    post = Post(post_id=name, seq=9, at_us=0, author="karl", message_id=name, body=body)
    return OpenLead(post, held_s, is_mine)


GOOD = (
    measured("warm", {"WARMDOWN": 0.5}, 2.7),
    measured("muon", {"OPTIMIZER": "muon"}, 2.6),
)


def test_who_may_not_try_it_points_at_it():
    """A reviewer with nothing to review names what two good changes promise together, once."""
    seen = observation(*GOOD)
    (said,) = decide("judge", seen)
    assert isinstance(said, PostLead)
    assert said.knobs == {"WARMDOWN": 0.5}  # on the best commit, which has the other
    mine = lead(said.knobs, is_mine=True)
    assert isinstance(decide("judge", replace(seen, open_leads=(mine,)))[0], Wait)
    assert isinstance(decide("judge", replace(seen, open_leads=(lead(said.knobs),)))[0], Wait)
    assert isinstance(decide("judge", replace(seen, rights=frozenset({"review"})))[0], Wait)


def test_greedy_points_at_what_is_not_its_rule():
    """It changes the best commit by its own rule, and leaves others' good changes to others."""
    said = decide("greedy", observation(*GOOD))
    assert [type(each) for each in said] == [PostLead, Run]
    own = tuple(replace(each, author="ada") for each in GOOD)
    assert [type(each) for each in decide("greedy", observation(*own))] == [Run]


def test_a_lead_is_claimed_and_then_followed():
    """What is promising is claimed; what is held becomes a run in its thread; the rest is left."""
    seen = observation(GOOD[1])
    hopeful = observation(*GOOD, open_leads=(lead({"WARMDOWN": 0.5}),))
    for mind in ("social", "greedy"):
        assert decide(mind, hopeful) == [ClaimLead("p9")]
        held = replace(hopeful, open_leads=(lead({"WARMDOWN": 0.5}, held_s=20.0),))
        (run,) = decide(mind, held)
        assert isinstance(run, Run)
        assert (run.lead, run.knobs["WARMDOWN"]) == ("p9", 0.5)
        for left in (
            lead({"WARMDOWN": 0.5}, is_mine=True),
            lead({"OPTIMIZER": "muon"}),  # what the best commit has already
            lead({"SOMETHING": 1}),
            lead({"LR": "high"}),
            lead({}),
        ):
            said = decide(mind, replace(seen, open_leads=(left,)))
            assert not any(
                isinstance(each, ClaimLead) or getattr(each, "lead", "") for each in said
            )


def test_a_community_posts_claims_and_follows_leads():
    """Without a model: every lead that was followed was claimed before by whoever followed it."""
    world = World(complete("ada", "bob", "karl"), experiments=60)
    agents = [
        make_agent(world, "ada", "explorer", "policy:social"),
        make_agent(world, "bob", "exploiter", "policy:greedy"),
        make_agent(world, "karl", "reviewer", "policy:judge"),
    ]
    run_jumping(until_spent(world, agents))
    leads = {post.post_id: post for post in world.posts if isinstance(post.body, Lead)}
    claims = {p.body.target: p for p in world.posts if isinstance(p.body, Claim)}
    followed = [p for p in world.posts if isinstance(p.body, Hypothesis) and p.thread in leads]
    assert leads
    assert followed
    for post in followed:
        assert claims[post.thread].author == post.author
        assert claims[post.thread].seq < post.seq
    for agent in agents:
        assert agent.spend.faults == 0
