"""Knobs: named constants in the start tree that built-in minds may turn.

Reads ``knobs.toml``, finds ``NAME = literal`` in a tree's text and rewrites the literal alone, so
that comments stay and edits of different knobs merge. It does not choose values (minds do), and it
never runs the text: a tree may have been edited freely by anybody, so a knob can have vanished.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from agents.constants import find_constants
from agents.errors import KnobError
from forum.messages import KnobValue


@dataclass(frozen=True, slots=True)
class Knob:
    """One named constant."""

    name: str
    kind: Literal["float", "int", "choice", "bool"]
    start: KnobValue
    """Its value in the start tree."""
    low: float | None = None
    """Smallest value, for numbers."""
    high: float | None = None
    scale: Literal["linear", "log"] = "linear"
    choices: tuple[KnobValue, ...] = ()
    """The values of a ``choice``."""
    doc: str = ""

    @property
    def is_number(self) -> bool:
        """Whether it has a range rather than a list of values."""
        return self.kind in ("float", "int")

    @property
    def options(self) -> tuple[KnobValue, ...]:
        """The values of a knob that has no range."""
        return (False, True) if self.kind == "bool" else self.choices


class Knobs(tuple[Knob, ...]):
    """The knobs of a task, in order; hashed once, since several caches go by them."""

    _hash: int | None = None

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(tuple(self))
        return self._hash


@dataclass(frozen=True, slots=True)
class Turned:
    """A tree's text after some knobs were turned."""

    text: str
    applied: Mapping[str, KnobValue]
    """The changes that were made; one that changed nothing is not among them."""
    skipped: Mapping[str, str]
    """Knob name -> why it could not be turned."""


class _Table(BaseModel):
    """One table of knobs.toml as it arrives."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["float", "int", "choice", "bool"]
    low: float | None = None
    high: float | None = None
    scale: Literal["linear", "log"] = "linear"
    choices: tuple[bool | int | float | str, ...] = ()
    doc: str = ""


def load_knobs(knobs_toml: str, start_text: str) -> tuple[Knob, ...]:
    """Return the knobs of a task in the order of its ``knobs.toml``.

    Args:
        knobs_toml: the text of knobs.toml, one table per knob.
        start_text: the text of the start tree's file that holds the constants.

    Raises:
        KnobError: with every fault found: bad TOML, unknown keys, impossible ranges, constants
            that are missing from the start tree or lie outside their range.
    """
    try:
        tables = tomllib.loads(knobs_toml)
    except tomllib.TOMLDecodeError as error:
        raise KnobError([f"not TOML: {error}"]) from error
    places, why = find_constants(start_text)
    knobs: list[Knob] = []
    faults: list[str] = []
    for name, raw in tables.items():
        try:
            table = _Table.model_validate(raw)
        except ValidationError as error:
            faults += [
                f"[{name}] {'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
                for fault in error.errors()
            ]
            continue
        if name not in places:
            reason = why.get(name, "no such constant")
            faults.append(f"[{name}] not a top-level `{name} = literal` in the start: {reason}")
            continue
        knob = Knob(name=name, start=places[name].value, **table.model_dump())
        fault = _impossible(knob) or unfit(knob, knob.start)
        if fault:
            faults.append(f"[{name}] {fault}")
        knobs.append(knob)
    if faults:
        raise KnobError(faults)
    return Knobs(knobs)


def unfit(knob: Knob, value: KnobValue) -> str:
    """Return why `knob` cannot take `value`, or an empty string."""
    if knob.kind == "bool":
        return "" if isinstance(value, bool) else f"{value!r} is neither True nor False"
    if knob.kind == "choice":
        fits = any(value == each and type(value) is type(each) for each in knob.choices)
        return "" if fits else f"{value!r} is not among {list(knob.choices)!r}"
    if isinstance(value, (bool, str)) or not math.isfinite(value):
        return f"{value!r} is no number"
    if knob.kind == "int" and int(value) != value:
        return f"{value!r} is no whole number"
    if knob.low is None or knob.high is None:
        return "it has no range"
    if not knob.low <= value <= knob.high:
        return f"{value!r} is outside {knob.low:g} to {knob.high:g}"
    return ""


def read_values(text: str, knobs: Sequence[Knob]) -> dict[str, KnobValue]:
    """Return the values of `knobs` in `text`; a knob that has vanished from it is left out."""
    places, _ = find_constants(text)
    return {
        knob.name: places[knob.name].value
        for knob in knobs
        if knob.name in places and not unfit(knob, places[knob.name].value)
    }


def turn(text: str, changes: Mapping[str, KnobValue], knobs: Sequence[Knob]) -> Turned:
    """Rewrite the literals of `changes` in `text` and nothing else.

    A change is skipped, with the reason, when the knob is unknown, the value does not fit it, or
    the text (edited by somebody) no longer binds it exactly once to a literal.
    """
    by_name = {knob.name: knob for knob in knobs}
    places, why = find_constants(text)
    applied: dict[str, KnobValue] = {}
    skipped: dict[str, str] = {}
    for name, value in changes.items():
        knob = by_name.get(name)
        reason = "no such knob" if knob is None else unfit(knob, value)
        if not reason and name not in places:
            reason = why.get(name, "it has vanished from the text")
        if reason:
            skipped[name] = reason
        elif not same_value(places[name].value, value):
            applied[name] = value
    for name in sorted(applied, key=lambda name: places[name].begin, reverse=True):
        place = places[name]
        literal = _literal(by_name[name], applied[name])
        text = text[: place.begin] + literal + text[place.end :]
    return Turned(text=text, applied=applied, skipped=skipped)


def same_value(one: KnobValue, other: KnobValue) -> bool:
    """Return whether two values are the same setting (1 and 1.0 are, True and 1 are not)."""
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    return one == other


def _impossible(knob: Knob) -> str:
    if knob.kind == "choice" and len(knob.choices) < 2:
        return "a choice needs at least two choices"
    if not knob.is_number:
        return ""
    if knob.low is None or knob.high is None or not knob.low < knob.high:
        return "a number needs low < high"
    if knob.scale == "log" and knob.low <= 0:
        return f"a log scale needs low > 0, not {knob.low:g}"
    return ""


def _literal(knob: Knob, value: KnobValue) -> str:
    if knob.kind == "float":
        return repr(float(value))
    if knob.kind == "int":
        return repr(int(value))
    if isinstance(value, str) and '"' not in value and "\\" not in value and value.isprintable():
        return f'"{value}"'
    return repr(value)
