"""What about a graph goes with progress: slopes on its measures, over arms on common landscapes.

Pure functions. A study has few graphs and their measures go together (a denser graph has shorter
paths), so each measure is looked at alone; the joint fit is given only where graphs are many, with
how far each measure repeats the others. Both describe, neither says what causes what.

Sources:
    Cameron, A. C. & Miller, D. L. (2015). A practitioner's guide to cluster-robust inference.
    Journal of Human Resources 50, 317-372. Errors that go together within a landscape.
    Marquardt, D. W. (1970). Generalized inverses, ridge regression. Technometrics 12, 591-612.
    Variance inflation: 1 where a measure repeats no other.
    Spearman, C. (1904). The proof and measurement of association. Am. J. Psychology 15, 72-101.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import statsmodels.api as sm
from numpy.typing import ArrayLike
from scipy import stats
from statsmodels.stats.outliers_influence import variance_inflation_factor

from community.study.statistics import LEVEL, TIE, Floats

GRAPHS_PER_MEASURE = 3
"""A fit needs so many different graphs for each measure in it."""
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Slope:
    """What one standard deviation more of a measure goes with, in the unit of the outcome."""

    measure: str
    value: float
    low: float
    high: float
    p: float
    inflation: float
    """Of its variance by the other measures; 1 in a fit of its own."""
    graphs: int
    """Different graphs, by the measures in the fit."""
    runs: int


@dataclass(frozen=True, slots=True)
class Association:
    """Spearman's rank correlation over arms: measure against mean outcome."""

    measure: str
    rho: float
    low: float
    """Interval over landscapes: the arms stay the same."""
    high: float
    arms: int


@dataclass(frozen=True, slots=True)
class Fit:
    """A regression of the outcome on graph measures, landscapes taken out."""

    alone: tuple[Slope, ...]
    """Each measure in a fit of its own."""
    jointly: tuple[Slope, ...]
    """All in one fit; empty where there are too few graphs."""


def regress(
    outcome: ArrayLike, landscape: ArrayLike, measures: Mapping[str, ArrayLike]
) -> Fit | None:
    """Regress the outcome of runs on what their graphs were like.

    The mean of each landscape is taken out of outcome and measures first, so that only arms on the
    same landscape are compared; errors are clustered by landscape, and intervals are Student's with
    as many degrees of freedom as there are landscapes but one.

    Args:
        outcome: Shape (runs,), higher is better.
        landscape: Shape (runs,): which landscape each run was on.
        measures: Name -> shape (runs,). Runs that lack one (nan: paths of a graph in parts) are
            left out of the fits that it is in; so are measures of fewer than three values, which
            are a contrast of two graphs under another name.

    Returns:
        None where nothing is left to compare.
    """
    groups = np.unique(np.asarray(landscape), return_inverse=True)[1]
    values = np.asarray(outcome, dtype=np.float64)
    columns = {name: np.asarray(known, dtype=np.float64) for name, known in measures.items()}
    alone = {
        name: found[0]
        for name, column in columns.items()
        if (found := _slopes(values, groups, {name: column}, GRAPHS_PER_MEASURE))
    }
    if not alone:
        return None
    known = {name: columns[name] for name in alone}
    jointly = _slopes(values, groups, known, GRAPHS_PER_MEASURE * len(known))
    return Fit(tuple(alone.values()), tuple(jointly) if len(known) > 1 else ())


def _slopes(
    values: Floats, groups: np.ndarray, columns: Mapping[str, Floats], graphs_wanted: int
) -> list[Slope]:
    """Return the slopes of one fit; none where runs, landscapes or graphs are too few for it."""
    table = np.column_stack(list(columns.values()))
    is_whole = np.isfinite(table).all(axis=1) & np.isfinite(values)
    table, values, groups = table[is_whole], values[is_whole], groups[is_whole]
    if values.size < 4 or np.unique(groups).size < 2:
        return []
    groups = np.unique(groups, return_inverse=True)[1]
    graphs = len(np.unique(np.round(table, 6), axis=0))
    inner, gaps = _within(table, groups), _within(values[:, None], groups)[:, 0]
    spread = inner.std(axis=0)
    if graphs < graphs_wanted or (spread <= TIE).any():
        return []
    return _fit(inner / spread, gaps, groups, list(columns), graphs)


def association(name: str, measure: Sequence[float], outcomes: ArrayLike) -> Association | None:
    """Rank arms by a measure of their graphs and by their mean outcome.

    Args:
        name: Of the measure.
        measure: Shape (arms,); arms that lack it (nan) are left out.
        outcomes: Shape (arms, landscapes), higher is better, the same landscapes for all.

    Returns:
        None with fewer than four arms, or where the measure does not vary.
    """
    of, table = np.asarray(measure, dtype=np.float64), np.asarray(outcomes, dtype=np.float64)
    is_known = np.isfinite(of)
    of, table = of[is_known], table[is_known]
    if of.size < 4 or np.ptp(of) <= TIE:
        return None
    chance = np.random.default_rng(0)
    n = table.shape[1]
    weights = chance.multinomial(n, np.full(n, 1 / n), size=RESAMPLES) / n
    drawn = [_spearman(of, row) for row in weights @ table.T]
    low, high = np.quantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    rho = _spearman(of, table.mean(axis=1))
    return Association(name, rho, float(low), float(high), of.size)


def _spearman(one: Floats, other: Floats) -> float:
    first, second = stats.rankdata(one), stats.rankdata(np.round(other, 12))
    if np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _within(table: Floats, groups: np.ndarray) -> Floats:
    """Take each group's mean out of every column."""
    counts = np.bincount(groups).astype(np.float64)
    means = np.column_stack(
        [np.bincount(groups, weights=column) / counts for column in table.T],
    )
    return np.asarray(table - means[groups], dtype=np.float64)


def _fit(
    table: Floats, values: Floats, groups: np.ndarray, names: list[str], graphs: int
) -> list[Slope]:
    fitted = sm.OLS(values, table).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    low, high = fitted.conf_int(alpha=1 - LEVEL).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a measure that repeats the others: inf
        inflation = [
            float(variance_inflation_factor(table, place)) if len(names) > 1 else 1.0
            for place in range(len(names))
        ]
    return [
        Slope(
            name, float(fitted.params[i]), float(low[i]), float(high[i]),
            _probability(fitted.pvalues[i]), inflation[i], graphs, values.size,
        )
        for i, name in enumerate(names)
    ]  # fmt: skip


def _probability(p: float) -> float:
    return 1.0 if math.isnan(p) else float(p)
