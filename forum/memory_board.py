"""The board inside one process: no broker, no sockets, no time of its own.

For virtual worlds and tests. It keeps the MQTT board's rules: drafts cross as bytes, a reader that
is not seated misses what is delivered, posts are shown once. Posts and notices pass as the frozen
objects they are.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from forum.board import Desk, Observed, Seat, Submission
from forum.errors import BoardClosedError, SeatTakenError
from forum.ids import AgentName
from forum.mailbox import Mailbox
from forum.messages import Draft, Notice, Post, Receipt
from forum.pending_drafts import PendingDrafts, accepted
from forum.topics import CLERK, Topics, participant_name


class MemoryBoard:
    """Seats and one desk that share a few queues; see `forum.board.Board`."""

    def __init__(self) -> None:
        self._seats: dict[AgentName, _MemorySeat] = {}
        self._desk: _MemoryDesk | None = None
        self._observers: list[Mailbox[Observed]] = []

    @asynccontextmanager
    async def seat(self, agent: AgentName) -> AsyncIterator[Seat]:
        """Take the seat of `agent`; drafts wait until a desk is taken.

        Raises:
            SeatTakenError: `agent` has a seat already.
            TopicError: `agent` is not a name an agent may bear.
        """
        if participant_name(agent) in self._seats:
            raise SeatTakenError(f"agent {agent!r} already has a seat; leave that one first")
        seat = self._seats[agent] = _MemorySeat(self, agent)
        try:
            yield seat
        finally:
            del self._seats[agent]
            seat.leave()

    @asynccontextmanager
    async def desk(self) -> AsyncIterator[Desk]:
        """Take the desk; drafts that lack a receipt are handed in again.

        Raises:
            SeatTakenError: the desk is taken.
        """
        if self._desk is not None:
            raise SeatTakenError(f"the desk of the {CLERK} is taken; leave it first")
        desk = self._desk = _MemoryDesk(self)
        for seat in self._seats.values():
            seat.repeat()
        try:
            yield desk
        finally:
            self._desk = None
            desk.leave()

    @asynccontextmanager
    async def observe(self) -> AsyncIterator[AsyncIterator[Observed]]:
        """Watch the events from now on."""
        events: Mailbox[Observed] = Mailbox()
        self._observers.append(events)
        try:
            yield events
        finally:
            self._observers.remove(events)
            events.close()

    def _submit(self, submission: Submission) -> None:
        if self._desk is not None:
            self._desk.submitted.put(submission)

    def _seat_of(self, agent: AgentName) -> _MemorySeat | None:
        return self._seats.get(agent)

    def _everybody(self) -> list[_MemorySeat]:
        return list(self._seats.values())

    def _tell_observers(self, event: Observed) -> None:
        for events in self._observers:
            events.put(event)


class _MemorySeat:
    def __init__(self, board: MemoryBoard, agent: AgentName) -> None:
        self._board = board
        self._agent = agent
        self._posts: Mailbox[Post] = Mailbox()
        self._notices: Mailbox[Notice] = Mailbox()
        self._seen: set[int] = set()
        self._interruptions = 0
        self.pending = PendingDrafts()

    @property
    def interruptions(self) -> int:
        return self._interruptions

    async def submit(self, draft: Draft) -> Receipt:
        with self.pending.expecting(draft) as (payload, receipt):
            self._send(payload)
            return accepted(await receipt)

    def posts(self) -> AsyncIterator[Post]:
        return self._posts

    def notices(self) -> AsyncIterator[Notice]:
        return self._notices

    def show(self, post: Post) -> None:
        if post.seq in self._seen:
            return
        if self._posts.put(post):
            self._seen.add(post.seq)
        else:
            self._interruptions += 1

    def tell(self, notice: Notice) -> None:
        self._notices.put(notice)

    def repeat(self) -> None:
        self.pending.repeat(self._send)

    def leave(self) -> None:
        self.pending.close(BoardClosedError(f"agent {self._agent!r} left its seat"))
        self._posts.close()
        self._notices.close()

    def _send(self, payload: bytes) -> None:
        self._board._submit(Submission(self._agent, payload))


class _MemoryDesk:
    def __init__(self, board: MemoryBoard) -> None:
        self._board = board
        # Each author waits for its receipt, so authors bound it; a lost draft would hang one.
        self.submitted: Mailbox[Submission] = Mailbox(capacity=sys.maxsize)

    def submissions(self) -> AsyncIterator[Submission]:
        return self.submitted

    async def acknowledge(self, author: AgentName, receipt: Receipt) -> None:
        seat = self._board._seat_of(author)
        if seat is not None:
            seat.pending.settle(receipt)

    async def deliver(self, reader: AgentName, post: Post) -> None:
        seat = self._board._seat_of(reader)
        if seat is not None:
            seat.show(post)

    async def notify(self, notice: Notice) -> None:
        for seat in self._board._everybody():
            seat.tell(notice)

    async def observe(self, topic: str, payload: bytes) -> None:
        Topics("memory").event(topic)  # refuses what MQTT would refuse
        self._board._tell_observers(Observed(topic, payload))

    def leave(self) -> None:
        self.submitted.close()
