"""The catalogue of minds: from a name in a scenario to a `Mind`.

Names are ``family:variant``. Minds are imported when they are asked for, so that a run without
Optuna's samplers does not wait half a second for Optuna, and one without models needs no SDK.
Which models there are is their providers' to say: any name of a family is a mind.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal

from agents.errors import MindError, UnknownMindError
from agents.minds.mind import Mind
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
        name: for example ``policy:social`` or ``anthropic:claude-sonnet-5-5``.
        means: what a mind that asks a model pays and calls with; policies need none.

    Raises:
        UnknownMindError: no mind has this name; the error names the nearest.
        MindError: it asks a model, and its package, its key or `means` is missing.
    """
    family = family_of(name)
    if family is not None:
        return _language_mind(name, family, means)
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
    family = family_of(name)
    return name.partition("@")[2] if family == "openai-compatible" else family or ""


def _language_mind(name: str, family: Family, means: Means | None) -> Mind:
    if means is None:
        raise MindError(f"{name} asks a model and needs an account to pay from; none was given")
    from agents.minds.language_mind import LanguageMind

    return LanguageMind(name, provider_of(name), lambda: open_model(name, family), means)


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


def _random() -> Mind:
    from agents.minds.policy.random_search import RandomSearch

    return RandomSearch()


def _greedy() -> Mind:
    from agents.minds.policy.greedy import Greedy

    return Greedy()


def _social() -> Mind:
    from agents.minds.policy.social import Social

    return Social()


def _merge() -> Mind:
    from agents.minds.policy.merge import Merge

    return Merge()


def _judge() -> Mind:
    from agents.minds.policy.judge import Judge

    return Judge()


def _verify() -> Mind:
    from agents.minds.policy.verify import Verify

    return Verify()


def _careless() -> Mind:
    from agents.minds.policy.careless import Careless

    return Careless()


def _climber() -> Mind:
    from agents.minds.policy.climber import Climber

    return Climber()


def _tpe() -> Mind:
    from agents.minds.optuna_policy import OptunaSearch

    return OptunaSearch("tpe")


def _cmaes() -> Mind:
    from agents.minds.optuna_policy import OptunaSearch

    return OptunaSearch("cmaes")


_MAKERS: dict[str, Callable[[], Mind]] = {
    "policy:random": _random,
    "policy:greedy": _greedy,
    "policy:social": _social,
    "policy:merge": _merge,
    "policy:judge": _judge,
    "policy:verify": _verify,
    "policy:careless": _careless,
    "policy:climber": _climber,
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
    "policy:tpe": frozenset({"propose"}),
    "policy:cmaes": frozenset({"propose"}),
}
"""The rights without which a mind can do nothing of use; what else it may do, it does."""
