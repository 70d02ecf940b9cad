"""What a fitted function of the knobs is made of, as it stands in a file, and how it predicts.

Every kind predicts one setting at a time with numpy alone. `fit` makes them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from community.modelled.surrogate.kernel import Kernel, Row
from community.modelled.surrogate.space import Array, Space

MOST_POINTS = 1500
MOST_NODES = 60_000
MOST_TERMS = 20_000

Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e12, le=1e12)]
Positive = Annotated[float, Field(allow_inf_nan=False, ge=1e-12, le=1e12)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10**9)]
Predictor = Callable[[Array], float]
"""From the columns of a setting, shape (columns,), to a number."""


class Table(BaseModel):
    """A part of a file: unknown keys, other types, NaN and infinities are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Constant(Table):
    """The same everywhere."""

    kind: Literal["constant"] = "constant"
    value: Number

    def predictor(self, space: Space, points: Array) -> Predictor:  # as its peers
        """Return what predicts."""
        return lambda columns: self.value

    def must_fit(self, space: Space, points: int) -> None:
        """Raise ValueError where it does not belong to these knobs."""


class Ridge(Table):
    """Linear in `Space.basis`."""

    kind: Literal["ridge"] = "ridge"
    intercept: Number
    weights: Annotated[list[Number], Field(max_length=MOST_TERMS)]

    def predictor(self, space: Space, points: Array) -> Predictor:  # as its peers
        """Return what predicts."""
        weights = np.array(self.weights)

        def predict(columns: Array) -> float:
            terms = space.basis(columns[None, :])[0]
            return self.intercept + float(np.einsum("k,k->", terms, weights))

        return predict

    def must_fit(self, space: Space, points: int) -> None:  # as its peers
        """Raise ValueError where it does not belong to these knobs."""
        if len(self.weights) != space.terms():
            raise ValueError(f"{len(self.weights)} weights for {space.terms()} terms")


class Boosted(Table):
    """A sum of regression trees, all their nodes in one list."""

    kind: Literal["boosted"] = "boosted"
    base: Number
    roots: Annotated[list[Count], Field(min_length=1, max_length=5000)]
    column: Annotated[list[int], Field(max_length=MOST_NODES)]
    """Of each node the column that it asks about; -1 for a leaf."""
    most: Annotated[list[Number], Field(max_length=MOST_NODES)]
    """Of each node the highest value that goes to the left."""
    left: Annotated[list[Count], Field(max_length=MOST_NODES)]
    right: Annotated[list[Count], Field(max_length=MOST_NODES)]
    value: Annotated[list[Number], Field(max_length=MOST_NODES)]
    """Of each node what it adds when it is a leaf."""

    def predictor(self, space: Space, points: Array) -> Predictor:  # as its peers
        """Return what predicts."""
        roots, column = np.array(self.roots), np.array(self.column)
        left, right = np.array(self.left), np.array(self.right)
        most, value = np.array(self.most), np.array(self.value)
        is_leaf = column < 0
        asked = np.where(is_leaf, 0, column)

        def predict(columns: Array) -> float:
            at = roots
            # Columns are compared as 32-bit numbers, as scikit-learn does.
            narrow = columns.astype(np.float32)
            while not is_leaf[at].all():
                below = np.where(narrow[asked[at]] <= most[at], left[at], right[at])
                at = np.where(is_leaf[at], at, below)
            return self.base + float(value[at].sum())

        return predict

    def must_fit(self, space: Space, points: int) -> None:  # as its peers
        """Raise ValueError where it does not belong to these knobs, or a walk would not end."""
        count, columns = len(self.column), sum(space.widths)
        lists = (self.most, self.left, self.right, self.value)
        if not count or any(len(each) != count for each in lists):
            raise ValueError("the nodes' lists are not equally long")
        if any(root >= count for root in self.roots):
            raise ValueError("a root is no node")
        nodes = zip(self.column, self.left, self.right, strict=True)
        for node, (column, left, right) in enumerate(nodes):
            if not -1 <= column < columns:
                raise ValueError(f"node {node} asks about column {column} of {columns}")
            if column >= 0 and not (node < left < count and node < right < count):
                raise ValueError(f"node {node} does not lead on")


class Process(Table):
    """A Gaussian process given the file's points: a kernel, and a weight for each point."""

    kind: Literal["process"] = "process"
    centre: Number
    scale: Positive
    """What is modelled is (t - centre) / scale."""
    lengths: list[Positive]
    weights: list[Positive]
    constant: Positive
    single: Positive
    pair: Positive
    whole: Positive
    stretch: Positive
    grain: Number
    """Variance of what sets a tree apart from its neighbours beyond all similarity; not noise: it
    is there again when the tree is run again."""
    targets: Annotated[list[Number], Field(max_length=MOST_POINTS)]
    """Of each point what was observed."""
    noise: Annotated[list[Positive], Field(max_length=MOST_POINTS)]
    """Of each point the variance of that, grain left out."""
    alpha: Annotated[list[Number], Field(max_length=MOST_POINTS)]
    """Of each point what its covariance with a setting counts for."""

    @property
    def kernel(self) -> Kernel:
        """The covariance."""
        return Kernel(
            np.array(self.lengths), np.array(self.weights), self.constant, self.single,
            self.pair, self.whole, self.stretch,
        )  # fmt: skip

    def predictor(self, space: Space, points: Array) -> Predictor:
        """Return what predicts: the mean, which far from all points is that of the process."""
        row, alpha = Row(self.kernel, space, points), np.array(self.alpha)

        def predict(columns: Array) -> float:
            return self.centre + self.scale * float(np.einsum("k,k->", row(columns), alpha))

        return predict

    def must_fit(self, space: Space, points: int) -> None:
        """Raise ValueError where it does not belong to these knobs and points."""
        for name in ("lengths", "weights"):
            if len(getattr(self, name)) != len(space.knobs):
                raise ValueError(f"{name}: not one for each knob")
        for name in ("targets", "noise", "alpha"):
            if len(getattr(self, name)) != points:
                raise ValueError(f"{name}: not one for each point")
        if self.grain < 0:
            raise ValueError("grain is negative")


Regression = Annotated[Constant | Ridge | Boosted | Process, Field(discriminator="kind")]


class Response(Table):
    """A quantity above a floor, learnt as the logarithm of what it is above it."""

    floor: Number
    """It is never below."""
    least: Number
    """Lowest logarithm that is predicted, whatever the regression says."""
    most: Number
    regression: Regression

    @model_validator(mode="after")
    def _in_order(self) -> Response:
        if not self.least <= self.most <= 600:  # exp of more is no number
            raise ValueError("least, most and 600 are not in order")
        return self

    def value(self, log: Any) -> Any:
        """Return the quantity whose logarithm above the floor is `log`."""
        return self.floor + np.exp(np.minimum(np.maximum(log, self.least), self.most))

    def log(self, value: Any) -> Any:
        """Return the inverse of `value`, without its bounds."""
        return np.log(value - self.floor)
