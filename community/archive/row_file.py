"""Ledgers as gzipped JSON lines: small enough for git, whole enough to fit models on.

Patches and rationales of posts are left out (they can be made again from the knobs); all numbers
stay. `open_rows` reads a run from wherever it lies: a run's folder, its ledger, or such a file.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from community.archive.codec import decode_event, encode_event
from community.archive.ledger import Ledger, LedgerReader
from community.archive.state import RunState
from community.errors import LedgerDamagedError, LedgerEventError, LedgerMissingError
from community.events import Posted, Row

LINE_BYTES = 1 << 20
"""Longest line that is read; the largest event, a run's opening with its manifest, has some 20 KiB.
"""
MOST_ROWS = 5_000_000
"""A file may have been packed to unpack without end."""


def export_rows(ledger: Path, out: Path, *, is_whole: bool = False) -> None:
    """Write the rows of `ledger` to `out`, without the long texts of posts.

    Args:
        ledger: Of a run.
        out: The file.
        is_whole: Whether the texts stay, so that the run can be played again.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    with LedgerReader(ledger) as reader:
        lines = [_line(row, is_whole=is_whole) for row in reader.rows()]
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as file:
        file.write("".join(lines).encode())


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows that `export_rows` wrote.

    Raises:
        LedgerMissingError: there is no such file.
        LedgerDamagedError: it is no such file, cut short, or longer than any run.
        LedgerEventError: a row does not have the shape of its kind.
    """
    try:
        with gzip.open(path, "rb") as file:
            for number in range(1, MOST_ROWS + 2):
                line = file.readline(LINE_BYTES + 1)
                if not line:
                    return
                if len(line) > LINE_BYTES or number > MOST_ROWS:
                    raise LedgerDamagedError(
                        f"{path}, line {number}: longer than any run's; give rows that a run left"
                    )
                yield _row(path, number, line)
    except FileNotFoundError as error:
        raise LedgerMissingError(f"{path} does not exist; give a file of rows") from error
    except (OSError, EOFError, zlib.error) as error:
        raise LedgerDamagedError(
            f"{path} cannot be read as rows ({error}); restore it, or export the run again"
        ) from error


def open_rows(place: Path) -> Iterator[Row]:
    """Yield the rows of a run: of its folder, of its ``ledger.db``, or of a file of rows.

    Raises:
        LedgerError: there is none, or it cannot be read.
    """
    if place.name.endswith(".gz"):
        yield from read_rows(place)
        return
    with LedgerReader(place / "ledger.db" if place.is_dir() else place) as reader:
        yield from reader.rows()


def restore_ledger(path: Path, ledger: Path) -> None:
    """Make a ledger again of the rows that `export_rows` wrote, without the texts left out."""
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with Ledger.create(ledger) as whole:
        for row in read_rows(path):
            whole.append(row.at_us, row.event)


def read_state(path: Path) -> RunState:
    """Fold the rows that `export_rows` wrote."""
    return RunState.from_rows(read_rows(path))


def _row(path: Path, number: int, line: bytes) -> Row:
    """Return one line as a row."""
    try:
        seq, at_us, kind, body = json.loads(line)
        if type(seq) is not int or type(at_us) is not int or not isinstance(kind, str):
            raise ValueError("a row is [seq, at_us, kind, body]")
        return Row(seq, at_us, decode_event(kind, json.dumps(body)))
    except LedgerEventError as error:
        raise LedgerEventError(f"{path}, line {number}: {error}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise LedgerDamagedError(f"{path}, line {number}: {error}; export the run again") from error


def _line(row: Row, *, is_whole: bool) -> str:
    event = row.event
    if isinstance(event, Posted) and not is_whole:
        short = {
            key: "" if key in ("patch", "rationale", "log_tail", "text") else value
            for key, value in event.body.items()
        }
        if event.body["kind"] == "comment":
            short["text"] = event.body["text"]
        event = replace(event, body=short)
    body = json.loads(encode_event(event))
    return json.dumps([row.seq, row.at_us, event.kind, body], separators=(",", ":")) + "\n"
