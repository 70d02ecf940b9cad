"""Knobs for constants that somebody's code happens to have: which to turn, and how far.

`agents.constants` finds them; the ranges are guesses by name and value, written to be read and
changed. A constant that sets no behaviour of training (a path, a seed, a device) is no knob.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from agents.constants import find_constants
from agents.errors import KnobError
from agents.knobs import load_knobs

MOST_KNOBS: Final = 32
_IDLE: Final = re.compile(
    r"seed|device|path|dir$|file|folder|log|save|print|eval|test|time|second|budget|version|debug"
    r"|verbose|worker|interval|every|name|url|port|cache|shard|vocab|num_class|n_class|tokens?_",
    re.IGNORECASE,
)
_SHARE: Final = re.compile(
    r"dropout|ratio|frac|prob|share|warm|smooth|final|cooldown", re.IGNORECASE
)
_MEMORY: Final = re.compile(r"beta|momentum|ema|gamma", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class KnobFile:
    """Constants of one file, as knobs."""

    path: str
    toml: str
    """The text of knobs.toml."""
    names: tuple[str, ...]


def knobs_of(path: str, content: bytes) -> KnobFile | None:
    """Return the knobs of a file, or None where it has none that can be turned."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    places, _ = find_constants(text)
    tables: dict[str, str] = {}
    for name, place in places.items():
        table = None if _IDLE.search(name) else _table(name, place.value)
        if table is not None and len(tables) < MOST_KNOBS:
            tables[name] = f"[{name}]\n{table}\n"
    kept = {name: table for name, table in tables.items() if _holds(table, text)}
    if not kept:
        return None
    head = (
        f"# Constants of {path} that built-in minds may turn. The ranges are guesses from names\n"
        "# and values: read them, narrow what would break it, drop what must not change.\n\n"
    )
    return KnobFile(path, head + "\n".join(kept.values()), tuple(kept))


def _holds(table: str, text: str) -> bool:
    try:
        return bool(load_knobs(table, text))
    except KnobError:
        return False


def _table(name: str, value: object) -> str | None:
    """Return the body of a knob's table, None for what is not turned."""
    if isinstance(value, bool):
        return 'kind = "bool"'
    if isinstance(value, int):
        return _range("int", max(1, value // 4), 4 * value) if 1 <= value <= 1 << 30 else None
    if not isinstance(value, float):
        return None
    if _MEMORY.search(name) and 0 < value < 1:
        return _range("float", min(0.5, value), max(0.999, value), "linear")
    if _SHARE.search(name) and 0 <= value <= 1:
        return _range("float", 0.0, max(0.6, value), "linear")
    return _range("float", value / 10, value * 10) if 0 < value < 1e12 else None


def _range(kind: str, low: float, high: float, scale: str = "log") -> str:
    if kind == "int" and high - low < 8:
        scale = "linear"
    shown = (f"{low}", f"{high}") if kind == "int" else (f"{low:.6g}", f"{high:.6g}")
    low_text, high_text = shown
    if kind == "float":  # TOML wants a point or an exponent
        low_text, high_text = (t if re.search(r"[.e]", t) else f"{t}.0" for t in shown)
    return f'kind = "{kind}"\nlow = {low_text}\nhigh = {high_text}\nscale = "{scale}"'
