"""The kinds of task there are: what a folder of each kind has to hold, in one table.

Only that. How the experiments of a kind are run and scored is decided where they are opened
(`community.opening`), by the kind's name; whoever adds a kind adds a row here and one there.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, slots=True)
class TaskKind:
    """What a task folder of one kind has to hold."""

    name: str
    about: str
    """In a few words, for messages."""
    entry: str = ""
    """The file below start/ that is run; empty where there is none."""
    defines: str = ""
    """What that file defines."""
    grader: str = ""
    """What locked/grade.py defines; empty where nothing is graded."""
    table: str = ""
    """The table of task.toml that a task of this kind has, and no other."""
    is_modelled: bool = False
    """Whether what a tree scores is computed, in virtual time: there is no start/ then."""
    measured_by: Literal["scorer", "model", "candidate"] = "scorer"
    """Whose word a score is: the scorer's, a model's, or what the candidate said of itself."""


_ALL = (
    TaskKind(
        "model",
        "a model is trained and scored",
        entry="train.py",
        defines="build_model() and train(model, run)",
        grader="prepare(source, heldout) and GRADER",
    ),
    TaskKind(
        "script",
        "a command runs and reports its own score",
        table="script",
        measured_by="candidate",
    ),
    TaskKind(
        "artifact",
        "a program leaves data, which is checked and graded",
        entry="solve.py",
        defines="solve(run)",
        grader="check(artifact) and score(artifact, held_out)",
        table="artifact",
    ),
    TaskKind(
        "landscape",
        "what a tree scores is computed, in virtual time only",
        table="landscape",
        is_modelled=True,
        measured_by="model",
    ),
)

KINDS = MappingProxyType({kind.name: kind for kind in _ALL})
"""By name, as task.toml has it."""
