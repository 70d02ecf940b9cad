"""Roles: rights, quotas and charter of a participant, as records in ``scenarios/roles/*.toml``.

A role is no class of behaviour: what an agent does is its mind's business, what it may do is here.
`agents.agent` checks the rights before it carries an action out.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.errors import RoleError

Right = Literal["propose", "reproduce", "review", "merge", "lead", "comment"]
"""propose: have trees measured; merge: with two parents; the others name a kind of post."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """What one participant may use up over a whole run; None means no limit of its own."""

    turns: int | None = None
    experiments: int | None = None
    """Own proposals and reproductions it starts, each counted once."""


@dataclass(frozen=True, slots=True)
class Role:
    """What a participant may do and is there for."""

    name: str
    charter: str
    """What it is there for, in words; goes into the prompts of minds that read."""
    rights: frozenset[Right]
    quotas: Quotas = Quotas()


class _QuotaTable(BaseModel):
    model_config = ConfigDict(extra="forbid")

    turns: Annotated[int, Field(ge=1)] | None = None
    experiments: Annotated[int, Field(ge=0)] | None = None


class _RoleFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    charter: Annotated[str, Field(min_length=1, max_length=4_000)]
    rights: tuple[Right, ...]
    quotas: _QuotaTable = _QuotaTable()


def known_roles(folder: Path | None = None) -> tuple[str, ...]:
    """Return the names of the roles in `folder` (by default those that come with the package)."""
    place = _shipped() if folder is None else folder
    if not place.is_dir():
        return ()
    names = (each.name for each in place.iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def load_role(name: str, folder: Path | None = None) -> Role:
    """Return the role `name` from ``<folder>/<name>.toml``.

    Args:
        name: the role's name, which is its file's name without ``.toml``.
        folder: where role files lie; by default ``scenarios/roles`` of this distribution.

    Raises:
        RoleError: no such role, or its file is wrong; the message names every fault.
    """
    known = known_roles(folder)
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise RoleError(f"no role is called {name!r}; {hint}known: {', '.join(known) or 'none'}")
    place = _shipped() if folder is None else folder
    return parse_role(name, (place / f"{name}.toml").read_text(encoding="utf-8"))


def parse_role(name: str, text: str) -> Role:
    """Return the role that `text` (TOML) describes.

    Raises:
        RoleError: the text is no TOML, or has unknown keys, rights or quotas.
    """
    try:
        table = _RoleFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise RoleError(f"role {name!r}: not TOML: {error}") from error
    except ValidationError as error:
        faults = [_fault(fault["loc"], fault["msg"], fault["input"]) for fault in error.errors()]
        raise RoleError(f"role {name!r}: " + "; ".join(faults)) from error
    quotas = Quotas(turns=table.quotas.turns, experiments=table.quotas.experiments)
    return Role(name, table.charter.strip(), frozenset(table.rights), quotas)


def _fault(where: tuple[int | str, ...], message: str, value: object) -> str:
    path = ".".join(str(part) for part in where)
    words = {
        "": [*_RoleFile.model_fields],
        "rights": [*get_args(Right)],
        "quotas": [*_QuotaTable.model_fields],
    }
    group = str(where[0]) if len(where) > 1 else ""
    wrong = str(value) if group == "rights" else str(where[-1])
    near = [word for word in get_close_matches(wrong, words.get(group, []), n=1) if word != wrong]
    return f"{path}: {message}" + (f" (nearest: {near[0]!r})" if near else "")


def _shipped() -> Traversable:
    return files("scenarios") / "roles"
