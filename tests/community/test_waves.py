"""One mind with many hands, in virtual time: when waves begin, and that nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from agents.actions import Action, WriteNotebook
from agents.lab import LabReader
from agents.observation import Observation
from community.modelled.minds import PacedMind, Waves
from community.modelled.parameters import ModelSection
from community.virtual.run import virtual_runner


class _Says:
    """A mind that says which turn it was asked in."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        return (WriteNotebook(f"turn {observation.turn}"),)


def observed(turn: int) -> Observation:
    """Return as much of an observation as is looked at."""
    return cast(Observation, SimpleNamespace(turn=turn, seed=turn))


@pytest.fixture
def minds() -> tuple[PacedMind, PacedMind]:
    """Give the two hands of one mind; a turn costs half a dollar and no time."""
    section, waves = ModelSection(cost_usd=0.5), Waves(2, 1000)
    return PacedMind(_Says(), section, waves), PacedMind(_Says(), section, waves)


async def hand(waves: Waves, works_s: list[float], begun: list[float]) -> None:
    """Take part in waves; note when each of them began."""
    for work_s in works_s:
        wave = waves.come_back()
        while not await waves.begins(wave):
            pass
        begun.append(asyncio.get_running_loop().time())
        await asyncio.sleep(work_s)


def played(waves: Waves, hands: list[list[float]]) -> list[list[float]]:
    """Return when each hand's turns began."""
    found: list[list[float]] = [[] for _ in hands]

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for works_s, begun in zip(hands, found, strict=True):
                group.create_task(hand(waves, works_s, begun))

    with virtual_runner() as runner:
        start = runner.get_loop().time()
        runner.run(all_of_them())
    return [[at - start for at in begun] for begun in found]


def test_a_wave_begins_when_the_last_hand_is_back():
    """Three hands of unequal work: everybody waits for the slowest."""
    assert played(Waves(3, 1000), [[1, 2], [5, 1], [3, 3]]) == [[0, 5], [0, 5], [0, 5]]


def test_a_hand_that_has_left_is_waited_for_within_patience():
    """One hand leaves after the first wave: the other's waves begin without it."""
    found = played(Waves(2, 1000), [[10, 10, 0], [500]])
    assert found[0] == [0, 1210, 2420]  # it looks every 600 s


def test_a_mind_looks_again_when_its_wave_begins(minds: tuple[PacedMind, PacedMind]):
    """Its turn is decided on what the others found; until then it waits and is not paid."""
    first, second = minds

    async def scene() -> list[str]:
        early = asyncio.create_task(first.decide(observed(1), None))  # type: ignore[arg-type]
        await asyncio.sleep(5)
        assert not early.done()
        late = await second.decide(observed(1), None)  # type: ignore[arg-type]
        kinds = [type((await early)[0]).__name__, type(late[0]).__name__]
        assert first.usd == 0
        done = await first.decide(observed(2), None)  # type: ignore[arg-type]
        return [*kinds, done[0].text]  # type: ignore[union-attr]

    with virtual_runner() as runner:
        assert runner.run(scene()) == ["Wait", "Wait", "turn 2"]
    assert first.usd == 0.5
