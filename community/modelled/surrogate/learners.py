"""Regressions learnt with scikit-learn: ridge, boosted trees, and the mean to compare them with.

A learner takes columns, targets and weights and returns a `Regression` of the file, so that what
is checked is what is kept. `process_learner` has the fourth.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV

from community.modelled.surrogate.regressions import Boosted, Constant, Regression, Ridge
from community.modelled.surrogate.space import Array, Space

Learner = Callable[[Space, Array, Array, Array], Regression]
"""From a space, columns (n, columns), targets (n,) and variances of their noise (n,)."""

STRENGTHS = np.logspace(-3, 3, 13)
TREES = 200
ODDS_STRENGTH = 10.0
"""Times which the evidence counts beside a normal prior around no effect."""
DIGITS = 10
"""Significant ones of what is kept; the model is what was kept."""


def learn_mean(
    space: Space, columns: Array, targets: Array, noise: Array
) -> Regression:  # as its peers
    """Return the mean, each target weighted by how well it is known."""
    return Constant(value=short(float(np.average(targets, weights=_weights(noise)))))


def learn_ridge(space: Space, columns: Array, targets: Array, noise: Array) -> Regression:
    """Return a ridge regression on `Space.basis`, its strength chosen by leave-one-out error."""
    terms = space.basis(columns)
    weights = _weights(noise)
    middle = np.average(terms, axis=0, weights=weights)
    model = RidgeCV(STRENGTHS).fit(terms - middle, targets, sample_weight=weights)
    coefficients = np.asarray(model.coef_, dtype=np.float64)
    intercept = float(model.intercept_) - float(middle @ coefficients)
    return Ridge(intercept=short(intercept), weights=shorts(coefficients))


def learn_boosted(
    space: Space, columns: Array, targets: Array, noise: Array
) -> Regression:  # as its peers
    """Return boosted regression trees."""
    model = GradientBoostingRegressor(
        n_estimators=TREES, learning_rate=0.08, max_depth=4, subsample=0.7, max_features=0.4,
        min_samples_leaf=3, random_state=0,
    ).fit(columns, targets, sample_weight=_weights(noise))  # fmt: skip
    roots: list[int] = []
    column: list[int] = []
    most: list[float] = []
    left: list[int] = []
    right: list[int] = []
    value: list[float] = []
    for (each,) in model.estimators_:
        tree, base = each.tree_, len(column)
        roots.append(base)
        is_leaf = tree.children_left < 0
        column += np.where(is_leaf, -1, tree.feature).tolist()
        most += shorts(np.where(is_leaf, 0.0, tree.threshold), 9)
        left += np.where(is_leaf, 0, tree.children_left + base).tolist()
        right += np.where(is_leaf, 0, tree.children_right + base).tolist()
        added = np.where(is_leaf, model.learning_rate * tree.value[:, 0, 0], 0.0)
        value += shorts(added, 6)
    base_value = float(np.asarray(model.init_.constant_).ravel()[0])
    return Boosted(
        base=short(base_value), roots=roots, column=column, most=most, left=left, right=right,
        value=value,
    )  # fmt: skip


def learn_odds(columns: Array, is_true: NDArray[np.bool_]) -> tuple[float, list[float]]:
    """Return intercept and weights, one a column, of the log odds."""
    model = LogisticRegression(C=ODDS_STRENGTH, max_iter=2000).fit(columns, is_true)
    return short(float(model.intercept_[0])), shorts(np.asarray(model.coef_[0]))


def short(number: float, digits: int = DIGITS) -> float:
    """Return a number with so many significant digits."""
    return float(f"{number:.{digits}g}")


def shorts(numbers: Array, digits: int = DIGITS) -> list[float]:
    """Return numbers with so many significant digits."""
    return [short(float(number), digits) for number in numbers]


def _weights(noise: Array) -> Array:
    """Return weights with mean 1; even what is known exactly counts at most tenfold."""
    weights = 1 / (noise + noise.mean() + 1e-12)
    scaled: Array = weights / weights.mean()
    return scaled
