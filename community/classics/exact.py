"""What is known exactly of NK landscapes, and walks on them.

Sources:
    Kauffman, S. A. (1993). The Origins of Order. Oxford University Press: without order (K = N - 1)
    2^N / (N + 1) local optima are expected.
    Campos, P. R. A., Adami, C. & Wilke, C. O. (2002). Optimal adaptive performance and
    delocalization in NK fitness landscapes. Physica A 304, 495-506: the correlation of genotypes d
    flips apart, ``C(N - K - 1, d) / C(N, d)`` where the K links are distinct others.
    Orr, H. A. (2003). A minimum on the mean number of steps taken in adaptive walks. Journal of
    Theoretical Biology 220, 241-247: steepest walks without order tend to e - 1 steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.integrate import simpson

from community.classics.draws import below, keys_from
from community.classics.replicates import stream
from community.landscapes.nk import NK, Mode

Walk = Literal["random fitter", "steepest"]


def neighbour_correlation(n: int, k: int, mode: Mode, distance: int = 1) -> float:
    """Return the exact correlation of the fitness of genotypes `distance` flips apart.

    A locus keeps its worth if none of the loci that it looks at is flipped; the correlation is the
    probability of that.

    Raises:
        ValueError: more than one flip where the number of loci looked at is itself drawn.
    """
    if mode in ("random", "adjacent", "block"):
        return math.comb(n - k - 1, distance) / math.comb(n, distance)
    if distance != 1:
        raise ValueError(f"{mode} has no one number for {distance} flips")
    if mode == "random_incl_self":
        return 1 - (1 + k * (n - 1) / n) / n
    others = n - 1
    return 1 - (1 + others * (1 - (1 - 1 / others) ** k)) / n


def mean_of_highest(n: int, count: float) -> float:
    """Return E[max] of `count` independent means of `n` U(0, 1) numbers, by Simpson's rule.

    The tail of the Irwin-Hall distribution is summed from its near end, where all terms are small.
    """
    sums = np.linspace(0, n, 40 * n * 25 + 1)
    lower = np.minimum(sums, n - sums)
    mass = np.zeros_like(sums)
    for j in range(n // 2 + 1):
        part = np.where(lower > j, lower - j, 0.0)
        mass += (-1) ** j * math.comb(n, j) * part**n / math.factorial(n)
    above = np.where(sums <= n / 2, 1 - mass, mass)
    with np.errstate(divide="ignore"):
        highest_above = -np.expm1(count * np.log1p(-np.minimum(above, 1.0)))
    return float(simpson(highest_above, x=sums)) / n


def climber_mean(n: int, rounds: int) -> float:
    """Return E f(t) of a lone agent that flips one random bit a round, K = 0."""
    return 2 / 3 - (1 - 1 / n) ** rounds / 6


def climber_rounds(n: int) -> float:
    """Return the expected rounds until that agent is at the optimum: N E[H_m], m ~ Bin(N, 1/2)."""
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, n + 1))])
    chances = [math.comb(n, wrong) / 2**n for wrong in range(n + 1)]
    return n * float(np.dot(chances, harmonic))


def unlikeness(landscape: NK, distance: int, pairs: int, rng: np.random.Generator) -> float:
    """Estimate 1 - correlation at `distance` from random pairs on one landscape, without bias.

    The mean squared difference of two genotypes is twice the variance, 1 / (12 N), times that.
    """
    n = landscape.n
    one = rng.integers(2, size=(pairs, n), dtype=np.uint8)
    flipped = np.argsort(rng.random((pairs, n)), axis=1) < distance
    gaps = landscape.fitness(one) - landscape.fitness(one ^ flipped.astype(np.uint8))
    return float(np.mean(gaps**2)) * 6 * n


def unlike(
    draw: Callable[[int], NK], seed: int, indices: range, pairs: int = 200
) -> tuple[NDArray[np.float64]]:
    """Return `unlikeness` of neighbours on each of the landscapes that `draw` has: (landscapes,).

    Its mean tells how links are drawn without running anybody, and how table values are: if they
    have another variance than 1/12 it is larger in proportion.
    """
    found = [unlikeness(draw(i), 1, pairs, stream(seed, i, "pairs of neighbours")) for i in indices]
    return (np.array(found),)


@njit(cache=True, nogil=True)
def _walks(values: Any, starts: Any, is_steepest: Any, key: Any) -> Any:
    """Walk from each start to a local optimum; return steps and where each walk ends."""
    bits = 0
    while (1 << bits) < values.size:
        bits += 1
    steps, ends = np.zeros(starts.size, np.int64), np.empty(starts.size, np.int64)
    better = np.empty(bits, np.int64)
    for walker in range(starts.size):
        here = starts[walker]
        while True:
            count, best = 0, here
            for bit in range(bits):
                there = here ^ (1 << bit)
                if values[there] > values[here]:
                    better[count] = there
                    count += 1
                if values[there] > values[best]:
                    best = there
            if count == 0:
                break
            here = best if is_steepest else better[below(key, steps[walker], walker, 0, count)]
            steps[walker] += 1
        ends[walker] = here
    return steps, ends


def walk(
    values: NDArray[np.float64],
    starts: NDArray[np.int64],
    kind: Walk,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Walk uphill, one flip a step, from each of `starts` until no flip is better.

    Args:
        values: (2^n,).
        starts: (walkers,), genotypes' indices.
        kind: ``random fitter``: to any better neighbour, all equally likely; ``steepest``: to the
            best one.
        rng: Of the random steps.

    Returns:
        Steps of each, and the genotype at which it ends.
    """
    steps, ends = _walks(values, starts.astype(np.int64), kind == "steepest", keys_from(rng)[0])
    return steps, ends
