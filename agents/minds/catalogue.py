"""The catalogue of minds: from a name in a scenario to a `Mind`.

Names are ``family:variant``. Minds are imported when they are asked for, so that a run without
Optuna's samplers does not wait half a second for Optuna.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

from agents.errors import UnknownMindError
from agents.minds.mind import Mind
from agents.roles import Right


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


def make_mind(name: str) -> Mind:
    """Return a new mind.

    Args:
        name: for example ``policy:social``.

    Raises:
        UnknownMindError: no mind has this name; the error names the nearest.
    """
    maker = _MAKERS.get(name)
    if maker is None:
        known = known_minds()
        tails = {each.partition(":")[2]: each for each in known}
        tail = get_close_matches(name.partition(":")[2] or name, tails, n=1, cutoff=0.5)
        near = get_close_matches(name, known, n=1)
        nearest = tails[tail[0]] if tail else near[0] if near else ""
        raise UnknownMindError(name, nearest, known)
    return maker()


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
    "policy:tpe": frozenset({"propose"}),
    "policy:cmaes": frozenset({"propose"}),
}
"""The rights without which a mind can do nothing of use; what else it may do, it does."""
