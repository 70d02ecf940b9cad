"""Order: a run that is played again does everything in the order in which it was recorded.

What came from outside (an answer, a trained artefact, a post over the network, the moment at which
an agent looked around) comes through a gate, which opens when all rows before it are there. The
loop is a virtual one; its clock keeps to the record's. While the next row is one behind a gate,
whatever else is ready waits for it. None of that decides what is recorded: every row is compared,
and the first that differs ends it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from community.archive.ledger import Ledger
from community.errors import ReplayDiffersError
from community.events import Event
from community.recorded.comparing import as_recorded, difference
from community.recorded.record import Record
from community.virtual.loop import MOST_AT_ONCE, VirtualLoop

HOLD_US = 200_000
"""How far ahead of the clock a gate may open while something is ready: what a busy machine may have
put between a row and what followed from it."""
LATE_US = 400_000_000
"""How long after its time a row may come: longer than an agent waits at most. Stamps are the
record's in any case."""


@dataclass(eq=False, slots=True)
class _Gate:
    """What one task waits at."""

    after: int
    """It opens when so many rows are there."""
    at_us: int
    """And not before this time."""
    is_ready: Callable[[], bool]
    """And when this is so, if it ever is."""
    opened: asyncio.Future[None]


class Departed(BaseException):
    """A row that is not in the record was made; passes whoever survives a mind's errors."""


class Order:
    """How far the record has been played, and who waits for what.

    Args:
        record: What is played.
    """

    def __init__(self, record: Record) -> None:
        self.record = record
        self.done = 0
        """Rows that are there."""
        self.now_us: Callable[[], int] = lambda: 0
        """Run time, which is the loop's."""
        self.failure: ReplayDiffersError | None = None
        self.is_over = False
        """Whether nothing is recorded any more: the record has ended, or was left."""
        self._gates: list[_Gate] = []

    async def until(
        self, after: int, at_us: int, is_ready: Callable[[], bool] = lambda: True
    ) -> None:
        """Wait until `after` rows are there and it is `at_us`.

        Cancellation: nothing remains.
        """
        gate = _Gate(after, at_us, is_ready, asyncio.get_running_loop().create_future())
        self._gates.append(gate)
        try:
            await gate.opened
        finally:
            if gate in self._gates:
                self._gates.remove(gate)

    async def row(self, seq: int | None) -> None:
        """Wait until row `seq` is the next; for ever if there is none."""
        if seq is None:
            await asyncio.get_running_loop().create_future()
            return
        first = self.record.begin(seq)
        await self.until(first - 1, self.record.at_us(first))

    def waiting(self) -> _Gate | None:
        """Return the gate that comes next, if all rows before it are there."""
        ready = (gate for gate in self._gates if gate.after <= self.done)
        return min(ready, key=lambda gate: (gate.after, gate.at_us), default=None)

    def open(self, gate: _Gate) -> None:
        """Let through who waits at `gate`."""
        self._gates.remove(gate)
        if not gate.opened.done():
            gate.opened.set_result(None)

    def take(self, events: Sequence[Event]) -> list[Event]:
        """Return rows that are made as they were recorded.

        Raises:
            Departed: they are no rows of the record; `failure` says how they differ.
        """
        recorded = self.record.rows[self.done : self.done + len(events)]
        taken: list[Event] = []
        for row, event in zip(recorded, events, strict=False):
            settled = as_recorded(row.event, event)
            if settled is None:
                self.fail(difference(self.record, row, event))
            else:
                taken.append(settled)
        if len(taken) < len(events):
            self.fail(f"the record ends before {events[len(taken)].kind} is recorded")
        self.done += len(taken)
        return taken

    def fail(self, why: str) -> None:
        """End it.

        Raises:
            Departed: always.
        """
        self.is_over = True
        self.failure = self.failure or ReplayDiffersError(why)
        raise Departed(why)

    def must_be_in_time(self, now_us: int) -> None:
        """Give up on a row that does not come."""
        if self.is_over or self.done >= len(self.record.rows):
            return
        row = self.record.rows[self.done]
        if now_us > row.at_us + LATE_US:
            self.is_over = True
            self.failure = ReplayDiffersError(
                f"row {row.seq} of {self.record.name} ({row.event.kind}, recorded at "
                f"{row.at_us / 1e6:.3f} s) was not made again; community and record part there"
            )


class RecordedLoop(VirtualLoop):
    """A virtual loop in which gates open in the record's order.

    Args:
        order: Whose gates.
    """

    def __init__(self, order: Order) -> None:
        super().__init__()
        self._order = order
        self._held: deque[asyncio.Handle] = deque()
        self._held_at = 0
        """How many rows there were when that was held."""
        order.now_us = lambda: self.now_us

    def catch_up(self, at_us: int) -> None:
        """Move the clock on to when a row was recorded."""
        self.now_us = max(self.now_us, at_us)

    def _run_once(self) -> None:
        """Run one callback: of a gate that is due first, else in the usual order."""
        ready = self._ready
        if self._held and self._order.done > self._held_at:
            ready.extendleft(reversed(self._held))  # what was ready before goes first
            self._held.clear()
        gate = None if self._order.is_over else self._order.waiting()
        if gate is not None and self._may_open(gate):
            self._held.extend(ready)
            self._held_at = self._order.done
            ready.clear()
            self.catch_up(gate.at_us)
            self._order.open(gate)
        elif not ready:
            self._refill(may_wait=gate is None)
        if ready:
            self._run_next()
        if self._order.failure is not None and not self._stopping:
            failure, self._order.failure = self._order.failure, None
            raise failure

    def _may_open(self, gate: _Gate) -> bool:
        """Whether the gate is the next thing to happen."""
        first_us = self._first_timer_us()
        is_idle = not self._ready and not self._held
        if is_idle and (first_us is None or first_us > gate.at_us):
            return True
        return gate.at_us <= self.now_us + HOLD_US and gate.is_ready()

    def _refill(self, *, may_wait: bool) -> None:
        """Take what was held; if nothing was, go to the next timer."""
        if self._held:
            self._ready.extend(self._held)
            self._held.clear()
        elif not self._stopping:
            self._jump()
            self._order.must_be_in_time(self.now_us)

    def _run_next(self) -> None:
        handle = self._ready.popleft()
        self.callbacks += 1
        if not handle._cancelled:
            handle._run()
        if self.callbacks - self._jumped_at > MOST_AT_ONCE:
            self._order.failure = ReplayDiffersError(
                f"time stands still at {self.time():g} s, before row {self._order.done + 1}"
            )


class RecordedLedger(Ledger):
    """A ledger that takes the record's rows, when they are made again, and no others."""

    order: Order
    loop: RecordedLoop

    def append(self, at_us: int, *events: Event) -> int:
        """Append what is made, stamped as it was then.

        Raises:
            Departed: it is not what was recorded.
        """
        if self.order.is_over or not events:
            return self.last_seq
        place = self.order.done
        taken = self.order.take(events)
        stamp = self.order.record.rows[place].at_us
        self.loop.catch_up(stamp)
        return super().append(stamp, *taken)
