"""All runs of a study as one table: a row per run, the same bytes however they came about.

The CSV is for whoever analyses it elsewhere. Nothing of the machine or of the hour is in it.

Differs:
    CSV alone, no Parquet: tables have some thousand rows, everything that reads Parquet reads CSV,
    and pyarrow would be a quarter of the installation. Curves are in ``records.jsonl.gz``, whole.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from community.errors import StudyError
from community.study.design import Design
from community.study.records import Number, RunRecord, dump_record, load_record, write_durably

_OWN = (
    *("arm", "replicate", "seed", "scenario", "code", "ledger", "why", "metric", "direction"),
    *("start", "best", "confirmed", "found", "told"),
)
Value = Number | str


def table_rows(design: Design, records: Sequence[RunRecord]) -> list[dict[str, Value]]:
    """Return a row per run in the design's order.

    Columns are the arm and the run, the levels of its cell (of a control those that all its cells
    share), what it ended at, its telemetry, and measures of its graph.
    """
    levels = _levels(design)
    return [
        {
            **dict(zip(_OWN, _own(record), strict=True)),
            **{f"factor {name}": label for name, label in levels[record.arm].items()},
            **record.numbers,
            **{f"graph {name}": value for name, value in record.graph.items()},
        }
        for record in records
    ]


def table_csv(design: Design, records: Sequence[RunRecord]) -> str:
    """Return the table as CSV; what is not known is empty."""
    rows = table_rows(design, records)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_table(path: Path, design: Design, records: Sequence[RunRecord]) -> None:
    """Write the table, replacing an earlier one in one step."""
    write_durably(path, table_csv(design, records))


def pack_records(path: Path, records: Iterable[RunRecord]) -> None:
    """Write records, curves and all, as one compressed file with a line each."""
    lines = "".join(f"{dump_record(record)}\n" for record in records)
    path.write_bytes(gzip.compress(lines.encode(), mtime=0))


def unpack_records(path: Path) -> list[RunRecord]:
    """Return the records of a file that `pack_records` wrote.

    Raises:
        StudyError: it cannot be read.
    """
    try:
        text = gzip.decompress(path.read_bytes()).decode()
        return [load_record(line) for line in text.splitlines()]
    except (OSError, EOFError, ValueError) as error:
        raise StudyError(f"{path} holds no records of a study: {error}") from error


def _own(record: RunRecord) -> list[Value]:
    trace = record.trace
    return [
        record.label, record.replicate, record.seed, record.arm, record.code, record.ledger,
        record.why, record.metric, record.direction, trace.confirmed[0], record.best,
        trace.confirmed[-1], trace.found[-1], trace.told[-1],
    ]  # fmt: skip


def _levels(design: Design) -> dict[str, dict[str, str]]:
    """Return the levels of each arm: of its cell, or what all cells beside a control share."""
    found: dict[str, list[dict[str, str]]] = {key: [] for key in design.arms}
    own = {cell.arm for cell in design.cells}
    for cell in design.cells:
        found[cell.arm].append(dict(cell.labels))
        for key in cell.controls.values():
            if key not in own:
                found[key].append(dict(cell.labels))
    return {
        key: {
            name: cells[0][name] if all(c[name] == cells[0][name] for c in cells) else ""
            for name in cells[0]
        }
        if cells
        else {}
        for key, cells in found.items()
    }
