"""What runs on many landscapes come to: score, diversity and success over time, per landscape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from community.classics.case import RESAMPLES, mean_and_error
from community.landscapes.transforms import Transform, transformed

_CHUNK = 500
"""Resamples of whole curves at once."""


@dataclass(frozen=True, slots=True)
class Run:
    """One landscape: what its agents' history comes to."""

    scores: NDArray[np.float64]
    """(rounds + 1,): mean over agents."""
    distinct: NDArray[np.int32]
    """(rounds + 1,): different solutions among them."""
    at_best: float
    """Share of agents at the landscape's optimum in the end."""
    ratio: float
    """Mean over agents of value / highest value in the end, without any transform."""


@dataclass(frozen=True, slots=True)
class Curves:
    """Many landscapes, in order; a run that settled early stays where it was."""

    scores: NDArray[np.float64]
    """(landscapes, rounds + 1): mean score over agents at the beginning and after each round."""
    distinct: NDArray[np.int32]
    """(landscapes, rounds + 1): different solutions among them."""
    at_best: NDArray[np.float64]
    """(landscapes,): share of agents at the optimum in the end."""
    ratios: NDArray[np.float64]
    """(landscapes,): mean of value / highest value in the end."""

    def at(self, rounds: int) -> NDArray[np.float64]:
        """Return the scores after so many rounds: (landscapes,).

        Raises:
            IndexError: there were not so many.
        """
        return np.asarray(self.scores[:, rounds])

    @property
    def final(self) -> NDArray[np.float64]:
        """Scores in the end: (landscapes,)."""
        return np.asarray(self.scores[:, -1])


def measured(history: NDArray[np.int32], values: NDArray[np.float64], score: Transform) -> Run:
    """Return what a history (rounds + 1, agents) of solutions comes to on `values` (2^n,)."""
    most = float(values.max())
    worth = values[history]
    scores = transformed(worth, score, float(values.min()), most).mean(axis=1)
    ordered = np.sort(history, axis=1)
    distinct = 1 + (np.diff(ordered, axis=1) != 0).sum(axis=1, dtype=np.int32)
    last = worth[-1]
    return Run(scores, distinct, float((last == most).mean()), float((last / most).mean()))


def gathered(runs: Sequence[Run], horizon: int) -> Curves:
    """Return the curves of `runs`, each held at its last value until `horizon` rounds."""
    return Curves(
        np.stack([_held(run.scores, horizon) for run in runs]),
        np.stack([_held(run.distinct, horizon) for run in runs]),
        np.array([run.at_best for run in runs]),
        np.array([run.ratio for run in runs]),
    )


def _held(curve: NDArray[np.generic], horizon: int) -> NDArray[np.generic]:
    return np.pad(curve, (0, horizon + 1 - len(curve)), mode="edge")


def crossing(
    slow: NDArray[np.float64], fast: NDArray[np.float64], seed: int = 0
) -> tuple[float, float]:
    """Return the round from which the mean of `slow` is above that of `fast`, and its error.

    Args:
        slow: (landscapes, rounds + 1), on the same landscapes as `fast`.
        fast: Likewise.
        seed: Of the bootstrap over landscapes from which the standard error comes.

    Returns:
        The round after the last one at which it is not above, and its standard error; nan where
        it is not above in the end. Of a resample in which it is not the end counts.
    """
    gaps = slow - fast
    found = _above_from(gaps.mean(axis=0)[None, :])[0]
    rng, count = np.random.default_rng([seed, len(gaps)]), len(gaps)
    rounds: list[NDArray[np.float64]] = []
    for _ in range(0, RESAMPLES, _CHUNK):
        weights = rng.multinomial(count, np.full(count, 1 / count), size=_CHUNK) / count
        rounds.append(_above_from(weights @ gaps))
    _, spread = mean_and_error(np.nan_to_num(np.concatenate(rounds), nan=float(gaps.shape[1])))
    return float(found), float(spread * np.sqrt(RESAMPLES))


def _above_from(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    rounds = curves.shape[1]
    since = np.argmax(curves[:, ::-1] <= 0, axis=1)  # how many of the last rounds are above
    since = np.where((curves > 0).all(axis=1), rounds, since)
    return np.where(since > 0, rounds - since.astype(np.float64), np.nan)
