"""Ledgers as gzipped JSON lines: small enough for git, whole enough to fit models on.

Patches and rationales of posts are left out (they can be made again from the knobs); all numbers
stay.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from community.archive.codec import decode_event, encode_event
from community.archive.ledger import Ledger, LedgerReader
from community.archive.state import RunState
from community.events import Posted, Row


def export_rows(ledger: Path, out: Path) -> None:
    """Write the rows of `ledger` to `out`, without the long texts of posts."""
    with LedgerReader(ledger) as reader:
        lines = [_line(row) for row in reader.rows()]
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as file:
        file.write("".join(lines).encode())


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows that `export_rows` wrote."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            seq, at_us, kind, body = json.loads(line)
            yield Row(seq, at_us, decode_event(kind, json.dumps(body)))


def restore_ledger(path: Path, ledger: Path) -> None:
    """Make a ledger again of the rows that `export_rows` wrote, without the texts left out."""
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with Ledger.create(ledger) as whole:
        for row in read_rows(path):
            whole.append(row.at_us, row.event)


def read_state(path: Path) -> RunState:
    """Fold the rows that `export_rows` wrote."""
    return RunState.from_rows(read_rows(path))


def _line(row: Row) -> str:
    event = row.event
    if isinstance(event, Posted):
        short = {
            key: "" if key in ("patch", "rationale", "log_tail", "text") else value
            for key, value in event.body.items()
        }
        if event.body["kind"] == "comment":
            short["text"] = event.body["text"]
        event = replace(event, body=short)
    body = json.loads(encode_event(event))
    return json.dumps([row.seq, row.at_us, event.kind, body], separators=(",", ":")) + "\n"
