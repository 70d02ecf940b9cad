"""How hard a provider is pressed: growth, halving, what it asks to wait, down and up again."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from jump_loop import JumpLoop

from agents.minds.exchange import CallFailedError
from agents.minds.providers import Pace, Provider, Providers


def run(work):
    """Run on a loop whose clock jumps."""
    loop = JumpLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


async def press(provider: Provider, callers: int, fails=None, takes_s: float = 1.0):
    """Call from so many at once; returns how many were under way at most, and when each began."""
    loop = asyncio.get_running_loop()
    now = most = 0
    began: list[float] = []

    async def one(number: int) -> None:
        nonlocal now, most
        try:
            async with provider.turn(loop.time() + 10_000.0):
                now += 1
                most = max(most, now)
                began.append(loop.time())
                try:
                    await asyncio.sleep(takes_s)
                    if fails is not None and (error := fails(number)) is not None:
                        raise error
                finally:
                    now -= 1
        except CallFailedError:
            return

    async with asyncio.TaskGroup() as group:
        for number in range(callers):
            group.create_task(one(number))
    return most, began


def test_concurrency_grows_by_one_for_each_round_of_answers():
    """Four at once become five, and no more than the most."""

    async def story():
        provider = Provider("p", Pace(start=4, most=6), lambda *_: None)
        first, _ = await press(provider, 4)
        assert (first, int(provider.limit)) == (4, 4)
        await press(provider, 100)
        return provider.limit

    assert run(story()) == 6


def test_too_much_halves_it_once_for_all_that_were_under_way():
    """Eight calls that are turned down together are one word, not eight."""

    async def story():
        provider = Provider("p", Pace(start=8, down_after=100), lambda *_: None)
        await press(provider, 8, lambda _: CallFailedError("overloaded", "", is_free=True))
        return provider.limit

    assert run(story()) == 4


def test_what_it_asks_to_wait_everybody_waits():
    """A retry-after of one holds the others too."""

    async def story():
        provider = Provider("p", Pace(start=1, down_after=100), lambda *_: None)
        error = CallFailedError("rate_limited", "", retry_after_s=30.0)
        _, began = await press(provider, 3, lambda number: error if number == 0 else None)
        return [round(at - began[0]) for at in began]

    assert run(story()) == [0, 31, 32]


def test_a_provider_that_is_down_is_tried_by_one_at_growing_intervals():
    """Nobody else calls meanwhile; it is told once that it went and once that it came."""

    async def story():
        told: list[bool] = []
        pace = Pace(start=4, down_after=3, first_probe_s=10, longest_probe_s=40)
        provider = Provider("p", pace, lambda _, is_up: told.append(is_up))
        dead = CallFailedError("network", "")
        _, began = await press(provider, 9, lambda number: dead if number < 8 else None, 0.0)
        assert provider.is_down is False
        return told, [round(at) for at in began]

    told, began = run(story())
    assert told == [False, True]
    gaps = [later - earlier for earlier, later in itertools.pairwise(began[3:])]
    assert gaps == [10, 20, 40, 40, 40]


def test_who_waited_too_long_gives_up_without_a_call():
    """A turn that does not come in time is a failed call that cost nothing."""

    async def story():
        provider = Provider("p", Pace(start=1), lambda *_: None)
        loop = asyncio.get_running_loop()
        async with provider.turn(loop.time() + 1.0):
            with pytest.raises(CallFailedError) as failed:
                async with provider.turn(loop.time() + 5.0):
                    pass
        return failed.value.kind, failed.value.is_free

    assert run(story()) == ("network", True)


def test_a_request_of_ours_that_was_wrong_says_nothing_of_the_provider():
    """It is there, whatever it thinks of what it was asked."""

    async def story():
        provider = Provider("p", Pace(start=2, down_after=2), lambda *_: None)
        await press(provider, 9, lambda _: CallFailedError("bad_request", ""))
        return provider.is_down, provider.limit

    assert run(story()) == (False, 2)


def test_all_agents_of_a_process_share_a_provider():
    """By its name."""
    providers = Providers()
    assert providers.get("anthropic") is providers.get("anthropic")
    assert providers.get("anthropic") is not providers.get("openai")
