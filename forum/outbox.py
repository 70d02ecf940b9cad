"""What waits to be published, in order, while a connection is away.

An item leaves only after it was published, so one may be published twice but none is lost while
its owner lives. Receivers drop repeats: readers by sequence number, the clerk by message id.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from forum.errors import BoardClosedError

OUTBOX_CAPACITY: Final = 10_000
"""Messages; who adds to a full outbox waits."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One publication."""

    topic: str
    payload: bytes


class Outbox:
    """A bounded queue whose head stays until it has been dealt with."""

    def __init__(self, capacity: int = OUTBOX_CAPACITY) -> None:
        self._items: deque[Outgoing] = deque()
        self._capacity = capacity
        self._changed = asyncio.Condition()
        self._why_closed: str | None = None

    async def add(self, item: Outgoing) -> None:
        """Append `item`, waiting for room.

        Raises:
            BoardClosedError: nothing will ever be published from here again.

        Cancellation: `item` is not added.
        """
        async with self._changed:
            await self._changed.wait_for(
                lambda: self._why_closed is not None or len(self._items) < self._capacity
            )
            if self._why_closed is not None:
                raise BoardClosedError(self._why_closed)
            self._items.append(item)
            self._changed.notify_all()

    async def head(self) -> Outgoing:
        """Return the oldest item, waiting for one, and leave it where it is."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._items))
            return self._items[0]

    async def drop_head(self) -> None:
        """Remove the oldest item: it has been published."""
        async with self._changed:
            self._items.popleft()
            self._changed.notify_all()

    async def close(self, why: str) -> None:
        """Fail everybody who adds, or waits to, with `BoardClosedError(why)`."""
        async with self._changed:
            self._why_closed = why
            self._changed.notify_all()

    async def emptied(self) -> None:
        """Return once nothing waits."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._items)
