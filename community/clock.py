"""Run time, and the one place that reads wall time.

Run time counts microseconds of loop time since the run began, stops left out, so that a resumed
run goes on where its ledger ended and a virtual run takes the same code. Next: `at_us` of every
ledger row. A wall stamp is for people; it goes into `RunOpened.host` and `RunResumed.host` alone.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime


class RunClock:
    """Reads run time off an event loop's clock.

    Args:
        loop: The loop that owns time; the running one by default.
        offset_us: Run time at which the ledger ended before this process, in microseconds.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop | None = None, *, offset_us: int = 0
    ) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self._offset_us = offset_us

    def now_us(self) -> int:
        """Return the run time now, in microseconds."""
        return self.at_us(self._loop.time())

    def at_us(self, loop_time_s: float) -> int:
        """Return the run time at a moment of ``loop.time()``, in microseconds, never below 0."""
        return max(0, self._offset_us + round((loop_time_s - self._began_s) * 1_000_000))


def wall_stamp() -> str:
    """Return the wall time in UTC to the second, ISO 8601: ``2026-05-01T12:00:00+00:00``."""
    return datetime.now(UTC).isoformat(timespec="seconds")  # noqa: TID251 - its one home


def wall_epoch_s() -> int:
    """Return the wall time in whole seconds since 1970, for the dates of commits."""
    return int(datetime.now(UTC).timestamp())  # noqa: TID251 - its one home
