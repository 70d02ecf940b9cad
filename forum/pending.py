"""Messages on their way: who waits for which answer.

Not the transport. Both boards use it, so that an answer means the same on each: the first one for
an id settles everybody who sent a message under that id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from forum.codec import encode
from forum.errors import (
    BoardClosedError,
    MessageRefusedError,
    PostRefusedError,
    RequestRefusedError,
)
from forum.messages import Draft, Receipt
from forum.requests import Reply, Request, plain_json

_Answer = TypeVar("_Answer", Receipt, Reply)


class Pending(Generic[_Answer]):
    """Payloads by id until their answer comes or the place at the board is left."""

    def __init__(self) -> None:
        self._payloads: dict[str, bytes] = {}
        self._waiting: dict[str, list[asyncio.Future[_Answer]]] = {}
        self._closed: BoardClosedError | None = None

    @contextmanager
    def expecting(self, name: str, payload: bytes) -> Iterator[asyncio.Future[_Answer]]:
        """Give a future of the answer to `payload`, forgotten when the block exits.

        Raises:
            BoardClosedError: the place has been left, or was lost; it says why.
        """
        if self._closed is not None:
            raise self._closed
        answer: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._payloads[name] = payload
        self._waiting.setdefault(name, []).append(answer)
        try:
            yield answer
        finally:
            self._forget(name, answer)

    def settle(self, name: str, answer: _Answer) -> None:
        """Hand `answer` to those who wait for it; one that nobody awaits is dropped."""
        for future in self._waiting.get(name, ()):
            if not future.done():
                future.set_result(answer)

    def close(self, why: BoardClosedError) -> None:
        """Fail everybody who waits, now and later, with `why`; only the first call counts."""
        self._closed = self._closed or why
        for futures in self._waiting.values():
            for future in futures:
                if not future.done():
                    future.set_exception(self._closed)

    def repeat(self, send: Callable[[bytes], None]) -> None:
        """Call `send` with every payload that still lacks an answer."""
        for payload in list(self._payloads.values()):
            send(payload)

    def _forget(self, name: str, answer: asyncio.Future[_Answer]) -> None:
        if not answer.cancel() and not answer.cancelled():
            answer.exception()  # nobody may have read it, and asyncio reports unread failures
        futures = self._waiting[name]
        futures.remove(answer)
        if not futures:
            del self._waiting[name], self._payloads[name]


def draft_bytes(draft: Draft) -> bytes:
    """Return `draft` as it is sent.

    Raises:
        PostRefusedError: it is too large to be sent.
    """
    try:
        return encode(draft)
    except MessageRefusedError as error:
        raise PostRefusedError(draft.message_id, error.reason) from None


def accepted(receipt: Receipt) -> Receipt:
    """Return `receipt` if the post was recorded.

    Raises:
        PostRefusedError: it was not.
    """
    if receipt.post_id is None:
        raise PostRefusedError(receipt.message_id, receipt.reason or "no reason was given")
    return receipt


def request_bytes(op: str, args: Mapping[str, Any], request_id: str) -> bytes:
    """Return a request as it is sent.

    Raises:
        RequestRefusedError: it is malformed or too large to be sent.
    """
    request = Request.model_construct(request_id=request_id, op=op, args=plain_json(args))
    try:
        return encode(request)
    except MessageRefusedError as error:
        raise RequestRefusedError("malformed", error.reason) from None
