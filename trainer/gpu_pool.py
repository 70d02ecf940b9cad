"""The pool of device slots and the right to hold one for a while.

Waiters are served in arrival order, those for one slot by name among themselves; who may wait next
is `community.scheduler`'s decision, not this file's. One pool belongs to one event loop; nothing
here knows which device a slot is part of. In a cluster the place that serves a slot may change
between two leases, and where places are few, slots share one in turns.
"""

from __future__ import annotations

import asyncio
import itertools
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
        self._slots = list(slots)
        self._free = set(range(len(self._slots)))
        self._held: dict[int, int] = {}
        """Slots that are held, with the place that serves each."""
        self._busy: set[int] = set()
        self._places: list[int | None] = list(range(len(self._slots)))
        self._served_by: dict[int, set[int]] = {number: {number} for number in self._free}
        self._unused = itertools.count(len(self._slots))
        self._waiters: deque[_Waiter] = deque()
        self._fault: Exception | None = None

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
        return self.size - self.busy

    @property
    def busy(self) -> int:
        """How many slots are held."""
        return len(self._held)

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
            Exception: what `fail` was given.

        Cancellation: a waiter leaves the queue and holds nothing; a holder gives its slot back.
        """
        number = await self._acquire(timeout_s, name)
        try:
            yield Lease(self._slots[number])
        finally:
            self._release(number)

    def move(self, slot: Slot, *, onto: str = "") -> None:
        """Have the slot of that name served elsewhere from its next lease on.

        Args:
            slot: What it is there.
            onto: A slot whose place serves both from now on, in turns; a place of its own if empty.
        """
        number = self._number_of(slot.name)
        assert number is not None
        self._slots[number] = slot
        host = self._number_of(onto)
        self._put(number, next(self._unused) if host is None else self._places[host])

    def withdraw(self, name: str) -> None:
        """Grant no lease of this slot until it is moved somewhere."""
        number = self._number_of(name)
        assert number is not None
        self._put(number, None)

    def fail(self, fault: Exception) -> None:
        """Raise `fault` for everybody who waits for a lease now or later."""
        self._fault = fault
        while self._waiters:
            granted = self._waiters.popleft().granted
            if not granted.done():
                granted.set_exception(fault)

    async def _acquire(self, timeout_s: float | None, name: str) -> int:
        """Return the number of a slot that is now the caller's."""
        if self._fault is not None:
            raise self._fault
        wanted = self._number_of(name)
        free = self._free if wanted is None else self._free & {wanted}
        if free:  # then nobody waits for it: a released slot goes to a waiter first
            number = min(free)
            self._take(number)
            return number
        granted: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(granted, wanted)
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                return await granted
        except BaseException:
            # A slot may have been granted in the very turn in which the wait ended.
            if granted.done() and not granted.cancelled() and granted.exception() is None:
                self._release(granted.result())
            elif waiter in self._waiters:  # unless a release has just skipped it
                self._waiters.remove(waiter)
            raise

    def _take(self, number: int) -> None:
        """Mark a free slot as held, and its place as busy."""
        place = self._places[number]
        assert place is not None
        self._held[number] = place
        self._busy.add(place)
        self._free -= self._served_by[place]

    def _release(self, number: int) -> None:
        """Hand the place to whoever waits longest for a slot it serves, or mark those free."""
        place = self._held.pop(number)
        self._busy.discard(place)
        self._offer({number, *self._served_by.get(place, ())})

    def _put(self, number: int, place: int | None) -> None:
        """Have a slot served by a place, or by none."""
        before = self._places[number]
        if before is not None:
            self._served_by[before].discard(number)
        self._places[number] = place
        if place is not None:
            self._served_by.setdefault(place, set()).add(number)
        self._offer({number})

    def _offer(self, numbers: set[int]) -> None:
        """Look which of these slots can be held now; grant them to waiters, or mark them free."""
        for number in numbers:
            place = self._places[number]
            is_free = number not in self._held and place is not None and place not in self._busy
            (self._free.add if is_free else self._free.discard)(number)
        for waiter in tuple(self._waiters):
            if not numbers & self._free:
                return
            if waiter.granted.done():  # it was cancelled in this very turn
                self._waiters.remove(waiter)
                continue
            fits = numbers & self._free if waiter.number is None else {waiter.number} & self._free
            if fits & numbers:
                self._waiters.remove(waiter)
                chosen = min(fits)
                self._take(chosen)
                waiter.granted.set_result(chosen)

    def _number_of(self, name: str) -> int | None:
        """Return which slot is meant, None for any."""
        if not self._slots:
            raise PoolTooSmallError("the pool has no slots; open it with at least one")
        if not name:
            return None
        if name not in self.names:
            raise PoolTooSmallError(f"the pool has no slot {name!r}, only {', '.join(self.names)}")
        return self.names.index(name)
