"""Drafts on their way: who waits for which receipt.

Not the transport. Both boards use it, so that a receipt means the same on each: the first one for
a message id settles everybody who submitted that id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from forum.codec import encode
from forum.errors import BoardClosedError, MessageRefusedError, PostRefusedError
from forum.messages import Draft, Receipt


class PendingDrafts:
    """Payloads by message id until their receipt comes or the seat is left."""

    def __init__(self) -> None:
        self._payloads: dict[str, bytes] = {}
        self._waiting: dict[str, list[asyncio.Future[Receipt]]] = {}
        self._closed: BoardClosedError | None = None

    @contextmanager
    def expecting(self, draft: Draft) -> Iterator[tuple[bytes, asyncio.Future[Receipt]]]:
        """Give the bytes of `draft` and a future of its receipt, forgotten when the block exits.

        Raises:
            PostRefusedError: `draft` is too large to be sent.
            BoardClosedError: the seat has been left, or was lost; it says why.
        """
        if self._closed is not None:
            raise self._closed
        message_id = draft.message_id
        try:
            payload = encode(draft)
        except MessageRefusedError as error:
            raise PostRefusedError(message_id, error.reason) from None
        receipt: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._payloads[message_id] = payload
        self._waiting.setdefault(message_id, []).append(receipt)
        try:
            yield payload, receipt
        finally:
            self._forget(message_id, receipt)

    def settle(self, receipt: Receipt) -> None:
        """Hand `receipt` to those who wait for it; one that nobody awaits is dropped."""
        for future in self._waiting.get(receipt.message_id, ()):
            if not future.done():
                future.set_result(receipt)

    def close(self, why: BoardClosedError) -> None:
        """Fail everybody who waits, now and later, with `why`; only the first call counts."""
        self._closed = self._closed or why
        for futures in self._waiting.values():
            for future in futures:
                if not future.done():
                    future.set_exception(self._closed)

    def repeat(self, send: Callable[[bytes], None]) -> None:
        """Call `send` with every payload that still lacks a receipt."""
        for payload in list(self._payloads.values()):
            send(payload)

    def _forget(self, message_id: str, receipt: asyncio.Future[Receipt]) -> None:
        if not receipt.cancel() and not receipt.cancelled():
            receipt.exception()  # nobody may have read it, and asyncio reports unread failures
        futures = self._waiting[message_id]
        futures.remove(receipt)
        if not futures:
            del self._waiting[message_id], self._payloads[message_id]


def accepted(receipt: Receipt) -> Receipt:
    """Return `receipt` if the post was recorded.

    Raises:
        PostRefusedError: it was not.
    """
    if receipt.post_id is None:
        raise PostRefusedError(receipt.message_id, receipt.reason or "no reason was given")
    return receipt
