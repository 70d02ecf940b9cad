"""Leases: one holder per slot, arrival order, nothing left behind."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from trainer.devices import Slot
from trainer.errors import PoolTooSmallError
from trainer.gpu_pool import GpuPool


def pool_of(count: int) -> GpuPool:
    """Return a pool of `count` processor slots."""
    return GpuPool([Slot(f"cpu{i}", "cpu", frozenset({i})) for i in range(count)])


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_lease_holds_one_slot_until_its_block_ends():
    """Slots are counted, distinct while held, and free again after."""
    pool = pool_of(2)
    assert (pool.size, pool.free, pool.busy, pool.waiting) == (2, 2, 0, 0)
    async with pool.lease() as first, pool.lease() as second:
        assert {first.slot.name, second.slot.name} == {"cpu0", "cpu1"}
        assert (pool.free, pool.busy) == (0, 2)
    assert (pool.free, pool.busy) == (2, 0)


async def test_the_lowest_free_slot_is_granted():
    """Which slot is granted depends on the order of events alone."""
    pool = pool_of(3)
    async with pool.lease() as a, pool.lease() as b, AsyncExitStack() as stack:
        c = await stack.enter_async_context(pool.lease())
        assert [lease.slot.name for lease in (a, b, c)] == ["cpu0", "cpu1", "cpu2"]
    async with pool.lease() as again:
        assert again.slot.name == "cpu0"


async def test_an_error_inside_the_block_frees_the_slot():
    """A failing experiment does not keep its slot."""
    pool = pool_of(1)
    with pytest.raises(KeyError):
        async with pool.lease():
            raise KeyError
    assert pool.free == 1


async def test_waiters_are_served_in_arrival_order():
    """Ten waiters on one slot get it in the order in which they asked."""
    pool, served = pool_of(1), []

    async def work(number: int) -> None:
        async with pool.lease():
            served.append(number)
            assert pool.busy == 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        for number in range(10):
            tasks.create_task(work(number))
            await asyncio.sleep(0)
    assert served == list(range(10))
    assert (pool.free, pool.waiting) == (1, 0)


async def test_a_newcomer_does_not_overtake_a_waiter():
    """A slot that comes free belongs to whoever waits, even before the waiter has run again."""
    pool, served = pool_of(1), []

    async def work(name: str) -> None:
        async with pool.lease():
            served.append(name)

    async with asyncio.TaskGroup() as tasks:
        async with pool.lease():
            tasks.create_task(work("waiter"))
            await settle()
            assert pool.waiting == 1
        assert pool.free == 0
        await work("newcomer")
    assert served == ["waiter", "newcomer"]


async def test_a_cancelled_waiter_leaves_the_queue():
    """Cancellation in the queue holds nothing and delays nobody."""
    pool, served = pool_of(1), []

    async def work(name: str) -> None:
        async with pool.lease():
            served.append(name)

    async with pool.lease():
        gone = asyncio.create_task(work("gone"))
        await settle()
        stays = asyncio.create_task(work("stays"))
        await settle()
        assert pool.waiting == 2
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert pool.waiting == 1
    await stays
    assert served == ["stays"]
    assert pool.free == 1


async def test_a_waiter_cancelled_as_it_is_granted_passes_the_slot_on():
    """Grant and cancellation in one turn of the loop lose no slot."""
    pool, served = pool_of(1), []

    async def work(name: str) -> None:
        async with pool.lease():
            served.append(name)

    async with pool.lease():
        gone = asyncio.create_task(work("gone"))
        await settle()
        stays = asyncio.create_task(work("stays"))
        await settle()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    await stays
    assert served == ["stays"]
    assert (pool.free, pool.waiting) == (1, 0)


async def test_a_waiter_cancelled_just_before_a_release_is_skipped():
    """Cancellation and release in one turn of the loop still end as a cancellation."""
    pool = pool_of(1)

    async def work() -> None:
        async with pool.lease():
            pytest.fail("the wait was cancelled")

    async with pool.lease():
        gone = asyncio.create_task(work())
        await settle()
        gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert (pool.free, pool.waiting) == (1, 0)


async def test_a_cancelled_holder_gives_its_slot_back():
    """Cancelling an experiment frees its slot for the next."""
    pool, inside = pool_of(1), asyncio.Event()

    async def hold() -> None:
        async with pool.lease():
            inside.set()
            await asyncio.Event().wait()

    holder = asyncio.create_task(hold())
    await inside.wait()
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder
    assert pool.free == 1


async def test_waiting_ends_after_the_timeout():
    """A waiter that has waited long enough gets TimeoutError and leaves the queue."""
    pool = pool_of(1)
    async with pool.lease():
        with pytest.raises(TimeoutError):
            async with pool.lease(timeout_s=0.01):
                pytest.fail("the slot was held")
        assert pool.waiting == 0
    assert pool.free == 1


async def test_a_free_slot_is_granted_even_without_time_to_wait():
    """A timeout of nought means: now or not at all."""
    pool = pool_of(1)
    async with pool.lease(timeout_s=0) as lease:
        assert lease.slot.name == "cpu0"
        with pytest.raises(TimeoutError):
            async with pool.lease(timeout_s=0):
                pytest.fail("the slot was held")


async def test_an_empty_pool_refuses_at_once():
    """Waiting that could never end is an error, not a hang."""
    with pytest.raises(PoolTooSmallError, match="no slots"):
        async with pool_of(0).lease():
            pytest.fail("there was no slot")


async def test_a_lease_by_name_waits_for_that_slot_alone():
    """A free slot of another name is left to others, who need not wait for it."""
    pool, served = pool_of(2), []

    async def work() -> None:
        async with pool.lease(name="cpu0") as lease:
            served.append(lease.slot.name)

    async with asyncio.TaskGroup() as tasks, pool.lease() as first:
        assert first.slot.name == "cpu0"
        tasks.create_task(work())
        await settle()
        async with pool.lease() as second:
            assert second.slot.name == "cpu1"
        assert (served, pool.waiting) == ([], 1)
    assert (served, pool.free) == (["cpu0"], 2)


async def test_a_slot_that_does_not_exist_is_refused_at_once():
    """Waiting for it would never end."""
    with pytest.raises(PoolTooSmallError, match="no slot 'cpu7', only cpu0, cpu1"):
        async with pool_of(2).lease(name="cpu7"):
            pytest.fail("there was no such slot")


async def test_many_cancellations_lose_no_slot():
    """Whatever the order of grants and cancellations, all slots are free in the end."""
    pool, most = pool_of(3), 0

    async def work() -> None:
        nonlocal most
        async with pool.lease():
            most = max(most, pool.busy)
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(work()) for _ in range(60)]
    for turn in range(40):
        await asyncio.sleep(0)
        tasks[(turn * 7) % 60].cancel()
    await asyncio.wait(tasks)
    assert most == 3
    assert (pool.free, pool.waiting) == (3, 0)


async def test_slots_that_share_a_place_are_held_in_turns():
    """A slot that was moved onto another waits for it, and the other for it; both are counted."""
    pool = pool_of(3)
    pool.move(Slot("cpu2", "cpu", frozenset({9})), onto="cpu0")
    async with pool.lease(name="cpu0"), pool.lease(name="cpu1"):
        coming = pool.lease(name="cpu2")
        waiting = asyncio.create_task(coming.__aenter__())
        await settle()
        assert not waiting.done()
        assert (pool.busy, pool.waiting) == (2, 1)
    lease = await waiting
    assert lease.slot.cpus == {9}
    with pytest.raises(TimeoutError):
        async with pool.lease(0.01, name="cpu0"):
            pass
    await coming.__aexit__(None, None, None)
    assert pool.busy == 0


async def test_a_slot_that_is_moved_while_held_keeps_its_old_place_busy_until_it_is_released():
    """A lease that still unwinds holds the old place, not the new one."""
    pool = pool_of(2)
    async with pool.lease(name="cpu0"):
        pool.move(Slot("cpu0", "cpu", frozenset()), onto="cpu1")
        async with pool.lease(name="cpu1"):
            pass
    async with pool.lease(name="cpu0"):
        with pytest.raises(TimeoutError):
            async with pool.lease(0.01, name="cpu1"):
                pass
    pool.move(Slot("cpu0", "cpu", frozenset()))
    async with pool.lease(name="cpu0"), pool.lease(name="cpu1"):
        assert pool.free == 0


async def test_a_withdrawn_slot_is_granted_once_it_has_a_place_again():
    """Nobody holds a slot that no place serves; others go on."""
    pool = pool_of(2)
    pool.withdraw("cpu0")
    async with pool.lease() as other:
        assert other.slot.name == "cpu1"
        waiting = asyncio.create_task(pool.lease(name="cpu0").__aenter__())
        await settle()
        assert not waiting.done()
        pool.move(Slot("cpu0", "cpu", frozenset({5})))
        assert (await waiting).slot.cpus == {5}


async def test_a_pool_that_fails_ends_every_waiting():
    """Who waits hears why, and who comes later too."""
    pool = pool_of(1)
    async with pool.lease():
        waiting = asyncio.create_task(pool.lease().__aenter__())
        await settle()
        pool.fail(PoolTooSmallError("gone"))
        with pytest.raises(PoolTooSmallError, match="gone"):
            await waiting
    with pytest.raises(PoolTooSmallError, match="gone"):
        async with pool.lease():
            pass
