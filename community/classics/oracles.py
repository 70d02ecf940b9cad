"""NK landscapes against their mathematics: what has to come out whatever the machine.

The exact numbers are in `community.classics.exact`; a few that have no formula are compared with an
independent implementation.

Trap:
    The mean fitness of local optima is a ratio of totals over landscapes. A mean of each
    landscape's mean is too high where K is small: landscapes with few optima have high ones (.674
    in place of .668 for N = 16, K = 3 in blocks).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from community.classics import exact
from community.classics.case import Case, mean_and_error, number
from community.classics.copying import Conduct, trajectory
from community.classics.draws import keys_from
from community.classics.networks import isolated
from community.classics.replicates import concatenated, stream
from community.landscapes.nk import NK, Mode, local_optima

_OWN: Final = "own runs"
_EXACT: Final = "exact"
_LONE: Final = Conduct(rule="none")
_CLIMBERS: Final = 20
"""On each landscape, each by itself."""
_PAIRS: Final = 50
_WALKERS: Final = 200

Arrays = tuple[NDArray[np.float64], ...]


@dataclass(frozen=True, slots=True)
class _Replicates:
    """How many landscapes are looked at, and with what."""

    size: float
    seed: int
    jobs: int

    def of(self, work: Callable[[int, range], Arrays], landscapes: int) -> Arrays:
        """Return the arrays of `work(seed, indices)` on `size` times so many landscapes."""
        count = max(30, round(landscapes * self.size))
        return concatenated(partial(work, self.seed), count, self.jobs)


def cases(size: float = 1.0, seed: int = 0, jobs: int = 1) -> list[Case]:
    """Compare landscapes with what is known exactly, and with own runs where nothing is.

    Args:
        size: 1 is 2,000 landscapes of up to 12 bits, fewer of longer ones.
        seed: Of all chance.
        jobs: Processes.
    """
    runs = _Replicates(size, seed, jobs)
    return [
        *_without_order(runs),
        *_smooth(runs),
        *_genotypes(runs),
        *_likeness(runs),
        *_counts(runs),
        *_walks(runs),
        *_lone_climber(runs),
    ]


def _compared(
    name: str,
    samples: NDArray[np.float64],
    target: float,
    *,
    source: str = _EXACT,
    error: float = 0.0,
    delta: float = 0.0,
) -> Case:
    ours, ours_se = mean_and_error(samples)
    return number("M1", name, target, ours, ours_se, source=source, target_se=error, delta=delta)


def _ratio(name: str, totals: NDArray[np.float64], counts: NDArray[np.float64], to: float) -> Case:
    """Compare a ratio of totals over landscapes, its error by linearisation, with what is exact."""
    ratio = float(totals.sum() / counts.sum())
    _, error = mean_and_error((totals - ratio * counts) / counts.mean())
    return number("M1", name, to, ratio, error, source=_EXACT)


def _optima(n: int, k: int, mode: Mode, seed: int, indices: range) -> Arrays:
    """Return of each landscape how many optima it has, their total fitness, and the highest."""
    found = []
    for index in indices:
        values = _landscape(n, k, mode, seed, index).all_fitness()
        is_peak = local_optima(values)
        found.append((is_peak.sum(), values[is_peak].sum(), values.max()))
    counts, totals, most = np.array(found, dtype=np.float64).T
    return counts, totals, most


def _landscape(n: int, k: int, mode: Mode, seed: int, index: int) -> NK:
    return NK.draw(n, k, stream(seed, index, f"oracle {n} {k} {mode}"), mode)


def _without_order(runs: _Replicates) -> Iterator[Case]:
    """Compare K = N - 1: every genotype's fitness is drawn by itself."""
    for n, landscapes in ((8, 2000), (10, 2000), (12, 2000), (15, 400), (20, 16)):
        if n == 20 and runs.size < 1:
            continue  # half a second and a third of a GiB each
        counts, totals, most = runs.of(partial(_optima, n, n - 1, "random"), landscapes)
        peak = exact.mean_of_highest(n, n + 1)
        yield _compared(f"optima, N={n}, K=N-1", counts, 2**n / (n + 1))
        yield _ratio(f"fitness of an optimum, N={n}, K=N-1", totals, counts, peak)
        if n < 20:
            highest = exact.mean_of_highest(n, 2.0**n)
            yield _compared(f"highest fitness, N={n}, K=N-1", most, highest)
    counts, totals, _ = runs.of(partial(_optima, 16, 3, "block"), 2000)
    yield _compared("optima, N=16, K=3, block", counts, (16 / 5) ** 4)
    peak = exact.mean_of_highest(4, 5)  # what holds of one block holds of their mean
    yield _ratio("fitness of an optimum, N=16, K=3, block", totals, counts, peak)


def _smooth(runs: _Replicates) -> Iterator[Case]:
    """Compare K = 0: one hill."""
    for n in (10, 15):
        counts, _, most = runs.of(partial(_optima, n, 0, "random"), 2000)
        yield _compared(f"optima, N={n}, K=0", counts, 1)
        yield _compared(f"highest fitness, N={n}, K=0", most, 2 / 3)
        spread = (most - 2 / 3) ** 2
        yield _compared(f"its variance, N={n}, K=0", spread, 1 / (18 * n))


def _one_genotype(n: int, k: int, mode: Mode, seed: int, indices: range) -> Arrays:
    first = np.zeros((1, n), dtype=np.uint8)
    drawn = (_landscape(n, k, mode, seed, index) for index in indices)
    return (np.array([float(each.fitness(first)[0]) for each in drawn]),)


def _genotypes(runs: _Replicates) -> Iterator[Case]:
    modes: tuple[Mode, ...] = ("random", "random_with_replacement", "random_incl_self", "adjacent")
    for mode in modes:
        (values,) = runs.of(partial(_one_genotype, 20, 5, mode), 2000)
        yield _compared(f"mean of a genotype, {mode}", values, 0.5)
        yield _compared(f"its variance, {mode}", (values - 0.5) ** 2, 1 / (12 * 20))


def _alike(n: int, k: int, mode: Mode, distance: int, seed: int, indices: range) -> Arrays:
    alike = []
    for index in indices:
        rng = stream(seed, index, f"pairs {distance}")
        drawn = _landscape(n, k, mode, seed, index)
        alike.append(1 - exact.unlikeness(drawn, distance, _PAIRS, rng))
    return (np.array(alike),)


def _likeness(runs: _Replicates) -> Iterator[Case]:
    wanted: list[tuple[int, int, Mode, int]] = [
        *((20, 5, "random", distance) for distance in (1, 2, 3, 4)),
        *((20, 5, "adjacent", distance) for distance in (1, 4)),
        *((18, 5, "block", distance) for distance in (1, 4)),
        (20, 5, "random_with_replacement", 1),
        (20, 5, "random_incl_self", 1),
    ]
    for n, k, mode, distance in wanted:
        (alike,) = runs.of(partial(_alike, n, k, mode, distance), 2000)
        target = exact.neighbour_correlation(n, k, mode, distance)
        yield _compared(f"correlation at {distance}, N={n}, K={k}, {mode}", alike, target)


def _counts(runs: _Replicates) -> Iterator[Case]:
    """Compare numbers of optima that have no formula."""
    wanted: list[tuple[int, int, Mode, int, float, float]] = [
        (10, 2, "random", 2000, 7.65, 0.08),
        (10, 4, "random", 2000, 21.92, 0.10),
        (15, 7, "random", 1000, 374.3, 1.2),
        (20, 5, "random", 200, 830, 9),
        (20, 5, "random_with_replacement", 200, 616, 11),
        (20, 5, "random_incl_self", 200, 714, 11),
        (20, 5, "adjacent", 200, 1260, 17),
    ]
    for n, k, mode, landscapes, target, error in wanted:
        counts, *_ = runs.of(partial(_optima, n, k, mode), landscapes)
        name = f"optima, N={n}, K={k}, {mode}"
        yield _compared(name, counts, target, source=_OWN, error=error)


def _walked(n: int, k: int, seed: int, indices: range) -> Arrays:
    """Return mean steps and end fitness of random fitter walks, then of steepest ones."""
    means = []
    for index in indices:
        rng = stream(seed, index, f"walks {n} {k}")
        values = _landscape(n, k, "random", seed, index).all_fitness()
        starts = rng.integers(values.size, size=_WALKERS)
        kinds: tuple[exact.Walk, ...] = ("random fitter", "steepest")
        both = [exact.walk(values, starts, kind, rng) for kind in kinds]
        means.append([each for steps, ends in both for each in (steps.mean(), values[ends].mean())])
    steps, heights, steepest, peaks = np.array(means, dtype=np.float64).T
    return steps, heights, steepest, peaks


def _walks(runs: _Replicates) -> Iterator[Case]:
    for n, landscapes, fitter, error, steep, steep_error in (
        (10, 2000, 2.389, 0.003, 1.469, 0.002),
        (15, 300, 2.771, 0.009, 1.552, 0.005),
    ):
        steps, _, steepest, _ = runs.of(partial(_walked, n, n - 1), landscapes)
        name = f"steps, N={n}, K=N-1"
        yield _compared(f"random fitter {name}", steps, fitter, source=_OWN, error=error)
        yield _compared(f"steepest {name}", steepest, steep, source=_OWN, error=steep_error)
    steps, heights, steepest, peaks = runs.of(partial(_walked, 15, 7), 2000)
    for name, samples, target, error in (
        ("random fitter steps", steps, 4.667, 0.009),
        ("random fitter end", heights, 0.6901, 0.0003),
        ("steepest steps", steepest, 2.866, 0.006),
        ("steepest end", peaks, 0.6959, 0.0003),
    ):
        yield _compared(f"{name}, N=15, K=7", samples, target, source=_OWN, error=error)


def _climbed(n: int, horizon: int, rounds: tuple[int, ...], seed: int, indices: range) -> Arrays:
    """Return of each landscape, K = 0, lone agents' mean fitness at `rounds` and rounds needed."""
    means = []
    for index in indices:
        rng = stream(seed, index, f"climbers {n}")
        values = _landscape(n, 0, "random", seed, index).all_fitness()
        starts = rng.integers(values.size, size=_CLIMBERS)
        alone = isolated(_CLIMBERS)
        history = trajectory(
            values, alone, starts, _LONE, keys_from(rng), horizon, until_settled=False
        )
        needed = (history == values.argmax()).argmax(axis=0)
        means.append([*(values[history[when]].mean() for when in rounds), needed.mean()])
    return tuple(np.array(means, dtype=np.float64).T)


def _lone_climber(runs: _Replicates) -> Iterator[Case]:
    early, late, _ = runs.of(partial(_climbed, 20, 60, (10, 50)), 600)
    yield _compared("lone climber, N=20, K=0, t=10", early, exact.climber_mean(20, 10))
    yield _compared("lone climber, N=20, K=0, t=50", late, exact.climber_mean(20, 50))
    for n, horizon in ((10, 400), (15, 600)):
        early, needed = runs.of(partial(_climbed, n, horizon, (10,)), 2000)
        yield _compared(f"lone climber, N={n}, K=0, t=10", early, exact.climber_mean(n, 10))
        yield _compared(f"lone climber, N={n}, K=0, rounds", needed, exact.climber_rounds(n))
