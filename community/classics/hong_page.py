"""Hong and Page's problem solvers: a team of random ones against a team of the best.

A problem is a ring of `places` values, even between 0 and 100. A solver is an ordered tuple of
`steps` different step lengths from 1 to `reach`; from where it stands it tries them in turn, goes
wherever that is better, and stops when none is. Its ability is the mean value at which it stops,
over all starts. A team works from one start: a member climbs, the next takes over where it stopped,
and so on until nobody gets further. The best solvers are alike and get stuck at the same places.

Sources:
    Hong, L. & Page, S. E. (2004). Groups of diverse problem solvers can outperform groups of
    high-ability problem solvers. PNAS 101, 16385-16389. https://doi.org/10.1073/pnas.0403723101
    (Diversity of the best team is printed as 71 to 75 %, which is an acknowledged error.)

Best / random team of ten, 150 rings, errors .09 / .045:
    defaults: 92.45 / 94.49; `passes` 1: 92.33 / 94.32; `after_a_step` ``first``: 93.09 / 94.49;
    `order` ``synchronous``: 94.85 / 96.13; ``sequential``: 92.41 / 94.49; ``exponential``: 92.42 /
    94.50.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import numpy as np
from numba import njit

from community.classics.case import Case, mean_and_error, number, ordering
from community.classics.orders import CODES, EXPONENTIAL, SYNCHRONOUS, Order, turns
from community.classics.replicates import concatenated, stream

RUNS: Final = 1000
"""Rings at the stated size."""
_IN_TURN: Final = 3
"""The relay in the team's own order, beside the codes of `community.classics.orders`."""
_CODES: Final[dict[str, int]] = {"relay": _IN_TURN} | {
    str(name): code for name, code in CODES.items()
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """A kind of problem, and two teams.

    Attributes:
        places: Values on the ring.
        reach: Longest step.
        steps: Steps of a solver.
        team: Members of either team.
        order: ``relay``: members in a fixed order, each climbing until it is stuck, as printed;
            ``synchronous``: all climb from the same place and the best end is taken (the
            tournament of later papers); ``sequential`` and ``exponential``: a relay in an order
            drawn for each pass, or of a member drawn each time.
        passes: None goes on until a full pass gains nothing, as printed. A public replication
            stops after one pass, since its test compares a thing with itself; 1 is that.
        after_a_step: A solver that has moved goes on with its next step (``next``, as printed), or
            begins anew with its first (``first``, which some replications do).
    """

    places: int = 2000
    reach: int = 12
    steps: int = 3
    team: int = 10
    order: Literal["relay"] | Order = "relay"
    passes: int | None = None
    after_a_step: Literal["next", "first"] = "next"

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= self.reach < self.places:
            raise ValueError("steps are different and shorter than the ring")
        if not 1 <= self.team <= math.perm(self.reach, self.steps):
            raise ValueError(f"there are {math.perm(self.reach, self.steps)} different solvers")
        if self.passes is not None and self.passes < 1:
            raise ValueError("a team makes one pass at least")


@dataclass(frozen=True, slots=True)
class Result:
    """Both teams on each ring.

    Attributes:
        best: (runs,) float64; mean value, over all starts, at which the best solvers' team stops.
        random: (runs,) float64; the same of a team drawn from all solvers.
        best_alone: (runs,) float64; ability of the best solver.
        best_diversity: (runs,) float64; share of positions at which two members' steps differ,
            mean over pairs.
        random_diversity: (runs,) float64.
    """

    best: np.ndarray
    random: np.ndarray
    best_alone: np.ndarray
    best_diversity: np.ndarray
    random_diversity: np.ndarray


def simulate(parameters: Parameters, runs: int = RUNS, seed: int = 0, jobs: int = 1) -> Result:
    """Draw `runs` rings and let both teams work on each; parameters do not change the rings.

    `jobs` is the number of processes; the result does not depend on it.
    """
    return compare([parameters], runs, seed, jobs)[0]


def compare(
    variants: Sequence[Parameters], runs: int = RUNS, seed: int = 0, jobs: int = 1
) -> list[Result]:
    """Simulate teams of several kinds of the same solvers, who climb each ring only once.

    Raises:
        ValueError: The variants differ in the ring or in what a solver is.
    """
    if len({(p.places, p.reach, p.steps, p.after_a_step) for p in variants}) != 1:
        raise ValueError("variants of one comparison have the same solvers")
    found = concatenated(partial(_replicates, tuple(variants), seed), runs, jobs)
    return [Result(*found[i : i + 5]) for i in range(0, len(found), 5)]


def solvers(reach: int, steps: int) -> np.ndarray:
    """Return all solvers (reach! / (reach - steps)!, steps), in lexical order."""
    return np.array(list(itertools.permutations(range(1, reach + 1), steps)), dtype=np.int64)


def diversity(team: np.ndarray) -> float:
    """Return the share of positions at which two of the `team`'s tuples differ, over all pairs."""
    if len(team) < 2:
        return 0.0
    differs = team[:, None, :] != team[None, :, :]
    return float(differs.mean(axis=2)[np.triu_indices(len(team), 1)].mean())


def _replicates(
    variants: tuple[Parameters, ...], seed: int, replicates: range
) -> tuple[np.ndarray, ...]:
    """Return each variant's five columns of `Result` for these rings."""
    p = variants[0]
    every, goes_on = solvers(p.reach, p.steps), p.after_a_step == "next"
    found = np.empty((len(replicates), 5 * len(variants)))
    for row, replicate in enumerate(replicates):
        values = stream(seed, replicate, "hong_page: ring").uniform(0, 100, p.places)
        ends = _ends(values, np.argsort(-values), every, goes_on)
        ability = values[ends].mean(axis=1)
        best_first = np.argsort(-ability, kind="stable")
        drawn = stream(seed, replicate, "hong_page: team").permutation(len(every))
        for i, variant in enumerate(variants):
            teams = best_first[: variant.team], drawn[: variant.team]
            passes = 0 if variant.passes is None else variant.passes
            rng = stream(seed, replicate, "hong_page: turns")
            scores = [_score(rng, values, ends[t], _CODES[variant.order], passes) for t in teams]
            kinds = [diversity(every[team]) for team in teams]
            found[row, 5 * i : 5 * i + 5] = (*scores, ability[best_first[0]], *kinds)
    return tuple(found.T)


@njit(cache=True)
def _ends(
    values: np.ndarray, downwards: np.ndarray, every: np.ndarray, goes_on: bool
) -> np.ndarray:
    """Return where each solver stops from each start: (solvers, places) int32.

    Whoever steps somewhere goes on as one who begins there with that step of its tuple, and steps
    lead upwards only: so places are filled in from the highest to the lowest, `downwards`.
    """
    solvers, places, steps = len(every), len(values), every.shape[1]
    ends, stops = np.empty((solvers, places), np.int32), np.empty((places, steps), np.int32)
    for solver in range(solvers):
        for at in downwards:
            for first in range(steps):
                stops[at, first] = at
                for tried in range(steps):
                    step = (first + tried) % steps
                    there = at + every[solver, step]
                    if there >= places:
                        there -= places
                    if values[there] > values[at]:
                        stops[at, first] = stops[there, (step + 1) % steps if goes_on else 0]
                        break
            ends[solver, at] = stops[at, 0]
    return ends


@njit(cache=True)
def _score(
    rng: np.random.Generator, values: np.ndarray, ends: np.ndarray, order: int, passes: int
) -> float:
    """Return the mean value, over all starts, at which a team stops; `ends` (team, places)."""
    total, in_turn = 0.0, np.arange(len(ends))
    for start in range(len(values)):
        at, made, before = start, 0, -1
        while at != before and (passes == 0 or made < passes):
            before = at
            if order == SYNCHRONOUS:
                for member in in_turn:
                    there = ends[member, before]
                    if values[there] > values[at]:
                        at = there
            else:
                for member in in_turn if order == _IN_TURN else turns(rng, order, len(ends)):
                    at = ends[member, at]
            if order == EXPONENTIAL and at == before:  # who was not drawn may still get further
                for member in in_turn:
                    if ends[member, at] != at:
                        before = -1
            made += 1
        total += values[at]
    return total / len(values)


OWN: Final = {10: (92.31, 94.56), 20: (93.70, 94.80)}
"""Best and random team by size: means of an independent implementation over 300 rings."""
REPLICATION: Final = {10: (92.34, 94.35), 20: (93.66, 94.74)}
"""The same of a published replication over 500 rings, whose teams make one pass."""


def cases(size: float = 1.0, seed: int = 0, jobs: int = 1) -> list[Case]:
    """Compare with M7: both teams at ten and twenty members, their difference and diversity."""
    runs, found = max(2, round(RUNS * size)), []
    variants = [Parameters(team=team, passes=passes) for team in OWN for passes in (None, 1)]
    results = compare(variants, runs, seed, jobs)
    for team, full, once in zip(OWN, results[::2], results[1::2], strict=True):
        pairs = (
            ("best", full.best, OWN[team][0], 300, "own run"),
            ("random", full.random, OWN[team][1], 300, "own run"),
            ("best, one pass", once.best, REPLICATION[team][0], 500, "replication"),
            ("random, one pass", once.random, REPLICATION[team][1], 500, "replication"),
        )
        for name, values, target, behind, source in pairs:
            ours, error = mean_and_error(values)
            found.append(
                number(
                    "M7",
                    f"{name}, team of {team}",
                    target,
                    ours,
                    error,
                    source=source,
                    target_se=error * math.sqrt(runs / behind),
                    delta=0.005,
                )
            )
        found.append(
            ordering(
                "M7", f"random above best, team of {team}", full.random - full.best, source="print"
            )
        )
        if team == 10:
            found += _of_ten(full)
    return found


def _of_ten(full: Result) -> list[Case]:
    """Return the cases of the paired difference and of diversity at ten members."""
    gap, error = mean_and_error(full.random - full.best)
    wins, wins_error = mean_and_error((full.random > full.best).astype(float))
    best, best_error = mean_and_error(full.best_diversity)
    drawn, drawn_error = mean_and_error(full.random_diversity)
    return [
        number("M7", "random - best", 2.26, gap, error, source="own run", target_se=0.08),
        number(
            "M7",
            "rings random wins",
            0.97,
            wins,
            wins_error,
            source="own run",
            target_se=0.01,
            delta=0.005,
        ),
        number("M7", "diversity, best", 0.845, best, best_error, source="replication", delta=0.005),
        number("M7", "diversity, random", 11 / 12, drawn, drawn_error, source="exact"),
    ]
