"""Providers: how hard each API is pressed, by all agents of a process together.

Concurrency grows by one for each round of answers and is halved when a provider says that it is too
much (additive increase, multiplicative decrease, as TCP does); what it asks to wait, all wait. One
that does not answer at all is down: its agents wait, one of them tries at growing intervals, and
who listens is told when it goes and when it comes back. Nothing is asked here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from agents.minds.exchange import CallFailedError

Tell = Callable[[str, bool], None]
"""(provider, whether it answers) -> told; on each change."""


WORDS_CHARACTERS = 200
"""Of a provider's newest failure."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient the callers of a provider are; tests take smaller numbers."""

    start: float = 4.0
    """Calls at once, to begin with."""
    most: float = 32.0
    down_after: int = 5
    """Failures in a row, nothing answered between, after which a provider is down."""
    first_probe_s: float = 15.0
    longest_probe_s: float = 300.0
    tries: int = 6
    """Calls for one answer."""
    first_pause_s: float = 1.0
    """Longest pause before the second try; it doubles from try to try."""
    longest_pause_s: float = 60.0
    patience_s: float = 600.0
    """How long an agent waits for one answer in all, before it lets the turn go."""


class Provider:
    """One API as its callers in this process see it.

    Args:
        name: for messages.
        pace: how patient they are.
        tell: told when it goes down and comes back.
    """

    def __init__(self, name: str, pace: Pace, tell: Tell) -> None:
        self.name = name
        self.pace = pace
        self.limit = pace.start
        """How many calls may be under way; whole calls below it."""
        self._tell = tell
        self._under_way = 0
        self._news = asyncio.Event()
        self._not_before = 0.0
        self._halved_at = float("-inf")
        self._failures = 0
        self._probe_s = pace.first_probe_s
        self._down_at = 0.0
        self.is_down = False
        self.silent_since_s: float | None = None
        """Loop time of the first failed call since its last answer; None where none failed."""
        self.last_words = ""
        """Of the newest failure."""

    @asynccontextmanager
    async def turn(self, until: float) -> AsyncIterator[None]:
        """Wait for one's turn to call, and hold it for the block.

        Args:
            until: loop time after which it is no use any more.

        Raises:
            CallFailedError: the turn did not come in time.

        Cancellation: the turn is given back.
        """
        loop = asyncio.get_running_loop()
        while True:
            pause = self._not_before - loop.time()
            if pause <= 0.0 and self._under_way < self._room():
                break
            if loop.time() >= until:
                words = "does not answer" if self.is_down else "has too much to do"
                raise CallFailedError("network", f"{self.name} {words}", is_free=True)
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(until, self._not_before) if pause > 0 else until):
                    await self._news.wait()
        self._under_way += 1
        began = loop.time()
        try:
            yield
        except CallFailedError as error:
            self._failed(error, began)
            raise
        else:
            self._answered()
        finally:
            self._under_way -= 1
            self._news.set()

    def _room(self) -> int:
        return 1 if self.is_down else max(1, int(self.limit))

    def _answered(self) -> None:
        self._failures = 0
        self.silent_since_s = None
        self.limit = min(self.pace.most, self.limit + 1.0 / max(1.0, self.limit))
        if self.is_down:
            self.is_down = False
            self._probe_s = self.pace.first_probe_s
            self._tell(self.name, True)

    def _failed(self, error: CallFailedError, began: float) -> None:
        now = asyncio.get_running_loop().time()
        self.last_words = str(error)[:WORDS_CHARACTERS]
        if self.silent_since_s is None:
            self.silent_since_s = now
        if error.kind in ("bad_request", "unknown_model", "too_long"):
            self._answered_at_all()
            return
        if error.kind in ("rate_limited", "overloaded") and began > self._halved_at:
            self.limit = max(1.0, self.limit / 2.0)  # once for all calls that were under way
            self._halved_at = now
        if error.retry_after_s is not None:
            wait = min(error.retry_after_s, self.pace.longest_probe_s)
            self._not_before = max(self._not_before, now + wait)
        self._failures += 1
        if self._failures >= self.pace.down_after or error.kind == "no_key":
            if not self.is_down:
                self.is_down, self._down_at = True, now
                self._tell(self.name, False)
            elif began > self._down_at:  # a probe, not a call that was under way before
                self._probe_s = min(2.0 * self._probe_s, self.pace.longest_probe_s)
            self._not_before = max(self._not_before, now + self._probe_s)

    def _answered_at_all(self) -> None:
        """Take note that it is there, though it did not like what it was asked."""
        self._failures = 0


class Providers:
    """The providers of one process by name.

    Args:
        pace: how patient their callers are.
        tell: told when one goes down and comes back.
    """

    def __init__(self, pace: Pace | None = None, tell: Tell = lambda name, is_up: None) -> None:
        self._pace = pace or Pace()
        self._tell = tell
        self._known: dict[str, Provider] = {}

    def get(self, name: str) -> Provider:
        """Return the provider `name`, the same for all who ask."""
        if name not in self._known:
            self._known[name] = Provider(name, self._pace, self._tell)
        return self._known[name]
