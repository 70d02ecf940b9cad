"""The controls of a study: what every claim about a community is held against, at the same budget.

A control is the arm's own scenario with somebody else in it: the same task, devices, noise and
budget, so that whatever differs is who searches and who hears whom.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

from community.study.levels import Data, may_propose

DEFAULT: Final = ("lone", "isolated", "random", "tpe", "cmaes")


def control_of(name: str, data: Data) -> Data:
    """Return the scenario of a control.

    Args:
        name: One of `MEANINGS`.
        data: The arm's; it is not changed.
    """
    changed = copy.deepcopy(data)
    _MAKERS[name](changed)
    return changed


def _isolated(data: Data) -> None:
    data["topology"] = {"family": "isolated"}


def _alone(data: Data, agent: dict[str, Any]) -> None:
    _isolated(data)
    data["agents"] = [agent]
    if isinstance(data.get("model"), dict):
        data["model"].pop("waves", None)  # one agent has no others to wait for


def _lone(data: Data) -> None:
    """Leave the first who may propose, with the whole budget."""
    agents = data.get("agents", [])
    first = next((a for a in agents if may_propose(str(a.get("role")), data)), agents[0])
    _alone(data, {key: value for key, value in first.items() if key != "count"})


def _search(mind: str, role: str = "explorer") -> Callable[[Data], None]:
    name = mind.partition(":")[2]
    return lambda data: _alone(data, {"name": name, "role": role, "mind": mind})


_MAKERS: Final[dict[str, Callable[[Data], None]]] = {
    "lone": _lone,
    "isolated": _isolated,
    "greedy": _search("policy:greedy", "exploiter"),
    "random": _search("policy:random"),
    "tpe": _search("policy:tpe"),
    "cmaes": _search("policy:cmaes"),
}
MEANINGS: Final = {
    "lone": "the first of its agents that may propose, alone with the whole budget",
    "isolated": "the same agents, none of whom hears another",
    "greedy": "one greedy agent: plain autoresearch",
    "random": "random search",
    "tpe": "tree-structured Parzen estimator (Bergstra et al. 2011), by Optuna",
    "cmaes": "covariance matrix adaptation (Hansen & Ostermeier 2001), by Optuna",
}
