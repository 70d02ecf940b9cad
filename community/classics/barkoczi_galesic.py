"""Barkoczi & Galesic 2016: which network is better depends on how agents learn from one another.

Agents on a network search an NK landscape. In each step an agent draws s of its contacts and looks
at their solutions. With *best member* it considers the best of them; with *conformity* the most
frequent one, none if all differ; with *random copying* one at random. If that is not strictly
better than its own, it flips one random bit and keeps it if strictly better; random copiers do not.
Best members end higher in slow networks, conformists in fast ones.

Source:
    Barkoczi, D. & Galesic, M. (2016). Social learning strategies modify the effect of network
    structure on group performance. Nature Communications 7, 13109.
    https://doi.org/10.1038/ncomms13109; the authors' code and the results of each repetition are at
    github.com/dnlbrkc/social_learning (``simulation_NK.R``).

In the authors' code and not in the paper; options here, the defaults are the code's:
    `mode`: a locus depends on K distinct loci of all N, itself perhaps among them
    (``random_incl_self``); the paper's words are ``random``.
    `decimals`: values in the tables are rounded to one decimal; None leaves them as drawn.
    `distinct_starts`: the starting points are distinct.
    `luck`: starts and chances are ``new`` for each network and strategy, on the same landscape;
    ``shared`` lets all arms begin alike and look up the same chances.
    Own runs on 3,000 landscapes, mean score at t = 200 with all of these and with none: best member
    of 3, complete .6103 / .5871, caves .6997 / .6832; conformity of 3, complete .8216 / .7934,
    caves .5429 / .5224; alone .3867 / .3801.
    `order`: synchronous, as the code. ``sequential`` takes best members to .544 (complete) and .649
    (caves), which overtakes at 12 instead of 18, and conformists to .813 and .537.
    `copies`: ``better``, strictly, as the code; with ``better_or_equal`` best members end at .559
    and .539, and caves overtake nobody.

Time:
    t = 1 is the initial state, so that t = 200 is 199 steps later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from community.classics import networks as nets
from community.classics.case import Case, mean_and_error, number, ordering
from community.classics.copying import Conduct, Copies, Rule, trajectory
from community.classics.curves import Curves, Run, crossing, gathered, measured
from community.classics.draws import keys_from
from community.classics.exact import neighbour_correlation, unlike
from community.classics.networks import Drawn, Network
from community.classics.orders import Order
from community.classics.replicates import concatenated, spread, stream
from community.landscapes.nk import NK, Mode
from community.landscapes.transforms import Transform

REPETITIONS: Final = 1000
"""Of the paper."""
Arm = tuple[str, str]
"""A network's name and a strategy's: (``complete``, ``BM3``)."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """How an agent learns; ``BM3``, ``BM9``, ``CF3``, ``CF9``, ``RC1`` and ``IND`` are the paper's.

    Attributes:
        rule: Whose solution is considered.
        sample: Contacts drawn in each step; None of nobody's.
        searches: Whether it searches by itself where that is no better.
    """

    rule: Rule
    sample: int | None = None
    searches: bool = True


STRATEGIES: Final[dict[str, Strategy]] = {
    "BM3": Strategy("best", 3),
    "BM9": Strategy("best", 9),
    "CF3": Strategy("common", 3),
    "CF9": Strategy("common", 9),
    "RC1": Strategy("random", 1, searches=False),
    "IND": Strategy("none"),
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """The model; defaults are the authors' code, see the module for what they are options of."""

    n: int = 15
    k: int = 7
    mode: Mode = "random_incl_self"
    decimals: int | None = 1
    agents: int = 100
    distinct_starts: bool = True
    luck: Literal["new", "shared"] = "new"
    copies: Copies = "better"
    """Whether as good is good enough to be taken over."""
    order: Order = "synchronous"
    score: Transform = "eighth_power"
    points: int = 200
    """Time points, the initial state among them."""


def conduct(parameters: Parameters, strategy: Strategy) -> Conduct:
    """Return how agents of a strategy act."""
    return Conduct(
        rule=strategy.rule,
        sample=strategy.sample,
        searches=strategy.searches,
        copies=parameters.copies,
        order=parameters.order,
    )


def landscape(parameters: Parameters, seed: int, index: int) -> NK:
    """Return the landscape of one repetition, the same for all networks and strategies."""
    rng = stream(seed, index, "landscape")
    return NK.draw(parameters.n, parameters.k, rng, parameters.mode, parameters.decimals)


def history(
    parameters: Parameters,
    network: Network,
    strategy: Strategy,
    values: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.int32]:
    """Run one network and strategy on one landscape.

    Args:
        parameters: The model.
        network: Of `parameters.agents`.
        strategy: Of all of them.
        values: (2^n,), the landscape's.
        rng: Where starts and chances come from.

    Returns:
        (steps + 1, agents): everybody's solution at t = 1, 2...; it ends where nobody can change.
    """
    if parameters.distinct_starts:
        starts = rng.choice(values.size, parameters.agents, replace=False)
    else:
        starts = rng.integers(values.size, size=parameters.agents)
    acts = conduct(parameters, strategy)
    return trajectory(values, network, starts, acts, keys_from(rng), parameters.points - 1)


def simulate(
    parameters: Parameters,
    networks: Mapping[str, Network | Drawn],
    arms: Sequence[Arm],
    repetitions: int = REPETITIONS,
    seed: int = 0,
    jobs: int = 1,
    strategies: Mapping[str, Strategy] = STRATEGIES,
) -> dict[Arm, Curves]:
    """Run every arm on the same landscapes.

    Args:
        parameters: The model.
        networks: By name; those with chance in them are drawn anew for each landscape.
        arms: Which network with which strategy.
        repetitions: Landscapes.
        seed: Of all chance; repetition i is the same whatever the other arguments.
        jobs: Processes; results do not depend on it.
        strategies: By name.

    Returns:
        The curves of each arm, `points` long; t = 1 is their first.
    """
    work = partial(_runs, parameters, dict(networks), tuple(arms), dict(strategies), seed)
    parts = spread(work, repetitions, jobs)
    return {
        arm: gathered([run for part in parts for run in part[arm]], parameters.points - 1)
        for arm in arms
    }


def _runs(
    parameters: Parameters,
    networks: Mapping[str, Network | Drawn],
    arms: Sequence[Arm],
    strategies: Mapping[str, Strategy],
    seed: int,
    indices: range,
) -> dict[Arm, list[Run]]:
    runs: dict[Arm, list[Run]] = {arm: [] for arm in arms}
    for index in indices:
        values = landscape(parameters, seed, index).all_fitness()
        for name, how in arms:
            network = nets.for_landscape(networks[name], seed, index, name)
            luck = f"{name} {how}" if parameters.luck == "new" else "all arms"
            rng = stream(seed, index, luck)
            told = history(parameters, network, strategies[how], values, rng)
            runs[name, how].append(measured(told, values, parameters.score))
    return runs


_RAW: Final = "authors' raw results"
_OWN: Final = "own runs, 3,000 landscapes"
_TIMES: Final = (5, 10, 20, 50, 200)
_LEVELS: Final[tuple[tuple[Arm, tuple[float, ...], float, float, float], ...]] = (
    # arm, mean score at the five times, error of the last; own runs at the end, and their error
    (("complete", "BM3"), (0.3745, 0.5863, 0.6135, 0.6140, 0.6140), 0.0065, 0.6103, 0.0038),
    (("caves", "BM3"), (0.2873, 0.4744, 0.6369, 0.7046, 0.7049), 0.0063, 0.6997, 0.0036),
    (("complete", "CF3"), (0.1112, 0.1737, 0.2574, 0.6044, 0.8287), 0.0055, 0.8216, 0.0031),
    (("caves", "CF3"), (0.1110, 0.1742, 0.2614, 0.4227, 0.5379), 0.0040, 0.5429, 0.0024),
    (("alone", "IND"), (0.1114, 0.1739, 0.2543, 0.3503, 0.3827), 0.0020, 0.3867, 0.0011),
)
_PLAIN: Final[tuple[tuple[Arm, float], ...]] = (  # at the end, without what only the code says
    (("complete", "BM3"), 0.5871),
    (("caves", "BM3"), 0.6832),
    (("complete", "CF3"), 0.7934),
    (("caves", "CF3"), 0.5224),
    (("alone", "IND"), 0.3801),
)
_BY_K: Final = ((0, 1.0), (4, 0.7881), (8, 0.5675), (12, 0.4453))
"""Best member of 3, complete, at the end."""
_DIGIT: Final = 0.00005
_RANKS: Final = "ranks .90, -.90 with distance"
"""Rank correlation of the final score with mean distance over the authors' ten networks."""
_ENOUGH: Final = 500
"""Repetitions with which best members' caves are told from the other networks."""


def cases(
    size: float = 1.0, seed: int = 0, jobs: int = 1, parameters: Parameters | None = None
) -> list[Case]:
    """Compare the model with the authors' raw results and with an independent implementation.

    Args:
        size: 1 is the paper's 1,000 repetitions.
        seed: Of the landscapes and all else.
        jobs: Processes.
        parameters: What is compared in place of the defaults; a wrong model should fail.
    """
    model = Parameters() if parameters is None else parameters
    graphs = {
        "complete": nets.complete(model.agents),
        "caves": nets.ring_of_caves(model.agents, 20),
        "lattice": nets.directed_lattice(model.agents, 19),
        "alone": nets.isolated(model.agents),
    }
    repetitions = max(20, round(REPETITIONS * size))
    run = partial(simulate, networks=graphs, repetitions=repetitions, seed=seed, jobs=jobs)
    arms = [arm for arm, *_ in _LEVELS]
    lattice = [("lattice", "BM3"), ("lattice", "CF3")]
    curves = run(model, arms=[*arms, *lattice])
    plain = replace(model, mode="random", decimals=None, distinct_starts=False, luck="shared")
    by_k = {
        k: run(replace(model, k=k), arms=[("complete", "BM3")])["complete", "BM3"] for k, _ in _BY_K
    }
    return [
        *_levels(curves),
        *_contrasts(curves),
        *_plain_levels(run(plain, arms=arms)),
        *_by_ruggedness(by_k),
        _tables(model, repetitions, seed, jobs),
    ]


def at(curves: Curves, time: int) -> NDArray[np.float64]:
    """Return the scores at a time as the paper counts it, t = 1 the initial state."""
    return curves.at(time - 1)


def _level(
    name: str,
    samples: NDArray[np.float64],
    target: float,
    error: float | None = None,
    *,
    source: str = _RAW,
    of: int = REPETITIONS,
) -> Case:
    """Compare a mean; a target without an error has that of `of` landscapes of ours."""
    ours, ours_se = mean_and_error(samples)
    target_se = float(ours_se * np.sqrt(len(samples) / of)) if error is None else error
    return number(
        "M5", name, target, ours, ours_se, source=source, target_se=target_se, delta=_DIGIT
    )


def _name(arm: Arm, time: int) -> str:
    return f"{arm[1]} {arm[0]}, t={time}"


def _levels(curves: Mapping[Arm, Curves]) -> Iterator[Case]:
    for arm, targets, error, own, own_error in _LEVELS:
        for time, target in zip(_TIMES, targets, strict=True):
            known = error if time == _TIMES[-1] else None
            yield _level(_name(arm, time), at(curves[arm], time), target, known)
        name = f"{_name(arm, 200)} (own)"
        yield _level(name, curves[arm].final, own, own_error, source=_OWN)


def _contrasts(curves: Mapping[Arm, Curves]) -> Iterator[Case]:
    """Compare how the better network changes with the strategy."""
    for how, gap, error in (("BM3", 0.091, 0.008), ("CF3", -0.291, 0.006)):
        caves = curves["caves", how]
        difference = caves.final - curves["complete", how].final
        yield _level(f"{how}: caves minus complete, t=200", difference, gap, error)
        sign = np.sign(gap)
        for other in ("complete", "lattice"):
            if len(caves.final) < _ENOUGH:
                continue
            above, below = ("caves", other) if gap > 0 else (other, "caves")
            claim = sign * (caves.final - curves[other, how].final)
            yield ordering("M5", f"{how}: {above} above {below}", claim, source=_RANKS)
    slow, fast = curves["caves", "BM3"].scores, curves["complete", "BM3"].scores
    when, error = crossing(slow[:, :61], fast[:, :61])
    of_theirs = float(error * np.sqrt(len(slow) / REPETITIONS))
    yield number(
        "M5", "BM3: caves overtake complete", 18, when + 1, error,
        source=_RAW, target_se=of_theirs, delta=0.5,
    )  # fmt: skip


def _plain_levels(curves: Mapping[Arm, Curves]) -> Iterator[Case]:
    for arm, target in _PLAIN:
        name = f"as the paper says: {_name(arm, 200)}"
        yield _level(name, curves[arm].final, target, source=_OWN, of=3000)


def _by_ruggedness(by_k: Mapping[int, Curves]) -> Iterator[Case]:
    for k, target in _BY_K:
        error = 0.0065 if k else 0.0
        yield _level(f"BM3 complete, K={k}, t=200", by_k[k].final, target, error)


def _tables(model: Parameters, repetitions: int, seed: int, jobs: int) -> Case:
    """Compare how unlike neighbours are; rounding U(0, 1) to .1 takes its variance to .085."""
    draw = partial(landscape, model, seed)
    (found,) = concatenated(partial(unlike, draw, seed), repetitions, jobs)
    ours, error = mean_and_error(found)
    likeness = neighbour_correlation(model.n, model.k, "random_incl_self")
    target = (1 - likeness) * 12 * 0.085
    return number("M5", "links and tables: steps", target, ours, error, source="exact")
