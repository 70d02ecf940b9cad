"""What a ``task.toml`` may say: its shape, and its faults in words a task's author can act on.

Only the file itself; whether the folder holds what the file names is `trainer.task`'s question.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from trainer.patch_policy import (
    LITERAL_BYTES,
    NOVEL_BYTES,
    PATCH_BYTES,
    PATCH_FILES,
    TREE_BYTES,
)
from trainer.script_table import ScriptTable
from trainer.task_kinds import KINDS

_Positive = Annotated[int, Field(gt=0)]
_Word = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$")]


class _Table(BaseModel):
    """A table that refuses unknown keys and does not turn one type into another."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class BudgetTable(_Table):
    """``[budget]``: what one experiment may spend unless the scenario says otherwise."""

    kind: Literal["cpu_seconds", "device_seconds", "steps"]
    amount: Annotated[float, Field(gt=0, le=30 * 86400, allow_inf_nan=False, strict=False)]
    """Seconds, or optimiser steps; a month at most."""
    untimed_s: Annotated[float, Field(ge=0, le=600, allow_inf_nan=False, strict=False)] = 0.0
    """Of device_seconds: what is not counted of the time from the hand-over to the end of the first
    optimiser step, at most: import, waking the card, choosing and compiling kernels."""

    @model_validator(mode="after")
    def _is_of_a_device(self) -> Self:
        if self.untimed_s and self.kind != "device_seconds":
            raise ValueError("untimed_s is for budgets in device_seconds")
        return self


class LimitsTable(_Table):
    """``[limits]``: caps in bytes and counts."""

    tree_bytes: Annotated[int, Field(gt=0, le=16 << 20)] = TREE_BYTES
    """The whole tree, start and every change."""
    patch_bytes: _Positive = PATCH_BYTES
    """New text of one change."""
    patch_files: _Positive = PATCH_FILES
    """Files one change may touch."""
    literal_bytes: _Positive = LITERAL_BYTES
    """String, bytes and number literals that one change adds."""
    novel_bytes: _Positive = NOVEL_BYTES
    """What the whole tree tells beyond the start, deflated."""
    artefact_bytes: _Positive = 8 << 20
    """What a job may leave."""
    memory_bytes: Annotated[int, Field(ge=64 << 20)] = 2 << 30
    """One job's memory; torch alone needs a good part of the least value."""
    loading_cpu_s: Annotated[float, Field(gt=0, le=60, allow_inf_nan=False, strict=False)] = 0.5
    """CPU seconds in which an answering sandbox has imported train.py, built the model and loaded
    the artefact; nanolm's start takes a tenth of one."""


class ModelTable(_Table):
    """``[model]``: what the candidate's model takes and gives."""

    block: Annotated[int, Field(ge=2, le=1 << 20)] = 129
    """Tokens of one scored row, its first target's predecessor included; inputs are one less."""
    vocab: Annotated[int, Field(ge=2, le=1 << 24)] = 256
    """Logits of one answer: of a language model the number of different tokens, of a classifier
    that of classes."""
    answers: Literal["tokens", "rows"] = "tokens"
    """What gets an answer: each token (what follows it), or each row as a whole (what it shows)."""


class KnobsTable(_Table):
    """``[knobs]``: where the constants of knobs.toml stand."""

    path: str


class ArtifactTable(_Table):
    """``[artifact]``: what the program leaves, and how it is graded."""

    format: Literal["json", "npy", "safetensors"]
    numbers: Literal["float", "decimal"] = "float"
    """What JSON's numbers are to the grader: floats, or the decimals as they were written."""
    grading_cpu_s: Annotated[float, Field(gt=0, le=300, allow_inf_nan=False, strict=False)] = 10.0
    """CPU seconds in which locked/grade.py has graded one artefact, once."""
    picture: Literal["none", "circles"] = "none"
    """What the report draws of the best one."""


class ObjectiveTable(_Table):
    """``[objective]``: what is to be made better."""

    kind: Literal["best_score", "time_to_target"] = "best_score"
    """best_score: the metric, at a fixed budget; time_to_target: the device time in which a program
    of its own accord has left something that scores `target`, within the budget."""
    target: Annotated[float, Field(allow_inf_nan=False, strict=False)] | None = None
    """Of the metric."""

    @model_validator(mode="after")
    def _has_its_target(self) -> Self:
        if (self.kind == "time_to_target") != (self.target is not None):
            raise ValueError("kind time_to_target has a target, and best_score has none")
        return self


class NoiseTable(_Table):
    """``[noise]``: what another run of the same tree may differ by."""

    model: Literal["seeds", "exact"] = "seeds"
    """seeds: a score is one draw of what the program scores, and a gain has to clear the spread
    between seeds; exact: what was left is itself the result, and its score is a fact."""


class BoundTable(_Table):
    """``[[constraints]]`` and ``[[guards]]``: what a number beside the metric has to be."""

    measure: _Word
    """A key of what the grader's `score` returns; of a model, of what its grader measures beside
    the metric, or `parameters`."""
    least: Annotated[float, Field(allow_inf_nan=False, strict=False)] | None = None
    most: Annotated[float, Field(allow_inf_nan=False, strict=False)] | None = None
    below_start: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=False)] | None = None
    """By so much at most it may lie below what the unmodified start has on the same split, noise
    left out (`community.bounds`)."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.least is None and self.most is None and self.below_start is None:
            raise ValueError(
                f"{self.measure!r} has neither least, most nor below_start; give one of them"
            )
        if None not in (self.least, self.most) and not self.least <= self.most:  # type: ignore[operator]
            raise ValueError(f"{self.measure!r} has a least above its most; nothing would pass")
        return self


class TaskFile(_Table):
    """The whole of ``task.toml``."""

    kind: str
    """One of `trainer.task_kinds.KINDS`."""
    metric: _Word
    """Name of the number, ``val_bpb``."""
    unit: _Word
    direction: Literal["lower", "higher"]
    """Which way is better."""
    editable: Annotated[list[str], Field(min_length=1, max_length=64)]
    """Paths below start/ that researchers may change."""
    budget: BudgetTable
    device: Literal["any", "cuda"] = "any"
    """cuda: its program is of no use on processors, and is refused where there is no card."""
    limits: LimitsTable = LimitsTable()
    model: ModelTable = ModelTable()
    knobs: KnobsTable | None = None
    artifact: ArtifactTable | None = None
    noise: NoiseTable = NoiseTable()
    objective: ObjectiveTable = ObjectiveTable()
    constraints: Annotated[list[BoundTable], Field(max_length=32)] = []
    """What every artefact has to keep to."""
    guards: Annotated[list[BoundTable], Field(max_length=32)] = []
    """Slices of the score that a better whole must not be paid with."""
    landscape: dict[str, Any] | None = None
    """Of a task of that kind: which model it is and its parameters; whoever models reads them."""
    script: ScriptTable | None = None
    """Of a task of that kind: the command, and what its sandbox shows."""

    @field_validator("kind")
    @classmethod
    def _is_known(cls, kind: str) -> str:
        if kind not in KINDS:
            known = ", ".join(f"{each.name} ({each.about})" for each in KINDS.values())
            raise ValueError(f"no kind of task{nearest(kind, list(KINDS))}; there are {known}")
        return kind

    @model_validator(mode="after")
    def _has_its_table(self) -> Self:
        is_graded_script = self.script is not None and self.artifact is not None
        for kind in KINDS.values():
            if is_graded_script and kind.table == "artifact":
                continue
            if kind.table and (self.kind == kind.name) != (getattr(self, kind.table) is not None):
                raise ValueError(
                    f"a task of kind {kind.name} has a table [{kind.table}], and no other has"
                )
        if self.script is not None and bool(self.script.leaves) != is_graded_script:
            raise ValueError(
                "a script with a grader has both: script.leaves, the file that is graded, and the "
                "table [artifact], which says what that is"
            )
        if self.artifact is None and self.kind != "model" and (self.constraints or self.guards):
            raise ValueError("[[constraints]] and [[guards]] are of what a locked grader says")
        if self.objective.target is not None:
            if KINDS[self.kind].measured_by != "scorer":
                raise ValueError("time_to_target is for tasks whose scores are measured")
            if self.noise.model == "exact":
                raise ValueError('time is a draw: time_to_target needs noise.model = "seeds"')
        if self.artifact is None and self.noise.model == "exact":
            raise ValueError(
                'noise.model = "exact" is for a task of kind artifact: a model\'s score is a draw'
            )
        return self


def parse_task_file(text: str) -> tuple[TaskFile | None, tuple[str, ...]]:
    """Return the parsed file, or None with all of its faults in words."""
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return None, (f"task.toml is not TOML: {error}; mend that place first",)
    try:
        return TaskFile.model_validate(raw), ()
    except ValidationError as error:
        return None, tuple(_in_words(text, item) for item in error.errors(include_url=False))


def nearest(word: str, known: Sequence[str]) -> str:
    """Return ``; did you mean 'x'?`` for the closest known word, or nothing."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _in_words(text: str, item: Any) -> str:
    """Turn one of pydantic's faults into: where, what, what to do."""
    keys = [key for key in item["loc"] if isinstance(key, str)]
    where = _line(text, keys)
    place = f"task.toml{f' line {where}' if where else ''}: {'.'.join(keys)}"
    known = _known_keys(keys[:-1])
    if item["type"] == "extra_forbidden":
        advice = nearest(keys[-1], known) or f"; known keys: {', '.join(known)}"
        return f"{place} is not a key of this file{advice}"
    if item["type"] == "missing":
        return f"{place} is missing; add it"
    if not keys:
        return f"task.toml: {item['msg'].removeprefix('Value error, ')}"
    shown, said = ascii(item["input"]), item["msg"].removeprefix("Value error, ")
    return f"{place} = {shown[:60]} cannot be: {said[:1].lower()}{said[1:]}"


def _known_keys(tables: Sequence[str]) -> list[str]:
    """Return the keys of the table at `tables`."""
    shapes: dict[str, type[BaseModel]] = {
        "budget": BudgetTable,
        "limits": LimitsTable,
        "model": ModelTable,
        "knobs": KnobsTable,
        "script": ScriptTable,
        "artifact": ArtifactTable,
        "noise": NoiseTable,
        "objective": ObjectiveTable,
        "constraints": BoundTable,
        "guards": BoundTable,
    }
    return list((shapes.get(tables[0], TaskFile) if tables else TaskFile).model_fields)


def _line(text: str, keys: Sequence[str]) -> int | None:
    """Return the line (from 1) on which the last of `keys` that is there stands."""
    table, found, depth = "", None, 0
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[{1,2}\s*([\w.-]+)\s*\]{1,2}", line)
        name = re.match(r"\s*([\w-]+)\s*=", line)
        if header:
            table = header.group(1)
        path = [*filter(None, table.split(".")), *([name.group(1)] if name else [])]
        same = len(path) <= len(keys) and path == list(keys[: len(path)])
        if same and (header or name) and len(path) > depth:
            found, depth = number, len(path)
    return found
