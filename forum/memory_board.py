"""The board inside one process: no broker, no sockets, no time of its own.

For virtual worlds and tests. It keeps the MQTT board's rules: drafts cross as bytes, a reader that
is not seated misses what is delivered, posts are shown once. Posts and notices pass as the frozen
objects they are.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from forum.board import Desk, Observed, Requested, Seat, Submission, Watch
from forum.errors import BoardClosedError, SeatTakenError
from forum.ids import AgentName
from forum.mailbox import Mailbox
from forum.messages import Draft, Notice, Post, Receipt
from forum.pending import Pending, accepted, draft_bytes, request_bytes
from forum.requests import JsonObject, Reply, granted
from forum.topics import CLERK, OBSERVER, Topics, participant_name


class MemoryBoard:
    """Seats and one desk that share a few queues; see `forum.board.Board`."""

    def __init__(self) -> None:
        self._seats: dict[AgentName, _MemorySeat] = {}
        self._desk: _MemoryDesk | None = None
        self._observers: list[_MemoryWatch] = []

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
        for asker in (*self._seats.values(), *self._observers):
            asker.repeat()
        try:
            yield desk
        finally:
            self._desk = None
            desk.leave()

    @asynccontextmanager
    async def observe(self) -> AsyncIterator[Watch]:
        """Watch the events from now on."""
        watch = _MemoryWatch(self)
        self._observers.append(watch)
        try:
            yield watch
        finally:
            self._observers.remove(watch)
            watch.leave()

    def _submit(self, submission: Submission) -> None:
        if self._desk is not None:
            self._desk.submitted.put(submission)

    def _request(self, requested: Requested) -> None:
        if self._desk is not None:
            self._desk.requested.put(requested)

    def _askers(self, who: str) -> list[_Asking]:
        """Return where replies to `who` go: a seat, or every observer."""
        if who == OBSERVER:
            return list(self._observers)
        seat = self._seat_of(AgentName(who))
        return [] if seat is None else [seat]

    def _seat_of(self, agent: AgentName) -> _MemorySeat | None:
        return self._seats.get(agent)

    def _everybody(self) -> list[_MemorySeat]:
        return list(self._seats.values())

    def _tell_observers(self, event: Observed) -> None:
        for watch in self._observers:
            watch.events.put(event)


class _Asking:
    """Somebody who asks the institution."""

    def __init__(self, board: MemoryBoard, who: str) -> None:
        self._board = board
        self._who = who
        self.asked: Pending[Reply] = Pending()

    async def request(self, op: str, args: Mapping[str, Any], request_id: str) -> JsonObject:
        payload = request_bytes(op, args, request_id)
        with self.asked.expecting(request_id, payload) as reply:
            self._ask(payload)
            return granted(await reply)

    def repeat(self) -> None:
        self.asked.repeat(self._ask)

    def _ask(self, payload: bytes) -> None:
        self._board._request(Requested(self._who, payload))


class _MemoryWatch(_Asking):
    def __init__(self, board: MemoryBoard) -> None:
        super().__init__(board, OBSERVER)
        self.events: Mailbox[Observed] = Mailbox()

    def __aiter__(self) -> AsyncIterator[Observed]:
        return self.events

    async def __anext__(self) -> Observed:
        return await anext(self.events)

    def leave(self) -> None:
        self.asked.close(BoardClosedError("the observer left"))
        self.events.close()


class _MemorySeat(_Asking):
    def __init__(self, board: MemoryBoard, agent: AgentName) -> None:
        super().__init__(board, agent)
        self._agent = agent
        self._posts: Mailbox[Post] = Mailbox()
        self._notices: Mailbox[Notice] = Mailbox()
        self._seen: set[int] = set()
        self._interruptions = 0
        self.drafts: Pending[Receipt] = Pending()

    @property
    def interruptions(self) -> int:
        return self._interruptions

    async def submit(self, draft: Draft) -> Receipt:
        payload = draft_bytes(draft)
        with self.drafts.expecting(draft.message_id, payload) as receipt:
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
        super().repeat()
        self.drafts.repeat(self._send)

    def leave(self) -> None:
        why = BoardClosedError(f"agent {self._agent!r} left its seat")
        self.drafts.close(why)
        self.asked.close(why)
        self._posts.close()
        self._notices.close()

    def _send(self, payload: bytes) -> None:
        self._board._submit(Submission(self._agent, payload))


class _MemoryDesk:
    def __init__(self, board: MemoryBoard) -> None:
        self._board = board
        # Each author waits for its receipt, so authors bound it; a lost draft would hang one.
        self.submitted: Mailbox[Submission] = Mailbox(capacity=sys.maxsize)
        self.requested: Mailbox[Requested] = Mailbox(capacity=sys.maxsize)

    def submissions(self) -> AsyncIterator[Submission]:
        return self.submitted

    async def acknowledge(self, author: AgentName, receipt: Receipt) -> None:
        seat = self._board._seat_of(author)
        if seat is not None:
            seat.drafts.settle(receipt.message_id, receipt)

    def requests(self) -> AsyncIterator[Requested]:
        return self.requested

    async def reply(self, who: str, reply: Reply) -> None:
        for asker in self._board._askers(who):
            asker.asked.settle(reply.request_id, reply)

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
        self.requested.close()
