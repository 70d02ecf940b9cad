"""What can be wrong in a scenario about minds that ask models: names, prices, addresses, keys.

Takes the data of a TOML file, answers (key path, sentence) pairs like `community.scenario_faults`;
what this machine lacks (a package, a key) is told when a run is started.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agents.errors import MindError, PriceError
from agents.minds.catalogue import FAMILIES, KEYS, PACKAGES, family_of
from agents.prices import Price, price_of, price_table, shipped_prices
from community.topology.faults import Found

if TYPE_CHECKING:
    from community.scenario import Scenario

_SHAPES = {
    "anthropic": "anthropic:MODEL",
    "openai": "openai:MODEL",
    "openai-compatible": "openai-compatible:MODEL@http://HOST:PORT/v1",
}


def is_language_mind(name: str) -> bool:
    """Whether a mind's name is one that asks a model."""
    return family_of(name) is not None


def model_name_fault(name: str) -> str:
    """Return what is wrong with a name that begins like one of a model; empty for all others."""
    family = name.partition(":")[0]
    if family not in FAMILIES:
        return ""
    if family_of(name) is None:
        return f"{name!r} names no model; write {_SHAPES[family]}"
    if "@" in name and urlsplit(name.partition("@")[2]).username is not None:
        return "keep user and password out of the address, which goes into the ledger"
    return ""


def price_faults(data: Mapping[str, Any]) -> Found:
    """Return models of the scenario's agents that have no price, or no time to be asked in."""
    run = data.get("run")
    is_virtual = isinstance(run, dict) and run.get("time") == "virtual"
    spend = data.get("spend")
    given = spend.get("prices") if isinstance(spend, dict) else None
    try:
        prices = prices_of(given if isinstance(given, dict) else {})
    except PriceError:
        return []  # the shape is told by pydantic
    agents = data.get("agents")
    entries = [
        (index, item)
        for index, item in enumerate(agents if isinstance(agents, list) else [])
        if isinstance(item, dict)
    ]
    found = _role_faults(spend, [item for _, item in entries])
    for index, item in entries:
        name = item.get("mind")
        if not isinstance(name, str) or not is_language_mind(name):
            if "model" in item and str(name).startswith("policy:"):
                found.append((("agents", index, "model"), f"{name} asks no model; remove it"))
            continue
        if is_virtual:
            text = f"{name} answers in real time, and a virtual clock waits for nobody"
            found.append((("agents", index, "mind"), text))
        try:
            price_of(name, prices)
        except PriceError as error:
            found.append((("agents", index, "mind"), str(error)))
    return found


def _role_faults(spend: object, agents: Sequence[Mapping[str, Any]]) -> Found:
    """Return caps on roles that nobody has."""
    roles = spend.get("roles") if isinstance(spend, dict) else None
    held = {str(agent.get("role")) for agent in agents}
    return [
        (("spend", "roles", role), f"nobody here is {role}; there are: {', '.join(sorted(held))}")
        for role in (roles if isinstance(roles, dict) else {})
        if role not in held
    ]


def prices_of(given: Mapping[str, object]) -> dict[str, Price]:
    """Return the shipped prices with a scenario's own over them.

    Raises:
        PriceError: the scenario's are no prices.
    """
    return {**shipped_prices(), **price_table(given)}


def spend_warnings(scenario: Scenario) -> Found:
    """Warn of models that cost money which nothing caps."""
    prices = {**shipped_prices(), **(scenario.spend.prices or {})}
    if scenario.spend.usd is not None or scenario.stop.usd is not None:
        return []
    found: Found = []
    for index, agent in enumerate(scenario.agents):
        if is_language_mind(agent.mind) and price_of(agent.mind, prices).output > 0:
            text = (
                f"{agent.mind} costs money and nothing caps it; give spend = {{ usd = 5.0 }} "
                "(`community estimate` says what it may come to)"
            )
            found.append((("agents", index, "mind"), text))
    return found


def check_means(scenario: Scenario) -> None:
    """Check that this machine has what the scenario's models are asked with.

    Raises:
        MindError: an SDK is not installed, or a key is not in the environment.
    """
    for mind in dict.fromkeys(member.mind for member in scenario.members()):
        check_mind(mind)


def check_mind(mind: str) -> None:
    """Check that this machine has what a mind that asks a model is asked with.

    Raises:
        MindError: its SDK is not installed, or its key is not in the environment.
    """
    family = family_of(mind)
    if family is None:
        return
    if find_spec(PACKAGES[family]) is None:
        raise MindError(
            f"the mind {mind} needs the package {PACKAGES[family]}: "
            "pip install 'research-community[minds]'"
        )
    key = KEYS.get(family)
    if key is not None and not os.environ.get(key, "").strip():
        raise MindError(f"the mind {mind} needs a key in the environment variable {key}")
