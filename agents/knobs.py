"""Knobs: named constants in the start tree that built-in minds may turn.

Reads ``knobs.toml``, finds ``NAME = literal`` in a tree's text and rewrites the literal alone, so
that comments stay and edits of different knobs merge. It does not choose values (minds do), and it
never runs the text: a tree may have been edited freely by anybody, so a knob can have vanished.
"""

from __future__ import annotations

import ast
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

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


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a constant's literal stands: byte columns, lines from 0."""

    value: KnobValue
    first_line: int
    first_column: int
    last_line: int
    last_column: int


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
    places, why = _places(start_text)
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
    return tuple(knobs)


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
    places, _ = _places(text)
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
    places, why = _places(text)
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
    lines = text.splitlines(keepends=True)
    from_below = sorted(applied, key=lambda name: places[name].first_line, reverse=True)
    for name in from_below:
        _put(lines, places[name], _literal(by_name[name], applied[name]))
    return Turned(text="".join(lines), applied=applied, skipped=skipped)


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


def _put(lines: list[str], place: _Place, literal: str) -> None:
    """Replace the text at `place`; columns count UTF-8 bytes, as `ast` does."""
    head = lines[place.first_line].encode()[: place.first_column].decode()
    tail = lines[place.last_line].encode()[place.last_column :].decode()
    lines[place.first_line : place.last_line + 1] = [head + literal + tail]


@lru_cache(maxsize=1024)
def _places(text: str) -> tuple[Mapping[str, _Place], Mapping[str, str]]:
    """Return the literals bound exactly once at top level, and why other names are not usable."""
    # `ast` and splitlines must agree on what a line is; a form feed, say, parts only the latter.
    if len(text.splitlines()) != text.count("\n") + (not text.endswith("\n") and text != ""):
        return {}, {}
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}, {}
    places: dict[str, _Place] = {}
    why: dict[str, str] = {}
    seen: set[str] = set()
    for statement in body:
        for name, value in _bindings(statement):
            if name in seen:
                places.pop(name, None)
                why[name] = "it is bound more than once"
                continue
            seen.add(name)
            place = _place(value)
            if place is None:
                why[name] = "it is bound to something other than a literal"
            else:
                places[name] = place
    return places, why


def _bindings(statement: ast.stmt) -> list[tuple[str, ast.expr | None]]:
    """Return the names a top-level statement binds, with the value where it is a plain one."""
    if isinstance(statement, ast.Assign):
        is_plain = len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name)
        value = statement.value if is_plain else None
        return [(name, value) for target in statement.targets for name in _names(target)]
    if isinstance(statement, ast.AnnAssign):
        return [(name, statement.value) for name in _names(statement.target)]
    return [(name, None) for name in _names(statement)]


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    return [
        each.id
        for each in ast.walk(node)
        if isinstance(each, ast.Name) and isinstance(each.ctx, (ast.Store, ast.Del))
    ]


def _place(value: ast.expr | None) -> _Place | None:
    if value is None or value.end_lineno is None or value.end_col_offset is None:
        return None
    try:
        literal = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    if not isinstance(literal, (bool, int, float, str)):
        return None
    return _Place(
        value=literal,
        first_line=value.lineno - 1,
        first_column=value.col_offset,
        last_line=value.end_lineno - 1,
        last_column=value.end_col_offset,
    )
