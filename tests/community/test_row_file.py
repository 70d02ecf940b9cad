"""Rows of a run in a file: what was written comes back, and nothing else is taken for it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from community.archive.ledger import Ledger, ledger_hash
from community.archive.row_file import export_rows, open_rows, read_rows, restore_ledger
from community.errors import LedgerDamagedError, LedgerEventError, LedgerMissingError
from community.events import AgentJoined, Noticed

EVENTS = (
    AgentJoined(agent="ada", role="explorer", mind="policy:random", hears=("grace",)),
    Noticed(notice="start", text="one researcher begins"),
)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Return a ledger of two rows."""
    path = tmp_path / "run" / "ledger.db"
    path.parent.mkdir()
    with Ledger.create(path) as whole:
        for at_us, event in enumerate(EVENTS, start=5):
            whole.append(at_us, event)
    return path


def test_rows_come_back_as_they_were(ledger: Path, tmp_path: Path) -> None:
    """From the file, from a ledger made of it, and from the run's folder."""
    out, again = tmp_path / "rows.jsonl.gz", tmp_path / "again" / "ledger.db"
    export_rows(ledger, out)
    restore_ledger(out, again)
    whole = ledger_hash(open_rows(ledger), with_host=True)
    assert [row.event for row in open_rows(ledger)] == list(EVENTS)
    for place in (out, again, ledger.parent):
        assert ledger_hash(open_rows(place), with_host=True) == whole


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"not gzip", LedgerDamagedError),
        (gzip.compress(b'[1,5,"noticed",{}]\n'), LedgerEventError),
        (gzip.compress(b'[1,5,"unheard_of",{}]\n'), LedgerEventError),
        (gzip.compress(b'["1",5,"noticed",{"notice":"a","text":"b"}]\n'), LedgerDamagedError),
        (gzip.compress(b'{"seq":1}\n'), LedgerDamagedError),
        (gzip.compress(b"[" * 100_000 + b"\n"), LedgerDamagedError),
        (gzip.compress(b" " * (2 << 20)), LedgerDamagedError),
        (gzip.compress(b'[1,5,"noticed",{"notice":"a","text":"b"}]\n')[:-9], LedgerDamagedError),
    ],
    ids=["no gzip", "short", "unknown", "text for seq", "object", "deep", "wide", "cut off"],
)
def test_anything_else_is_refused(content: bytes, error: type[Exception], tmp_path: Path) -> None:
    """With the file's name, and without end or memory spent."""
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(error, match=r"rows\.jsonl\.gz"):
        list(read_rows(path))


def test_a_run_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A file of rows as a ledger."""
    for name in ("rows.jsonl.gz", "ledger.db"):
        with pytest.raises(LedgerMissingError, match=name):
            list(open_rows(tmp_path / name))
