"""Lazer & Friedman 2007: copy the best of those you see, else try a small change.

Agents on a network search an NK landscape. In each round an agent looks at all its neighbours and
takes over the best solution if it is strictly better than its own; otherwise it flips one random
bit and keeps that if it is strictly better. Efficient networks are ahead early, inefficient ones
end higher.

Source:
    Lazer, D. & Friedman, A. (2007). The network structure of exploration and exploitation.
    Administrative Science Quarterly 52, 667-694. https://doi.org/10.2189/asqu.52.4.667. The model
    is their section "Simulation model", levels are from figures 4, 10 and 11, wins from table B.1.

Not in the paper, and options here (numbers: 1,000 landscapes, plateau of complete / end of line):
    `mode`: how the K links are drawn. ``random_with_replacement`` gives .5812 / .8507 and agrees
    with the figures; ``random``, distinct links, is what the text says and gives .5327 / .8123.
    `order`: rounds are synchronous, as in the paper. ``sequential`` gives .551 / .816, and line
    overtakes complete at 13 instead of 18 to 20; ``exponential`` gives .556 / .842, and 15.
    `copies`: ``better``, strictly, as in the paper. With ``better_or_equal`` agents among equals
    copy one another for ever and search no more: .272 / .319.
    `luck`: landscapes and starts are the same for all networks. With ``shared`` an agent also flips
    the same bits in the same rounds in all of them, which makes differences surer and ties more
    frequent (line beats lattice 427 times in 1,000, lattice line 173). With ``new`` each network
    has chances of its own, as the paper's must have had (table B.1: 468 and 216).
    `copy_error`: a copy that comes out worse than what the agent had is given up (as in the paper).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from community.classics import networks as nets
from community.classics.case import FIGURE, Case, mean_and_error, number, ordering, share_and_error
from community.classics.copying import Conduct, Copies, trajectory
from community.classics.curves import Curves, Run, crossing, gathered, measured
from community.classics.draws import keys_from
from community.classics.exact import neighbour_correlation, unlike
from community.classics.networks import Drawn, Network
from community.classics.orders import Order
from community.classics.replicates import concatenated, spread, stream
from community.landscapes.nk import NK, Mode
from community.landscapes.transforms import Transform

LANDSCAPES: Final = 1000
"""Of the paper."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The model; defaults are the paper's, or what agrees with its figures.

    Attributes:
        n: Bits of a solution, at most 22: the optimum is enumerated.
        k: Others that each depends on.
        mode: How these are drawn, see the module.
        agents: How many search.
        velocity: Probability of looking at others at all in a round; else a bit is flipped.
        copy_error: Probability that a bit that differs is not taken over.
        sample: How many neighbours are looked at, drawn anew each round; None: all.
        copies: Whether as good is good enough to be copied.
        order: When agents act.
        luck: Whether all networks look up the same chances.
        score: What is reported; agents go by it too, since all transforms are increasing.
        horizon: Most rounds.
        until_settled: End a landscape when nobody can change any more.
    """

    n: int = 20
    k: int = 5
    mode: Mode = "random_with_replacement"
    agents: int = 100
    velocity: float = 1.0
    copy_error: float = 0.0
    sample: int | None = None
    copies: Copies = "better"
    order: Order = "synchronous"
    luck: Literal["shared", "new"] = "shared"
    score: Transform = "eighth_power"
    horizon: int = 1000
    until_settled: bool = True

    @property
    def conduct(self) -> Conduct:
        """How agents act."""
        return Conduct(
            sample=self.sample,
            copies=self.copies,
            velocity=self.velocity,
            copy_error=self.copy_error,
            order=self.order,
        )


def landscape(parameters: Parameters, seed: int, index: int) -> NK:
    """Return one of the landscapes of a simulation."""
    rng = stream(seed, index, "landscape")
    return NK.draw(parameters.n, parameters.k, rng, parameters.mode)


def starts(parameters: Parameters, seed: int, index: int) -> NDArray[np.int64]:
    """Return what agents begin with on that landscape, in every network: (agents,)."""
    return stream(seed, index, "starts").integers(2**parameters.n, size=parameters.agents)


def keys(seed: int, index: int, network: str = "") -> NDArray[np.uint64]:
    """Return what chance is looked up by on that landscape: in every network, or in one by name."""
    return keys_from(stream(seed, index, f"chance {network}"))


def history(
    parameters: Parameters,
    network: Network,
    values: NDArray[np.float64],
    seed: int,
    index: int,
    name: str = "",
) -> NDArray[np.int32]:
    """Run one network on one landscape.

    Args:
        parameters: The model.
        network: Of `parameters.agents`.
        values: (2^n,), of `landscape(parameters, seed, index)` or any other of that length.
        seed: Of the simulation.
        index: Of the landscape.
        name: The network's, by which its chances are looked up if `luck` is ``new``.

    Returns:
        (rounds + 1, agents): everybody's solution at the beginning and after each round.
    """
    return trajectory(
        values,
        network,
        starts(parameters, seed, index),
        parameters.conduct,
        keys(seed, index, name if parameters.luck == "new" else ""),
        parameters.horizon,
        until_settled=parameters.until_settled,
    )


def simulate(
    parameters: Parameters,
    networks: Mapping[str, Network | Drawn],
    landscapes: int = LANDSCAPES,
    seed: int = 0,
    jobs: int = 1,
) -> dict[str, Curves]:
    """Run every network on the same landscapes and starts; `luck` says whether on one luck.

    Args:
        parameters: The model.
        networks: By name; those with chance in them are drawn anew for each landscape.
        landscapes: How many.
        seed: Of all chance; landscape i is the same whatever the other arguments.
        jobs: Processes; results do not depend on it.

    Returns:
        The curves of each network by its name, `horizon` + 1 points long.
    """
    parts = spread(partial(_runs, parameters, dict(networks), seed), landscapes, jobs)
    horizon = parameters.horizon
    return {
        name: gathered([run for part in parts for run in part[name]], horizon) for name in networks
    }


def _runs(
    parameters: Parameters, networks: Mapping[str, Network | Drawn], seed: int, indices: range
) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {name: [] for name in networks}
    for index in indices:
        values = landscape(parameters, seed, index).all_fitness()
        for name, given in networks.items():
            network = nets.for_landscape(given, seed, index, name)
            told = history(parameters, network, values, seed, index, name)
            runs[name].append(measured(told, values, parameters.score))
    return runs


_OWN: Final = "own runs, 1,000 landscapes"
_PAPER: Final = "figures 4, 10, 11"
_END: Final = -1
_HALF: Final = 0.0005
_STEEP: Final = 0.03
"""Tolerance of line at t = 10, which rises by so much a round."""
_ENOUGH: Final = 500
"""Landscapes with which line is told from lattice: the gap is .05, its standard deviation .13."""
_LEVELS: Final = (  # network, round, level, its standard error (None: as ours would be), tolerance
    ("complete", 0, 0.0424, None, 0.00005),
    ("complete", 1, 0.2636, 0.003, 0.00005),
    ("complete", 2, 0.2855, 0.004, 0.00005),
    ("complete", _END, 0.5812, 0.0066, 0.00005),
    ("line", 10, 0.374, None, _HALF),
    ("line", 20, 0.594, None, _HALF),
    ("line", 30, 0.706, None, _HALF),
    ("line", 50, 0.79, None, 0.005),
    ("line", 100, 0.8485, 0.0045, 0.00005),
    ("line", _END, 0.8507, 0.0045, 0.00005),
    ("lattice", 10, 0.4577, None, 0.00005),
    ("lattice", 15, 0.5941, None, 0.00005),
    ("lattice", 25, 0.7378, None, 0.00005),
    ("lattice", 55, 0.8038, None, 0.00005),
)
_FIGURES: Final = (  # as read off the paper's figures, to FIGURE but where the curve is steep
    ("complete", 0, 0.04),
    ("complete", 1, 0.255),
    ("complete", 2, 0.275),
    ("complete", _END, 0.565),
    ("line", 10, 0.345),
    ("line", 20, 0.59),
    ("line", 30, 0.715),
    ("line", 50, 0.80),
    ("line", 100, 0.865),
    ("line", _END, 0.85),
    ("lattice", 10, 0.457),
    ("lattice", 15, 0.594),
    ("lattice", 25, 0.737),
    ("lattice", 55, 0.80),
)
_DISTINCT: Final = (  # network, round, own runs, tolerance, the paper
    ("line", 1, 61.1, 0.05, 61),
    ("line", 2, 52.9, 0.05, 53),
    ("line", 20, 13.6, 0.05, 15),
    ("complete", 1, 1.15, 0.005, 1.5),
    ("complete", 2, 3.58, 0.005, 3.5),
)
_WINS: Final = (  # row beats column: table B.1, own runs, of 1,000
    ("line", "complete", 845, 834),
    ("complete", "line", 26, 42),
    ("lattice", "complete", 762, 766),
    ("line", "lattice", 468, 479),
    ("lattice", "line", 216, 227),
)
_TEXT: Final = (  # distinct links, as the text says: own runs
    ("complete", 1, 0.2549, 0.003),
    ("complete", 2, 0.2758, 0.003),
    ("complete", _END, 0.5327, 0.0064),
    ("line", 100, 0.8102, 0.0048),
    ("line", _END, 0.8123, 0.0048),
)


def cases(
    size: float = 1.0, seed: int = 0, jobs: int = 1, parameters: Parameters | None = None
) -> list[Case]:
    """Compare the model with the paper and with an independent implementation.

    Args:
        size: 1 is the paper's 1,000 landscapes.
        seed: Of the landscapes and all else.
        jobs: Processes.
        parameters: What is compared in place of the defaults; a wrong model should fail.
    """
    model = replace(Parameters() if parameters is None else parameters, luck="new")
    landscapes = max(20, round(LANDSCAPES * size))
    graphs = {
        "complete": nets.complete(model.agents),
        "line": nets.line(model.agents),
        "lattice": nets.ring_lattice(model.agents, 4),
    }
    run = partial(simulate, landscapes=landscapes, seed=seed, jobs=jobs)
    curves = run(model, graphs)
    two = {name: graphs[name] for name in ("complete", "line")}
    text = run(replace(model, mode="random"), two)
    smooth = run(replace(model, n=min(model.n, 20), k=0, horizon=200), two)
    hardly = run(replace(model, k=1), two)
    return [
        *_levels(curves),
        *_over_time(curves),
        *_wins(curves),
        *_text_levels(text),
        *_easy(smooth, hardly),
        _link_case(model, landscapes, seed, jobs),
    ]


def _when(network: str, rounds: int) -> str:
    return f"{network}, end" if rounds == _END else f"{network}, t={rounds}"


def _level(
    name: str,
    samples: NDArray[np.float64],
    target: float,
    source: str,
    *,
    error: float | None = None,
    delta: float = 0.0,
) -> Case:
    """Compare a mean over landscapes; a target without an error has that of 1,000 of ours."""
    ours, ours_se = mean_and_error(samples)
    target_se = ours_se * np.sqrt(len(samples) / LANDSCAPES) if error is None else error
    return number(
        "M2", name, target, ours, ours_se, source=source, target_se=float(target_se), delta=delta
    )


def _levels(curves: Mapping[str, Curves]) -> Iterator[Case]:
    for network, rounds, target, error, delta in _LEVELS:
        samples = curves[network].at(rounds)
        yield _level(_when(network, rounds), samples, target, _OWN, error=error, delta=delta)
    for network, rounds, target in _FIGURES:
        name = f"{_when(network, rounds)} (paper)"
        delta = _STEEP if (network, rounds) == ("line", 10) else FIGURE
        yield _level(name, curves[network].at(rounds), target, _PAPER, delta=delta)


def _over_time(curves: Mapping[str, Curves]) -> Iterator[Case]:
    line, lattice, full = (curves[name] for name in ("line", "lattice", "complete"))
    for network, rounds, own, delta, paper in _DISTINCT:
        samples = curves[network].distinct[:, rounds].astype(np.float64)
        name = f"{network}, solutions at t={rounds}"
        yield _level(name, samples, own, _OWN, delta=delta)
        yield _level(f"{name} (paper)", samples, paper, _PAPER, delta=100 * FIGURE)
    when, error = crossing(line.scores[:, :101], full.scores[:, :101])
    yield number(
        "M2", "line overtakes complete", 19, when, error, source="t > 18; own runs 20", delta=2
    )
    yield ordering("M2", "complete ahead of line at t=5", full.at(5) - line.at(5), source=_PAPER)
    yield ordering("M2", "lattice ends above complete", lattice.final - full.final, source=_PAPER)
    if len(line.final) >= _ENOUGH:
        yield ordering("M2", "line ends above lattice", line.final - lattice.final, source=_PAPER)


def _wins(curves: Mapping[str, Curves]) -> Iterator[Case]:
    """Compare how often one network ends above another on one landscape."""
    for row, column, paper, own in _WINS:
        won = curves[row].final > curves[column].final
        share, error = share_and_error(int(won.sum()), len(won))
        for name, count, source, delta in (
            (f"{row} beats {column}", own, _OWN, 0.0),
            (f"{row} beats {column} (paper)", paper, "table B.1", 0.03),
        ):
            _, target_se = share_and_error(count, LANDSCAPES)
            yield number(
                "M2", name, count / LANDSCAPES, share, error,
                source=source, target_se=target_se, delta=delta,
            )  # fmt: skip


def _text_levels(curves: Mapping[str, Curves]) -> Iterator[Case]:
    for network, rounds, target, error in _TEXT:
        name = f"distinct links: {_when(network, rounds)}"
        yield _level(name, curves[network].at(rounds), target, _OWN, error=error, delta=0.00005)


def _easy(smooth: Mapping[str, Curves], hardly: Mapping[str, Curves]) -> Iterator[Case]:
    """Compare K = 0, where everybody gets to the top, and K = 1, where complete no longer does."""
    line, full = smooth["line"], smooth["complete"]
    for network, curves in smooth.items():
        ours, error = mean_and_error(curves.final)
        yield number("M2", f"K=0: {network}, end", 1, ours, error, source="exact")
    yield _level("K=0: complete, t=15", full.at(15), 1.0, _OWN, delta=_HALF)
    yield _level("K=0: line, t=15", line.at(15), 0.867, _OWN, delta=_HALF)
    yield _level("K=0: line, t=30", line.at(30), 1.0, _OWN, delta=_HALF)
    yield ordering("M2", "K=0: complete is faster", full.at(15) - line.at(15), source="paper")
    for network, target, error in (("line", 0.9934, 0.0007), ("complete", 0.8983, 0.0040)):
        name = f"K=1: {network}, end"
        yield _level(name, hardly[network].final, target, _OWN, error=error, delta=0.00005)
    gap = hardly["line"].final - hardly["complete"].final
    yield ordering("M2", "K=1: line ends above complete", gap, source="paper")


def _link_case(model: Parameters, landscapes: int, seed: int, jobs: int) -> Case:
    """Compare how alike neighbours are with what K links drawn with replacement come to."""
    draw = partial(landscape, model, seed)
    (found,) = concatenated(partial(unlike, draw, seed), landscapes, jobs)
    ours, error = mean_and_error(1 - found)
    target = neighbour_correlation(model.n, model.k, "random_with_replacement")
    return number("M2", "links: likeness of neighbours", target, ours, error, source="exact")
