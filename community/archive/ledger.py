"""The ledger: the append-only SQLite file that is the run. One writer here, readers beside it.

It stores rows and hands them back; what they mean is `community.archive.state`. Schema and
migrations go through sqlite-utils, appending through the connection under it (forty times faster
per row). WAL with synchronous=NORMAL loses nothing when the process dies; transactions with a
verdict, or one that takes it back, are written with FULL, so that no power cut undoes them.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from sqlite_utils import Database

from community.archive.codec import decode_event, ledger_hash, settle
from community.archive.file_lock import FileLock
from community.archive.schema import check_identity, is_blank, ledger_migrations
from community.errors import (
    LedgerDamagedError,
    LedgerError,
    LedgerEventError,
    LedgerExistsError,
    LedgerInUseError,
    LedgerMissingError,
)
from community.events import Event, Row, SealScored, VerdictGiven
from community.evidence_events import ClaimRetracted, VerdictRetracted

__all__ = ["Ledger", "LedgerReader", "ledger_hash"]

_FOR_GOOD = (VerdictGiven, SealScored, VerdictRetracted, ClaimRetracted)
"""With one of these a transaction outlives a power cut."""
_CHUNK = 500
"""Rows fetched at a time, so that a slow reader holds no read transaction open."""


class Ledger:
    """The one writer of a run's ledger; make it with `create` or `open`."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        lock: FileLock,
        *,
        is_durable: bool = True,
    ) -> None:
        self.path = path
        self._is_durable = is_durable
        self._connection = connection
        self._lock = lock
        self._listeners: list[Callable[[Row], None]] = []
        self._queue: list[Row] = []
        self._is_notifying = False
        sql = "SELECT seq, at_us FROM events ORDER BY seq DESC LIMIT 1"
        last: tuple[int, int] = connection.execute(sql).fetchone() or (0, 0)
        self.last_seq, self.last_us = last

    @classmethod
    def create(cls, path: Path, *, is_durable: bool = True) -> Ledger:
        """Make a new, empty ledger at `path`.

        Args:
            path: Where; its folder exists.
            is_durable: Whether a power cut may undo nothing that was told; a kill never does.

        Raises:
            LedgerExistsError: there is a file already.
            LedgerInUseError: another process is at it.
            LedgerError: the folder cannot be written.
        """
        if path.exists():
            raise LedgerExistsError(
                f"{path} exists already; resume that run with "
                f"`community run --resume --run-dir {path.parent}`, or give another --run-dir"
            )
        return cls._start(path, is_durable=is_durable)

    @classmethod
    def open(cls, path: Path, *, is_durable: bool = True) -> Ledger:
        """Open an existing ledger for writing and bring its schema up to date.

        Args:
            path: Where it is.
            is_durable: As in `create`.

        Raises:
            LedgerMissingError: there is none.
            LedgerInUseError: another process writes it.
            LedgerDamagedError: SQLite cannot read it, or it is no ledger.
            LedgerTooNewError: a newer program wrote it.
            LedgerError: file or folder is read-only.
        """
        if not path.is_file():
            raise _missing(path)
        for place in (path.parent, path):
            if not os.access(place, os.W_OK):
                raise LedgerError(
                    f"{place} cannot be written: it is read-only; make the run's folder and what "
                    "is in it writable, or resume a copy of it with --run-dir"
                )
        return cls._start(path, is_new=False, is_durable=is_durable)

    @classmethod
    def _start(cls, path: Path, *, is_new: bool = True, is_durable: bool) -> Ledger:
        lock = _lock(path)
        try:
            connection = _connect_to_write(path, is_new=is_new)
            try:
                if not is_durable:
                    connection.execute("PRAGMA synchronous = OFF")
                return cls(path, connection, lock, is_durable=is_durable)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            lock.release()
            raise _damaged(path, error) from error
        except BaseException:
            lock.release()
            raise

    def append(self, at_us: int, *events: Event) -> int:
        """Record `events` in one transaction, all or none, then tell the listeners.

        Args:
            at_us: Run time of all of them, in microseconds; not before the last row's.
            events: At least one.

        Returns:
            The sequence number of the last one.

        Raises:
            LedgerEventError: an event does not have its kind's shape, or time went back.
            LedgerError: SQLite could not write (disk full, say); nothing was recorded.
        """
        if at_us < self.last_us:
            raise LedgerEventError(
                f"{self.path}: run time {at_us} us lies before the last row's {self.last_us} us; "
                "start the run's clock with offset_us = the ledger's last_us"
            )
        rows: list[Row] = []
        values: list[tuple[int, int, str, str]] = []
        for seq, event in enumerate(events, start=self.last_seq + 1):
            text, settled = settle(event)
            rows.append(Row(seq, at_us, settled))
            values.append((seq, at_us, event.kind, text))
        if not rows:
            return self.last_seq
        is_score = any(isinstance(event, _FOR_GOOD) for event in events)
        self._write(values, is_full=is_score and self._is_durable)
        self.last_seq, self.last_us = rows[-1].seq, at_us
        self._tell(rows)
        return self.last_seq

    def _write(self, values: list[tuple[int, int, str, str]], *, is_full: bool) -> None:
        connection = self._connection
        try:
            if is_full:  # cannot be changed within a transaction
                connection.execute("PRAGMA synchronous = FULL")
            try:
                with connection:
                    connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", values)
            finally:
                if is_full:
                    connection.execute("PRAGMA synchronous = NORMAL")
        except (sqlite3.Error, UnicodeEncodeError) as error:
            raise LedgerError(
                f"{self.path}: could not record {values[0][2]}: {error}; check that the disk is "
                "not full and may be written, then go on with `community run --resume`"
            ) from error

    def _tell(self, rows: list[Row]) -> None:
        """Call listeners in order of rows, also when a listener itself appends."""
        self._queue.extend(rows)
        if self._is_notifying:
            return
        self._is_notifying = True
        try:
            while self._queue:
                row = self._queue.pop(0)
                for listener in tuple(self._listeners):
                    listener(row)
        finally:
            self._is_notifying = False
            self._queue.clear()

    def rows(self, after_seq: int = 0) -> Iterator[Row]:
        """Yield the rows after `after_seq`, in order.

        Raises:
            LedgerDamagedError: SQLite cannot read them.
            LedgerEventError: a row does not have the shape of its kind.
        """
        return _rows(self._connection, self.path, after_seq)

    def subscribe(self, listener: Callable[[Row], None]) -> Callable[[], None]:
        """Have `listener` called for each row after its commit, in order.

        Args:
            listener: What it raises reaches the caller of `append`, although the rows are recorded,
                and later listeners miss them. So only the fold, without which nothing can go on,
                may raise; views are guarded by who subscribes them.

        Returns:
            A function that ends it; a second call does nothing.
        """
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def close(self) -> None:
        """Close the file and let the next writer in; a second call does nothing."""
        self._connection.close()
        self._lock.release()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LedgerReader:
    """A read-only connection, beside a writer or after it; for the CLI, the TUI and reports.

    Args:
        path: The ledger file.

    Raises:
        LedgerMissingError: there is none.
        LedgerDamagedError: SQLite cannot read it, or it is no ledger.
        LedgerTooNewError: a newer program wrote it.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise _missing(path)
        self.path = path
        try:
            self._connection = _connect_to_read(path)
            try:
                check_identity(Database(self._connection, recursive_triggers=False), str(path))
            except BaseException:
                self._connection.close()
                raise
        except sqlite3.Error as error:
            raise _damaged(path, error) from error

    def rows(self, after_seq: int = 0) -> Iterator[Row]:
        """Yield the rows after `after_seq` that are committed by now, in order.

        Raises:
            LedgerDamagedError: SQLite cannot read them.
            LedgerEventError: a row does not have the shape of its kind.
        """
        return _rows(self._connection, self.path, after_seq)

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        self._connection.close()

    def __enter__(self) -> LedgerReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _lock(path: Path) -> FileLock:
    lock_path = path.with_suffix(".lock")
    try:
        return FileLock(lock_path)
    except BlockingIOError as error:
        raise LedgerInUseError(
            f"run {path.parent.name} is in use: {FileLock.note(lock_path) or 'another process'} "
            f"writes {path}; wait for that `community run`, stop it with Ctrl-C, or only look with "
            "`community watch`"
        ) from error
    except OSError as error:
        raise LedgerError(
            f"cannot write {lock_path}: {error.strerror}; check that the folder exists and that "
            "you may write there, or give another --run-dir"
        ) from error


def _connect_to_write(path: Path, *, is_new: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10.0)
    try:
        db = Database(connection)
        if not is_new:
            faults = [row[0] for row in connection.execute("PRAGMA quick_check")]
            if faults != ["ok"]:
                raise sqlite3.DatabaseError(faults[0])
            if not is_blank(db):  # blank: killed while it was made
                check_identity(db, str(path))
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        ledger_migrations.apply(db)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_to_read(path: Path) -> sqlite3.Connection:
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    connection = sqlite3.connect(address, uri=True, timeout=10.0)
    try:
        connection.execute("SELECT 1 FROM sqlite_master")
    except sqlite3.OperationalError:
        connection.close()
        if path.with_name(path.name + "-wal").exists():
            raise
        # A finished run in a folder that we may not write: no writer, hence nothing to share.
        connection = sqlite3.connect(address + "&immutable=1", uri=True)
    return connection


def _rows(connection: sqlite3.Connection, path: Path, after_seq: int) -> Iterator[Row]:
    sql = "SELECT seq, at_us, kind, body FROM events WHERE seq > ? ORDER BY seq LIMIT ?"
    while True:
        try:
            chunk = connection.execute(sql, (after_seq, _CHUNK)).fetchall()
        except sqlite3.Error as error:
            raise _damaged(path, error) from error
        for seq, at_us, kind, body in chunk:
            try:
                event = decode_event(kind, body)
            except LedgerEventError as error:
                raise LedgerEventError(f"{path}, row {seq}: {error}") from error
            yield Row(seq, at_us, event)
        if len(chunk) < _CHUNK:
            return
        after_seq = chunk[-1][0]


def _missing(path: Path) -> LedgerMissingError:
    return LedgerMissingError(
        f"{path} does not exist; give the folder of a run, or start one with `community run`"
    )


def _damaged(path: Path, error: sqlite3.Error) -> LedgerDamagedError:
    return LedgerDamagedError(
        f"{path} cannot be read as a ledger ({error}); restore it from a copy, or start a new run"
    )
