"""The potions task as an agent model: who brews with whom decides whether anybody finishes.

Each step every agent, in random order, chooses one of those it hears, takes one or two of its own
items and the rest of three from the partner, without replacement and in proportion to their worth.
If the three make something, both have it, and whoever hears either of them gets it with probability
`spread`. The first to brew one of the last items is the *crossover*, and ends the run. A fully
connected group shares everything at once, settles on one chain and hardly ever finds the other;
cliques keep both alive.

Sources:
    Derex, M. & Boyd, R. (2016). Partial connectivity increases cultural accumulation within groups.
    PNAS 113, 2982-2987. https://doi.org/10.1073/pnas.1518798113
    Moser, C. & Smaldino, P. E. (2023). Innovation-facilitating networks create inequality. Proc. R.
    Soc. B 290, 20232281. https://doi.org/10.1098/rspb.2023.2281, with its public code.

Median steps to the crossover, 200 runs, complete graph / six cliques of five / cycle:
    defaults: 727 / 42 / 60; `spread` 0.5: 495 / 50 / 60; 0, only brewers know: 25 / 52 / 71;
    `order` ``synchronous``: 397 / 45 / 60; ``exponential``: 740 / 45 / 65.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numba import njit
from scipy.stats import mannwhitneyu

from community.classics import hearing
from community.classics.case import Case, number, tested
from community.classics.orders import CODES, SYNCHRONOUS, Order, turns
from community.classics.potions_times import CAVES, COMPLETE
from community.classics.replicates import concatenated, stream
from community.landscapes.potions import BREW, DEREX_BOYD, Book

RUNS: Final = 200
"""Replicates per cell at the stated size."""


@dataclass(frozen=True)
class Parameters:
    """A group and its recipes.

    Attributes:
        n: Agents.
        network: ``caves``, cliques of `clique` joined round a ring, or a name of
            `community.classics.hearing.GRAPHS`. In the cliques the first edge of each leads to the
            clique before instead of inside (Watts's connected caveman graph, which the published
            code draws); Derex and Boyd's people changed partners instead.
        clique: Agents in a clique, of which there are ``n / clique``.
        spread: Probability with which each neighbour gets what is brewed. 1 is the published
            model's default; below it, each is drawn for both of the brewers it hears.
        own: Fewest and most of the agent's own items in a brew, drawn evenly.
        book: Items and recipes.
        order: When agents act. In a synchronous step all brew from what they had at its beginning.
        horizon: Steps after which a group that has not finished is given up.
    """

    n: int = 30
    network: str = "caves"
    clique: int = 5
    spread: float = 1.0
    own: tuple[int, int] = (1, 2)
    book: Book = DEREX_BOYD
    order: Order = "sequential"
    horizon: int = 100_000

    def __post_init__(self) -> None:
        hearing.must_be_known(self.network, "caves")
        if not (0 <= self.spread <= 1 and 0 <= self.own[0] <= self.own[1] <= BREW):
            raise ValueError(f"spread is a probability; between 0 and {BREW} items are one's own")
        if self.network == "caves" and self.n % self.clique:
            raise ValueError(f"cliques of {self.clique} do not divide {self.n} agents")

    def hears(self) -> np.ndarray:
        """Return who hears whom (n, n)."""
        if self.network == "caves":
            return hearing.caves(self.n // self.clique, self.clique)
        return hearing.named(self.network, self.n)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of each replicate.

    Attributes:
        steps: (runs,) int64; the step of the crossover, or the horizon.
        crossed: (runs,) bool; whether there was one.
        scores: (runs, n) float64; the best thing each agent had at the end.
    """

    steps: np.ndarray
    crossed: np.ndarray
    scores: np.ndarray


def simulate(
    parameters: Parameters,
    runs: int = RUNS,
    seed: int = 0,
    jobs: int = 1,
    hears: np.ndarray | None = None,
) -> Result:
    """Run the group `runs` times; arguments as in `community.classics.zollman.simulate`."""
    work = partial(_replicates, parameters, seed, hears)
    return Result(*concatenated(work, runs, jobs))


class _Recipes(NamedTuple):
    """`Book.arrays` for the loops."""

    worth: np.ndarray
    needs: np.ndarray
    gives: np.ndarray
    start: int
    last: int


def _replicates(
    p: Parameters, seed: int, hears: np.ndarray | None, replicates: range
) -> tuple[np.ndarray, ...]:
    """Return steps, whether there was a crossover, and scores of these replicates."""
    matrix = p.hears() if hears is None else np.asarray(hears, dtype=bool)
    graph, audience = hearing.lists(matrix), hearing.lists(matrix.T)
    recipes = _Recipes(*p.book.arrays())
    steps = np.empty(len(replicates), np.int64)
    crossed, scores = np.empty(len(replicates), bool), np.empty((len(replicates), len(matrix)))
    for row, replicate in enumerate(replicates):
        rng = stream(seed, replicate, "potions")
        held = np.full(len(matrix), recipes.start, np.int64)
        steps[row], crossed[row] = _group(
            rng, held, graph, audience, recipes, p.own, p.spread, CODES[p.order], p.horizon
        )
        scores[row] = _scores(held, recipes)
    return steps, crossed, scores


@njit(cache=True)
def _drawn(rng: np.random.Generator, held: int, count: int, worth: np.ndarray) -> int:
    """Return a mask of `count` different items of `held`, drawn in proportion to their worth."""
    drawn = 0
    for _ in range(count):
        total = 0.0
        for item in range(len(worth)):
            if (held >> item) & 1:
                total += worth[item]
        left, chosen = rng.random() * total, -1
        for item in range(len(worth)):
            if (held >> item) & 1:
                chosen = item
                left -= worth[item]
                if left < 0:
                    break
        held &= ~(1 << chosen)
        drawn |= 1 << chosen
    return drawn


@njit(cache=True)
def _brewed(
    rng: np.random.Generator,
    mine: int,
    theirs: int,
    recipes: _Recipes,
    own: tuple[int, int],
) -> int:
    """Return the item that one brew of two agents' holdings gives, -1 for none."""
    count = own[0] + int(rng.random() * (own[1] - own[0] + 1))
    mask = _drawn(rng, mine, count, recipes.worth)
    mask |= _drawn(rng, theirs, BREW - count, recipes.worth)
    for recipe in range(len(recipes.needs)):
        if recipes.needs[recipe] == mask:
            return int(recipes.gives[recipe])
    return -1


@njit(cache=True)
def _told(
    rng: np.random.Generator,
    held: np.ndarray,
    agent: int,
    item: int,
    audience: hearing.Lists,
    spread: float,
) -> None:
    """Give `item` to `agent`, and to each who hears it with probability `spread`."""
    held[agent] |= 1 << item
    for at in range(audience.starts[agent], audience.starts[agent + 1]):
        if spread >= 1 or rng.random() < spread:
            held[audience.who[at]] |= 1 << item


@njit(cache=True)
def _group(
    rng: np.random.Generator,
    held: np.ndarray,
    graph: hearing.Lists,
    audience: hearing.Lists,
    recipes: _Recipes,
    own: tuple[int, int],
    spread: float,
    order: int,
    horizon: int,
) -> tuple[int, bool]:
    """Brew until the crossover; `held` is left as it was then. Return the step, and whether."""
    everybody = np.arange(len(held))
    for step in range(1, horizon + 1):
        before = held.copy() if order == SYNCHRONOUS else held
        for i in everybody if order == SYNCHRONOUS else turns(rng, order, len(held)):
            degree = graph.starts[i + 1] - graph.starts[i]
            if degree == 0:
                continue
            partner = int(graph.who[graph.starts[i] + int(rng.random() * degree)])
            item = _brewed(rng, int(before[i]), int(before[partner]), recipes, own)
            if item >= 0:
                _told(rng, held, int(i), item, audience, spread)
                _told(rng, held, partner, item, audience, spread)
        for i in everybody:
            if held[i] & recipes.last:
                return step, True
    return horizon, False


@njit(cache=True)
def _scores(held: np.ndarray, recipes: _Recipes) -> np.ndarray:
    """Return the worth of the best brewed item that each holds (n,)."""
    scores = np.zeros(len(held))
    for i in range(len(held)):
        for item in recipes.gives:
            if (held[i] >> item) & 1:
                scores[i] = max(scores[i], recipes.worth[item])
    return scores


RATIO: Final = (8.0, 25.0)
"""Between these the ratio of median crossovers, complete to cliques, has to lie."""


def cases(size: float = 1.0, seed: int = 0, jobs: int = 1) -> list[Case]:
    """Compare with M9: times to crossover of either graph, and the ratio of their medians."""
    runs = max(20, round(RUNS * size))
    found, steps = [], {}
    for network, reference, median, quartiles in (
        ("complete", COMPLETE, 684, (338, 1116)),
        ("caves", CAVES, 46, (29, 72)),
    ):
        ours = simulate(Parameters(network=network), runs, seed, jobs).steps
        steps[network] = ours
        p = float(mannwhitneyu(ours, reference).pvalue)
        name, middle = f"{network}: median steps", float(np.median(ours))
        found.append(
            tested(
                "M9",
                f"{name}, Mann-Whitney",
                float(np.median(reference)),
                middle,
                p=p,
                source="plain code, 200 runs",
            )
        )
        error, behind = _median_error(ours), 1.253 * (quartiles[1] - quartiles[0]) / 1.349 / 10
        found.append(
            number("M9", name, median, middle, error, source="own run, 100 runs", target_se=behind)
        )
    ratio, error = _ratio(steps["complete"], steps["caves"], seed)
    middle, half = sum(RATIO) / 2, (RATIO[1] - RATIO[0]) / 2
    name = "complete / caves, ratio of medians"
    return [*found, number("M9", name, middle, ratio, error, source="print", delta=half)]


def _median_error(values: np.ndarray, resamples: int = 2000) -> float:
    """Return the bootstrap standard error of a median."""
    rng = np.random.default_rng(len(values))
    drawn = values[rng.integers(0, len(values), (resamples, len(values)))]
    return float(np.median(drawn, axis=1).std(ddof=1))


def _ratio(one: np.ndarray, other: np.ndarray, seed: int) -> tuple[float, float]:
    """Return the ratio of two medians and its bootstrap standard error."""
    rng, medians = np.random.default_rng(seed), []
    for values in (one, other):
        drawn = values[rng.integers(0, len(values), (2000, len(values)))]
        medians.append(np.median(drawn, axis=1))
    error = (medians[0] / medians[1]).std(ddof=1)
    return float(np.median(one) / np.median(other)), float(error)
