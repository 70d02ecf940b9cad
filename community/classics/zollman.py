"""Zollman's bandits: a community learns whether a new method is better than the known one.

Of two methods the known one succeeds with probability 1/2. About the new one agents weigh two
hypotheses, that it succeeds with 1/2 + epsilon (which is so) and that it does with 1/2 - epsilon.
Each round, whoever believes the first with a credence above 1/2 tries the new method `trials`
times; everybody updates by Bayes' rule on what it and those it hears found:

    logit c <- logit c + sum over results of k ln(p1 / p0) + (trials - k) ln((1 - p1) / (1 - p0)).

A community has failed when nobody tries the new method any more, and has succeeded when all are
sure of it. Fewer links make it slower and more often right.

Sources:
    Zollman, K. J. S. (2007). The communication structure of epistemic communities. Philosophy of
    Science 74, 574-587. https://doi.org/10.1086/525605
    Bala, V. & Goyal, S. (1998). Learning from neighbours. Review of Economic Studies 65, 595-621.

Exact: on a complete graph all share one sum of evidence, so it fails only with its most hopeful
member; (1 - c) / c is a martingale, and stopping it gives P(failure) <= (1 - 2^(1-n)) / (n - 1),
with equality as the evidence of one round gets small (`success_floor`).

Not in the paper, and options here (n = 10, 10,000 runs, success on the cycle / the complete graph,
errors .002 / .003; mean rounds to it; defaults .966 / .895, 853 / 125):
    `confident`: stopping at 0.9999 in place of 0.99 changes no outcome; 1,076 / 183 rounds.
    `rival`: if doubters take the new method to be as good as the known one, .967 / .891, but 3,424
    / 492 rounds: each round tells half as much.
    `network`: the wheel as it should be .955 in 429 rounds, with its hub in the rim .957 in 481.
    `order`: sequential .971 / .901, exponential .969 / .898; rounds as above.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal, NamedTuple

import numpy as np
from numba import njit
from scipy.stats import binom

from community.classics import hearing
from community.classics.case import Case, mean_and_error, number, share_and_error
from community.classics.orders import CODES, SYNCHRONOUS, Order, turns
from community.classics.replicates import concatenated, stream

RUNS: Final = 20_000
"""Replicates per cell at the stated size."""
_BUCKETS: Final = 2048


@dataclass(frozen=True, slots=True)
class Parameters:
    """A community and its two methods.

    Attributes:
        n: Agents.
        network: A name of `community.classics.hearing.GRAPHS`. ``wheel`` is a cycle of n - 1 and a
            hub; a public replication leaves the hub in the rim, ``wheel_with_hub_in_rim``.
        epsilon: By how much the new method is better.
        trials: Of the new method, by one agent in one round.
        rival: What the other hypothesis says of the new method: ``worse``, 1/2 - epsilon, or
            ``equal``, that it is as good as the known one. Print says the first.
        truth: Probability with which the new method in fact succeeds; None for 1/2 + epsilon.
        priors: Credences at the start are drawn evenly from this interval.
        confident: All above it: success. Zollman's own runs stopped at 0.9999, replications at
            0.99; with that many trials hardly any community turns back between the two.
        order: When agents act. In all but the synchronous order a result is heard at once.
        horizon: Rounds after which a community that is neither has not succeeded.
    """

    n: int = 10
    network: str = "cycle"
    epsilon: float = 0.001
    trials: int = 1000
    rival: Literal["worse", "equal"] = "worse"
    truth: float | None = None
    priors: tuple[float, float] = (0.0, 1.0)
    confident: float = 0.99
    order: Order = "synchronous"
    horizon: int = 1_000_000

    def __post_init__(self) -> None:
        hearing.must_be_known(self.network)
        low, high = self.priors
        if not (0 < self.epsilon < 0.5 and self.trials >= 1 and self.n >= 1):
            raise ValueError("epsilon lies between 0 and 1/2, trials and agents are 1 at least")
        if not (0 <= low < high <= 1 and 0.5 < self.confident < 1):
            raise ValueError("priors lie between 0 and 1, `confident` between 1/2 and 1")
        if self.truth is not None and not 0 < self.truth < 1:
            raise ValueError("truth is a probability between 0 and 1")


@dataclass(frozen=True, slots=True)
class Result:
    """What came of each replicate.

    Attributes:
        success: (runs,) bool; whether everybody became sure that the new method is better.
        rounds: (runs,) int64; when it was decided.
        sure: (runs,) float64; share of agents that were sure at the end.
    """

    success: np.ndarray
    rounds: np.ndarray
    sure: np.ndarray


def simulate(
    parameters: Parameters,
    runs: int = RUNS,
    seed: int = 0,
    jobs: int = 1,
    hears: np.ndarray | None = None,
) -> Result:
    """Run the community `runs` times.

    Priors come from one stream and results from another, so communities of one size that differ in
    anything else begin with the same credences.

    Args:
        parameters: The community.
        runs: Replicates.
        seed: With a replicate's index it settles everything that is drawn.
        jobs: Processes; the result does not depend on it.
        hears: A matrix (n, n) instead of the named network.
    """
    work = partial(_replicates, parameters, seed, hears)
    return Result(*concatenated(work, runs, jobs))


def success_floor(n: int) -> float:
    """Return the least probability with which a complete graph of `n` agents succeeds."""
    return 1 - (math.log(2) if n == 1 else (1 - 2.0 ** (1 - n)) / (n - 1))


class _Method(NamedTuple):
    """The new method as the loops know it: what its trials come to, and what that says."""

    trials: int
    per_success: float
    per_failure: float
    distribution: np.ndarray
    """Binomial distribution function (trials + 1,)."""
    first: np.ndarray
    """Where to begin to look in it, by the first bits of a chance."""


def _method(p: Parameters) -> _Method:
    """Return what agents learn from one round's trials, and how often."""
    better, other = 0.5 + p.epsilon, 0.5 if p.rival == "equal" else 0.5 - p.epsilon
    truth = better if p.truth is None else p.truth
    distribution = binom.cdf(np.arange(p.trials + 1), p.trials, truth)
    distribution[-1] = 1.0
    first = np.searchsorted(distribution, np.arange(_BUCKETS) / _BUCKETS, side="right")
    success, failure = math.log(better / other), math.log((1 - better) / (1 - other))
    return _Method(p.trials, success, failure, distribution, first)


def _replicates(
    p: Parameters, seed: int, hears: np.ndarray | None, replicates: range
) -> tuple[np.ndarray, ...]:
    """Return success, rounds and the share that is sure of these replicates."""
    matrix = hearing.named(p.network, p.n) if hears is None else np.asarray(hears, dtype=bool)
    if len(matrix) != p.n:
        raise ValueError(f"a matrix of {len(matrix)} for {p.n} agents")
    graph, audience, method = hearing.lists(matrix), hearing.lists(matrix.T), _method(p)
    sure, order = math.log(p.confident / (1 - p.confident)), CODES[p.order]
    low, high = p.priors
    found = np.empty((len(replicates), 3))
    for row, replicate in enumerate(replicates):
        credence = low + (high - low) * stream(seed, replicate, "zollman: priors").random(p.n)
        with np.errstate(divide="ignore"):
            logit = np.log(credence) - np.log1p(-credence)
        rng = stream(seed, replicate, "zollman: results")
        found[row] = _community(rng, logit, graph, audience, order, method, sure, p.horizon)
    return found[:, 0].astype(bool), found[:, 1].astype(np.int64), found[:, 2]


@njit(cache=True)
def _tried(rng: np.random.Generator, method: _Method) -> float:
    """Return what one agent's trials say: the logarithm of their likelihood ratio."""
    chance = rng.random()
    successes = method.first[int(chance * len(method.first))]
    while method.distribution[successes] <= chance:
        successes += 1
    failures = method.trials - successes
    said: float = successes * method.per_success + failures * method.per_failure
    return said


@njit(cache=True)
def _round(
    rng: np.random.Generator,
    logit: np.ndarray,
    found: np.ndarray,
    graph: hearing.Lists,
    audience: hearing.Lists,
    order: int,
    method: _Method,
) -> None:
    """Let everybody act once (on average), in place; credence above 1/2 is a logit above 0."""
    if order == SYNCHRONOUS:
        for i in range(len(logit)):
            found[i] = _tried(rng, method) if logit[i] > 0 else 0.0
        for i in range(len(logit)):
            heard = found[i]
            for at in range(graph.starts[i], graph.starts[i + 1]):
                heard += found[graph.who[at]]
            logit[i] += heard
        return
    for i in turns(rng, order, len(logit)):
        if logit[i] > 0:
            result = _tried(rng, method)
            logit[i] += result
            for at in range(audience.starts[i], audience.starts[i + 1]):
                logit[audience.who[at]] += result


@njit(cache=True)
def _settled(logit: np.ndarray, graph: hearing.Lists, sure: float) -> bool:
    """Whether nothing more will be learnt: each is sure, or has given up and hears nobody try."""
    for i in range(len(logit)):
        if logit[i] > sure:
            continue
        if logit[i] > 0:
            return False
        for at in range(graph.starts[i], graph.starts[i + 1]):
            if logit[graph.who[at]] > 0:
                return False
    return True


@njit(cache=True)
def _community(
    rng: np.random.Generator,
    logit: np.ndarray,
    graph: hearing.Lists,
    audience: hearing.Lists,
    order: int,
    method: _Method,
    sure: float,
    horizon: int,
) -> tuple[bool, int, float]:
    """Return whether all became sure, after how many rounds, and the share that is sure."""
    found, rounds = np.zeros(len(logit)), 0
    while rounds < horizon and not _settled(logit, graph, sure):
        _round(rng, logit, found, graph, audience, order, method)
        rounds += 1
    share = (logit > sure).mean()
    return share == 1.0, rounds, share


PRINTED: Final = {
    (4, "complete"): (0.7289, 242),
    (4, "cycle"): (0.7562, 409),
    (6, "complete"): (0.8185, 183),
    (6, "wheel"): (0.8579, None),
    (6, "cycle"): (0.8850, 596),
    (8, "complete"): (0.8649, 149),
    (8, "wheel"): (0.9243, None),
    (8, "cycle"): (0.9387, 737),
    (10, "complete"): (0.8951, 125.5),
    (10, "wheel"): (0.9598, None),
    (10, "cycle"): (0.9701, 857),
}
"""Success and mean rounds to it of an independent implementation, 20,000 runs a cell."""
REPLICATION: Final = {"complete": (0.896, 12_728), "cycle": (0.965, 2_387)}
"""Runs of a public replication's own code at n = 10: success, how many runs."""


def cases(size: float = 1.0, seed: int = 0, jobs: int = 1) -> list[Case]:
    """Compare with M3: success of complete graphs, wheels and cycles, and the exact floors."""
    runs, found = max(2, round(RUNS * size)), []
    for (n, network), (target, rounds) in PRINTED.items():
        cell = replace(Parameters(), n=n, network=network)
        result = simulate(cell, runs, seed, jobs)
        name = f"{network} n={n}"
        ours, ours_se = share_and_error(int(result.success.sum()), runs)
        error = share_and_error(round(target * RUNS), RUNS)[1]
        found.append(number("M3", name, target, ours, ours_se, source="own run", target_se=error))
        if network == "complete":
            floor = success_floor(n)
            name = f"{name}, floor"
            found.append(number("M3", name, floor, ours, ours_se, source="exact", side="at least"))
        if rounds is not None:
            found.append(_rounds_case(f"{network} n={n}, rounds", rounds, result, runs))
        if n == 10 and network in REPLICATION:
            share, behind = REPLICATION[network]
            error = share_and_error(round(share * behind), behind)[1]
            name = f"{network} n=10, replication"
            found.append(
                number("M3", name, share, ours, ours_se, source="their code", target_se=error)
            )
    return found


def _rounds_case(name: str, target: float, result: Result, runs: int) -> Case:
    """Return the case of the mean number of rounds to success, printed to three digits."""
    mean, error = mean_and_error(result.rounds[result.success].astype(float))
    behind = error * math.sqrt(runs / RUNS)
    return number("M3", name, target, mean, error, source="own run", target_se=behind, delta=0.5)
