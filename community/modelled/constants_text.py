"""Start trees that are a list of named constants, and reading them again; never run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from agents.constants import find_constants
from forum.messages import KnobValue


def constants_text(title: str, values: Mapping[str, KnobValue]) -> str:
    """Return a file of constants; comments part them, so that changes of different ones merge."""
    parts = [f'"""{title} Nothing else in this file counts."""\n']
    for name, value in values.items():
        literal = f'"{value}"' if isinstance(value, str) else repr(value)
        words = name.lower().replace("_", " ")
        parts.append(f"# {words}\n{name} = {literal}\n")
    return "\n".join(parts)


def read_constants(text: bytes, names: Sequence[str]) -> tuple[KnobValue, ...] | None:
    """Return the constants' values in the order of `names`; None where one is missing."""
    return _read(text, tuple(names))


@lru_cache(maxsize=4096)
def _read(text: bytes, names: tuple[str, ...]) -> tuple[KnobValue, ...] | None:
    try:
        places, _ = find_constants(text.decode())
    except UnicodeDecodeError:
        return None
    if any(name not in places for name in names):
        return None
    return tuple(places[name].value for name in names)
