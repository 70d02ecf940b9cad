"""The wire: what both official SDKs are given to speak HTTP with, and what their failures mean.

Every answer is bounded while it arrives, redirections are not followed (a key would go with them),
and no key leaves a message that may be logged or recorded. Keys come from the environment alone.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import httpx2

from agents.errors import MindError
from agents.minds.exchange import (
    ANSWER_BYTES,
    EVENT_BYTES,
    EVENT_LINES,
    CallFailedError,
    Failed,
    kind_of_status,
    retry_after,
)
from agents.minds.scrubbing import scrubbed
from agents.prices import Usage

CONNECT_S = 15.0
SILENCE_S = 120.0
"""Longest silence within an answer; thinking models send signs of life."""
MESSAGE_CHARACTERS = 300


class TooLongError(Exception):
    """More came than an answer may have."""


class _BoundedStream(httpx2.AsyncByteStream):
    """The bytes of one answer, and no more of them, nor of one event, than are to be read."""

    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner
        self._left = ANSWER_BYTES
        self._event_bytes = 0
        self._event_lines = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            self._left -= len(chunk)
            begin = _last_event(chunk)
            if begin:
                self._event_bytes = self._event_lines = 0
            self._event_bytes += len(chunk) - begin
            self._event_lines += chunk.count(b"\n", begin) + chunk.count(b"\r", begin)
            if self._left < 0:
                raise TooLongError(f"an answer of more than {ANSWER_BYTES} bytes")
            if self._event_bytes > EVENT_BYTES or self._event_lines > EVENT_LINES:
                raise TooLongError(f"an event of more than {EVENT_LINES} lines or {EVENT_BYTES} B")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


def _last_event(chunk: bytes) -> int:
    """Return where in `chunk` the last event begins; 0 where none does."""
    ends = [(chunk.rfind(gap), len(gap)) for gap in (b"\n\n", b"\r\n\r\n", b"\r\r")]
    return max((at + size for at, size in ends if at >= 0), default=0)


class _BoundedTransport(httpx2.AsyncBaseTransport):
    """HTTP that reads only so much of each answer."""

    def __init__(self) -> None:
        self._inner = httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _BoundedStream(response.stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def http_client() -> httpx2.AsyncClient:
    """Return a client for an SDK; proxies that the environment names are used, unbounded."""
    timeout = httpx2.Timeout(SILENCE_S, connect=CONNECT_S)
    return httpx2.AsyncClient(
        transport=_BoundedTransport(), timeout=timeout, follow_redirects=False
    )


def key_from(variable: str, mind: str) -> str:
    """Return the key in an environment variable.

    Raises:
        MindError: there is none.
    """
    key = os.environ.get(variable, "").strip()
    if not key:
        raise MindError(f"{mind} needs a key in the environment variable {variable}")
    return key


def failed_status(
    status: int, message: str, headers: httpx2.Headers, key: str, *, kind: Failed | None = None
) -> CallFailedError:
    """Return the failure that an HTTP status tells; turned down so, a call costs nothing."""
    words = scrubbed(" ".join(message.split()), key)[:MESSAGE_CHARACTERS]
    return CallFailedError(
        kind or kind_of_status(status),
        f"HTTP {status}: {words}",
        retry_after_s=retry_after(headers),
        is_free=True,
    )


def broken(error: BaseException, usage: Usage | None, key: str) -> CallFailedError:
    """Return the failure that some error on the way is; what it cost is known as far as `usage`."""
    causes: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and len(causes) < 10:
        causes.append(at)
        at = at.__cause__ or at.__context__
    words = scrubbed(f"{type(error).__name__}: {error}", key)[:MESSAGE_CHARACTERS]
    if any(isinstance(each, TooLongError) for each in causes):
        return CallFailedError("too_long", words, usage=usage)
    if any(isinstance(each, (httpx2.ConnectError, httpx2.ConnectTimeout)) for each in causes):
        return CallFailedError("network", words, is_free=True)
    if usage is not None or any(
        isinstance(each, (httpx2.RemoteProtocolError, httpx2.ReadError)) for each in causes
    ):
        return CallFailedError("cut", words, usage=usage)
    if any(isinstance(each, (httpx2.HTTPError, OSError)) for each in causes):
        return CallFailedError("network", words, usage=usage)
    return CallFailedError("malformed", words, usage=usage)
