"""How runs of one tree spread in this run: the prior that every judgement draws its spread towards.

A function of the fold; the formulas are `scoring.evidence.variance`.
"""

from __future__ import annotations

from collections.abc import Sequence

from community.archive.state import ExperimentState, RunState
from community.seed_rule import is_deterministic
from scoring.evidence.variance import Prior, alike, fit_prior

LEAST_SIGMA = 5e-4
"""Of the baseline's mean: what researchers are told is no finer than this gives. Baseline runs that
tie, or nearly, would else have every digit of dev told."""


def replicated(state: RunState, device_class: str | None = None) -> list[Sequence[float]]:
    """Return the scores of every tree that ran twice or more on one split in one device class.

    Left out: screens, of which the lucky ones are those that are repeated; trees that do not depend
    on their seed; verdicts that were taken back. A baseline that was calibrated in another run
    counts with the scores taken over from there.

    Args:
        state: The run.
        device_class: Runs of this class alone; None for all, each in groups of its own.
    """
    groups = {
        key: _scores(runs)
        for key, runs in state.index.repeats.items()
        if len(runs) > 1 and device_class in (None, key[2])
    }
    kept = {
        key: scores
        for key, scores in groups.items()
        if len(scores) > 1 and not is_deterministic(state, key[0])
    }
    baseline = state.opened.baseline_tree_key if state.opened else ""
    has_baseline = any(tree == baseline and split == "dev" for tree, split, _ in kept)
    noise = (
        state.noise if state.noise and device_class in (None, state.noise.device_class) else None
    )
    taken_over = () if has_baseline or noise is None else noise.scores
    return [*([taken_over] if len(taken_over) > 1 else []), *kept.values()]


def _scores(runs: Sequence[ExperimentState]) -> tuple[float, ...]:
    verdicts = (run.standing_verdict for run in runs)
    return tuple(v.score for v in verdicts if v is not None and v.score is not None)


def prior_of(state: RunState, device_class: str | None = None) -> Prior | None:
    """Return the prior of the spread between seeds, or None before any tree ran twice.

    Trees that spread quite unlike the baseline in calibration are left out, unless all do.

    Args:
        state: The run.
        device_class: As in `replicated`.
    """
    return state.remember(("prior", device_class), lambda: _prior(state, device_class))


def _prior(state: RunState, device_class: str | None) -> Prior | None:
    groups = replicated(state, device_class)
    if state.noise is not None and len(state.noise.scores) > 1:
        groups = alike(groups, state.noise.scores) or groups
    return fit_prior(groups) if groups else None


def told_sigma(state: RunState) -> float:
    """Return of what the steps are a quarter in which researchers are told scores.

    The baseline's spread between seeds, and no less than `LEAST_SIGMA` of its mean; where that is 0
    as well, or nothing is known yet, there is no scale to go by, and it is a whole unit. 0 where
    scores are facts of which nothing is held out: they are told in full.
    """
    if state.noise is None:
        return 1.0
    sigma = max(state.noise.sigma, LEAST_SIGMA * abs(state.noise.mean)) or 1.0
    return state.noise_model.telling_step(sigma)
