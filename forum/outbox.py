"""What waits to be published, in order, while a connection is away.

An item leaves only after the broker has acknowledged it, so one may be published twice but none is
lost while its owner lives. Several may be on their way at once; a new connection begins again with
the oldest, so order is kept. Receivers drop repeats: readers by sequence number, the clerk by
message id.
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
    """A bounded queue whose items stay until they have been dealt with."""

    def __init__(self, capacity: int = OUTBOX_CAPACITY) -> None:
        self._items: deque[Outgoing] = deque()
        self._capacity = capacity
        self._taken = 0
        """How many of the items, from the oldest on, are on their way."""
        self._added, self._dropped = asyncio.Event(), asyncio.Event()
        self._why_closed: str | None = None

    async def add(self, item: Outgoing) -> None:
        """Append `item`, waiting for room.

        Raises:
            BoardClosedError: nothing will ever be published from here again.

        Cancellation: `item` is not added.
        """
        while self._why_closed is None and len(self._items) >= self._capacity:
            self._dropped.clear()
            await self._dropped.wait()
        if self._why_closed is not None:
            raise BoardClosedError(self._why_closed)
        self._items.append(item)
        self._added.set()

    async def take(self) -> Outgoing:
        """Return the oldest item that was not taken, waiting for one; it stays until dropped."""
        while len(self._items) <= self._taken:
            self._added.clear()
            await self._added.wait()
        self._taken += 1
        return self._items[self._taken - 1]

    def drop_head(self) -> None:
        """Remove the oldest item, which was taken: the broker has acknowledged it."""
        self._items.popleft()
        self._taken -= 1
        self._dropped.set()

    def rewind(self) -> None:
        """Begin again with the oldest item: what was taken and not dropped may be lost."""
        self._taken = 0

    def close(self, why: str) -> None:
        """Fail everybody who adds, or waits to, with `BoardClosedError(why)`."""
        self._why_closed = why
        self._dropped.set()

    async def emptied(self) -> None:
        """Return once nothing waits."""
        while self._items:
            self._dropped.clear()
            await self._dropped.wait()
