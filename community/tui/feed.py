"""The ledger's rows on their way to the screen: one thread reads, the application folds.

It touches no widget and keeps no state of the run; it only posts messages. It waits for a ledger
that does not exist yet, and goes on after the run's end, because a run may be resumed. Next:
`community.tui.app` takes the messages in.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from textual.message import Message

from community.archive.file_lock import FileLock
from community.archive.ledger import LedgerReader
from community.errors import LedgerError, LedgerMissingError
from community.events import Row

POLL_S = 0.25
"""Between two looks at the ledger: as often as the screen is redrawn."""
BATCH_ROWS = 500
"""At most so many rows in one message, so that a long ledger does not block the keys."""
BATCHES_AHEAD = 4
"""How many batches may wait for the application before the thread stops reading."""


class RowsRead(Message):
    """New rows, in order; none when only `is_live` changed."""

    def __init__(self, rows: tuple[Row, ...], *, is_live: bool) -> None:
        super().__init__()
        self.rows = rows
        self.is_live = is_live
        """Whether a process writes the ledger."""


class LedgerUnread(Message):
    """There is nothing to show: no ledger yet, or one that cannot be read."""

    def __init__(self, why: str, *, is_absent: bool) -> None:
        super().__init__()
        self.why = why
        self.is_absent = is_absent
        """Whether it may still come; otherwise `why` is an error."""


class LedgerFeed:
    """Reads a ledger from its first row on and posts what is new.

    Args:
        path: The ledger file; it need not exist yet.
        post: Takes a message; called from the reading thread.
    """

    def __init__(self, path: Path, post: Callable[[Message], object]) -> None:
        self._path = path
        self._lock_path = path.with_suffix(".lock")
        self._post = post
        self._closing = threading.Event()
        self._room = threading.Semaphore(BATCHES_AHEAD)
        self._said = ""

    def follow(self) -> None:
        """Read until `close`, or until the ledger turns out to be damaged; runs in a thread."""
        reader = self._opened()
        if reader is None:
            return
        with reader:
            try:
                self._tail(reader)
            except LedgerError as error:
                self._tell(str(error), is_absent=False)

    def taken_in(self) -> None:
        """Say that one batch was taken in, so that another may be read."""
        self._room.release()

    def close(self) -> None:
        """Have the thread end within milliseconds; may be called from any thread."""
        self._closing.set()
        self._room.release()

    def _opened(self) -> LedgerReader | None:
        """Wait for the ledger; None when closed before it came."""
        failures = 0
        while not self._closing.is_set():
            try:
                return LedgerReader(self._path)
            except LedgerMissingError:
                self._tell(
                    f"Waiting for {self._path}, which does not exist yet.\n"
                    "Start a run with `community run`; q leaves.",
                    is_absent=True,
                )
            except LedgerError as error:
                failures += 1  # the first one may be a ledger that is being made
                if failures > 1:
                    self._tell(str(error), is_absent=False)
            self._closing.wait(POLL_S)
        return None

    def _tail(self, reader: LedgerReader) -> None:
        after_seq = 0
        was_live: bool | None = None
        while not self._closing.is_set():
            # Asked first: a writer records the end before it lets go of the lock.
            is_live = FileLock.is_held(self._lock_path)
            rows = tuple(islice(reader.rows(after_seq), BATCH_ROWS))
            if rows or is_live != was_live:
                self._room.acquire()
                self._post(RowsRead(rows, is_live=is_live))
                was_live = is_live
            if rows:
                after_seq = rows[-1].seq
            if len(rows) < BATCH_ROWS:
                self._closing.wait(POLL_S)

    def _tell(self, why: str, *, is_absent: bool) -> None:
        if why != self._said:
            self._said = why
            self._post(LedgerUnread(why, is_absent=is_absent))
