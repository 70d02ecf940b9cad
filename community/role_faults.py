"""What can be wrong in a scenario about roles: its own, and what minds need of those they have.

Takes the data of a TOML file, answers (key path, sentence) pairs like `community.scenario_faults`.
A role of the scenario's own is a table, ``[roles.NAME]``, or the path of a file with such a table,
``[roles.NAME] file = "hermit.toml"``, which is put in its place.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agents.errors import RoleError
from agents.minds.catalogue import NEEDS, known_minds
from agents.roles import Right, RoleTable, known_roles, load_role
from community.topology.faults import Found

Rights = frozenset[Right]


def read_role_files(data: Mapping[str, Any], path: Path) -> tuple[Found, bool]:
    """Put roles that are files in the place of their paths; answer faults, and whether any was.

    Args:
        data: The scenario's, as tomllib gave it; changed in place.
        path: Of the scenario's file, where relative paths start.
    """
    given, found, is_read = data.get("roles"), Found(), False
    roles: dict[str, Any] = given if isinstance(given, dict) else {}
    for name, table in roles.items():
        file = table.get("file") if isinstance(table, dict) else None
        if not isinstance(file, str):
            continue
        key = ("roles", name, "file")
        if len(table) > 1:
            found.append((key, "a role is its file or what stands here; keep one of them"))
            continue
        try:
            roles[name] = tomllib.loads((path.parent / Path(file).expanduser()).read_text("utf-8"))
            is_read = True
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            found.append((key, f"{file} cannot be read as a role: {error}"))
    return found, is_read


def all_roles(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of all roles that the agents of a scenario can have, its own last."""
    own = data.get("roles")
    names = own if isinstance(own, dict) else ()
    return (*known_roles(), *(name for name in names if name not in known_roles()))


def rights_of(role: str | None, data: Mapping[str, Any]) -> Rights | None:
    """Return a role's rights; None where there is no such role or its table is broken."""
    own = data.get("roles")
    if isinstance(own, dict) and role in own:
        try:
            return frozenset(RoleTable.model_validate(own[role]).rights)
        except ValidationError:
            return None
    try:
        return None if role is None else load_role(role).rights
    except RoleError:
        return None


def own_role_faults(data: Mapping[str, Any]) -> Found:
    """Return own roles that hide one that ships, and minds of theirs that are none."""
    own, found = data.get("roles"), Found()
    for name, table in own.items() if isinstance(own, dict) else ():
        if name in known_roles():
            text = f"{name!r} is a role that comes with the project; give yours another name"
            found.append((("roles", name), text))
        mind = table.get("mind") if isinstance(table, dict) else None
        if mind and mind not in known_minds():
            text = f"{mind!r} is no built-in mind; known: {', '.join(known_minds())}"
            found.append((("roles", name, "mind"), text))
    return found


def right_faults(entries: Sequence[tuple[int, object]], data: Mapping[str, Any]) -> Found:
    """Return minds whose role lacks a right they cannot do without, and a lack of proposers."""
    found = Found()
    names = all_roles(data)
    rights = [rights_of(_text(item, "role"), data) for _, item in entries]
    for (index, item), held in zip(entries, rights, strict=True):
        mind = _text(item, "mind") or ""
        needs = NEEDS.get(mind, frozenset())
        if held is None or needs <= held:
            continue
        fitting = _with(needs, names, data)
        text = (
            f"role {_text(item, 'role')!r} lacks the right to {' and '.join(sorted(needs - held))},"
            f" without which {mind} can do nothing; roles that fit: {', '.join(fitting) or 'none'}"
        )
        found.append((("agents", index, "role"), text))
    if rights and all(held is not None and "propose" not in held for held in rights):
        text = (
            "nobody here may propose, so no experiment would ever run; add an agent whose role is "
            f"one of: {', '.join(_with(frozenset({'propose'}), names, data))}"
        )
        found.append((("agents",), text))
    return found


def _with(needs: Rights, names: Iterable[str], data: Mapping[str, Any]) -> list[str]:
    """Return the roles that hold all of `needs`, hostile ones left out."""
    held = {name: rights_of(name, data) for name in names}
    fitting = [name for name, rights in held.items() if rights is not None and needs <= rights]
    return [name for name in fitting if name not in known_roles() or not load_role(name).is_hostile]


def _text(table: object, key: str) -> str | None:
    value = table.get(key) if isinstance(table, dict) else None
    return value if isinstance(value, str) and value else None
