"""The one way into the ledger: append events, keep the folded state in step, wake who waits.

Not a view and not a rule: it stores what others decided. The ledger is the record, `state` is its
fold; both change in the same call, so no part of the community can see one without the other.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from community.archive.ledger import Ledger
from community.archive.state import RunState
from community.clock import RunClock
from community.events import Event

_Question = Callable[[RunState], bool]


class Chronicle:
    """A run's ledger while the run lives.

    Args:
        ledger: The open ledger; this object becomes its only writer.
        clock: Run time for new rows.
    """

    def __init__(self, ledger: Ledger, clock: RunClock) -> None:
        self._ledger = ledger
        self.clock = clock
        self.state = RunState.from_rows(ledger.rows())
        ledger.subscribe(self.state.apply)
        self.recorded: Counter[type[Event]] = Counter()
        """How many events of each kind this life has recorded."""
        self._waiters: dict[asyncio.Future[None], tuple[_Question, tuple[type[Event], ...]]] = {}
        """Who waits, in the order in which they began to; for what, and after which events."""

    @property
    def ledger(self) -> Ledger:
        """The ledger itself, for reading."""
        return self._ledger

    def record(self, *events: Event) -> int:
        """Append `events` in one transaction and fold them.

        Returns:
            The ledger sequence number of the last one.
        """
        self.recorded.update(map(type, events))
        seq = self._ledger.append(self.clock.now_us(), *events)
        kinds = {*map(type, events)}
        for waiter, (is_true, on) in tuple(self._waiters.items()):
            if (not on or not kinds.isdisjoint(on)) and not waiter.done():
                self._ask(waiter, is_true)
        return seq

    def _ask(self, waiter: asyncio.Future[None], is_true: _Question) -> None:
        """Wake who waits for what is true now; what its question raises is his."""
        try:
            if is_true(self.state):
                waiter.set_result(None)
        except Exception as error:
            waiter.set_exception(error)

    async def next_row(self) -> None:
        """Wait until something more is recorded.

        Cancellation: nothing remains.
        """
        seen = self.state.last_seq
        await self.wait_until(lambda state: state.last_seq > seen)

    async def wait_until(self, is_true: _Question, *on: type[Event]) -> None:
        """Wait until `is_true(state)`; it is asked once at once and again after each record.

        It is asked where the record is made, so that nobody is woken for what does not concern him;
        it must be quick and change nothing.

        Args:
            is_true: The question.
            on: Events without which the answer cannot change: it is asked after these alone. Where
                hundreds wait, that is what a row costs.

        Cancellation: nothing remains.
        """
        while not is_true(self.state):
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters[waiter] = is_true, on
            try:
                await waiter
            finally:
                del self._waiters[waiter]
