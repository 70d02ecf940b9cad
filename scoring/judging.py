"""How an artefact of data is judged: its format, its bounds, what grading may cost. A plain record.

It comes from a task's task.toml, which is locked like the grader; its repr enters the lock. Users'
graders are a file ``locked/grade.py`` with two functions::

    def check(artifact) -> None:               # raise ValueError where it may not be scored
    def score(artifact, held_out) -> dict:     # numbers by name, the metric among them

Next: `scoring.data_grading` calls them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

DataFormat = Literal["json", "npy", "safetensors"]
Numbers = Literal["float", "decimal"]
Bounding = Literal["constraint", "guard"]


@dataclass(frozen=True, slots=True)
class Bound:
    """What one of a grader's numbers has to be."""

    measure: str
    """Its name."""
    kind: Bounding
    """constraint: of the whole; guard: of a slice, which a better whole must not be paid with."""
    least: float | None
    most: float | None

    def is_kept(self, value: float) -> bool:
        """Whether `value` lies within."""
        return (self.least is None or value >= self.least) and (
            self.most is None or value <= self.most
        )


@dataclass(frozen=True, slots=True)
class Judging:
    """The constants of grading data."""

    metric: str
    """Which of the grader's numbers is the score."""
    format: DataFormat
    numbers: Numbers
    """What JSON's numbers are to the grader: floats, or `decimal.Decimal` as they were written."""
    most_bytes: int
    """Of one artefact."""
    cpu_s: float
    """CPU seconds of grading it once."""
    bounds: tuple[Bound, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Judging:
        """Return what `as_dict` told."""
        bounds = tuple(Bound(**each) for each in told["bounds"])
        return cls(**{**told, "bounds": bounds})
