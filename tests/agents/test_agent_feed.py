"""What reaches an agent and its mind: a feed with gaps is made up for, and a mind only reads."""

from __future__ import annotations

import asyncio

import pytest
from jump_loop import run_jumping
from modelled_lab import ModelLab, World, complete, make_agent
from modelled_landscape import PATH

from agents.actions import Wait
from agents.agent import LOOK_UP_S
from agents.errors import NoRightError
from agents.reading import reading_view
from agents.roles import load_role
from forum.messages import Draft, Hypothesis, Prediction

GUESS = Prediction(gain=0.1, confidence=0.5)
NEWS = Draft(
    message_id="eve-0-0h",
    body=Hypothesis(title="t", parents=("base",), prediction=GUESS, commit="c"),
)


class Listener:
    """A mind that waits as long as it may, and notes when it was asked and with what lab."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        self.asked_at: list[float] = []
        self.open: list[str] = []
        self.lab = None

    async def decide(self, observation, lab):
        """Wait."""
        self.asked_at.append(asyncio.get_running_loop().time())
        self.open = [each.post.post_id for each in observation.open_hypotheses]
        self.lab = lab
        return [Wait(self.wait_s)]


def heard(missed_at: float, wait_s: float, *, is_noticed: bool = True):
    """Let ada miss a post of eve's; return what she knows of, her turns and catch-ups."""
    asked: list[float] = []

    async def life():
        world = World(complete("ada", "eve"))
        mind = Listener(wait_s)
        agent = make_agent(world, "ada", "reviewer", mind)
        catch_up = agent._lab.catch_up

        async def counted(after_seq):
            asked.append(asyncio.get_running_loop().time())
            return await catch_up(after_seq)

        agent._lab.catch_up = counted
        async with asyncio.TaskGroup() as group:
            group.create_task(agent.live())
            await asyncio.sleep(missed_at)
            feeds, world.feeds["ada"] = world.feeds["ada"], []
            world.post("eve", NEWS)
            world.feeds["ada"] = feeds
            agent._seat.interruptions += is_noticed
            await asyncio.sleep(200)
            world.stop()
        return mind

    mind = run_jumping(life())
    return mind.open, mind.asked_at, asked


def test_posts_missed_while_away_are_caught_up_during_a_long_wait():
    """After a reconnect the ledger is asked once, within a look-up's time; a turn follows."""
    known, turns, asked = heard(missed_at=10.0, wait_s=250.0)
    assert known == ["p1"]
    assert asked == pytest.approx([0.0, LOOK_UP_S])
    assert turns == pytest.approx([0.0, LOOK_UP_S])


def test_posts_missed_while_away_are_caught_up_after_a_short_wait():
    """The end of any wait is soon enough, and the ledger is not asked again without a reason."""
    known, turns, asked = heard(missed_at=10.0, wait_s=4.0)
    assert known == ["p1"]
    assert asked == pytest.approx([0.0, 12.0])
    assert turns[3] == pytest.approx(12.0)


def test_a_whole_feed_is_not_caught_up():
    """The ledger is read once at the start, and then only after an interruption."""
    known, _, asked = heard(missed_at=10.0, wait_s=4.0, is_noticed=False)
    assert known == []
    assert asked == [0.0]


def test_catching_up_repeats_nothing():
    """What came by feed and comes again from the ledger is no news: a long wait goes on."""

    async def life():
        world = World(complete("ada", "eve"))
        mind = Listener(250.0)
        agent = make_agent(world, "ada", "reviewer", mind)
        async with asyncio.TaskGroup() as group:
            group.create_task(agent.live())
            await asyncio.sleep(10)
            world.post("eve", NEWS)
            await asyncio.sleep(1)
            agent._seat.interruptions += 1
            await asyncio.sleep(200)
            world.stop()
        return mind

    assert run_jumping(life()).asked_at == pytest.approx([0.0, 10.0])


def test_a_mind_is_handed_reading_and_nothing_else():
    """No way from what a mind holds to running, reproducing or preparing."""

    async def life():
        world = World(complete("ada", "eve"))
        mind = Listener(50.0)
        agent = make_agent(world, "ada", "explorer", mind)
        async with asyncio.TaskGroup() as group:
            group.create_task(agent.live())
            await asyncio.sleep(1)
            tree = await mind.lab.read_tree(world.baseline)
            with pytest.raises(NoRightError, match="merge"):
                await mind.lab.merge(world.baseline, world.baseline)
            world.stop()
        return mind.lab, tree

    lab, tree = run_jumping(life())
    assert PATH in tree
    assert [name for name in dir(lab) if not name.startswith("__")] == ["merge", "read_tree"]


def test_a_role_with_the_right_may_merge_while_it_thinks():
    """The view passes a synthesiser's merge on to the lab."""

    async def life():
        world = World(complete("ada"))
        view = reading_view(ModelLab(world, "ada"), load_role("synthesiser"))
        return await view.merge(world.baseline, world.baseline)

    assert PATH in run_jumping(life()).files


def test_a_paused_agent_takes_no_turn_until_it_is_resumed() -> None:
    """Its mind is not even asked, whatever happens meanwhile."""

    async def life() -> list[float]:
        world = World(complete("ada", "eve"))
        mind = Listener(wait_s=1.0)
        ada = make_agent(world, "ada", "explorer", mind)
        gate = asyncio.Event()
        ada._lab.wait_for_turn = gate.wait
        async with asyncio.TaskGroup() as group:
            group.create_task(ada.live())
            await asyncio.sleep(100)
            gate.set()
            await asyncio.sleep(10)
            world.stop()
        return mind.asked_at

    asked_at = run_jumping(life())
    assert len(asked_at) > 2
    assert min(asked_at) >= 100
