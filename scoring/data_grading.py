"""One artefact of data, graded: read, checked, scored, held against the task's bounds.

Everything here happens in a child of the scorer's worker that is made for one artefact and ends
with it (`scoring.grading_service`): whatever bytes do to a grader, the next artefact meets it as it
was. Whose fault an exception is cannot be told from outside, and a hostile artefact must not be
able to stop a run by breaking a careless grader: so what `check` or `score` raises is held against
the artefact, and a grader that is broken shows at the baseline, before anything is decided.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from scoring.data_reading import FormError, read_data
from scoring.judging import Judging

MOST_MEASURES: Final = 64
NAME_CHARACTERS: Final = 80
TOLD_CHARACTERS: Final = 200
"""Of what a check says; it has seen nothing that is held out."""

HeldOut = Mapping[str, bytes]
"""What a score may look at and a candidate may not: content by file name."""


class Checks(Protocol):
    """``check`` of a task's locked/grade.py."""

    def __call__(self, artifact: Any) -> None:
        """Refuse what may not be scored.

        Args:
            artifact: What the candidate's program left, as `scoring.data_reading` gives it.

        Raises:
            ValueError: why; researchers are told the text.
        """
        ...


class Scores(Protocol):
    """``score`` of a task's locked/grade.py; the same arguments have to give the same numbers."""

    def __call__(self, artifact: Any, held_out: HeldOut) -> Mapping[str, float]:
        """Return the task's metric and whatever else is bounded or worth knowing, by name.

        Args:
            artifact: What `check` has let through.
            held_out: The files of this run's split, by name; empty where a task holds nothing out.
        """
        ...


@dataclass(frozen=True, slots=True)
class GraderFile:
    """A task's two functions."""

    check: Checks
    score: Scores


@dataclass(frozen=True, slots=True)
class Grade:
    """What grading one artefact once came to."""

    reason: str
    """Empty when it is scored; else form, refused, grader, constraint or guard."""
    told: str
    """Why in words, for researchers; never a word of what is held out."""
    measures: Mapping[str, float]
    sha256: str
    """Of the artefact's bytes."""

    def text(self) -> str:
        """Return it as JSON."""
        return json.dumps([self.reason, self.told, dict(self.measures), self.sha256])

    @classmethod
    def of(cls, text: str) -> Grade:
        """Return what `text` told."""
        reason, told, measures, digest = json.loads(text)
        return cls(reason, told, measures, digest)


def grade(descriptor: int, judging: Judging, grader: GraderFile, held_out: HeldOut) -> Grade:
    """Grade the artefact behind `descriptor`, which is read from its start.

    Raises:
        MemoryError: it, or the grader, takes more than there is.
    """
    content = _read(descriptor, judging.most_bytes + 1)
    digest = hashlib.sha256(content).hexdigest()

    def refused(reason: str, told: str) -> Grade:
        return Grade(reason, _plain(told), {}, digest)

    if len(content) > judging.most_bytes:
        return refused("form", f"more than {judging.most_bytes} bytes")
    try:
        artifact = read_data(content, judging.format, judging.numbers)
    except FormError as error:
        return refused("form", str(error))
    try:
        grader.check(artifact)
    except ValueError as error:
        return refused("refused", str(error))
    except MemoryError:
        raise
    except Exception:
        return _broken(refused, "check")
    try:
        measures = _measures(grader.score(artifact, held_out), judging)
    except MemoryError:
        raise
    except Exception:
        return _broken(refused, "score")
    for bound in judging.bounds:
        if not bound.is_kept(measures[bound.measure]):
            return refused(bound.kind, f"{bound.kind} {bound.measure} is not kept")
    return Grade("", "", measures, digest)


def _broken(refused: Callable[[str, str], Grade], function: str) -> Grade:
    """Tell people of an exception in full, and researchers that there was one."""
    traceback.print_exc()
    return refused("grader", f"the task's {function}() could not take it")


def _measures(found: object, judging: Judging) -> dict[str, float]:
    """Return what `score` returned as plain floats.

    Raises:
        ValueError: it is no table of a few finite numbers with the metric and all that is bounded.
    """
    if not isinstance(found, Mapping) or len(found) > MOST_MEASURES:
        raise ValueError(f"score() has to return a dict of at most {MOST_MEASURES} numbers")
    measures = {str(name)[:NAME_CHARACTERS]: float(value) for name, value in found.items()}
    if odd := [name for name, value in measures.items() if not math.isfinite(value)]:
        raise ValueError(f"score() returned {odd[0]!r} that is not finite")
    wanted = (judging.metric, *(bound.measure for bound in judging.bounds))
    if missing := [name for name in wanted if name not in measures]:
        raise ValueError(f"score() returned no {missing[0]!r}, which task.toml names")
    return measures


def _read(descriptor: int, most_bytes: int) -> bytes:
    pieces, at = [], 0
    while at < most_bytes and (piece := os.pread(descriptor, most_bytes - at, at)):
        pieces.append(piece)
        at += len(piece)
    return b"".join(pieces)


def _plain(text: str) -> str:
    """Return `text` on one line, printable and bounded."""
    return "".join(c if c.isprintable() else " " for c in text)[:TOLD_CHARACTERS]
