"""The catalogue of minds: from a name in a scenario to a `Mind`.

Names are ``family:variant``. Minds are imported when they are asked for, so that a run without
Optuna's samplers does not wait half a second for Optuna, and one without models needs no SDK.
Which models there are is their providers' to say: any name of a family is a mind.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from agents.errors import MindError, UnknownMindError
from agents.minds.mind import Mind
from agents.prices import MICRO_USD
from agents.roles import Right

if TYPE_CHECKING:
    from agents.minds.exchange import Model
    from agents.minds.means import Means

Family = Literal["anthropic", "openai", "openai-compatible"]
FAMILIES: tuple[Family, ...] = ("anthropic", "openai", "openai-compatible")
"""Of models that are asked over the network; what follows the colon is the model's name there."""
PACKAGES: dict[Family, str] = {
    "anthropic": "anthropic",
    "openai": "openai",
    "openai-compatible": "openai",
}
"""The SDK that each is asked with."""
GRACE_S = 60.0
"""Beyond the time that a program has, for it to be ended and its tree to be read."""
KEYS: dict[Family, str] = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}
"""Environment variables without which they cannot be asked. Others may have one in
``OPENAI_COMPATIBLE_API_KEY``."""


def known_minds() -> tuple[str, ...]:
    """Return the names `make_mind` understands, sorted."""
    return tuple(sorted(_MAKERS))


def add_mind(name: str, maker: Callable[[], Mind], needs: frozenset[Right]) -> None:
    """Make a mind of one's own known in this process: benchmarks and tests script researchers so.

    Raises:
        ValueError: the name is taken.
    """
    if name in _MAKERS:
        raise ValueError(f"a mind is called {name!r} already; choose another name")
    _MAKERS[name] = maker
    NEEDS[name] = needs


def make_mind(name: str, means: Means | None = None) -> Mind:
    """Return a new mind.

    Args:
        name: for example ``policy:social``, ``anthropic:claude-sonnet-5-5`` or ``cli:codex``.
        means: what a mind that asks a model pays and calls with; policies need none.

    Raises:
        UnknownMindError: no mind has this name; the error names the nearest.
        MindError: it asks a model, and its package, its key or `means` is missing.
    """
    family = family_of(name)
    if family is not None:
        return _language_mind(name, family, means)
    if is_command_mind(name):
        return _command_mind(name, means)
    maker = _MAKERS.get(name)
    if maker is None:
        known = known_minds()
        tails = {each.partition(":")[2]: each for each in known}
        tail = get_close_matches(name.partition(":")[2] or name, tails, n=1, cutoff=0.5)
        near = get_close_matches(name, known, n=1)
        nearest = tails[tail[0]] if tail else near[0] if near else ""
        raise UnknownMindError(name, nearest, known)
    return maker()


def family_of(name: str) -> Family | None:
    """Return which family of models a mind's name belongs to, if it is a whole name of one."""
    for family in FAMILIES:
        model = name.removeprefix(f"{family}:")
        if model == name:
            continue
        at, _, url = model.partition("@")
        if family != "openai-compatible":
            return family if model.strip() == model and model else None
        return family if at and url.startswith(("http://", "https://")) else None
    return None


def provider_of(name: str) -> str:
    """Return whose limits hold for a mind that asks a model: a family, or a server's address."""
    if is_command_mind(name):
        return name
    family = family_of(name)
    return name.partition("@")[2] if family == "openai-compatible" else family or ""


def is_command_mind(name: str) -> bool:
    """Whether a mind's name is one of a coding agent's program: ``cli:claude``."""
    return re.fullmatch(r"cli:[a-z0-9][a-z0-9_-]{0,31}", name) is not None


def _language_mind(name: str, family: Family, means: Means | None) -> Mind:
    if means is None:
        raise MindError(f"{name} asks a model and needs an account to pay from; none was given")
    from agents.minds.language_mind import LanguageMind

    return LanguageMind(name, provider_of(name), lambda: open_model(name, family), means)


def _command_mind(name: str, means: Means | None) -> Mind:
    if means is None or means.cli is None or means.commands is None:
        raise MindError(f"{name} runs a program of this machine, and nobody here can run one")
    from agents.minds.calling import Ceiling
    from agents.minds.cli_mind import CliModel
    from agents.minds.language_mind import LanguageMind

    cli, commands = means.cli, means.commands
    if cli.usd_per_turn is None:
        raise MindError(f"what a turn of {name} may cost is not said; give usd_per_turn")
    ceiling = Ceiling(round(cli.usd_per_turn * MICRO_USD), cli.tokens_per_turn)
    patient = replace(means, options=replace(means.options, call_s=cli.wall_s + GRACE_S))
    return LanguageMind(name, name, lambda: CliModel(cli, commands), patient, ceiling)


def open_model(name: str, family: Family) -> Model:
    """Return the model that a mind's name means, ready to be asked.

    Raises:
        MindError: the SDK is not installed, or there is no key in the environment.
    """
    model = name.partition(":")[2]
    try:
        if family == "anthropic":
            from agents.minds.anthropic_mind import ClaudeModel

            return ClaudeModel(model)
        if family == "openai":
            from agents.minds.openai_mind import GptModel

            return GptModel(model)
        from agents.minds.compatible_mind import CompatibleModel

        at, _, url = model.partition("@")
        return CompatibleModel(at, url)
    except ImportError as error:
        raise MindError(
            f"{name} needs a package that is not installed ({error.name}): "
            "pip install 'research-community[minds]'"
        ) from error


def _named(module: str, name: str) -> Callable[[], Mind]:
    """Return what makes a built-in mind, imported when it is first made."""

    def make() -> Mind:
        mind: Mind = getattr(import_module(f"agents.minds.policy.{module}"), name)()
        return mind

    return make


def _tpe() -> Mind:
    from agents.minds.optuna_policy import OptunaSearch

    return OptunaSearch("tpe")


def _cmaes() -> Mind:
    from agents.minds.optuna_policy import OptunaSearch

    return OptunaSearch("cmaes")


_MAKERS: dict[str, Callable[[], Mind]] = {
    "policy:random": _named("random_search", "RandomSearch"),
    "policy:greedy": _named("greedy", "Greedy"),
    "policy:social": _named("social", "Social"),
    "policy:merge": _named("merge", "Merge"),
    "policy:judge": _named("judge", "Judge"),
    "policy:verify": _named("verify", "Verify"),
    "policy:careless": _named("careless", "Careless"),
    "policy:climber": _named("climber", "Climber"),
    "policy:synthesise": _named("synthesise", "Synthesise"),
    "policy:sceptic": _named("sceptic", "Sceptic"),
    "policy:librarian": _named("librarian", "Librarian"),
    "policy:director": _named("director", "Director"),
    "policy:cheater": _named("hostile.cheater", "Cheater"),
    "policy:plagiarist": _named("hostile.plagiarist", "Plagiarist"),
    "policy:noise_miner": _named("hostile.noise_miner", "NoiseMiner"),
    "policy:poisoner": _named("hostile.poisoner", "Poisoner"),
    "policy:free_rider": _named("hostile.free_rider", "FreeRider"),
    "policy:injector": _named("hostile.injector", "Injector"),
    "policy:tpe": _tpe,
    "policy:cmaes": _cmaes,
}

NEEDS: dict[str, frozenset[Right]] = {
    "policy:random": frozenset({"propose"}),
    "policy:greedy": frozenset({"propose"}),
    "policy:social": frozenset({"propose"}),
    "policy:merge": frozenset({"propose", "merge"}),
    "policy:judge": frozenset({"review"}),
    "policy:verify": frozenset({"reproduce"}),
    "policy:careless": frozenset({"propose"}),
    "policy:climber": frozenset({"propose"}),
    "policy:synthesise": frozenset({"propose", "merge"}),
    "policy:sceptic": frozenset({"review", "reproduce"}),
    "policy:librarian": frozenset({"lead", "comment"}),
    "policy:director": frozenset({"lead"}),
    "policy:cheater": frozenset({"propose", "comment"}),
    "policy:plagiarist": frozenset({"propose"}),
    "policy:noise_miner": frozenset({"propose"}),
    "policy:poisoner": frozenset({"propose", "lead", "comment"}),
    "policy:free_rider": frozenset({"propose"}),
    "policy:injector": frozenset({"propose", "lead", "comment"}),
    "policy:tpe": frozenset({"propose"}),
    "policy:cmaes": frozenset({"propose"}),
}
"""The rights without which a mind can do nothing of use; what else it may do, it does."""
