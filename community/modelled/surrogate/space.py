"""The space of a task's knobs as columns of numbers, in one fixed order.

A number is one column, its place in its range from 0 to 1 on its own scale; an option is one column
for each of its values, 1 / sqrt(2) where it stands and 0 elsewhere, so that two different options
are as far apart as the ends of a range. Columns follow the order of the knobs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agents.closeness import to_unit
from agents.knobs import Knob
from forum.messages import KnobValue

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Values = tuple[KnobValue, ...]
"""A value for every knob, in the order of the knobs."""

OPTION = 1.0 / math.sqrt(2.0)


class Space:
    """The knobs of a task.

    Args:
        knobs: In the order of its ``knobs.toml``.
    """

    def __init__(self, knobs: Sequence[Knob]) -> None:
        self.knobs = tuple(knobs)
        self.widths = tuple(1 if knob.is_number else len(knob.options) for knob in self.knobs)
        """How many columns each knob takes."""
        self.owner: Index = np.repeat(np.arange(len(self.knobs)), self.widths)
        """Index of the knob that each column belongs to, shape (columns,)."""
        is_number = np.array([knob.is_number for knob in self.knobs], dtype=bool)
        self.numbers: Index = np.flatnonzero(is_number[self.owner])
        """The columns of numbers."""

    def encode(self, values: Sequence[Values]) -> Array:
        """Return the columns of some settings, shape (len(values), columns)."""
        rows = [
            [
                column
                for knob, value in zip(self.knobs, each, strict=True)
                for column in _of(knob, value)
            ]
            for each in values
        ]
        return np.array(rows, dtype=np.float64).reshape(len(rows), sum(self.widths))

    def basis(self, columns: Array) -> Array:
        """Return what a ridge regression is linear in, shape (rows, terms).

        The columns, the squares of numbers, and the products of any two of them.
        """
        numbers = columns[:, self.numbers]
        first, second = np.triu_indices(numbers.shape[1])
        return np.concatenate([columns, numbers[:, first] * numbers[:, second]], axis=1)

    def terms(self) -> int:
        """Return how many terms `basis` has."""
        count = len(self.numbers)
        return sum(self.widths) + count * (count + 1) // 2


def _of(knob: Knob, value: KnobValue) -> list[float]:
    """Return the columns of one knob."""
    if knob.is_number:
        return [to_unit(knob, value)]
    return [OPTION if type(value) is type(each) and value == each else 0.0 for each in knob.options]
