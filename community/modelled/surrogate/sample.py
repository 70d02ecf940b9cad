"""Experiments as arrays, folded by setting, and the offsets of the held-out text they met.

A setting is in one fold whole: what its runs share is never in training and test at once. Folds and
order follow from the settings themselves, not from the order in which ledgers were given.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from community.modelled.surrogate.learners import Learner, learn_ridge, short
from community.modelled.surrogate.ledgers import Measured
from community.modelled.surrogate.model_file import SPLITS, Offset, Split
from community.modelled.surrogate.regressions import Regression
from community.modelled.surrogate.space import Array, Index, Space, Values

ROOM = 0.5
"""The floor lies below the best setting by this part of what lies between it and the median."""
ROUNDS = 2
SHRUNK_BY = 5.0
"""Experiments that pull an offset to none: one of a handful of runs is hardly known."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Experiments of one kind."""

    space: Space
    settings: tuple[Values, ...]
    columns: Array
    """Shape (settings, columns)."""
    of: Index
    """Of each experiment its setting, shape (experiments,)."""
    fold: Index
    """Of each setting."""

    @classmethod
    def of_experiments(cls, space: Space, measured: Sequence[Measured], folds: int) -> Sample:
        """Fold experiments by their settings."""
        settings = sorted({each.values for each in measured}, key=_digest)
        index = {values: number for number, values in enumerate(settings)}
        return cls(
            space, tuple(settings), space.encode(settings),
            np.array([index[each.values] for each in measured], dtype=np.int64),
            np.arange(len(settings)) % folds,
        )  # fmt: skip

    def means(self, values: Array, rows: NDArray[np.bool_]) -> tuple[Index, Array, Array]:
        """Return the settings among `rows`, the mean of `values` in each, and its experiments."""
        count = np.bincount(self.of[rows], minlength=len(self.settings))
        total = np.bincount(self.of[rows], weights=values[rows], minlength=len(self.settings))
        there = np.flatnonzero(count)
        return there, total[there] / count[there], count[there].astype(np.float64)

    def predict(self, regression: Regression, points: Array, settings: Index) -> Array:
        """Return what a regression says of some settings, shape (len(settings),)."""
        predictor = regression.predictor(self.space, points)
        return np.array([predictor(self.columns[setting]) for setting in settings])

    def held_out(self, learner: Learner, values: Array, sigma: float) -> Array:
        """Return for each experiment what is predicted where its setting was left out.

        Args:
            learner: What learns.
            values: Of each experiment.
            sigma: Standard deviation of one value's noise.
        """
        found = np.zeros(len(self.of))
        for fold in range(int(self.fold.max()) + 1):
            rows = self.fold[self.of] != fold
            there, means, count = self.means(values, rows)
            points = self.columns[there]
            regression = learner(self.space, points, means, sigma**2 / count)
            missing = np.flatnonzero(self.fold == fold)
            predicted = np.zeros(len(self.settings))
            predicted[missing] = self.predict(regression, points, missing)
            found[~rows] = predicted[self.of[~rows]]
        return found


@dataclass(frozen=True, slots=True)
class Excess:
    """Costs as logarithms of what they are above a floor."""

    floor: float
    least: float
    """Less than this above it is as this: the logarithm would run away."""

    @classmethod
    def below(cls, means: Array) -> Excess:
        """Put the floor somewhat below the best of some costs."""
        least = float(means.min())
        room = ROOM * (float(np.median(means)) - least) + 1e-9 * max(abs(least), 1e-3)
        return cls(short(least - room, 6), short(room / 4, 6))

    def log(self, costs: Array) -> Array:
        """Return logarithms."""
        logs: Array = np.log(np.maximum(costs - self.floor, self.least))
        return logs

    def value(self, logs: Array) -> Array:
        """Return costs."""
        costs: Array = self.floor + np.exp(logs)
        return costs

    def noise(self, costs: Array, sigma: float) -> Array:
        """Return the variance of a logarithm whose cost has a standard deviation of `sigma`."""
        variances: Array = (sigma / np.maximum(costs - self.floor, self.least)) ** 2
        return variances


@dataclass(frozen=True, slots=True)
class Cells:
    """What held-out text each experiment met: one cell for each split of each group of runs."""

    names: tuple[tuple[str, str], ...]
    """(group, split)."""
    of: Index
    """Of each experiment its cell."""

    @classmethod
    def of_experiments(cls, measured: Sequence[Measured]) -> Cells:
        """Find the cells of experiments."""
        names = sorted({(each.group, each.split) for each in measured})
        index = {name: number for number, name in enumerate(names)}
        of = np.array([index[each.group, each.split] for each in measured], dtype=np.int64)
        return cls(tuple(names), of)

    @property
    def is_dev(self) -> NDArray[np.bool_]:
        """Of each cell whether it is of dev."""
        return np.array([split == "dev" for _, split in self.names])


def settled(
    sample: Sample,
    cells: Cells,
    costs: Array,
    rows: NDArray[np.bool_],
    excess: Excess,
) -> Array:
    """Return the offset of each cell, learnt from `rows` alone; their mean over dev is 0.

    What a ridge regression leaves over in a cell when the setting itself was left out.
    """
    offsets = np.zeros(len(cells.names))
    some = Sample(
        sample.space, sample.settings, sample.columns, sample.of[rows], _folds(sample, rows)
    )
    for _ in range(ROUNDS):
        adjusted = costs[rows] - offsets[cells.of[rows]]
        predicted = excess.value(some.held_out(learn_ridge, excess.log(adjusted), 0.0))
        left = costs[rows] - predicted
        middle = float(np.median(left))
        reach = 3 * 1.4826 * float(np.median(np.abs(left - middle)))
        left = np.clip(left, middle - reach, middle + reach)
        size = np.bincount(cells.of[rows], minlength=len(offsets))
        total = np.bincount(cells.of[rows], weights=left, minlength=len(offsets))
        offsets = total / (size + SHRUNK_BY)
        on_dev = size * cells.is_dev
        if on_dev.any():
            offsets = np.where(size > 0, offsets - np.average(offsets, weights=on_dev), 0.0)
    return offsets


def offsets_of(cells: Cells, found: Array) -> dict[Split, Offset]:
    """Return what the splits differ by; a split that nothing was measured on is as the one before.

    Args:
        cells: What was met.
        found: The offset of each cell.
    """
    offsets: dict[Split, Offset] = {}
    before = Offset(mean=0.0, spread=0.0)
    for split in SPLITS:
        its = np.array(
            [offset for (_, s), offset in zip(cells.names, found, strict=True) if s == split]
        )
        if len(its):
            spread = float(its.std(ddof=1)) if len(its) > 1 else 0.0
            mean = 0.0 if split == "dev" else float(its.mean())
            before = Offset(mean=short(mean, 6), spread=short(spread, 6))
        offsets[split] = before
    return offsets


def _folds(sample: Sample, rows: NDArray[np.bool_]) -> Index:
    """Return five folds for an inner cross-validation, evenly over the settings among `rows`."""
    folds = np.zeros(len(sample.settings), dtype=np.int64)
    there = np.unique(sample.of[rows])
    folds[there] = np.arange(len(there)) % 5
    return folds


def _digest(values: Values) -> bytes:
    return hashlib.sha256(json.dumps(values).encode()).digest()
