"""What a factor's level does to a scenario: words for what scientists vary, any key by its path.

Works on the data of a scenario file before it is checked, so that one check finds every fault of
every arm. Next: `community.study.design` puts levels together and checks what comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from agents.roles import known_roles, load_role
from community.role_faults import rights_of
from community.scenario import Scenario
from community.toml_lines import KeyPath
from community.topology.families import EXAMPLES

Data = dict[str, Any]
"""A scenario as tomllib gives it."""

_SHAPE = (*EXAMPLES, "family", "edges", "file")
"""Keys of a topology that make its graph; the others say what edges do, and stay."""


class LevelError(ValueError):
    """A level cannot be applied; the message says what to write."""


def apply_level(factor: str, value: Any, data: Data) -> list[KeyPath]:
    """Change `data` as a level says; answer which keys it set.

    Args:
        factor: One of `WORDS`, a key's path (``"model.k"``), or any name whose levels are tables
            with ``set``.
        value: The level, its label taken off.
        data: Changed in place.

    Raises:
        LevelError: the value is none for this factor.
    """
    if factor in _RULES:
        return _RULES[factor](data, value)
    if isinstance(value, Mapping) and set(value) == {"set"}:
        return set_keys(data, value["set"])
    return set_keys(data, {factor: value})


def set_keys(data: Data, values: Any) -> list[KeyPath]:
    """Set keys by their paths, ``{ "topology.k" = 2 }`` or ``{ topology = { k = 2 } }``.

    Raises:
        LevelError: a path leads through something that is no table.
    """
    if not isinstance(values, Mapping) or not values:
        raise LevelError('give a table of keys, set = { "model.k" = 2 }')
    touched: list[KeyPath] = []
    for path, value in _leaves(values):
        table: Any = data
        for part in path[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise LevelError(f"{'.'.join(path)}: {part} is no table of the scenario")
        table[path[-1]] = value
        touched.append(path)
    return touched


def is_path(factor: str) -> bool:
    """Whether the name is a path that begins with a section of scenarios."""
    head, _, tail = factor.partition(".")
    return bool(tail) and head in Scenario.model_fields


def _leaves(values: Mapping[str, Any]) -> Iterable[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        path = tuple(key.split("."))
        if isinstance(value, Mapping):
            yield from (((*path, *rest), leaf) for rest, leaf in _leaves(value))
        else:
            yield path, value


def _topology(data: Data, value: Any) -> list[KeyPath]:
    section = {"family": value} if isinstance(value, str) else value
    if not isinstance(section, Mapping) or "family" not in section:
        raise LevelError('give a family, "ring", or a table, { family = "caveman", size = 4 }')
    kept = {k: v for k, v in data.get("topology", {}).items() if k not in _SHAPE}
    if section["family"] in ("isolated", "none"):
        kept = {}
    data["topology"] = {**kept, **section}
    return [("topology",)]


def _size(data: Data, value: Any) -> list[KeyPath]:
    if not _is_count(value):
        raise LevelError("give a whole number of agents, at least 1")
    data["agents"] = seats(_groups(data), value)
    return [("agents",)]


def _mix(data: Data, value: Any) -> list[KeyPath]:
    if not isinstance(value, Mapping) or not value:
        raise LevelError("give shares of roles, { explorer = 3, reviewer = 1 }")
    if not all(isinstance(share, int | float) and share >= 0 for share in value.values()):
        raise LevelError("shares of roles are numbers, none below 0")
    if not sum(value.values()):
        raise LevelError("at least one role needs a share above 0")
    before = _groups(data)
    minds = _usual_minds(data) | dict(reversed(before))
    lacking = [role for role in value if role not in minds]
    if lacking:
        raise LevelError(f"nobody of the base scenario is a {lacking[0]}, so its mind is unknown")
    groups = {(role, minds[role]): float(share) for role, share in value.items() if share}
    data["agents"] = seats(groups, round(sum(before.values())))
    return [("agents",)]


def _minds(data: Data, value: Any) -> list[KeyPath]:
    if not isinstance(value, str | Mapping):
        raise LevelError('give a mind, "policy:greedy", or one per role, { explorer = "..." }')
    for agent in data.get("agents", []):
        role = str(agent.get("role"))
        if isinstance(value, Mapping):
            agent["mind"] = value.get(role, agent.get("mind"))
        elif may_propose(role, data):
            agent["mind"] = value
    return [("agents",)]


def _reviews(data: Data, value: Any) -> list[KeyPath]:
    if not isinstance(value, bool) and not (isinstance(value, int) and value >= 0):
        raise LevelError("give true, false, or how many are asked about each hypothesis")
    section = data.setdefault("reviews", {})
    if value is True:
        section["reviewers"] = max(1, section.get("reviewers", 1))
    else:
        section["reviewers"] = int(value)
    return [("reviews", "reviewers")]


def _key(*path: str) -> Callable[[Data, Any], list[KeyPath]]:
    return lambda data, value: set_keys(data, {".".join(path): value})


def _budget(data: Data, value: Any) -> list[KeyPath]:
    kind = next(iter(data.get("stop", {})), "experiments")
    return set_keys(data, {f"stop.{kind}": value})


_RULES: Final[dict[str, Callable[[Data, Any], list[KeyPath]]]] = {
    "topology": _topology,
    "mix": _mix,
    "size": _size,
    "minds": _minds,
    "reviews": _reviews,
    "carries": _key("topology", "carries"),
    "devices": _key("pool", "slots"),
    "budget": _budget,
    "task": _key("run", "task"),
    "noise": _key("model", "noise"),
}
WORDS: Final = {
    "topology": 'who hears whom: a family, or { family = "small_world", k = 4, p = 0.1 }',
    "mix": "shares of roles, { explorer = 3, reviewer = 1 }; seats are dealt out evenly",
    "size": "how many agents; roles keep their shares",
    "minds": "what decides for all who may propose, or { role = mind }",
    "reviews": "whether hypotheses are reviewed, or by how many",
    "carries": "what an edge carries: score, summary, diff, everything",
    "devices": "slots of the pool",
    "budget": "the amount of the equal budget",
    "task": "what is worked on",
    "noise": "of a modelled task's scores",
}
"""Factors with a name of their own; any other is the path of a key."""
ORDER: Final = ("size", "mix", "minds", "topology")
"""How many come before who they are, and these before who hears whom; others as in the file."""


def seats(groups: Mapping[tuple[str, str], float], size: int) -> list[dict[str, str]]:
    """Return so many agents, roles in these shares and dealt out evenly round the table.

    Agents sit on a ring or a lattice in the scenario's order, so that a mix in blocks would let
    reviewers hear reviewers alone.

    Args:
        groups: (role, mind) -> share.
        size: Agents in all.
    """
    counts = _rounded(list(groups.values()), size)
    roles = [role for role, _ in groups]
    credit = [0.0] * len(counts)
    used = [0] * len(counts)
    found = []
    for _ in range(size):
        credit = [have + count for have, count in zip(credit, counts, strict=True)]
        chosen = max(range(len(counts)), key=lambda i: credit[i])
        credit[chosen] -= size
        used[chosen] += 1
        role, mind = list(groups)[chosen]
        stem = role if roles.count(role) == 1 else f"{role}-{mind.rpartition(':')[2]}"
        name = stem if counts[chosen] == 1 else f"{stem}-{used[chosen]}"
        found.append({"name": name[:32], "role": role, "mind": mind})
    return found


def may_propose(role: str, data: Data) -> bool:
    """Whether somebody of this role may have trees measured; False of a role nobody knows."""
    return "propose" in (rights_of(role, data) or ())


def _usual_minds(data: Data) -> dict[str, str]:
    """Return who decides for a role of which the base scenario has nobody: the role's own mind."""
    own = data.get("roles", {})
    minds = {role: load_role(role).mind for role in known_roles()}
    minds |= {role: str(table.get("mind", "")) for role, table in own.items()}
    return {role: mind for role, mind in minds.items() if mind}


def _groups(data: Data) -> dict[tuple[str, str], float]:
    """Return how many agents there are of each role and mind."""
    groups: dict[tuple[str, str], float] = {}
    for agent in data.get("agents", []):
        key = str(agent.get("role")), str(agent.get("mind"))
        count = agent.get("count", 1)
        groups[key] = groups.get(key, 0.0) + (count if _is_count(count) else 1)
    if not groups:
        raise LevelError("the base scenario has no [[agents]]")
    return groups


def _rounded(shares: list[float], size: int) -> list[int]:
    """Return whole numbers in proportion to `shares` that add up to `size` (largest remainder)."""
    exact = [share * size / sum(shares) for share in shares]
    counts = [int(part) for part in exact]
    order = sorted(range(len(exact)), key=lambda i: (counts[i] - exact[i], i))
    for i in order[: size - sum(counts)]:
        counts[i] += 1
    return counts


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
