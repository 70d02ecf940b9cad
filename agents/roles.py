"""Roles: rights, quotas and charter of a participant, as records in ``scenarios/roles/*.toml``.

A role is no class of behaviour: what an agent does is its mind's business, what it may do is here.
The lab and the clerk hold everybody to it where actions are taken, whatever mind he has and
wherever it thinks (`community.lab`, `community.clerk`, `community.quotas`). A scenario may define
roles of its own (``[roles.NAME]``), in the same words.
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
    posts: int | None = None
    """Everything it says but what came of its experiments."""
    experiments_per_hour: int | None = None
    """Of these, most within any hour of run time."""
    posts_per_hour: int | None = None

    def in_words(self) -> str:
        """Return them as ``10 experiments, 30 posts an hour``; empty without any."""
        told = {
            "turns": self.turns,
            "experiments": self.experiments,
            "posts": self.posts,
            "experiments an hour": self.experiments_per_hour,
            "posts an hour": self.posts_per_hour,
        }
        return ", ".join(f"{n} {what}" for what, n in told.items() if n is not None)


@dataclass(frozen=True, slots=True)
class Role:
    """What a participant may do and is there for."""

    name: str
    charter: str
    """What it is there for, in words; goes into the prompts of minds that read."""
    rights: frozenset[Right]
    quotas: Quotas = Quotas()
    mind: str = ""
    """The built-in mind that plays it where nothing else is said; empty for none."""
    is_hostile: bool = False
    """Whether it is there to do harm, for studies of what that does."""


class QuotaTable(BaseModel):
    """Quotas as they stand in a file; see `Quotas`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    turns: Annotated[int, Field(ge=1, strict=True)] | None = None
    experiments: Annotated[int, Field(ge=0, strict=True)] | None = None
    posts: Annotated[int, Field(ge=0, strict=True)] | None = None
    experiments_per_hour: Annotated[int, Field(ge=1, strict=True)] | None = None
    posts_per_hour: Annotated[int, Field(ge=1, strict=True)] | None = None


class RoleTable(BaseModel):
    """A role as it stands in a file of ``scenarios/roles/``, or in a scenario; see `Role`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    charter: Annotated[str, Field(min_length=1, max_length=4_000)]
    rights: tuple[Right, ...]
    quotas: QuotaTable = QuotaTable()
    mind: str = ""
    hostile: Annotated[bool, Field(strict=True)] = False

    def as_role(self, name: str) -> Role:
        """Return the role that it describes, called `name`."""
        quotas = Quotas(**self.quotas.model_dump())
        rights = frozenset(self.rights)
        return Role(name, self.charter.strip(), rights, quotas, self.mind, self.hostile)


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
        return RoleTable.model_validate(tomllib.loads(text)).as_role(name)
    except tomllib.TOMLDecodeError as error:
        raise RoleError(f"role {name!r}: not TOML: {error}") from error
    except ValidationError as error:
        faults = [_fault(fault["loc"], fault["msg"], fault["input"]) for fault in error.errors()]
        raise RoleError(f"role {name!r}: " + "; ".join(faults)) from error


def _fault(where: tuple[int | str, ...], message: str, value: object) -> str:
    path = ".".join(str(part) for part in where)
    words = {
        "": [*RoleTable.model_fields],
        "rights": [*get_args(Right)],
        "quotas": [*QuotaTable.model_fields],
    }
    group = str(where[0]) if len(where) > 1 else ""
    wrong = str(value) if group == "rights" else str(where[-1])
    near = [word for word in get_close_matches(wrong, words.get(group, []), n=1) if word != wrong]
    return f"{path}: {message}" + (f" (nearest: {near[0]!r})" if near else "")


def _shipped() -> Traversable:
    return files("scenarios") / "roles"
