"""Pace: how often one author may post, so that nobody talks all others down.

A count over the last minute of run time, of everything an author handed in, repetitions of what was
recorded left out. Above the limit a draft is refused with what to do; far above it, it is dropped
unread, for reading costs the institution more than sending costs a flooder. What the ledger holds
counts after a restart as it did before.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Final, Literal

from community.archive.state import RunState

WINDOW_US: Final = 60_000_000
DROPPED_ABOVE: Final = 5
"""Times the limit; who hands in more than that in a minute is not answered any more."""


class Pace:
    """Counts what each author hands in.

    Args:
        posts_per_minute: How many posts of one author are taken in any minute of run time.
        state: What was recorded before.
    """

    def __init__(self, posts_per_minute: int, state: RunState) -> None:
        self._limit = posts_per_minute
        self._times: defaultdict[str, deque[int]] = defaultdict(deque)
        for record in state.posts.values():
            if record.at_us > state.last_us - WINDOW_US:
                self._times[record.posted.author].append(record.at_us)

    def of(self, author: str, now_us: int) -> Literal["ok", "refuse", "drop"]:
        """Say what becomes of the next draft of `author`, were it new."""
        times = self._times[author]
        while times and times[0] <= now_us - WINDOW_US:
            times.popleft()
        if len(times) < self._limit:
            return "ok"
        return "refuse" if len(times) < DROPPED_ABOVE * self._limit else "drop"

    def count(self, author: str, now_us: int) -> None:
        """Note that `author` handed something in; what was dropped unread is not noted."""
        self._times[author].append(now_us)

    def refusal(self, author: str, now_us: int) -> str:
        """Return why a draft above the limit is refused: what, which and what to do."""
        times = self._times[author]
        wait_s = max(1, -(-(times[-self._limit] + WINDOW_US - now_us) // 1_000_000))
        return (
            f"{author} has handed in {self._limit} posts within a minute, the most that are taken; "
            f"wait {wait_s} s"
        )
