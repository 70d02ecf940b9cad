"""One mind with many hands, in virtual time: when waves begin, and that nobody waits for ever."""

from __future__ import annotations

import asyncio

from community.modelled.minds import Waves
from community.virtual.run import virtual_runner


async def hand(waves: Waves, works_s: list[float], begun: list[float]) -> None:
    """Take part in waves; note when each of them began."""
    for work_s in works_s:
        await waves.begin()
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


def test_a_hand_that_does_not_come_back_is_waited_for_within_patience():
    """One hand works for 500 s; the other's wave begins after 100 s of waiting without it."""
    found = played(Waves(2, 100), [[10, 10, 0], [500]])
    assert found[0] == [0, 110, 220]


def test_whoever_leaves_while_waiting_is_not_counted_as_back():
    """A cancelled hand does not begin the wave of the others."""

    async def scene() -> float:
        waves = Waves(2, 1000)
        leaves = asyncio.create_task(waves.begin())
        await asyncio.sleep(1)
        leaves.cancel()
        await asyncio.sleep(1)
        first = asyncio.create_task(waves.begin())
        await asyncio.sleep(50)
        assert not first.done()
        began = asyncio.get_running_loop().time()
        await waves.begin()
        await first
        return asyncio.get_running_loop().time() - began

    with virtual_runner() as runner:
        assert runner.run(scene()) == 0
