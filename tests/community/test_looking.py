"""Waiting for rows and for the clock: who is woken when, and by what not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from archive_script import opened

from community.archive.ledger import Ledger
from community.chronicle import Chronicle
from community.clock import RunClock
from community.events import Noticed, Refused
from community.looking import LONGEST_US, look_again
from community.virtual.loop import VirtualLoop


def run(life, path: Path):
    """Run ``life(chronicle)`` in virtual time, on a ledger that has begun."""

    async def main():
        with Ledger.create(path / "ledger.db", is_durable=False) as ledger:
            chronicle = Chronicle(ledger, RunClock())
            chronicle.record(opened())
            return await life(chronicle)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


def later(chronicle: Chronicle, seconds: float, event) -> None:
    """Have `event` recorded in so many seconds."""
    asyncio.get_running_loop().call_later(seconds, chronicle.record, event)


def test_a_question_is_asked_at_each_record_and_wakes_who_asked_once_it_is_true(
    tmp_path: Path,
) -> None:
    """Nobody is woken for another's rows; what a question raises is his who asked."""

    async def life(chronicle: Chronicle):
        asked = []

        def has_three(state) -> bool:
            asked.append(state.last_seq)
            return len(state.notices) == 3

        def is_odd(state) -> bool:
            if state.notices:
                raise ValueError("odd")
            return False

        for number in range(4):
            later(chronicle, 1.0 + number, Noticed("start", str(number)))
        waiting = asyncio.create_task(chronicle.wait_until(is_odd))
        await chronicle.wait_until(has_three)
        with pytest.raises(ValueError, match="odd"):
            await waiting
        return asyncio.get_running_loop().time(), asked

    at_s, asked = run(life, tmp_path)
    assert at_s == 3.0
    assert asked == [1, 2, 3, 4, 4]


def test_one_looks_again_at_what_matters_or_at_the_moment(tmp_path: Path) -> None:
    """Talk wakes nobody; other rows do; moments that have passed do not count."""

    async def life(chronicle: Chronicle):
        times = []
        loop = asyncio.get_running_loop()
        later(chronicle, 2.0, Refused("ada", "post", "too long"))
        later(chronicle, 5.0, Noticed("start", "now"))
        await look_again(chronicle, [])
        times.append(loop.time())
        await look_again(chronicle, [1_000_000, 9_000_000, 7_500_000])
        times.append(loop.time())
        await look_again(chronicle, [1_000_000])
        times.append(loop.time())
        return times

    assert run(life, tmp_path) == [5.0, 7.5, 7.5 + LONGEST_US / 1e6]
