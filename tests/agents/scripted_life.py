"""Lives of agents whose mind answers from a list."""

from __future__ import annotations

import asyncio

from jump_loop import run_jumping
from modelled_lab import World, complete, make_agent
from modelled_landscape import KNOBS, PATH, START

from agents.actions import Run, Wait
from agents.knobs import turn
from forum.messages import Prediction

GUESS = Prediction(gain=0.1, confidence=0.6)
GOOD = {"WARMDOWN": 0.6}
BAD = {"LR": 0.05}


def run_of(world: World, changes, parents=None) -> Run:
    """Return a run of changes on the start."""
    text = turn(START, changes, KNOBS).text
    parents = parents or (world.baseline,)
    return Run(parents, {PATH: text}, f"turn {list(changes)}", "why not", GUESS, changes)


class Scripted:
    """A mind that answers from a list, and then waits."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.seen = []

    async def decide(self, observation, lab):
        """Answer the next entry; an exception is raised, a function is asked."""
        self.seen.append(observation)
        answer = self.answers.pop(0) if self.answers else [Wait(50.0)]
        if isinstance(answer, Exception):
            raise answer
        return answer(observation) if callable(answer) else answer


async def live_for(world: World, agents, seconds: float) -> None:
    """Let agents live for some modelled seconds."""
    async with asyncio.TaskGroup() as group:
        for agent in agents:
            group.create_task(agent.live())
        await asyncio.sleep(seconds)
        world.stop()


def one(role: str, *answers, world: World | None = None):
    """Let one scripted agent live; return the world and its mind."""

    async def life():
        home = world or World(complete("ada", "eve"))
        mind = Scripted(*[each(home) if callable(each) else each for each in answers])
        await live_for(home, [make_agent(home, "ada", role, mind)], 400)
        return home, mind

    return run_jumping(life())
