"""The file of a fitted surrogate: JSON that can be read, compared and committed; never a pickle.

It is loaded strictly: a file that is too large, of another version, or inconsistent in itself is
refused whole, since it may have come from anybody. What it says decides numbers and nothing else.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError

from agents.knobs import Knob, unfit
from community.errors import ModelFileError
from community.modelled.surrogate.regressions import (
    MOST_POINTS,
    Count,
    Number,
    Positive,
    Regression,
    Response,
    Share,
    Table,
)
from community.modelled.surrogate.space import Space, Values

VERSION = 1
FILE_BYTES = 4 << 20
"""Largest file that is loaded; 1,500 points of 25 knobs take half a megabyte."""
Split = Literal["dev", "vault", "seal"]
SPLITS: tuple[Split, ...] = ("dev", "vault", "seal")

Word = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Value = bool | int | Number | Word


class KnobTable(Table):
    """A knob as it was when the runs were made."""

    name: Word
    kind: Literal["float", "int", "choice", "bool"]
    start: Value
    low: Number | None = None
    high: Number | None = None
    scale: Literal["linear", "log"] = "linear"
    choices: Annotated[list[Value], Field(max_length=100)]


class BudgetTable(Table):
    """What one experiment could spend."""

    kind: Literal["cpu_seconds", "device_seconds", "steps"]
    amount: Positive


class MadeFrom(Table):
    """The runs it was learnt from."""

    runs: Count
    experiments: Count
    """Different ones: arms that share their calibration count it once."""
    settings: Count
    device_classes: Annotated[list[Word], Field(max_length=100)]
    lock_hashes: Annotated[list[Word], Field(max_length=100)]
    left_out: dict[Word, Count]
    """Experiments that were not learnt from, by why."""


class Points(Table):
    """The settings that were measured, a value for each knob in each."""

    settings: Annotated[list[list[Value]], Field(max_length=MOST_POINTS)]


class Offset(Table):
    """How far scores on a split lie from those on dev, the same for all trees."""

    mean: Number
    spread: Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
    """Standard deviation of that between runs, which draw other held-out text."""


class Noise(Table):
    """How much scores of one tree differ from seed to seed."""

    sigma: Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
    slope: Number
    """By how much its logarithm rises with that of the score above the floor; 0: alike everywhere.
    """
    centre: Number
    """Where `sigma` holds."""


class Duration(Table):
    """Seconds on the slot."""

    seconds: Response
    ratios: Annotated[list[Positive], Field(min_length=2, max_length=201)]
    """Quantiles, evenly spaced, of what was measured over what is predicted."""


class Invalid(Table):
    """The chance that an experiment has no score."""

    intercept: Number
    weights: Annotated[list[Number], Field(max_length=20_000)]
    """Of the columns of a setting in its log odds; none: the same everywhere."""
    reasons: dict[Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")], Count]
    share_of_train: Share
    """Of the time training would have taken, what such an experiment takes."""


class Check(Table):
    """One line of what cross-validation showed."""

    part: Word
    measure: Word
    model: Number
    mean: Number | None = None
    """Of predicting the mean, the same everywhere."""
    floor: Number | None = None
    """Of a perfect prediction, where noise alone is left."""


class ModelFile(Table):
    """A fitted surrogate."""

    format: Literal["surrogate"]
    version: Literal[1]
    task: Word
    metric: Word
    unit: Word
    direction: Literal["lower", "higher"]
    budget: BudgetTable
    made_from: MadeFrom
    checks: Annotated[list[Check], Field(max_length=200)]
    knobs: Annotated[list[KnobTable], Field(min_length=1, max_length=500)]
    offsets: dict[Split, Offset]
    noise: Noise
    invalid: Invalid
    train: Duration
    score_time: Duration
    score: Response
    """Of the cost: the score, its sign turned where higher is better."""
    points: Points

    def space(self) -> Space:
        """Return the knobs as a space."""
        return Space(tuple(_knob(table) for table in self.knobs))

    def settings(self) -> list[Values]:
        """Return the points' settings."""
        return [tuple(each) for each in self.points.settings]

    @property
    def sign(self) -> float:
        """What turns a score into a cost."""
        return 1.0 if self.direction == "lower" else -1.0


def dump(model: ModelFile) -> str:
    """Return the text of a model's file: the same model, the same text."""
    lines: list[str] = []
    _lay_out(model.model_dump(mode="json"), "", lines)
    return "".join(lines) + "\n"


def write(model: ModelFile, path: Path) -> None:
    """Write a model's file, replacing one in one step.

    Raises:
        ModelFileError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(dump(model), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ModelFileError(f"cannot write {path}: {error.strerror}; choose another") from error


def load(path: Path) -> ModelFile:
    """Return the model that a file holds.

    Raises:
        ModelFileError: it is missing, or not the file of a surrogate of this version.
    """
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES + 1)
    except OSError as error:
        raise ModelFileError(
            f"cannot read {path}: {error.strerror}; give a file that `community model fit` wrote"
        ) from error
    try:
        return parse(content)
    except ValueError as error:
        raise ModelFileError(
            f"{path} is no surrogate that can be used: {error}; fit it again with "
            "`community model fit`"
        ) from error


@lru_cache(maxsize=8)
def parse(content: bytes) -> ModelFile:
    """Return the model in `content`.

    Raises:
        ValueError: with what is wrong with it, in a few words.
    """
    if len(content) > FILE_BYTES:
        raise ValueError(f"it is larger than {FILE_BYTES} bytes")
    try:
        model = ModelFile.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:200]
        raise ValueError(f"{where or 'the file'}: {first['msg'][:200]}") from None
    _must_hold(model)
    return model


def _must_hold(model: ModelFile) -> None:
    """Check what one part says of another.

    Raises:
        ValueError: a contradiction.
    """
    space = model.space()
    names = [knob.name for knob in space.knobs]
    if len(set(names)) != len(names):
        raise ValueError("knobs: a name stands twice")
    for knob in space.knobs:
        _must_have_range(knob)
    for number, setting in enumerate(model.points.settings):
        if len(setting) != len(space.knobs):
            raise ValueError(f"points.settings.{number}: not a value for each knob")
        for knob, value in zip(space.knobs, setting, strict=True):
            if why := unfit(knob, value):
                raise ValueError(f"points.settings.{number}: {knob.name}: {why}")
    if set(model.offsets) != set(SPLITS):
        raise ValueError("offsets: dev, vault and seal have one each")
    if model.invalid.weights and len(model.invalid.weights) != sum(space.widths):
        raise ValueError("invalid.weights: not one for each column")
    regressions: dict[str, Regression] = {
        "score": model.score.regression,
        "train": model.train.seconds.regression,
        "score_time": model.score_time.seconds.regression,
    }
    for name, regression in regressions.items():
        try:
            regression.must_fit(space, len(model.points.settings))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None


def _must_have_range(knob: Knob) -> None:
    """Raise ValueError for a knob that no task could have."""
    if knob.is_number:
        low, high = knob.low, knob.high
        if low is None or high is None or not low < high or (knob.scale == "log" and low <= 0):
            raise ValueError(f"knobs: {knob.name}: no range")
    elif len(knob.options) < 2:
        raise ValueError(f"knobs: {knob.name}: fewer than two choices")
    if why := unfit(knob, knob.start):
        raise ValueError(f"knobs: {knob.name}: start: {why}")


def _knob(table: KnobTable) -> Knob:
    return Knob(
        table.name, table.kind, table.start, table.low, table.high, table.scale,
        tuple(table.choices),
    )  # fmt: skip


def _lay_out(value: Any, indent: str, lines: list[str]) -> None:
    """Write JSON so that lists of plain values stand on one line and all else on its own."""
    if isinstance(value, dict) and value:
        lines.append("{\n")
        for number, (key, each) in enumerate(value.items()):
            lines.append(f"{indent} {json.dumps(key)}: ")
            _lay_out(each, indent + " ", lines)
            lines.append(",\n" if number + 1 < len(value) else "\n")
        lines.append(f"{indent}}}")
    elif isinstance(value, list) and any(isinstance(each, (list, dict)) for each in value):
        lines.append("[\n")
        for number, each in enumerate(value):
            lines.append(f"{indent} {json.dumps(each, separators=(',', ':'), allow_nan=False)}")
            lines.append(",\n" if number + 1 < len(value) else "\n")
        lines.append(f"{indent}]")
    else:
        lines.append(json.dumps(value, separators=(",", ":"), allow_nan=False))
