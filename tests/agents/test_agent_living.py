"""An agent's life: what it posts, in which order, and that its mind cannot end it early."""

from __future__ import annotations

import asyncio

import pytest
from jump_loop import run_jumping
from made_observations import HUNCH
from modelled_lab import (
    RUN_S,
    ModelLab,
    World,
    complete,
    make_agent,
    until_spent,
)
from modelled_landscape import PATH, START
from scripted_life import BAD, GOOD, GUESS, Scripted, live_for, one, run_of

from agents.actions import PostLead, PostReview, Reproduce, Run, Wait, WriteNotebook
from agents.agent import turn_seed
from agents.errors import OutOfFundsError
from forum.messages import Claim, Comment, Failure, Finding, Hypothesis, Notice


def test_a_run_is_a_hypothesis_then_an_experiment_then_a_finding():
    """The prediction is on the board before the result, and the finding cites the verdict."""
    world, mind = one("explorer", [Wait(1.0)], lambda w: [run_of(w, GOOD)], [Wait(1.0)])
    first, second = world.posts
    assert isinstance(first.body, Hypothesis)
    assert first.message_id == "ada-1-0h"
    assert first.body.knobs == GOOD
    assert "+WARMDOWN = 0.6" in first.body.patch
    assert isinstance(second.body, Finding)
    assert second.thread == second.body.hypothesis == first.post_id
    assert second.body.evidence.verdict_id == "v1"
    assert second.at_us - first.at_us == pytest.approx(RUN_S * 1e6, abs=2)
    assert mind.seen[2].known[1].status == "improved"
    assert mind.seen[-1].run_s == pytest.approx(RUN_S)


def test_what_did_not_help_is_posted_as_a_failure():
    """Closed directions are news too."""
    world, _ = one("explorer", lambda w: [run_of(w, BAD)])
    assert isinstance(world.posts[1].body, Failure)
    assert world.posts[1].body.knobs == BAD


def test_a_crashed_candidate_is_a_failure_and_the_agent_goes_on():
    """An invalid verdict is reported with its reason; the next run happens."""
    world = World(complete("ada", "eve"), invalid_if=lambda text: "LR = 0.05" in text)
    one("explorer", lambda w: [run_of(w, BAD)], lambda w: [run_of(w, GOOD)], world=world)
    assert world.posts[1].body.evidence.outcome == "invalid"
    assert "crash" in world.posts[1].body.text
    assert isinstance(world.posts[3].body, Finding)


def test_a_tree_that_was_measured_before_is_remembered_and_not_run():
    """A duplicate costs neither a post nor an experiment, and its outcome is known."""
    world, mind = one("explorer", lambda w: [run_of(w, GOOD)], lambda w: [run_of(w, GOOD)])
    assert world.admitted == 1
    assert len(world.posts) == 2
    assert len([known for known in mind.seen[2].known if known.score is not None]) >= 2


def test_a_mind_that_fails_is_counted_and_given_time():
    """Errors and nonsense lead to longer and longer pauses, then the agent goes on."""
    many = [Wait()] * 50
    answers = [ValueError("boom"), ["no action"], many, lambda w: [run_of(w, GOOD)]]
    mind = Scripted(*answers[:3])

    async def life():
        world = World(complete("ada", "eve"))
        mind.answers.append([run_of(world, GOOD)])
        agent = make_agent(world, "ada", "explorer", mind)
        await live_for(world, [agent], 100)
        return world, agent

    world, agent = run_jumping(life())
    assert agent.spend.faults == 3
    assert world.turns[:3] == [("ada", n, (), None) for n in range(3)]
    assert world.posts[0].at_us == pytest.approx((0.25 + 0.5 + 1.0) * 1e6, abs=2)


def test_a_mind_that_may_not_be_asked_any_more_is_an_orderly_end():
    """Its agent leaves with the reason; the turn is recorded and nobody else is held up."""

    async def life():
        world = World(complete("ada", "eve"))
        mind = Scripted([Wait(1.0)], OutOfFundsError("nothing is left of $1.0000"))
        agent = make_agent(world, "ada", "explorer", mind)
        async with asyncio.timeout(60):
            return await agent.live(), world.turns

    why, turns = run_jumping(life())
    assert why == "nothing is left of $1.0000"
    assert [turn[:3] for turn in turns] == [("ada", 0, ("wait",)), ("ada", 1, ())]


def test_a_mind_sees_what_was_said_and_why_it_got_nothing():
    """Posts whole, its charter, what is left to it, and the last turn's refusals."""
    _, mind = one("reviewer", lambda w: [run_of(w, GOOD), PostLead("t", "x")], [Wait(1.0)])
    first, second = mind.seen[:2]
    assert first.charter
    assert first.faults == first.posts == ()
    assert second.faults == ("run: role 'reviewer' has no right to propose",)
    assert [post.body.title for post in second.posts] == ["t"]


def test_rights_are_checked_before_anything_is_done():
    """A reviewer cannot run, an explorer can neither reproduce nor merge."""
    world, _ = one("reviewer", lambda w: [run_of(w, GOOD)])
    assert world.posts == []
    world, _ = one(
        "explorer",
        [Reproduce("p1")],
        lambda w: [run_of(w, GOOD, (w.baseline, "a" * 40, "b" * 40))],
    )
    assert world.posts == []
    assert world.admitted == 0


def test_refusals_of_lab_and_clerk_do_not_end_the_agent():
    """Unknown commits, empty patches, forbidden files, bad threads and opinions: it goes on."""

    def misfits(world):
        good = run_of(world, GOOD)
        return [
            [Run(("f" * 40,), good.files, "t", "", GUESS)],
            [Run(good.parents, {PATH: START}, "t", "", GUESS)],
            [Run(good.parents, {"grade.py": "x"}, "t", "", GUESS)],
        ]

    async def life():
        world = World(complete("ada", "eve"))
        mind = Scripted(*misfits(world), [run_of(world, GOOD)])
        reviewer = Scripted(
            [PostReview("p99", "support", HUNCH, "?")], [PostReview("p1", "hooray", HUNCH, "")]
        )
        agents = [
            make_agent(world, "ada", "explorer", mind),
            make_agent(world, "eve", "reviewer", reviewer),
        ]
        await live_for(world, agents, 60)
        return world, agents

    world, agents = run_jumping(life())
    assert [agent.spend.faults for agent in agents] == [3, 2]
    assert sum(isinstance(post.body, Finding) for post in world.posts) == 1


def test_a_turn_is_recorded_before_its_actions_are_carried_out():
    """Whoever kills the process between the two finds the turn in the ledger."""
    seen = []

    async def life():
        world = World(complete("ada"))
        mind = Scripted([WriteNotebook("plan\x00"), run_of(world, GOOD)])
        agent = make_agent(world, "ada", "explorer", mind)
        record = agent._on_turn

        async def on_turn(*row):
            seen.append((row, len(world.posts)))
            await record(*row)

        agent._on_turn = on_turn
        await live_for(world, [agent], 60)
        return mind

    mind = run_jumping(life())
    assert seen[0] == (("ada", 0, ("notebook", "run"), "plan", 0.0), 0)
    assert mind.seen[1].notebook == "plan"
    assert seen[1][0][3] is None


def test_a_reproduction_is_claimed_first_and_reported_in_the_thread():
    """Others see the claim before the runs begin, and the new status afterwards."""

    async def life():
        world = World(complete("ada", "eve"))
        proposer = Scripted([run_of(world, GOOD)])
        checker = Scripted(
            [Wait(30.0)], [Wait(30.0)], lambda seen: [Reproduce(seen.open_claims[0].hypothesis)]
        )
        agents = [
            make_agent(world, "ada", "explorer", proposer),
            make_agent(world, "eve", "reproducer", checker),
        ]
        await live_for(world, agents, 120)
        return world, proposer

    world, proposer = run_jumping(life())
    kinds = [type(post.body) for post in world.posts]
    assert kinds == [Hypothesis, Finding, Claim, Finding]
    assert world.posts[3].thread == world.posts[0].post_id
    assert world.posts[3].body.evidence.status == "reproduced"
    assert world.admitted == 7
    assert proposer.seen[-1].known[1].status == "reproduced"


def test_after_a_restart_what_was_asked_for_is_reported_once():
    """A killed agent's posted hypothesis gets its finding in the next life, under the same name."""

    async def lives():
        world = World(complete("ada", "eve"))
        first = make_agent(world, "ada", "explorer", Scripted([run_of(world, GOOD)]))
        task = asyncio.create_task(first.live())
        await asyncio.sleep(RUN_S / 2)
        task.cancel()
        await asyncio.wait([task])
        assert [type(post.body) for post in world.posts] == [Hypothesis]
        mind = Scripted()
        again = make_agent(world, "ada", "explorer", mind, turn=1)
        await live_for(world, [again], 60)
        return world, mind

    world, mind = run_jumping(lives())
    assert [type(post.body) for post in world.posts] == [Hypothesis, Finding]
    assert world.posts[1].message_id == "ada-0-0f"
    assert mind.seen[0].turn == 1
    assert mind.seen[0].known[1].status == "improved"


def test_a_refused_reproduction_is_withdrawn_in_the_thread():
    """The thread says that nobody is working on it any more, and the claim is not offered again."""

    async def life():
        world = World(complete("ada", "eve"), experiments=5)
        checker = Scripted([Wait(30.0)], [Wait(30.0)], lambda _: [Reproduce("p1")])
        agents = [
            make_agent(world, "ada", "explorer", Scripted([run_of(world, GOOD)])),
            make_agent(world, "eve", "reproducer", checker),
        ]
        await live_for(world, agents, 60)
        return world, checker

    world, checker = run_jumping(life())
    assert isinstance(world.posts[-1].body, Comment)
    assert "not open, or too dear" in world.posts[-1].body.text
    assert checker.seen[-1].open_claims == ()


def test_an_agent_waits_for_news_and_wakes_at_it():
    """No polling: a long wait ends when a neighbour's post arrives, not before."""
    times = []

    async def life():
        world = World({"ada": frozenset({"eve"}), "eve": frozenset(), "bob": frozenset()})

        def noted(seen):
            times.append(asyncio.get_running_loop().time())
            return [Wait(200.0)]

        listener = Scripted(noted, noted, noted, noted)
        proposer = Scripted([Wait(40.0)], [run_of(world, GOOD)])
        stranger = Scripted([Wait(20.0)], [run_of(world, BAD)])
        agents = [
            make_agent(world, "ada", "reviewer", listener),
            make_agent(world, "eve", "explorer", proposer),
            make_agent(world, "bob", "explorer", stranger),
        ]
        await live_for(world, agents, 100)
        return listener

    listener = run_jumping(life())
    assert times == pytest.approx([0.0, 40.0, 50.0], abs=0.01)
    assert {known.author for known in listener.seen[-1].known} == {"lab", "eve"}
    assert listener.seen[-1].idle_s == pytest.approx(50.0, abs=0.01)


def test_a_pause_holds_turns_and_a_stop_ends_the_life():
    """Public notices are obeyed."""

    async def life():
        world = World(complete("ada"))
        mind = Scripted(*[[Wait(1.0)]] * 100)
        agent = make_agent(world, "ada", "explorer", mind)
        task = asyncio.create_task(agent.live())
        await asyncio.sleep(3.5)
        (queue,) = world.notices
        queue.put_nowait(Notice(kind="pause"))
        await asyncio.sleep(10)
        paused = len(mind.seen)
        queue.put_nowait(Notice(kind="resume"))
        await asyncio.sleep(3)
        resumed = len(mind.seen)
        world.stop()
        await task
        return paused, resumed

    paused, resumed = run_jumping(life())
    assert paused <= 5
    assert resumed >= paused + 3


def test_a_role_without_turns_left_ends_the_life(tmp_path):
    """Quotas are the role's; a spent one is an orderly end."""

    async def life():
        world = World(complete("ada"))
        mind = Scripted(*[[Wait(1.0)]] * 100)
        agent = make_agent(world, "ada", "explorer", mind)
        agent.spend.quotas = type(agent.spend.quotas)(turns=4)
        async with asyncio.timeout(60):
            await agent.live()
        return mind

    assert len(run_jumping(life()).seen) == 4


def test_experiments_stop_at_the_quota_also_after_a_restart():
    """Own hypotheses on the board count, whichever life posted them."""

    async def life(world, turn_number, changes):
        mind = Scripted([run_of(world, changes)])
        agent = make_agent(world, "ada", "explorer", mind, turn=turn_number)
        agent.spend.quotas = type(agent.spend.quotas)(experiments=1)
        await live_for(world, [agent], 40)
        world.over.clear()

    async def lives():
        world = World(complete("ada"))
        await life(world, 0, GOOD)
        await life(world, 1, BAD)
        return world

    assert run_jumping(lives()).admitted == 1


def test_seeds_of_turns_are_distinct_and_repeatable():
    """The chance of a turn comes from run seed, agent and turn, nothing else."""
    seeds = {turn_seed(s, a, t) for s in (1, 2) for a in ("ada", "eve") for t in range(50)}
    assert len(seeds) == 200
    assert turn_seed(1, "ada", 0) == 11776031943919793136


def test_unreadable_commits_are_told_as_such():
    """A lab that will not serve a commit leaves it known, without a tree."""

    async def life():
        world = World(complete("ada", "eve"))
        listener = Scripted([Wait(30.0)], [Wait(30.0)], [Wait(30.0)])
        agents = [
            make_agent(world, "ada", "explorer", Scripted([run_of(world, GOOD)])),
            make_agent(world, "eve", "reviewer", listener),
        ]

        class Shy(ModelLab):
            async def read_tree(self, commit):
                self._see("nothing" if commit != self.world.baseline else commit)
                return await super().read_tree(commit)

        agents[1]._lab = Shy(world, "eve")
        agents[1]._trees._lab = agents[1]._lab
        await live_for(world, agents, 40)
        return listener

    last = run_jumping(life()).seen[-1]
    assert [known.is_readable for known in last.known] == [True, False]
    assert len(last.trees) == 1


def test_one_seed_gives_one_life():
    """The same community under the same seed says the same words."""

    def words():
        async def life():
            world = World(complete("ada", "eve"), experiments=10)
            crew = [("ada", "explorer", "policy:social"), ("eve", "exploiter", "policy:greedy")]
            await until_spent(world, [make_agent(world, *each) for each in crew])
            return [post.model_dump_json() for post in world.posts]

        return run_jumping(life())

    assert words() == words()
