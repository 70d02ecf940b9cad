"""What can be wrong in a scenario: shape (keys, types), names, pairs that do not go together.

Takes the data of a TOML file, answers (key path, sentence) pairs; `community.loading` adds lines
and raises. The shape is checked by the models of `community.scenario`; what needs two keys or
another room (tasks, roles, minds) is checked here on whatever part is well formed, so that one
reading finds everything.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from agents.roles import QuotaTable, RoleTable
from community.board_faults import board_faults
from community.cli_sections import CliSection
from community.key_faults import address_warnings
from community.mind_faults import (
    is_language_mind,
    is_replay,
    model_name_fault,
    price_faults,
    spend_warnings,
)
from community.role_faults import own_role_faults, right_faults
from community.scenario import (
    REMOTE,
    RESERVED_NAMES,
    AgentSection,
    EdgeSection,
    Scenario,
    member_names,
)
from community.spend_sections import CapSection, ModelSection
from community.topology import build_topology
from community.topology.faults import Found, topology_faults, topology_warnings
from community.world_faults import world_faults

_Section = TypeVar("_Section", bound=BaseModel)
_NO_AGENTS = (("agents",), "too_short")
_FORMS = (
    *("anthropic:MODEL", "openai:MODEL", "openai-compatible:MODEL@URL", "cli:NAME"),
    "replay:RUN",
)
"""How minds are called that are not in the list of built-in ones."""


def nearest(word: object, known: Iterable[str]) -> str:
    """Return `` (did you mean "x"?)`` for the nearest known word, or nothing when none is near."""
    close = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.55)
    return f' (did you mean "{close[0]}"?)' if close else ""


def shape_faults(data: dict[str, Any]) -> Found:
    """Return unknown keys, missing keys and wrong types or values of a scenario's `data`."""
    try:
        Scenario.model_validate(data)
    except ValidationError as error:
        items = error.errors()
        if data.get("agents"):  # agents with a fault of their own count as none
            items = [item for item in items if (item["loc"], item["type"]) != _NO_AGENTS]
        return [(tuple(item["loc"]), in_words(item, _keys_at)) for item in items]
    return []


def in_words(item: ErrorDetails, keys_at: Callable[[Sequence[str | int]], list[str]]) -> str:
    """Say one of pydantic's findings in our words, with the nearest key or value.

    Args:
        item: The finding.
        keys_at: Answers which keys the table at a place knows.
    """
    loc, context, given = item["loc"], item.get("ctx", {}), item["input"]
    match item["type"]:
        case "extra_forbidden":
            keys = keys_at(loc[:-1])
            return f"unknown key{nearest(loc[-1], keys)}; known here: {', '.join(keys)}"
        case "missing":
            examples = {"run": 'run = { task = "nanolm" }', "agents": "one [[agents]] table each"}
            example = examples.get(str(loc[-1]), f'a value for "{loc[-1]}"')
            return f"missing; write {example}"
        case "literal_error":
            known = [
                word.strip("' ") for word in context["expected"].replace(" or ", ",").split(",")
            ]
            return f"unknown value {given!r}{nearest(given, known)}; known: {', '.join(known)}"
        case "string_pattern_mismatch":
            return (
                f"{given!r} is no name; use 1 to 32 of a-z, 0-9, - and _, a letter or digit first"
            )
        case "value_error":
            return f"{given!r} does not fit: {context['error']}"
        case "model_type" | "model_attributes_type":
            keys = keys_at(loc)
            return f"{given!r} is no table; write {{ ... }} with keys of: {', '.join(keys)}"
        case "too_short":
            return "is empty; write at least one"
        case kind:
            rule = _RULES.get(kind) or item["msg"].replace("Input should", "must")
            return f"{given!r} does not fit: {rule}"


_RULES = {
    "int_type": "give a whole number without quotes",
    "float_type": "give a number without quotes",
    "string_type": "give a text in quotes",
    "tuple_type": "give one [[agents]] table each",
}
"""What to write, for types of pydantic's errors whose own words name Python types."""


def _keys_at(loc: Sequence[str | int]) -> list[str]:
    """Return the keys that the table at `loc` knows."""
    if not loc:
        return list(Scenario.model_fields)
    if loc[0] == "agents":
        return list((ModelSection if "model" in loc else AgentSection).model_fields)
    if loc[0] == "minds" and len(loc) > 2:
        return list(CliSection.model_fields)
    if loc[0] == "spend" and len(loc) > 1:
        return list(CapSection.model_fields)
    if loc[0] == "roles" and len(loc) > 1:
        return [*(QuotaTable if "quotas" in loc[2:] else RoleTable).model_fields, "file"]
    if loc[:2] == ("topology", "edges"):
        return list(EdgeSection.model_fields)
    annotation = Scenario.model_fields[str(loc[0])].annotation
    options = [annotation, *getattr(annotation, "__args__", ())]
    return [
        key
        for option in options
        if isinstance(option, type) and issubclass(option, BaseModel)
        for key in option.model_fields
    ]


def cross_checks(
    data: dict[str, Any],
    tasks: Sequence[str],
    roles: Sequence[str],
    minds: Sequence[str],
) -> Found:
    """Return unknown names and impossible pairs in whatever part of `data` is well formed.

    Args:
        data: The scenario as tomllib gave it, paths of task folders made absolute.
        tasks: Names of shipped tasks.
        roles: Names of known roles.
        minds: Names of known minds.
    """
    raw = data.get("agents")
    entries = list(enumerate(raw if isinstance(raw, list) else []))
    agents = [(i, agent) for i, item in entries if (agent := _valid(AgentSection, item))]
    found = _task_faults(_text(data.get("run"), "task"), tasks)
    found += _name_faults(entries)
    for index, item in entries:
        for key, known in (("role", roles), ("mind", minds)):
            word = _text(item, key)
            if word is None:
                continue
            is_model = key == "mind" and (is_language_mind(word) or is_replay(word))
            fault = model_name_fault(word) if key == "mind" else ""
            if fault or not (is_model or word in known):
                forms = _FORMS if key == "mind" else ()
                found.append((("agents", index, key), fault or _unknown(key, word, known, forms)))
    found += right_faults(entries, data) + own_role_faults(data)
    names: list[str] = []
    if len(agents) == len(entries) > 0:
        names = [name for _, agent in agents for name in member_names(agent.name, agent.count)]
    found += topology_faults(data.get("topology"), names) + _pair_faults(data)
    return found + world_faults(data) + price_faults(data)


def _text(table: object, key: str) -> str | None:
    """Return the text under `key`, or None where the shape is wrong."""
    value = table.get(key) if isinstance(table, dict) else None
    return value if isinstance(value, str) and value else None


def _valid(model: type[_Section], item: object) -> _Section | None:
    """Return `item` as `model`, or None when its shape is wrong (which `shape_faults` tells)."""
    try:
        return model.model_validate(item)
    except ValidationError:
        return None


def _unknown(what: str, word: str, known: Sequence[str], forms: Sequence[str] = ()) -> str:
    near, (head, colon, tail) = nearest(word, known), word.partition(":")
    heads = [form.partition(":")[0] for form in forms]
    if colon and tail and (close := difflib.get_close_matches(head, heads, n=1, cutoff=0.7)):
        near = f' (did you mean "{close[0]}:{tail}"?)'
    return f"unknown {what} {word!r}{near}; known: {', '.join((*known, *forms))}"


def _task_faults(task: str | None, tasks: Sequence[str]) -> Found:
    if task is None or task in tasks:
        return []
    if "/" not in task:
        hint = "for a folder of yours give a path with a slash, ./mytask"
        return [(("run", "task"), f"{_unknown('task', task, tasks)}; {hint}")]
    if (Path(task) / "task.toml").is_file():
        return []
    text = f"no task folder {task}: there is no task.toml in it; copy a shipped task to begin"
    return [(("run", "task"), text)]


def _name_faults(entries: Sequence[tuple[int, object]]) -> Found:
    """Return duplicate, reserved and too long names, after counts are expanded."""
    found: Found = []
    owners: dict[str, int] = {}
    for index, item in entries:
        name = _text(item, "name")
        if name is None:
            continue
        key = ("agents", index, "name")
        agent = _valid(AgentSection, item)
        names = member_names(name, agent.count if agent else 1)
        if name in RESERVED_NAMES:
            found.append((key, f"{name!r} is the institution's own name; choose another"))
        if len(name) <= 32 < len(names[-1]):
            found.append((key, f"{names[-1]!r} has more than 32 characters; choose a shorter name"))
        if taken := [name for name in names if name in owners]:
            first = owners[taken[0]]
            text = f"{taken[0]!r} is taken by agents[{first}]; names must differ (or use count)"
            found.append((key, text))
        owners |= dict.fromkeys((name for name in names if name not in owners), index)
    return found


def _pair_faults(data: dict[str, Any]) -> Found:
    found: Found = list(board_faults(data.get("board")))
    board, budget = data.get("board"), data.get("budget")
    has_logins = isinstance(board, dict) and "credentials" in board
    agents = data.get("agents")
    for index, item in enumerate(agents if isinstance(agents, list) else []):
        is_ours = _text(board, "broker") in (None, "embedded")
        if _text(item, "mind") == REMOTE and not is_ours and not has_logins:
            text = (
                'a remote mind needs a credential of its own: broker = "embedded", or a broker of '
                "yours with credentials (`community broker config`); or give it a mind that runs "
                "here"
            )
            found.append((("agents", index, "mind"), text))
    amount = budget.get("amount") if isinstance(budget, dict) else None
    if _text(budget, "kind") == "steps" and isinstance(amount, float) and amount % 1:
        text = f"{amount} steps are not possible; give a whole number"
        found.append((("budget", "amount"), text))
    return found


def warnings_of(scenario: Scenario) -> Found:
    """Return what is allowed but probably not meant."""
    members = scenario.members()
    topology = build_topology([m.name for m in members], scenario.topology, scenario.run.seed)
    found = topology_warnings(scenario.topology, topology) + spend_warnings(scenario)
    found += address_warnings(scenario)
    for index, agent in enumerate(scenario.agents):
        names = member_names(agent.name, agent.count)
        if any(topology.hears(name) for name in names):
            continue
        if not scenario.role(agent.role).rights & {"propose"}:
            text = f"{agent.name} hears nobody, so a {agent.role} has nothing to work on"
            found.append((("agents", index, "role"), text))
    return found
