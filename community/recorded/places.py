"""Where records lie: runs of one's own, and those that are shipped as demonstrations."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

from community.errors import RecordError, RunFolderError
from community.recorded.record import Record, open_record
from community.run_folder import RunFolder

ENDING: Final = ".jsonl.gz"


def find_record(name: str) -> Record:
    """Return a record.

    Args:
        name: Of a shipped one, of a run in ``runs``, or the path of a run's folder, its ledger or a
            file of rows.

    Raises:
        RecordError: there is none.
        LedgerError: it cannot be read.
    """
    shipped = shipped_records()
    if name in shipped:
        return open_record(shipped[name], name)
    path = Path(name)
    if name.endswith(ENDING):
        return open_record(path, path.name.removesuffix(ENDING))
    try:
        folder = RunFolder.open(name)
    except RunFolderError as error:
        known = ", ".join(shipped) or "none"
        raise RecordError(f"{error}; shipped records: {known}") from error
    return open_record(folder.path, folder.run_id)


def shipped_records() -> dict[str, Path]:
    """Return the shipped records by name."""
    folder = Path(str(files("scenarios") / "records"))
    found = sorted(folder.glob(f"*{ENDING}")) if folder.is_dir() else []
    return {path.name.removesuffix(ENDING): path for path in found}
