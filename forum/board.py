"""The Board protocol: how a researcher and the clerk reach one another.

A board moves drafts to the clerk and copies of posts to readers. It decides nothing: who may read
what is the clerk's routing (and, on MQTT, the broker's permissions as well). Implementations:
`forum.memory_board` and `forum.mqtt_board`; one contract suite tests both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from forum.ids import AgentName
from forum.messages import Draft, Notice, Post, Receipt
from forum.requests import JsonObject, Reply


@dataclass(frozen=True, slots=True)
class Submission:
    """What reached the clerk: the author proved by credential, and bytes not yet believed."""

    author: AgentName
    payload: bytes


@dataclass(frozen=True, slots=True)
class Requested:
    """What reached the institution: the asker proved by credential, and bytes not yet believed."""

    who: str
    """An agent, a person, or ``observer``."""
    payload: bytes


@dataclass(frozen=True, slots=True)
class Observed:
    """One event as an observer sees it."""

    name: str
    """The topic's levels below ``event/``."""
    payload: bytes


class Asking(Protocol):
    """Whoever may ask the institution something."""

    async def request(self, op: str, args: Mapping[str, Any], request_id: str) -> JsonObject:
        """Ask for `op` and wait for the result, however long that takes.

        Repeated until the reply comes, also when the connection, the broker or the institution is
        lost meanwhile; under one `request_id` it is one request.

        Raises:
            RequestRefusedError: the institution turned it down; carries a kind and the reason.
            BoardClosedError: the board closed before a reply came; it says why.

        Cancellation: the request may or may not have been carried out; repeat it with the same id.
        """
        ...


class Watch(Asking, Protocol):
    """An observer's place at the board; iterating yields events from now on, each once.

    Several observers may watch under one credential, so their requests' ids must differ.
    """

    def __aiter__(self) -> AsyncIterator[Observed]: ...

    async def __anext__(self) -> Observed: ...


class Seat(Asking, Protocol):
    """A researcher's place at the board."""

    @property
    def interruptions(self) -> int:
        """How often posts may have been missed (connection lost, feed full) since it was taken.

        When it has grown, catch up from the ledger: the board repeats nothing to readers.
        """
        ...

    async def submit(self, draft: Draft) -> Receipt:
        """Hand `draft` to the clerk and wait for the receipt; safe to repeat with one message id.

        Raises:
            PostRefusedError: the clerk refused it; the error carries the reason.
            BoardClosedError: the board closed before a receipt came; it says why.

        Cancellation: the draft may or may not have been recorded; repeat it with the same id.
        """
        ...

    def posts(self) -> AsyncIterator[Post]:
        """Yield posts of one's own feed, each once, until the seat is left.

        They come in the order in which the clerk delivered them, which is the ledger's.

        Raises:
            BoardClosedError: the seat was lost for good; it says why, and has the cause.
        """
        ...

    def notices(self) -> AsyncIterator[Notice]:
        """Yield public notices until the seat is left. Raises as `posts`."""
        ...


class Desk(Protocol):
    """The clerk's place at the board."""

    def submissions(self) -> AsyncIterator[Submission]:
        """Yield what authors submit, in order of arrival, until the desk is left.

        Nothing in it is believed yet, and one draft may come several times: dropping repeated
        message ids, and acknowledging them again, is the clerk's part.

        Raises:
            BoardUnreachableError: the broker was away for too long.
            LoginRefusedError: it came back and does not know the clerk any more.
        """
        ...

    async def acknowledge(self, author: AgentName, receipt: Receipt) -> None:
        """Send `receipt` to `author` alone."""
        ...

    def requests(self) -> AsyncIterator[Requested]:
        """Yield requests in order of arrival, until the desk is left; one may come several times.

        Raises as `submissions`.
        """
        ...

    async def reply(self, who: str, reply: Reply) -> None:
        """Send `reply` to `who` alone; for ``observer`` to all who watch."""
        ...

    async def deliver(self, reader: AgentName, post: Post) -> None:
        """Put an already thinned copy of `post` on the feed of `reader` alone.

        A reader that is not seated never gets it; it catches up from the ledger.
        """
        ...

    async def notify(self, notice: Notice) -> None:
        """Tell everybody."""
        ...

    async def observe(self, topic: str, payload: bytes) -> None:
        """Publish one event for observers (the TUI); agents cannot read it.

        `topic` is one to four levels of letters, digits, ``_`` and ``-``, as in ``post/p17``.
        """
        ...


class Board(Protocol):
    """A message store with one seat per agent and one desk."""

    def seat(self, agent: AgentName) -> AbstractAsyncContextManager[Seat]:
        """Connect as `agent` with its own credential; leaving the block ends its iterators.

        Raises:
            SeatTakenError: `agent` has a seat already.
            BoardUnreachableError: nobody answers.
            LoginRefusedError: the credential is refused.
        """
        ...

    def desk(self) -> AbstractAsyncContextManager[Desk]:
        """Connect as the clerk; leaving the block ends its iterator. Raises as `seat`."""
        ...

    def observe(self) -> AbstractAsyncContextManager[Watch]:
        """Connect as an observer and yield events from now on. Raises as `seat`."""
        ...
