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
from agents.minds.catalogue import FAMILIES, KEYS, PACKAGES, family_of, is_command_mind
from agents.minds.cli_presets import Cli, variables_of
from agents.prices import Price, PriceTable, price_of, price_table, shipped_prices
from community.cli_faults import cli_fault, section_faults
from community.cli_sections import cli_of
from community.topology.faults import Found
from trainer.commands.view import find_program
from trainer.errors import CommandError
from trainer.sandbox.probe import probe

if TYPE_CHECKING:
    from community.scenario import Scenario

REPLAY = "replay:"
"""How the names of minds begin that give a record's answers; what follows names the record."""
_SHAPES = {
    "anthropic": "anthropic:MODEL",
    "openai": "openai:MODEL",
    "openai-compatible": "openai-compatible:MODEL@http://HOST:PORT/v1",
}


def is_language_mind(name: str) -> bool:
    """Whether a mind's name is one that asks a model, by an API or by a program of its own."""
    return family_of(name) is not None or is_command_mind(name)


def is_replay(name: str) -> bool:
    """Whether a mind's name is one that gives a record's answers."""
    return name.startswith(REPLAY) and name != REPLAY


def model_name_fault(name: str) -> str:
    """Return what is wrong with a name that begins like one of a model; empty for all others."""
    family = name.partition(":")[0]
    if family == "cli" and not is_command_mind(name):
        return f"{name!r} names no program; write cli:claude, cli:codex, cli:gemini, ..."
    if family not in FAMILIES:
        return ""
    if family_of(name) is None:
        return f"{name!r} names no model; write {_SHAPES[family]}"
    url = urlsplit(name.partition("@")[2])
    if url.username is not None:
        return "keep user and password out of the address, which goes into the ledger"
    if url.query or url.fragment:
        return (
            "an address ends with its path, as in http://HOST:PORT/v1; a key is read from the "
            "environment variable OPENAI_COMPATIBLE_API_KEY"
        )
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
    found += section_faults(data.get("minds"))
    for index, item in entries:
        name = item.get("mind")
        if not isinstance(name, str) or not is_language_mind(name):
            if "model" in item and str(name).startswith("policy:"):
                found.append((("agents", index, "model"), f"{name} asks no model; remove it"))
            continue
        if is_virtual:
            text = f"{name} answers in real time, and a virtual clock waits for nobody"
            found.append((("agents", index, "mind"), text))
        if is_command_mind(name):
            if fault := cli_fault(name, data.get("minds")):
                found.append((("agents", index, "mind"), fault))
            continue
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
        if is_language_mind(agent.mind) and _costs(agent.mind, scenario, prices):
            text = (
                f"{agent.mind} costs money and nothing caps it; give spend = {{ usd = 5.0 }} "
                "(`community estimate` says what it may come to)"
            )
            found.append((("agents", index, "mind"), text))
    return found


def _costs(mind: str, scenario: Scenario, prices: PriceTable) -> bool:
    cli = cli_of(mind, scenario.minds, prices)
    if is_command_mind(mind):
        return cli is not None and bool(cli.usd_per_turn)
    return price_of(mind, prices).output > 0


def check_means(scenario: Scenario) -> None:
    """Check that this machine has what the scenario's models are asked with.

    Raises:
        MindError: an SDK is not installed, or a key is not in the environment.
        RecordError: answers are to be given again that are not on record.
    """
    for member in scenario.members():
        if is_replay(member.mind):
            from community.recorded.live import check_replay

            check_replay(member)
    for mind in dict.fromkeys(member.mind for member in scenario.members()):
        cli = cli_of(mind, scenario.minds, {}) if is_command_mind(mind) else None
        if cli is not None:
            check_program(mind, cli)
        else:
            check_mind(mind)


def check_program(mind: str, cli: Cli) -> None:
    """Check that this machine has what a coding program is run with.

    Raises:
        MindError: it, its key, or what its sandbox is made of is missing.
    """
    try:
        find_program(cli.command_line("")[0])
    except CommandError as error:
        raise MindError(f"the mind {mind}: {error}") from error
    held = [name for name in variables_of(cli) if os.environ.get(name, "").strip()]
    if cli.keys and not set(cli.keys) & set(held):
        raise MindError(
            f"the mind {mind} needs a key in one of the environment variables "
            f"{', '.join(cli.keys)}; others are named in [minds.{mind.replace(':', '.')}] env"
        )
    missing = [name for name in cli.passes if name not in held]
    if not cli.keys and missing:
        raise MindError(f"the mind {mind} is to be given {missing[0]}, which is not set")
    report = probe()
    if not report.allows("full"):
        raise MindError(
            f"the mind {mind} runs a program behind walls, which this machine lacks: "
            f"{'; '.join(report.advice())}"
        )


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
