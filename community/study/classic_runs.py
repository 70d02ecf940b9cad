"""The classic models as engines of a study: parameters are factors, a replicate is a landscape.

Each model is asked for one replicate at a time under the study's own seed, so that arms are paired
as in any study: the models draw what they begin with from a stream that parameters do not touch.
What is *confirmed* is the model's own outcome; there is nobody here who could be wrong about it.

Models with agents on a network take ``topology`` (a family by name, or a table as in scenarios)
beside their parameters, ``barkoczi_galesic`` also ``strategy``, ``hong_page`` also ``team_of``
(``best`` or ``random``).
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast, get_type_hints

import numpy as np
from pydantic import TypeAdapter, ValidationError

from community.classics.networks import Drawn, Network, family, shape_of
from community.classics.replicates import stream
from community.errors import StudyRunError
from community.scenario import TopologySection
from community.study.records import Number, RunRecord, RunSpec, Trace


@dataclass(frozen=True, slots=True)
class Played:
    """What one replicate of a model came to."""

    curve: Sequence[float]
    """Outcome at the beginning and after each round; two points where the model keeps no more."""
    rounds: Sequence[int]
    """When."""
    best: float | None = None
    numbers: Mapping[str, Number] = field(default_factory=dict)
    graph: Mapping[str, Number] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Playable:
    """How a model is asked for one replicate."""

    metric: str
    unit: str
    play: Callable[[Any, Mapping[str, Any], int], Played]
    """The model's parameters, those beside them, seed."""
    beside: tuple[str, ...] = ()
    """Parameters that are not the model's own."""
    is_higher_better: bool = True


def known_parameters(name: str) -> tuple[str, ...]:
    """Return what a study may vary of a model.

    Raises:
        KeyError: no model is called so, or it is none of communities.
    """
    own = (one.name for one in dataclasses.fields(_module(name).Parameters))
    return (*own, *ENGINES[name].beside)


def parameter_fault(name: str, given: Mapping[str, Any]) -> str:
    """Return why a model does not take these parameters, or nothing."""
    try:
        _split(name, given)
    except (TypeError, ValueError) as error:
        return str(error).partition("\n")[0]
    return ""


def run_classic(spec: RunSpec) -> RunRecord:
    """Run one replicate of a classic model.

    Raises:
        StudyRunError: the model does not take its parameters.
    """
    engine = ENGINES[spec.classic]
    try:
        parameters, beside = _split(spec.classic, spec.parameters)
        played = engine.play(parameters, beside, spec.seed)
    except (TypeError, ValueError) as error:
        raise StudyRunError(f"{spec.classic} does not take this: {error}") from error
    values = tuple(float(value) for value in played.curve)
    rounds = tuple(int(at) for at in played.rounds)
    seconds = tuple(float(at) for at in rounds)
    return RunRecord(
        arm=spec.arm, label=spec.label, replicate=spec.replicate, seed=spec.seed, code=spec.code,
        ledger="", why="", metric=engine.metric, unit=engine.unit,
        direction="higher" if engine.is_higher_better else "lower", best=played.best,
        trace=Trace(rounds, seconds, seconds, values, values, values),
        numbers=played.numbers, graph=played.graph,
    )  # fmt: skip


def _module(name: str) -> Any:
    if name not in ENGINES:
        raise KeyError(name)
    return importlib.import_module(f"community.classics.{name}")


def _split(name: str, given: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the model's parameters and those beside them; arrays of TOML become tuples."""
    engine, shape = ENGINES[name], _module(name).Parameters
    known = {one.name for one in dataclasses.fields(shape)}
    if unknown := sorted(set(given) - known - set(engine.beside)):
        listed = ", ".join([*sorted(known), *engine.beside])
        raise ValueError(f"{unknown[0]} is no parameter of {name}; there are {listed}")
    own = {key: tuple(v) if isinstance(v, list) else v for key, v in given.items() if key in known}
    kinds = get_type_hints(shape)
    for key, value in own.items():
        try:
            TypeAdapter(kinds[key]).validate_python(value, strict=True)
        except ValidationError as error:
            raise ValueError(f"{key} = {value!r}: {error.errors()[0]['msg']}") from error
    return shape(**own), {key: given[key] for key in engine.beside if key in given}


def _network(agents: int, beside: Mapping[str, Any]) -> Drawn:
    asked = beside.get("topology", "complete")
    try:
        section = TopologySection.model_validate(
            {"family": asked} if isinstance(asked, str) else asked
        )
    except ValidationError as error:
        raise ValueError(f"topology: {error.errors()[0]['msg']}") from error
    family(agents, section)  # refuses what does not fit

    def drawn(rng: np.random.Generator) -> Network:
        return family(agents, section, rng)

    return drawn


def _shape(made: Network) -> dict[str, Number]:
    shape, n = shape_of(made), made.n
    links = n * (n - 1) if made.is_complete else len(made.contacts)
    path = shape.mean_distance
    return {
        "density": links / max(1, n * (n - 1)),
        "clustering": shape.clustering,
        "path_length": path if np.isfinite(path) else None,
    }


def _on_landscapes(parameters: Any, beside: Mapping[str, Any], seed: int) -> Played:
    drawn = _network(parameters.agents, beside)
    found = _module("lazer_friedman").simulate(parameters, {"it": drawn}, landscapes=1, seed=seed)
    return _curves(found["it"], _shape(drawn(np.random.default_rng(0))))


def _by_strategy(parameters: Any, beside: Mapping[str, Any], seed: int) -> Played:
    module = _module("barkoczi_galesic")
    strategy = str(beside.get("strategy", "BM3"))
    if strategy not in module.STRATEGIES:
        raise ValueError(f"no strategy {strategy!r}; there are {', '.join(module.STRATEGIES)}")
    drawn = _network(parameters.agents, beside)
    found = module.simulate(parameters, {"it": drawn}, [("it", strategy)], repetitions=1, seed=seed)
    return _curves(next(iter(found.values())), _shape(drawn(np.random.default_rng(0))))


def _curves(found: Any, graph: Mapping[str, Number]) -> Played:
    """Return one landscape's curve, without the rounds in which nothing changed any more."""
    scores = found.scores[0]
    last = int(np.flatnonzero(np.diff(scores))[-1]) + 1 if np.ptp(scores) else 0
    kept = [*range(last + 1), *([len(scores) - 1] if last < len(scores) - 1 else [])]
    numbers: dict[str, Number] = {
        "distinct": int(found.distinct[0][-1]),
        "at_best": float(found.at_best[0]),
        "ratio": float(found.ratios[0]),
    }
    return Played([float(scores[at]) for at in kept], kept, 1.0, numbers, graph)


def _ends(
    name: str, outcome: str, time: str = "", start: float | str = 0.0
) -> Callable[[Any, Mapping[str, Any], int], Played]:
    """Return how to ask a model that tells where it ended, and perhaps when.

    Of one that has agents on a network, ``topology`` is taken in place of the network that its
    parameters name.
    """

    def play(parameters: Any, beside: Mapping[str, Any], seed: int) -> Played:
        more, graph = {}, {}
        if "topology" in beside:
            drawn = _network(parameters.n, beside)(stream(seed, 0, "network"))
            more, graph = {"hears": drawn.matrix()}, _shape(drawn)
        found = _module(name).simulate(parameters, runs=1, seed=seed, **more)
        told = {one.name: np.asarray(getattr(found, one.name))[0] for one in _fields(found)}
        numbers = {key: cast(Number, value.item()) for key, value in told.items() if not value.ndim}
        rounds = int(numbers[time] or 0) if time else 1
        begin = float(numbers[start] or 0.0) if isinstance(start, str) else start
        end = float(numbers[outcome.format(**beside)] or 0.0)
        return Played([begin, end], [0, max(1, rounds)], None, numbers, graph)

    return play


def _fields(found: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(found)


def _teams(parameters: Any, beside: Mapping[str, Any], seed: int) -> Played:
    team = beside.get("team_of", "random")
    if team not in ("best", "random"):
        raise ValueError(f"team_of = {team!r}; give best or random")
    return _ends("hong_page", "{team_of}")(parameters, {"team_of": team}, seed)


ENGINES: Final[dict[str, Playable]] = {
    "lazer_friedman": Playable("score", "mean over agents", _on_landscapes, ("topology",)),
    "barkoczi_galesic": Playable(
        "score", "mean over agents", _by_strategy, ("topology", "strategy")
    ),
    "zollman": Playable(
        "success", "share of communities", _ends("zollman", "success", "rounds"), ("topology",)
    ),
    "march": Playable("knowledge", "of the code", _ends("march", "code", "periods")),
    "hong_page": Playable("value", "mean over starts", _teams, ("team_of",)),
    "fang": Playable(
        "payoff",
        "mean over individuals",
        _ends("fang", "payoff", "periods", "start"),
        ("topology",),
    ),
    "potions": Playable(
        "steps",
        "to the crossover",
        _ends("potions", "steps", "steps"),
        ("topology",),
        is_higher_better=False,
    ),
}
"""The classic models that have communities, by name."""
