"""What cross-validation shows of each part, and which kind of regression it chooses.

Settings are left out whole, with all that is learnt beside them (the offsets of held-out text,
too). An error stands beside that of predicting the mean and beside the noise, below which nobody
can be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from community.errors import ModelFitError
from community.modelled.surrogate.learners import (
    Learner,
    learn_boosted,
    learn_mean,
    learn_odds,
    learn_ridge,
    short,
)
from community.modelled.surrogate.model_file import Check, Noise
from community.modelled.surrogate.process_learner import learn_process, spreads
from community.modelled.surrogate.regressions import Process
from community.modelled.surrogate.sample import Cells, Excess, Sample, settled
from community.modelled.surrogate.space import Array

KINDS: dict[str, Learner] = {
    "ridge": learn_ridge,
    "boosted": learn_boosted,
    "process": learn_process,
}
DURATIONS: dict[str, Learner] = {
    "constant": learn_mean,
    "ridge": learn_ridge,
    "boosted": learn_boosted,
}
NINETY = 1.6449
"""Standard deviations either side of nine tenths of a normal."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The kind that predicted best what was left out."""

    kind: str
    learner: Learner
    sigma: float
    """Of what it left over, in logarithms."""


@dataclass(slots=True)
class _Foretold:
    """What was said of each experiment while its setting was left out."""

    costs: Array
    """Predicted, with the offset of its held-out text."""
    logs: Array
    """The same as a logarithm, without offset."""
    spread: Array
    """Standard deviation of that logarithm's truth, as the regression itself has it; NaN where it
    has none."""


def score_checks(
    sample: Sample, cells: Cells, costs: Array, excess: Excess, noise: Noise, kind: str
) -> tuple[Chosen, list[Check]]:
    """Choose the score's regression and tell how good each kind is.

    Raises:
        ModelFitError: `kind` is not a kind.
    """
    if kind != "best" and kind not in KINDS:
        raise ModelFitError(f"no kind of regression {kind!r}: best, {', '.join(KINDS)}")
    told = _foretold(sample, cells, costs, excess, noise.sigma)
    errors = {
        name: _root_mean_square(excess.log(each.costs) - excess.log(costs))
        for name, each in told.items()
    }
    best = min(KINDS, key=errors.__getitem__) if kind == "best" else kind
    sigmas = noise.sigma * np.exp(noise.slope * (excess.log(told[best].costs) - noise.centre))
    floor = _root_mean_square(sigmas)
    mean = _root_mean_square(told["constant"].costs - costs)
    checks = [
        _check(f"score, {name}", "RMSE", _root_mean_square(told[name].costs - costs), mean, floor)
        for name in sorted(KINDS, key=lambda name: (name != best, name))
    ]
    checks += [
        _check(
            "score, logarithm above the floor", f"RMSE, {name}", errors[name], errors["constant"]
        )
        for name in sorted(KINDS, key=lambda name: (name != best, name))
    ]
    checks += _quality(told[best], costs, sigmas, mean, floor, excess)
    return Chosen(best, KINDS[best], errors[best]), checks


def _quality(
    told: _Foretold, costs: Array, sigmas: Array, mean: float, floor: float, excess: Excess
) -> list[Check]:
    """Tell how good the chosen regression is in other words."""
    predicted = told.costs
    error = _root_mean_square(predicted - costs)
    explained = 1 - (error**2 - floor**2) / max(mean**2 - floor**2, 1e-300)
    rank = float(stats.spearmanr(predicted, costs).statistic)
    slope = float(stats.linregress(predicted, costs).slope)
    best = costs <= np.quantile(costs, 0.25)
    checks = [
        _check("score", "share explained of what noise leaves", explained, 0.0, 1.0),
        _check("score", "rank correlation", rank),
        _check("score", "RMSE in the best quarter", _root_mean_square((predicted - costs)[best])),
        _check("score, calibration", "slope of observed on predicted", slope, None, 1.0),
    ]
    if np.isfinite(told.spread).all():
        noise = sigmas / np.maximum(predicted - excess.floor, excess.least)
        deviation = np.sqrt(told.spread**2 + noise**2)
        observed = excess.log(costs - (predicted - excess.value(told.logs)))
        off = np.abs(observed - told.logs) / deviation
        within = float(np.mean(off <= NINETY))
        checks.append(_check("score, calibration", "share within its 90 %", within, None, 0.9))
    return checks


def _foretold(
    sample: Sample, cells: Cells, costs: Array, excess: Excess, sigma: float
) -> dict[str, _Foretold]:
    """Predict each experiment by every kind, its setting left out."""
    learners = {"constant": learn_mean, **KINDS}
    told = {
        name: _Foretold(np.zeros(len(costs)), np.zeros(len(costs)), np.full(len(costs), np.nan))
        for name in learners
    }
    for fold in range(int(sample.fold.max()) + 1):
        rows = sample.fold[sample.of] != fold
        offsets = settled(sample, cells, costs, rows, excess)
        there, means, count = sample.means(costs - offsets[cells.of], rows)
        points, logs = sample.columns[there], excess.log(means)
        noise = excess.noise(means, sigma) / count
        missing = np.flatnonzero(sample.fold == fold)
        for name, learner in learners.items():
            regression = learner(sample.space, points, logs, noise)
            predicted, spread = (
                np.zeros(len(sample.settings)),
                np.full(len(sample.settings), np.nan),
            )
            predicted[missing] = sample.predict(regression, points, missing)
            if isinstance(regression, Process):
                spread[missing] = spreads(regression, sample.space, points, sample.columns[missing])
            bounded = np.clip(predicted[sample.of[~rows]], np.log(excess.least), logs.max())
            told[name].logs[~rows] = bounded
            told[name].spread[~rows] = spread[sample.of[~rows]]
            told[name].costs[~rows] = excess.value(bounded) + offsets[cells.of[~rows]]
    return told


def duration_checks(sample: Sample, logs: Array, part: str) -> tuple[Chosen, Array, list[Check]]:
    """Choose a duration's regression; return what it said of each experiment that it had not seen.

    Args:
        sample: The timed experiments.
        logs: Logarithm of the seconds of each.
        part: For the checks.
    """
    sigma = float(logs.std()) or 1e-3
    told = {name: sample.held_out(learner, logs, sigma) for name, learner in DURATIONS.items()}
    errors = {name: _root_mean_square(each - logs) for name, each in told.items()}
    best = min(DURATIONS, key=errors.__getitem__)
    seconds = _root_mean_square(np.exp(told[best]) - np.exp(logs))
    usual = _root_mean_square(np.exp(told["constant"]) - np.exp(logs))
    checks = [
        _check(f"{part}, {best}", "RMSE of the logarithm", errors[best], errors["constant"]),
        _check(f"{part}, {best}", "RMSE in seconds", seconds, usual),
    ]
    return Chosen(best, DURATIONS[best], errors[best]), told[best], checks


def invalid_checks(
    sample: Sample, is_invalid: NDArray[np.bool_], fewest: int
) -> tuple[bool, list[Check]]:
    """Return whether knobs tell who is invalid, and how well they do beside one chance for all."""
    chances, alike = np.zeros(len(is_invalid)), np.zeros(len(is_invalid))
    can_be_told = min(int(is_invalid.sum()), int((~is_invalid).sum())) >= fewest
    for fold in range(int(sample.fold.max()) + 1):
        rows = sample.fold[sample.of] != fold
        seen = is_invalid[rows]
        alike[~rows] = (float(seen.sum()) + 0.5) / (len(seen) + 1)
        if can_be_told and seen.any() and not seen.all():
            intercept, weights = learn_odds(sample.columns[sample.of[rows]], seen)
            odds = intercept + sample.columns[sample.of[~rows]] @ np.array(weights)
            chances[~rows] = 1 / (1 + np.exp(-odds))
        else:
            chances[~rows] = alike[~rows]
    is_told = can_be_told and _surprise(chances, is_invalid) < _surprise(alike, is_invalid)
    used = chances if is_told else alike
    kind = "by knobs" if is_told else "alike for all"
    brier = [_brier(each, is_invalid) for each in (used, alike)]
    surprise = [_surprise(each, is_invalid) for each in (used, alike)]
    share = "predicted share beside the observed"
    return is_told, [
        _check(f"invalid, {kind}", "Brier score", *brier),
        _check(f"invalid, {kind}", "log loss", *surprise),
        _check("invalid, calibration", share, float(used.mean()), None, float(is_invalid.mean())),
    ]


def _brier(chances: Array, is_true: NDArray[np.bool_]) -> float:
    return float(np.mean((chances - is_true) ** 2))


def _surprise(chances: Array, is_true: NDArray[np.bool_]) -> float:
    return float(-np.mean(np.log(np.where(is_true, chances, 1 - chances))))


def _root_mean_square(values: Array) -> float:
    return float(np.sqrt(np.mean(np.asarray(values) ** 2)))


def _check(
    part: str, measure: str, model: float, mean: float | None = None, floor: float | None = None
) -> Check:
    return Check(
        part=part, measure=measure, model=short(model, 4),
        mean=None if mean is None else short(mean, 4),
        floor=None if floor is None else short(floor, 4),
    )  # fmt: skip
