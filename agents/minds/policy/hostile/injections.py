"""Injections: texts that try to steer whoever reads them; data, in ``injections.toml``.

What the ``injector`` writes, and what the tests put everywhere: prompts, terminal, report, tables.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Injection:
    """One text."""

    name: str
    family: str
    """Whom it is meant to steer, and how."""
    text: str


@cache
def injections() -> tuple[Injection, ...]:
    """Return all texts, in the file's order."""
    path = files("agents.minds.policy.hostile") / "injections.toml"
    families = tomllib.loads(path.read_text(encoding="utf-8"))
    return tuple(
        Injection(f"{family}-{name}", family, text)
        for family, texts in families.items()
        for name, text in texts.items()
    )
