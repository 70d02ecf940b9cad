"""The append-only ledger file: writing, reading beside a writer, kills, refusals."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from archive_script import opened, queued, rows, verdict
from sqlite_utils import Database

from community import events as ev
from community.archive.file_lock import FileLock
from community.archive.ledger import Ledger, LedgerReader, ledger_hash
from community.archive.schema import ledger_migrations
from community.archive.state import RunState
from community.errors import (
    LedgerDamagedError,
    LedgerError,
    LedgerEventError,
    LedgerExistsError,
    LedgerInUseError,
    LedgerMissingError,
    LedgerTooNewError,
)

STOP = ev.RunStopped("experiments")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger of run r1 lies."""
    folder = tmp_path / "r1"
    folder.mkdir()
    return folder / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    """A new ledger, open for writing."""
    with Ledger.create(path) as made:
        yield made


def record_story(ledger: Ledger) -> list[ev.Row]:
    """Record the scripted run, one event at a time."""
    told = rows()
    for row in told:
        ledger.append(row.at_us, row.event)
    return told


def test_rows_come_back_as_they_were_recorded(ledger: Ledger, path: Path) -> None:
    """Writer and reader give the same rows, numbered from 1, tuples still tuples."""
    told = record_story(ledger)
    assert list(ledger.rows()) == told
    with LedgerReader(path) as reader:
        assert list(reader.rows(after_seq=10)) == told[10:]


def test_file_is_written_ahead_and_lazily_again_after_a_verdict(ledger: Ledger) -> None:
    """WAL, and synchronous=NORMAL (1) for what follows a verdict's FULL transaction."""
    ledger.append(0, verdict(queued("e0001", "screen", "c" * 40, "t-child"), 2.5))
    assert ledger._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert ledger._connection.execute("PRAGMA synchronous").fetchone() == (1,)


def test_append_is_all_or_nothing(ledger: Ledger) -> None:
    """One bad event of several and none of them is recorded; the next append works."""
    bad = dataclasses.replace(opened(), seed="seven")  # type: ignore[arg-type]
    with pytest.raises(LedgerEventError, match="seed"):
        ledger.append(5, opened(), bad)
    with pytest.raises(LedgerEventError, match="cannot be recorded"):
        ledger.append(5, ev.NoiseEstimated("cpu", float("nan"), 0.1, ()))
    with pytest.raises(LedgerEventError):
        ledger.append(5, ev.RunStopped("\ud800"))
    assert list(ledger.rows()) == []
    assert ledger.append(5, opened(), STOP) == 2


def test_append_refuses_time_that_runs_back(ledger: Ledger) -> None:
    """A clock that was started without the ledger's offset is caught at its first row."""
    ledger.append(10, opened())
    with pytest.raises(LedgerEventError, match="offset_us"):
        ledger.append(9, STOP)
    assert ledger.append(10, STOP) == 2


def test_listeners_hear_committed_rows_in_order(ledger: Ledger, path: Path) -> None:
    """A listener finds the row in the file already, also one that itself appends."""
    heard: list[int] = []

    def listen(row: ev.Row) -> None:
        heard.append(row.seq)
        with LedgerReader(path) as reader:
            assert row in list(reader.rows())
        if row.seq == 1:
            ledger.append(row.at_us, STOP)

    second: list[int] = []
    unsubscribe = ledger.subscribe(listen)
    ledger.subscribe(lambda row: second.append(row.seq))
    ledger.append(0, opened(), ev.Noticed("start", ""))
    assert heard == second == [1, 2, 3]
    unsubscribe()
    unsubscribe()
    ledger.append(0, STOP)
    assert heard == [1, 2, 3]


def test_listeners_get_what_a_later_reader_gets(ledger: Ledger) -> None:
    """Loose types settle before anybody sees them, so live and replayed folds agree."""
    heard: list[ev.Row] = []
    ledger.subscribe(heard.append)
    body = {"kind": "lead", "knobs": {"SIZES": (1, 2)}}
    ledger.append(0, opened(budget_amount=10), ev.Posted("p1", "m1", "ada", None, body, {}))
    assert heard == list(ledger.rows())
    assert ledger_hash(heard) == ledger_hash(ledger.rows())


def test_triggers_forbid_changing_history(ledger: Ledger, path: Path) -> None:
    """Even a foreign SQLite connection cannot update, delete, replace or skip rows."""
    ledger.append(0, opened(), STOP)
    foreign = sqlite3.connect(path)
    row = "(2, 0, 'run_stopped', '{}')"
    for sql in (
        "UPDATE events SET at_us = 1",
        "DELETE FROM events WHERE seq = 2",
        f"INSERT OR REPLACE INTO events VALUES {row}",
        "INSERT INTO events VALUES (9, 0, 'run_stopped', '{}')",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            foreign.execute(sql)
        foreign.rollback()
    foreign.close()
    assert [r.event for r in ledger.rows()] == [opened(), STOP]


def test_second_writer_is_told_who_has_the_run(ledger: Ledger, path: Path) -> None:
    """The error names the run, the process and what to do; after close the next may write."""
    with pytest.raises(LedgerInUseError, match=rf"run r1 .*process {os.getpid()}.*watch"):
        Ledger.open(path)
    assert FileLock.is_held(path.with_suffix(".lock"))
    ledger.close()
    ledger.close()
    assert not FileLock.is_held(path.with_suffix(".lock"))
    Ledger.open(path).close()


def test_reader_follows_a_writer_and_outlives_it(ledger: Ledger, path: Path) -> None:
    """An open reader sees each commit, and a finished run reads as before."""
    with LedgerReader(path) as reader:
        assert list(reader.rows()) == []
        ledger.append(0, opened())
        assert [row.seq for row in reader.rows()] == [1]
        ledger.append(1, STOP)
        assert [row.seq for row in reader.rows(1)] == [2]
        ledger.close()
        assert [row.seq for row in reader.rows()] == [1, 2]
    with LedgerReader(path) as reader:
        assert [row.seq for row in reader.rows()] == [1, 2]


def test_reader_pages_through_many_rows(ledger: Ledger, path: Path) -> None:
    """More rows than one chunk holds come whole, each once."""
    ledger.append(0, opened(), *[ev.Noticed("budget", str(i)) for i in range(1200)])
    with LedgerReader(path) as reader:
        assert [row.seq for row in reader.rows()] == list(range(1, 1202))


def test_a_read_only_run_is_called_read_only(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a full disk nor damage is blamed when file or folder may not be written."""
    Ledger.create(path).close()
    for closed in (path, path.parent):
        monkeypatch.setattr(
            "os.access", lambda place, mode, closed=closed: Path(place) != closed or mode == os.R_OK
        )
        with pytest.raises(LedgerError, match=f"{closed} cannot be written: it is read-only"):
            Ledger.open(path)


def test_reader_cannot_write(ledger: Ledger, path: Path) -> None:
    """The read-only connection refuses an insert."""
    ledger.append(0, opened())
    with LedgerReader(path) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("INSERT INTO events VALUES (2, 0, 'x', '{}')")


def test_finished_run_reads_from_a_folder_without_write_permission(
    ledger: Ledger, path: Path, tmp_path: Path
) -> None:
    """A copied archive on read-only storage needs no WAL beside it."""
    ledger.append(0, opened())
    ledger.close()
    archive = tmp_path / "archive"
    archive.mkdir()
    shutil.copy(path, archive / "ledger.db")
    archive.chmod(0o555)
    try:
        with LedgerReader(archive / "ledger.db") as reader:
            assert [row.seq for row in reader.rows()] == [1]
    finally:
        archive.chmod(0o755)


WRITER = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from archive_script import opened, queued, verdict
from community import events as ev
from community.archive.ledger import Ledger
ledger = Ledger.create(Path(sys.argv[1]))
ledger.append(0, opened())
print("open", flush=True)
for n in range(1, 1_000_000):
    one = queued(f"e{n:04}", "screen", "c" * 40, "t-child", hypothesis="")
    ledger.append(n, one, ev.AttemptStarted(one.experiment_id, 1, "cpu0"), verdict(one, 2.5))
"""


def test_killed_writer_leaves_a_whole_prefix(path: Path) -> None:
    """After SIGKILL amid appending, transactions are whole, the fold is sound, writing goes on."""
    here = str(Path(__file__).parent)
    root = str(Path(__file__).parents[2])
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), here, root], stdout=subprocess.PIPE
    )
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"open\n"
        deadline = time.monotonic() + 30
        with LedgerReader(path) as reader:
            while not any(reader.rows(100)) and time.monotonic() < deadline:
                assert writer.poll() is None
        with pytest.raises(LedgerInUseError, match=f"process {writer.pid}"):
            Ledger.open(path)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
    with Ledger.open(path) as ledger:
        state = RunState.from_rows(ledger.rows())
        assert state.last_seq > 100
        assert (state.last_seq - 1) % 3 == 0
        assert state.experiments_done == state.experiments_admitted == (state.last_seq - 1) // 3
        assert ledger.append(ledger.last_us, ev.RunResumed(())) == state.last_seq + 1


def test_missing_and_existing_files_are_told_apart(path: Path) -> None:
    """Opening nothing and creating over something both say which file and what to do."""
    for make in (Ledger.open, LedgerReader):
        with pytest.raises(LedgerMissingError, match=r"ledger\.db does not exist; .*community run"):
            make(path)
    Ledger.create(path).close()
    with pytest.raises(LedgerExistsError, match="--resume"):
        Ledger.create(path)


def test_missing_folder_is_reported_as_such(tmp_path: Path) -> None:
    """A ledger in a folder that does not exist says so, not something about SQLite."""
    with pytest.raises(LedgerError, match="--run-dir"):
        Ledger.create(tmp_path / "nowhere" / "ledger.db")


def test_foreign_and_damaged_files_are_refused(path: Path) -> None:
    """Text, another program's database and a torn ledger are each refused, by both openers."""
    path.write_text("not a database at all, " * 100)
    for make in (Ledger.open, LedgerReader):
        with pytest.raises(LedgerDamagedError, match="cannot be read as a ledger"):
            make(path)
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE events (seq INTEGER)")
    other.close()
    for make in (Ledger.open, LedgerReader):
        with pytest.raises(LedgerDamagedError, match="no ledger"):
            make(path)
    path.unlink()
    with Ledger.create(path) as ledger:
        ledger.append(0, opened(), *[ev.Noticed("budget", "x" * 300) for _ in range(200)])
    whole = path.read_bytes()
    path.write_bytes(whole[:20_000] + b"\0" * 12_000 + whole[32_000:])
    with pytest.raises(LedgerDamagedError, match="restore"):
        Ledger.open(path)
    assert not FileLock.is_held(path.with_suffix(".lock"))


def test_ledger_of_a_newer_program_is_refused(ledger: Ledger, path: Path) -> None:
    """An unknown migration is named and nothing is touched."""
    ledger.append(0, opened())
    ledger.close()
    db = Database(path)
    db.table(ledger_migrations.migrations_table).insert(
        {"migration_set": ledger_migrations.name, "name": "m999_future", "applied_at": "later"}
    )
    db.close()
    for make in (Ledger.open, LedgerReader):
        with pytest.raises(LedgerTooNewError, match=r"m999_future.*upgrade"):
            make(path)


def test_kill_during_creation_leaves_something_that_opens(path: Path) -> None:
    """A file that never got its table counts as an empty ledger, not as a damaged one."""
    sqlite3.connect(path).execute("PRAGMA journal_mode = WAL").connection.close()
    with Ledger.open(path) as ledger:
        assert list(ledger.rows()) == []
        assert ledger.append(0, opened()) == 1


def test_migrations_are_recorded_by_name(ledger: Ledger) -> None:
    """The file says which schema changes it has."""
    names = [m.name for m in ledger_migrations.applied(Database(ledger._connection))]
    assert names == [
        "m001_events", "m002_views", "m003_charges", "m004_seal", "m005_retractions",
        "m006_thinking",
        "m007_devices", "m008_measures",
    ]  # fmt: skip


def test_views_answer_a_scientists_questions(ledger: Ledger, path: Path) -> None:
    """Each view has a row per event of its kind with plain columns."""
    record_story(ledger)
    reader = Database(path)
    with closing(reader.conn):
        counts = {
            view: len(list(reader.query(f"select * from {view}")))
            for view in (
                *("posts", "hypotheses", "experiments", "attempts", "verdicts"),
                *("statuses", "refusals", "proposals", "frontier"),
            )
        }
        assert counts == {
            "posts": 4,
            "hypotheses": 3,
            "experiments": 7,
            "attempts": 8,
            "verdicts": 7,
            "statuses": 3,
            "refusals": 1,
            "proposals": 3,
            "frontier": 1,
        }
        sql = "select post_id, author, status, predicted_gain from hypotheses where post_id = 'p1'"
        assert list(reader.query(sql)) == [
            {"post_id": "p1", "author": "ada", "status": "reproduced", "predicted_gain": 0.4}
        ]
        lost = "select experiment_id, attempt, slot from attempts where ended_us is null"
        assert list(reader.query(lost)) == [
            {"experiment_id": "e0004", "attempt": 1, "slot": "cpu1"}
        ]
        sql = "select score, split, \"commit\" from verdicts where outcome = 'ok' order by score"
        assert [row["score"] for row in reader.query(sql)] == [2.6, 2.7, 3.0, 3.2, 3.3, 3.4]
