"""Surrogate: what visible results say about settings nobody has measured.

A Gaussian process whose kernel is a sum over knobs (each knob has its own effect) plus one term for
the setting as a whole. Reproduced results count as one measurement for each pair of their
confirmation, screened ones as one. It predicts costs (lower is better); what to make of that is the
policies' business.

Sources: Duvenaud, Nickisch & Rasmussen 2011, "Additive Gaussian Processes", NeurIPS 24, section 2
(first-order additive kernel). Differs: one shared amplitude and length for all knobs, chosen from a
small grid by marginal likelihood (Rasmussen & Williams 2006, equation 5.8) times a prior, because
there are tens of results for tens of knobs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.linalg.lapack import dtrtrs

from agents.closeness import to_unit
from agents.knobs import Knob
from agents.minds.policy.kernel import Array, Rows, Squares
from agents.minds.policy.view import Point, Row, Setting, View, Whole
from forum.messages import KnobValue

MOST_POINTS = 160
"""A turn's arithmetic stays within milliseconds; the best and the newest are kept."""
LENGTHS = (0.35, 0.7)
AMPLITUDES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Times the amplitude expected beforehand."""
EXPECTED_EFFECT = 0.03
"""Of the baseline's score: what turning one knob typically does to a poorly tuned start."""
MOST_PENDING = 32
"""How many of the newest runs on their way are believed in; more would slow a turn."""


class Surrogate:
    """A fitted model of cost over settings.

    Args:
        view: What is visible.
        believes: Also take runs on their way for measured, with the result expected of them. Right
            for choosing where to look; wrong for predictions, whose doubt it makes too small.
    """

    def __init__(self, view: View, *, believes: bool = False) -> None:
        self._view, self._believes = view, believes
        self._knobs = view.knobs
        self._is_fitted = False

    def gains(
        self, base: Setting, candidates: Sequence[tuple[Setting, Setting]]
    ) -> tuple[Array, Array]:
        """Return means and standard deviations, shape (n,), of the true gains over `base`.

        Args:
            base: A setting.
            candidates: Other settings, each as what is changed (second) of one (first).
        """
        self._fit()
        start = _encode(self._knobs, [base])
        rows = [_row_of(self._knobs, whole, changes) for whole, changes in candidates]
        x = _encoded(self._knobs, rows)
        # All that is wanted of the covariance is the variance of differences to one setting.
        step = self._kernel(start, self._x) - self._kernel(x, self._x)  # (n, points)
        solved = _forward(self._lower, step.T)  # (points, n)
        alone = self._amplitude**2 * (len(self._knobs) + 1)
        prior = 2 * (alone - self._kernel(start, x)[0])
        variance = prior - (solved**2).sum(0)
        return solved.T @ self._whitened, np.sqrt(np.maximum(variance, 1e-18))

    def gain(self, base: Setting, setting: Setting) -> tuple[float, float]:
        """Return mean and standard deviation of the gain of one setting over `base`."""
        mean, deviation = self.gains(base, [(setting, {})])
        return float(mean[0]), float(deviation[0])

    def _fit(self) -> None:
        """Fit what is visible, when it is first asked about."""
        if self._is_fitted:
            return
        self._is_fitted, view = True, self._view
        fitted = view.once("surrogate", lambda: _Fitted(view))
        self._length, self._amplitude = fitted.length, fitted.amplitude
        self._x, self._y, self._noise = fitted.x, fitted.y, fitted.noise
        self._lower, self._whitened = fitted.lower, fitted.whitened
        if view.pending and self._believes:
            self._believe(view.pending[-MOST_PENDING:], view.sigma)

    def _believe(self, pending: Sequence[Setting], sigma: float) -> None:
        """Take what is on its way for measured, with the result that is expected of it.

        That leaves expectations as they are and takes away the doubt that those runs will settle,
        so that agents who decide at the same time do not all look in the same place.
        """
        x = _encode(self._knobs, pending)
        solved = _forward(self._lower, self._kernel(x, self._x).T)
        self._x = self._x.and_also(x)
        self._y = np.concatenate([self._y, solved.T @ self._whitened])
        self._noise = np.concatenate([self._noise, np.full(len(pending), sigma**2)])
        squares = Squares.between(self._x, self._x, is_kept=True)
        self._lower = _factor(self._amplitude**2 * squares.shape(self._length), self._noise)
        self._whitened = _forward(self._lower, self._y)

    def _kernel(self, one: Rows, other: Rows) -> Array:
        """Return covariances, shape (len(one), len(other))."""
        return self._amplitude**2 * Squares.between(one, other).shape(self._length)


class _Fitted:
    """What is fitted to the visible results, once a turn."""

    def __init__(self, view: View) -> None:
        points = _chosen(view)
        costs = [point.cost for point in points if point.cost is not None]
        base = view.baseline.cost or 0.0
        # One diverged run says "far worse", not how the slope runs; its size is cut.
        cap = base + max(10 * view.sigma, base - min(costs))
        y = np.array([cap if point.cost is None else min(point.cost, cap) for point in points])
        self.y: Array = y - base
        self.x = _encode(view.knobs, [point.setting for point in points])
        pairs = view.confirmation_pairs
        repeats = [pairs if p.known.status == "reproduced" else 1 for p in points]
        self.noise: Array = view.sigma**2 / np.array(repeats, dtype=np.float64)
        self._fit(max(4 * view.sigma, EXPECTED_EFFECT * abs(base)))

    def _fit(self, expected: float) -> None:
        best = -math.inf
        squares = Squares.between(self.x, self.x, is_kept=True)
        for length in LENGTHS:
            shape = squares.shape(length)
            for factor in AMPLITUDES:
                lower = _factor((factor * expected) ** 2 * shape, self.noise)
                whitened = _forward(lower, self.y)
                evidence = -0.5 * float(whitened @ whitened) - float(np.log(np.diag(lower)).sum())
                evidence -= 0.5 * math.log(factor) ** 2
                if evidence > best:
                    best = evidence
                    self.length, self.amplitude = length, factor * expected
                    self.lower, self.whitened = lower, whitened


def chance_positive(gain: float, deviation: float) -> float:
    """Return the probability that a normal gain is above zero, kept away from certainty."""
    chance = 0.5 * math.erfc(-gain / (math.sqrt(2.0) * max(deviation, 1e-12)))
    return min(max(chance, 0.02), 0.98)


def _factor(gram: Array, noise: Array) -> Array:
    """Return the Cholesky factor of `gram` and what makes it one; `gram` is overwritten."""
    diagonal = np.arange(len(gram))
    gram[diagonal, diagonal] += noise
    gram[diagonal, diagonal] += 1e-9 * np.trace(gram) / len(gram)
    lower: Array = np.asarray(np.linalg.cholesky(gram), dtype=np.float64)
    return lower


def _forward(lower: Array, right: Array) -> Array:
    """Solve ``lower @ x = right``."""
    # LAPACK goes by columns: rows of a lower factor are columns of an upper one, transposed.
    solved, fault = dtrtrs(lower.T, right, lower=0, trans=1)
    if fault:
        raise np.linalg.LinAlgError("the factor has a zero on its diagonal")
    found: Array = solved
    return found


def _encode(knobs: tuple[Knob, ...], settings: Sequence[Setting]) -> Rows:
    return _encoded(knobs, [_row(knobs, setting) for setting in settings])


def _encoded(knobs: tuple[Knob, ...], rows: Sequence[Row]) -> Rows:
    numbers = sum(knob.is_number for knob in knobs)
    units: Any = [row[0] for row in rows]
    picks: Any = [row[1] for row in rows]
    return Rows(
        np.array(units, dtype=np.float64).reshape(len(rows), numbers),
        np.array(picks, dtype=np.float64).reshape(len(rows), len(knobs) - numbers),
    )


def _row_of(knobs: tuple[Knob, ...], whole: Setting, changes: Setting) -> Row:
    """Return the row of the setting that `changes` make of `whole`."""
    row = _row(knobs, whole)
    if not changes:
        return row
    units, picks, places = [*row[0]], [*row[1]], _places(knobs)
    for name, value in changes.items():
        if name not in places:
            continue
        knob, at = places[name]
        if knob.is_number:
            units[at] = to_unit(knob, value)
        else:
            picks[at] = _pick(knob, value)
    return units, picks


@lru_cache(maxsize=16)
def _places(knobs: tuple[Knob, ...]) -> Mapping[str, tuple[Knob, int]]:
    """Return by name which place of a row's numbers, or of its options, a knob has."""
    numbers = [knob for knob in knobs if knob.is_number]
    options = [knob for knob in knobs if not knob.is_number]
    return {k.name: (k, at) for part in (numbers, options) for at, k in enumerate(part)}


def _row(knobs: tuple[Knob, ...], setting: Setting) -> Row:
    """Return where a setting has its numbers, and which options."""
    if isinstance(setting, Whole) and setting.row_of is knobs:
        return setting.row
    units = [to_unit(k, setting.get(k.name, k.start)) for k in knobs if k.is_number]
    picks = [_pick(k, setting.get(k.name, k.start)) for k in knobs if not k.is_number]
    if isinstance(setting, Whole):
        setting.row_of, setting.row = knobs, (units, picks)
    return units, picks


def _pick(knob: Knob, value: KnobValue) -> int:
    return knob.options.index(value) if value in knob.options else -1


def _chosen(view: View) -> list[Point]:
    points = list(view.points)
    if len(points) <= MOST_POINTS:
        return points
    scored = sorted(
        (point for point in points[1:] if point.cost is not None),
        key=lambda point: point.cost if point.cost is not None else math.inf,
    )
    half = MOST_POINTS // 2
    kept = {id(point) for point in [points[0], *scored[:half], *points[-half:]]}
    return [point for point in points if id(point) in kept]
