"""What is kept of one run: its curves, its numbers, and what it was made with. One file each.

A file is written beside its place, flushed to the disk and renamed, so that it is whole or not
there, whatever is killed when. Next: `community.study.table` makes one table of all of them.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from community.errors import StudyError

Number = float | int | None
Floats = NDArray[np.float64]
Axis = Literal["experiments", "device_seconds", "run_s", "usd"]
Value = Literal["confirmed", "found", "told"]


@dataclass(frozen=True, slots=True)
class Trace:
    """One run's curves; point 0 is the baseline, before anything was spent."""

    experiments: tuple[int, ...]
    """Experiments with a verdict, reproductions counted and calibration not."""
    device_seconds: tuple[float, ...]
    run_s: tuple[float, ...]
    """Seconds of run time since calibration was done."""
    confirmed: tuple[float, ...]
    found: tuple[float, ...]
    told: tuple[float, ...]
    usd: tuple[float, ...] = ()
    """Dollars that thinking had cost; empty where nothing does."""

    def along(self, axis: Axis) -> Sequence[float]:
        """Return the spending at each point."""
        spent: Sequence[float] = getattr(self, axis)
        return spent or (0.0,) * len(self.experiments)

    def on(self, axis: Axis, value: Value, grid: ArrayLike) -> Floats:
        """Return a value at the given amounts of spending; what was reached last holds."""
        at = np.asarray(self.along(axis), dtype=np.float64)
        values = np.asarray(getattr(self, value), dtype=np.float64)
        place = np.searchsorted(at, np.asarray(grid, dtype=np.float64), side="right") - 1
        return values[np.maximum(place, 0)]


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run to be made; it crosses into a worker."""

    arm: str
    label: str
    replicate: int
    seed: int
    code: str
    text: str = ""
    """The scenario file; empty for a classic model."""
    classic: str = ""
    """Its name."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    folder: str = ""
    """Where a real run is kept, so that it can be taken up again."""
    baseline: str = ""
    """The ledger whose baseline runs and secret a real run shares; empty for the first."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One finished run."""

    arm: str
    """Key of its arm: the hash of its scenario without the seed."""
    label: str
    replicate: int
    seed: int
    code: str
    """Hash of the program that made it (`community.study.provenance`)."""
    ledger: str
    """Hash of its ledger; empty of a classic model."""
    why: str
    """The stop condition that held."""
    metric: str
    unit: str
    direction: Literal["lower", "higher"]
    best: float | None
    """The exact optimum in the task's unit, where it is known."""
    trace: Trace
    numbers: Mapping[str, Number]
    """`community.study.telemetry.Telemetry` by name."""
    graph: Mapping[str, Number]
    """Measures of who heard whom, as the run began."""

    @property
    def name(self) -> str:
        """Of its file, without ending."""
        return run_name(self.arm, self.replicate)


def run_name(arm: str, replicate: int) -> str:
    """Return what the run of an arm on a landscape is called."""
    return f"{arm}-{replicate:05d}"


def write_record(folder: Path, record: RunRecord) -> Path:
    """Write a record into `folder` for good.

    Raises:
        StudyError: the folder cannot be written.
    """
    path = folder / f"{record.name}.json"
    try:
        write_durably(path, dump_record(record) + "\n")
    except OSError as error:
        raise StudyError(f"{path} cannot be written: {error}") from error
    return path


def dump_record(record: RunRecord) -> str:
    """Return a record as one line of JSON."""
    return json.dumps(dataclasses.asdict(record), sort_keys=True, allow_nan=False)


def load_record(line: str) -> RunRecord:
    """Return the record that a line of JSON holds.

    Raises:
        ValueError: it holds none.
    """
    try:
        data: dict[str, Any] = json.loads(line)
        trace = Trace(**{axis: tuple(values) for axis, values in data.pop("trace").items()})
        return RunRecord(**data, trace=trace)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"this is no record of a run: {error}") from error


def read_records(folder: Path) -> Iterator[RunRecord]:
    """Yield the records in `folder`, in the order of their names.

    Raises:
        StudyError: a file holds none.
    """
    for path in sorted(folder.glob("*.json")):
        try:
            yield load_record(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StudyError(
                f"{path} is damaged ({error}); delete it, and the run is made again"
            ) from error


def write_durably(path: Path, text: str) -> None:
    """Write `text` to `path` so that a kill or a power cut leaves the old file or the new one."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
