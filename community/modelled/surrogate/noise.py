"""How much scores of one tree differ from seed to seed, from trees that were run more than once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from community.errors import ModelFitError
from community.modelled.surrogate.learners import short
from community.modelled.surrogate.ledgers import Measured
from community.modelled.surrogate.model_file import Check, Noise
from community.modelled.surrogate.space import Array

SLOPES = np.linspace(-1.5, 1.5, 31)
LEAST_FREEDOM = 3


@dataclass(frozen=True, slots=True)
class Repeats:
    """Sets of runs of one tree on the same held-out text."""

    squares: Array
    """Sum of squared differences from each set's mean."""
    freedom: Array
    """Runs less one."""
    means: Array
    """Of the costs."""


def repeats(measured: Sequence[Measured], costs: Array) -> Repeats:
    """Find the sets of runs that differ in their seed alone.

    Raises:
        ModelFitError: there are hardly any.
    """
    sets: dict[object, list[float]] = defaultdict(list)
    for each, cost in zip(measured, costs, strict=True):
        sets[each.group, each.values, each.split].append(float(cost))
    many = [np.array(each) for each in sets.values() if len(each) > 1]
    found = Repeats(
        np.array([float(((each - each.mean()) ** 2).sum()) for each in many]),
        np.array([len(each) - 1.0 for each in many]),
        np.array([float(each.mean()) for each in many]),
    )
    if found.freedom.sum() < LEAST_FREEDOM:
        raise ModelFitError(
            "hardly any tree was run twice, so that noise cannot be told from differences between "
            "trees; add runs with more noise.baseline_runs, or with confirmations"
        )
    return found


def learn_noise(found: Repeats, floor: float) -> tuple[Noise, Check]:
    """Return how noise goes with the score: one number, or rising with the cost above the floor.

    The slope is taken where it says more of sets that were left out.
    """
    logs = np.log(np.maximum(found.means - floor, 1e-12))
    centre = float(np.average(logs, weights=found.freedom))
    places = logs - centre
    every = np.arange(len(places))
    held: dict[str, float] = {"alike": 0.0, "sloping": 0.0}
    for each in every if len(every) > 1 else []:
        rest = every != each
        for name, slopes in (("alike", np.zeros(1)), ("sloping", SLOPES)):
            slope = _best_slope(found, places, rest, slopes)
            variance = _variance(found, places, rest, slope)
            held[name] += float(_likelihood(found, places, every == each, slope, variance))
    freedom = float(found.freedom.sum())
    is_sloping = held["sloping"] > held["alike"]
    slope = _best_slope(found, places, every >= 0, SLOPES) if is_sloping else 0.0
    sigma = float(np.sqrt(_variance(found, places, every >= 0, slope)))
    check = Check(
        part="noise", measure="log likelihood a repeat, left out",
        model=short(max(held.values()) / freedom, 6), mean=short(held["alike"] / freedom, 6),
    )  # fmt: skip
    return Noise(sigma=short(sigma, 6), slope=short(slope, 6), centre=short(centre, 6)), check


def _variance(found: Repeats, places: Array, rows: NDArray[np.bool_], slope: float) -> float:
    scaled = found.squares[rows] * np.exp(-2 * slope * places[rows])
    return max(float(scaled.sum() / found.freedom[rows].sum()), 1e-300)


def _likelihood(
    found: Repeats, places: Array, rows: NDArray[np.bool_], slope: float, variance: float
) -> float:
    """Return the log likelihood of some sets' sums of squares, without what is the same for all."""
    log = np.log(variance) + 2 * slope * places[rows]
    return float(-0.5 * (found.freedom[rows] * log + found.squares[rows] / np.exp(log)).sum())


def _best_slope(found: Repeats, places: Array, rows: NDArray[np.bool_], slopes: Array) -> float:
    """Return the likeliest slope, with a normal prior around none."""
    worth = [
        _likelihood(found, places, rows, s, _variance(found, places, rows, s)) - 0.5 * s**2
        for s in slopes.tolist()
    ]
    return float(slopes[int(np.argmax(worth))])
