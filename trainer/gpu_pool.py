"""The pool of device slots and the right to hold one for a while.

Waiters are served in arrival order, those for one slot by name among themselves; who may wait next
is `community.scheduler`'s decision, not this file's. One pool belongs to one event loop; nothing
here knows which device a slot is part of.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from trainer.devices import Slot
from trainer.errors import PoolTooSmallError


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to use `slot` until the block of `GpuPool.lease` exits."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class _Waiter:
    """Somebody who waits for a slot."""

    granted: asyncio.Future[int]
    number: int | None
    """The slot it has to be; None for any."""


class GpuPool:
    """A fixed set of slots, each held by one lease at a time."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._slots = tuple(slots)
        self._free = set(range(len(self._slots)))
        self._waiters: deque[_Waiter] = deque()

    @property
    def size(self) -> int:
        """How many slots there are."""
        return len(self._slots)

    @property
    def names(self) -> tuple[str, ...]:
        """The slots by name."""
        return tuple(slot.name for slot in self._slots)

    @property
    def free(self) -> int:
        """How many slots nobody holds."""
        return len(self._free)

    @property
    def busy(self) -> int:
        """How many slots are held."""
        return self.size - self.free

    @property
    def waiting(self) -> int:
        """How many leases are asked for and not granted yet."""
        return len(self._waiters)

    @asynccontextmanager
    async def lease(
        self, timeout_s: float | None = None, *, name: str = ""
    ) -> AsyncIterator[Lease]:
        """Hold one slot until the block exits. Waiters are served in arrival order.

        Args:
            timeout_s: seconds of loop time to wait at most; None waits as long as it takes.
            name: which slot it has to be; empty for any.

        Raises:
            PoolTooSmallError: the pool has no slot, or none of that name: waiting would never end.
            TimeoutError: no slot came free within `timeout_s`.

        Cancellation: a waiter leaves the queue and holds nothing; a holder gives its slot back.
        """
        number = await self._acquire(timeout_s, name)
        try:
            yield Lease(self._slots[number])
        finally:
            self._release(number)

    async def _acquire(self, timeout_s: float | None, name: str) -> int:
        """Return the number of a slot that is now the caller's."""
        wanted = self._number_of(name)
        free = self._free if wanted is None else self._free & {wanted}
        if free:  # then nobody waits for it: a released slot goes to a waiter first
            number = min(free)
            self._free.remove(number)
            return number
        granted: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(granted, wanted)
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                return await granted
        except BaseException:
            # A slot may have been granted in the very turn in which the wait ended.
            if granted.done() and not granted.cancelled():
                self._release(granted.result())
            elif waiter in self._waiters:  # unless a release has just skipped it
                self._waiters.remove(waiter)
            raise

    def _release(self, number: int) -> None:
        """Hand the slot to whoever waits longest, or mark it free."""
        for waiter in tuple(self._waiters):
            if waiter.granted.done():  # it was cancelled in this very turn
                self._waiters.remove(waiter)
            elif waiter.number in (None, number):
                self._waiters.remove(waiter)
                waiter.granted.set_result(number)
                return
        self._free.add(number)

    def _number_of(self, name: str) -> int | None:
        """Return which slot is meant, None for any."""
        if not self._slots:
            raise PoolTooSmallError("the pool has no slots; open it with at least one")
        if not name:
            return None
        if name not in self.names:
            raise PoolTooSmallError(f"the pool has no slot {name!r}, only {', '.join(self.names)}")
        return self.names.index(name)
