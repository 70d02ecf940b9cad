"""When to look again at what has no row of its own: conditions that the clock alone can change.

Whoever waits for such a condition waits for the next row that is more than talk, or for the next
moment at which time alone may make it true; no moment is missed, and nothing is asked in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from community.archive.state import RunState
from community.chronicle import Chronicle
from community.events import AttemptStarted, Posted, Proposed, Refused
from community.evidence_events import ReviewerAssigned

LONGEST_US: Final = 60_000_000
"""At the latest one looks after this, whatever was forgotten here."""
_TALK = (Posted, Proposed, Refused, AttemptStarted, ReviewerAssigned)
"""Rows that make nobody stop, confirm or leave; a limit that they reach shows in what follows."""


def last_heard_us(state: RunState) -> int:
    """Return when the last post or verdict was recorded, 0 before the first."""
    post = next(reversed(state.posts.values()), None)
    verdict = state.by_verdict[-1].verdict_us if state.by_verdict else None
    return max(post.at_us if post is not None else 0, verdict or 0)


async def look_again(chronicle: Chronicle, moments_us: Iterable[int]) -> None:
    """Wait for a row that may matter, or for the first of `moments_us` that is still to come.

    Args:
        chronicle: The ledger and its fold.
        moments_us: Run times from which on something may be true that is not true now.

    Cancellation: nothing remains.
    """
    now_us = chronicle.clock.now_us()
    due_us = min((at_us for at_us in moments_us if at_us > now_us), default=now_us + LONGEST_US)
    left_us = min(due_us - now_us, LONGEST_US)
    seen = _decisive(chronicle)
    try:
        async with asyncio.timeout(left_us / 1e6):
            await chronicle.wait_until(lambda _: _decisive(chronicle) != seen)
    except TimeoutError:
        return


def _decisive(chronicle: Chronicle) -> int:
    """Return how many rows so far were more than talk."""
    return chronicle.state.last_seq - sum(chronicle.recorded[kind] for kind in _TALK)
