"""A bounded queue with an end: what a seat or desk reads from.

Unlike `asyncio.Queue` it can be closed, and putting into a full one fails instead of waiting, so
that a slow reader never holds up the board.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Generic, TypeVar

_T = TypeVar("_T")

DEFAULT_CAPACITY: Final = 10_000
"""Messages; hours of talk of a large community, a few MB of ordinary posts."""


class Mailbox(Generic[_T]):
    """Messages for one reader, in order; iteration ends when it is closed and empty."""

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self._items: deque[_T] = deque()
        self._capacity = capacity
        self._is_closed = False
        self._error: BaseException | None = None
        self._changed = asyncio.Event()

    def put(self, item: _T) -> bool:
        """Append `item` and say whether there was room; a closed mailbox has none."""
        if self._is_closed or len(self._items) >= self._capacity:
            return False
        self._items.append(item)
        self._changed.set()
        return True

    def close(self, error: BaseException | None = None) -> None:
        """Let readers end once they have read what is there: with `error`, if it has one.

        Only the first call decides how.
        """
        if not self._is_closed:
            self._is_closed, self._error = True, error
        self._changed.set()

    def __aiter__(self) -> Mailbox[_T]:
        return self

    async def __anext__(self) -> _T:
        while not self._items:
            if self._error is not None:
                raise self._error
            if self._is_closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._items.popleft()
