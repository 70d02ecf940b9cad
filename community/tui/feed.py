"""Where rows come from, and the ledger file as one such source.

A source reads in a thread of its own and hands over what is new; it touches no widget and keeps no
state of the run. Others are `community.tui.replay` (a finished run, at any speed) and
`community.tui.observer` (a run elsewhere, over its board). Next: `community.tui.fold` folds them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from community.archive.file_lock import FileLock
from community.archive.ledger import LedgerReader
from community.errors import LedgerError, LedgerMissingError
from community.events import Row

POLL_S = 0.25
"""Between two looks at the ledger: as often as the screen is redrawn."""
BATCH_ROWS = 500
"""At most so many rows at once, so that a long ledger is not read in one gulp."""


@dataclass(frozen=True, slots=True)
class RowsRead:
    """New rows, in order; none when only something else changed, or after the last full batch."""

    rows: tuple[Row, ...]
    is_live: bool = False
    """Whether a process writes the ledger."""
    at_us: int | None = None
    """What time it is in a run that is replayed; None where that goes on by itself."""
    is_restart: bool = False
    """Whether these rows are the run's first again, in place of all that came before."""


@dataclass(frozen=True, slots=True)
class Unread:
    """There is nothing to show: no ledger yet, or one that cannot be read."""

    why: str
    is_absent: bool
    """Whether it may still come; otherwise `why` is an error."""


News = RowsRead | Unread


class RowSource(Protocol):
    """Something that rows of one run can be had from."""

    def follow(self, post: Callable[[News], object]) -> None:
        """Hand over what there is and what comes, until `close`; runs in a thread.

        Args:
            post: Takes it; may wait, which holds back the source and nobody else.
        """
        ...

    def close(self) -> None:
        """Have the thread end within milliseconds; may be called from any thread."""
        ...


class LedgerFeed:
    """Reads a ledger from its first row on and hands over what is new.

    It waits for a ledger that does not exist yet, and goes on after the run's end, because a run
    may be resumed.

    Args:
        path: The ledger file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock_path = path.with_suffix(".lock")
        self._closing = threading.Event()
        self._said = ""

    def follow(self, post: Callable[[News], object]) -> None:
        """Read until `close`, or until the ledger turns out to be damaged."""
        reader = self._opened(post)
        if reader is None:
            return
        with reader:
            try:
                self._tail(reader, post)
            except LedgerError as error:
                self._tell(post, str(error), is_absent=False)

    def close(self) -> None:
        """Have the thread end."""
        self._closing.set()

    def _opened(self, post: Callable[[News], object]) -> LedgerReader | None:
        """Wait for the ledger; None when closed before it came."""
        failures = 0
        while not self._closing.is_set():
            try:
                return LedgerReader(self._path)
            except LedgerMissingError:
                words = (
                    f"Waiting for {self._path}, which does not exist yet.\n"
                    "Start a run with `community run`; q leaves."
                )
                self._tell(post, words, is_absent=True)
            except LedgerError as error:
                failures += 1  # the first one may be a ledger that is being made
                if failures > 1:
                    self._tell(post, str(error), is_absent=False)
            self._closing.wait(POLL_S)
        return None

    def _tail(self, reader: LedgerReader, post: Callable[[News], object]) -> None:
        after_seq = 0
        was_live: bool | None = None
        was_full = False
        while not self._closing.is_set():
            # Asked first: a writer records the end before it lets go of the lock.
            is_live = FileLock.is_held(self._lock_path)
            rows = tuple(islice(reader.rows(after_seq), BATCH_ROWS))
            if rows or is_live != was_live or was_full:
                post(RowsRead(rows, is_live=is_live))
                was_live, was_full = is_live, len(rows) == BATCH_ROWS
            if rows:
                after_seq = rows[-1].seq
            if len(rows) < BATCH_ROWS:
                self._closing.wait(POLL_S)

    def _tell(self, post: Callable[[News], object], why: str, *, is_absent: bool) -> None:
        if why != self._said:
            self._said = why
            post(Unread(why, is_absent=is_absent))
