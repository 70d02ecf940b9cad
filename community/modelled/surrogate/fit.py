"""Fitting: from experiments to a model's file, each part chosen and judged by cross-validation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from agents.knobs import Knob
from community.errors import ModelFitError
from community.modelled.surrogate.checks import (
    duration_checks,
    invalid_checks,
    score_checks,
)
from community.modelled.surrogate.learners import Learner, learn_odds, short, shorts
from community.modelled.surrogate.ledgers import Evidence, Measured
from community.modelled.surrogate.model_file import (
    VERSION,
    Check,
    Duration,
    Invalid,
    KnobTable,
    MadeFrom,
    ModelFile,
    Points,
)
from community.modelled.surrogate.noise import learn_noise, repeats
from community.modelled.surrogate.regressions import MOST_POINTS, Response
from community.modelled.surrogate.sample import Cells, Excess, Sample, offsets_of, settled
from community.modelled.surrogate.space import Array, Index, Space

LEAST_SETTINGS = 30
FOLDS = 5
QUANTILES = 41
FEWEST_INVALID = 5
"""With fewer the chance of being invalid is the same everywhere."""


def fit(evidence: Evidence, space: Space, *, folds: int = FOLDS, kind: str = "best") -> ModelFile:
    """Learn a surrogate.

    Args:
        evidence: Experiments of one task.
        space: The task's knobs.
        folds: Of the cross-validation, two or more.
        kind: Of the score's regression: ridge, boosted or process; best: whichever predicts the
            settings best that were left out.

    The same experiments give the same model, to the byte, on one machine: sums are not divided
    among threads.

    Raises:
        ModelFitError: too little was measured.
    """
    with threadpool_limits(limits=1):
        return _fit(evidence, space, folds, kind)


def _fit(evidence: Evidence, space: Space, folds: int, kind: str) -> ModelFile:
    valid = [each for each in evidence.measured if each.score is not None]
    sample = Sample.of_experiments(space, valid, folds)
    if len(sample.settings) < max(LEAST_SETTINGS, folds):
        raise ModelFitError(
            f"{len(sample.settings)} settings of knobs have a score; give runs with "
            f"{LEAST_SETTINGS} or more"
        )
    opened = evidence.opened
    sign = 1.0 if opened.direction == "lower" else -1.0
    costs = np.array([sign * each.score for each in valid if each.score is not None])
    excess = Excess.below(sample.means(costs, np.ones(len(costs), dtype=bool))[1])
    cells = Cells.of_experiments(valid)
    noise, noise_check = learn_noise(repeats(valid, costs), excess.floor)
    chosen, checks = score_checks(sample, cells, costs, excess, noise, kind)
    score, points, offsets = _score(sample, cells, costs, excess, noise.sigma, chosen.learner)
    train, train_checks = _duration(space, evidence.measured, "train", folds)
    score_time, time_checks = _duration(space, evidence.measured, "score_time", folds)
    invalid, odds_checks = _invalid(space, evidence.measured, folds)
    return ModelFile.model_validate(
        {
            "format": "surrogate", "version": VERSION, "task": opened.task,
            "metric": opened.metric, "unit": opened.unit, "direction": opened.direction,
            "budget": {"kind": opened.budget_kind, "amount": opened.budget_amount},
            "made_from": _made_from(evidence, len(sample.settings)),
            "checks": [*checks, noise_check, *train_checks, *time_checks, *odds_checks],
            "knobs": [_table(knob) for knob in space.knobs],
            "offsets": offsets_of(cells, offsets), "noise": noise, "invalid": invalid,
            "train": train, "score_time": score_time, "score": score, "points": points,
        }
    )  # fmt: skip


def _score(
    sample: Sample, cells: Cells, costs: Array, excess: Excess, sigma: float, learner: Learner
) -> tuple[Response, Points, Array]:
    """Return the score's response, fitted on everything, its points, and the cells' offsets."""
    every = np.ones(len(costs), dtype=bool)
    offsets = settled(sample, cells, costs, every, excess)
    there, means, count = sample.means(costs - offsets[cells.of], every)
    kept = _kept(means)
    there, means, count = there[kept], means[kept], count[kept]
    logs = excess.log(means)
    noise = excess.noise(means, sigma) / count
    regression = learner(sample.space, sample.columns[there], logs, noise)
    response = Response(
        floor=excess.floor, least=short(float(np.log(excess.least)), 6),
        most=short(float(logs.max()), 6), regression=regression,
    )  # fmt: skip
    needs_points = regression.kind == "process"
    settings = [list(sample.settings[each]) for each in there] if needs_points else []
    return response, Points(settings=settings), offsets


def _kept(means: Array) -> Index:
    """Return which settings are learnt from: all, or the best half of the cap and evenly others."""
    if len(means) <= MOST_POINTS:
        return np.arange(len(means))
    order = np.argsort(means, kind="stable")
    half = MOST_POINTS // 2
    others = np.linspace(half, len(means) - 1, MOST_POINTS - half).astype(int)
    return np.sort(np.concatenate([order[:half], order[others]]))


def _duration(
    space: Space, measured: Sequence[Measured], part: str, folds: int
) -> tuple[Duration, list[Check]]:
    """Return how long training or scoring takes, with what it scatters around that."""
    timed: list[tuple[Measured, float]] = []
    for each in measured:
        seconds = each.train_s if part == "train" else each.score_s
        if seconds is not None and each.outcome == "ok":
            timed.append((each, seconds))
    sample = Sample.of_experiments(space, [each for each, _ in timed], folds)
    if len(sample.settings) < folds:
        raise ModelFitError(f"hardly any experiment has a duration ({part}); give whole ledgers")
    logs = np.log(np.array([seconds for _, seconds in timed]))
    chosen, left_out, checks = duration_checks(sample, logs, part)
    there, means, count = sample.means(logs, np.ones(len(logs), dtype=bool))
    regression = chosen.learner(space, sample.columns[there], means, chosen.sigma**2 / count)
    response = Response(
        floor=0.0, least=short(float(logs.min()), 6), most=short(float(logs.max()), 6),
        regression=regression,
    )  # fmt: skip
    ratios = np.exp(np.quantile(logs - left_out, np.linspace(0, 1, QUANTILES)))
    return Duration(seconds=response, ratios=shorts(ratios, 5)), checks


def _invalid(space: Space, measured: Sequence[Measured], folds: int) -> tuple[Invalid, list[Check]]:
    """Return the chance of having no score: by the knobs where that is seen, else one for all."""
    sample = Sample.of_experiments(space, measured, folds)
    is_invalid = np.array([each.outcome == "invalid" for each in measured])
    is_told, checks = invalid_checks(sample, is_invalid, FEWEST_INVALID)
    if is_told:
        intercept, weights = learn_odds(sample.columns[sample.of], is_invalid)
    else:
        chance = (float(is_invalid.sum()) + 0.5) / (len(is_invalid) + 1)
        intercept, weights = short(float(np.log(chance / (1 - chance))), 6), []
    lasted = [each.train_s for each in measured if each.outcome == "invalid" and each.train_s]
    usual = [each.train_s for each in measured if each.outcome == "ok" and each.train_s]
    share = min(float(np.mean(lasted) / np.mean(usual)), 1.0) if lasted and usual else 0.5
    reasons = Counter(each.reason or "crash" for each in measured if each.outcome == "invalid")
    invalid = Invalid(
        intercept=intercept, weights=weights, share_of_train=short(share, 4),
        reasons=dict(sorted(reasons.items())) or {"crash": 1},
    )  # fmt: skip
    return invalid, checks


def _made_from(evidence: Evidence, settings: int) -> MadeFrom:
    return MadeFrom(
        runs=evidence.runs, experiments=len(evidence.measured), settings=settings,
        device_classes=list(evidence.device_classes), lock_hashes=list(evidence.lock_hashes),
        left_out=dict(sorted(evidence.left_out.items())),
    )  # fmt: skip


def _table(knob: Knob) -> KnobTable:
    return KnobTable(
        name=knob.name, kind=knob.kind, start=knob.start, low=knob.low, high=knob.high,
        scale=knob.scale, choices=list(knob.choices),
    )  # fmt: skip
