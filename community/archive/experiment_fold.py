"""The fold of experiments: admitted, tried, judged, and what they cost. Part of `RunState`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from community.archive.state_records import AttemptState, ExperimentState, SpendState
from community.events import AttemptEnded, AttemptStarted, ExperimentQueued, VerdictGiven

if TYPE_CHECKING:
    from community.archive.state import RunState

ExperimentEvent = ExperimentQueued | AttemptStarted | AttemptEnded | VerdictGiven


def fold_experiment(state: RunState, seq: int, at_us: int, event: ExperimentEvent) -> str:
    """Take the next row into `state`; returns how it contradicts what came before, or nothing."""
    if isinstance(event, ExperimentQueued):
        return _queued(state, at_us, event)
    experiment = state.experiments.get(event.experiment_id)
    if experiment is None:
        return f"experiment {event.experiment_id} was never admitted"
    if isinstance(event, AttemptStarted):
        return _started(state, experiment, seq, at_us, event)
    if isinstance(event, AttemptEnded):
        return _ended(state, experiment, at_us, event)
    return _judged(state, experiment, at_us, event)


def lose_attempt(state: RunState, experiment: ExperimentState, at_us: int) -> None:
    """Take note, when a run is resumed, that an attempt died with its process."""
    attempt = experiment.attempts[-1]
    attempt.lose(at_us, state.opened.budget_s if state.opened else None)
    state.lost_attempts += 1
    _spend(state, experiment).lost_s += attempt.charge_s
    _charge(state, experiment, attempt.charge_s)


def _queued(state: RunState, at_us: int, event: ExperimentQueued) -> str:
    if event.experiment_id in state.experiments:
        return f"experiment {event.experiment_id} was admitted before"
    if event.hypothesis and event.hypothesis not in state.hypotheses:
        return f"no hypothesis was posted as {event.hypothesis}"
    experiment = ExperimentState(queued=event, queued_at_us=at_us)
    state.experiments[event.experiment_id] = experiment
    state.index.unjudged[event.experiment_id] = experiment
    state.index.admitted[event.purpose] += 1
    state.measurements[event.tree_key] = state.measurements.get(event.tree_key, 0) + 1
    _spend(state, experiment).experiments += 1
    if not experiment.is_apart:
        state.experiments_admitted += 1
    if experiment.is_baseline:
        state.index.calibration.append(experiment)
    if event.hypothesis:
        claim = state.hypotheses[event.hypothesis]
        claim.experiments.append(event.experiment_id)
        if not claim.changes:
            state.index.screening[event.hypothesis] = claim
    return ""


def _started(
    state: RunState, experiment: ExperimentState, seq: int, at_us: int, event: AttemptStarted
) -> str:
    if experiment.is_done or experiment.is_running:
        return f"{event.experiment_id} is running or done"
    if event.attempt != experiment.next_attempt:
        return f"attempt {event.attempt} is not {experiment.next_attempt}"
    experiment.attempts.append(AttemptState(event.attempt, event.slot, at_us))
    if experiment.queued.purpose == "screen":
        state.reach.begin(experiment.queued.hypothesis, seq, at_us)
    return ""


def _ended(state: RunState, experiment: ExperimentState, at_us: int, event: AttemptEnded) -> str:
    attempt = experiment.attempts[-1] if experiment.attempts else None
    if attempt is None or not attempt.is_running or attempt.attempt != event.attempt:
        return f"attempt {event.attempt} of {event.experiment_id} is not running"
    attempt.ended, attempt.ended_us = event, at_us
    state.cut_off_attempts += attempt.is_cut_off
    state.lost_attempts += attempt.is_accident
    spend = _spend(state, experiment)
    spend.train_cpu_s += event.train_cpu_s
    spend.score_cpu_s += event.score_cpu_s
    _charge(state, experiment, attempt.charge_s)
    return ""


def _judged(state: RunState, experiment: ExperimentState, at_us: int, event: VerdictGiven) -> str:
    if experiment.verdict is not None:
        return f"{event.experiment_id} has a verdict already"
    if event.verdict_id in state.verdicts:
        return f"verdict {event.verdict_id} exists already"
    if (event.tree_key, event.split) != (experiment.queued.tree_key, experiment.queued.split):
        return f"it is about another tree or split than {event.experiment_id}"
    if event.measured_by != state.measured_by:
        return f"a {event.measured_by}'s word among those of a {state.measured_by}: no such compare"
    experiment.verdict, experiment.verdict_us = event, at_us
    del state.index.unjudged[event.experiment_id]
    state.by_verdict.append(experiment)
    state.verdicts[event.verdict_id] = event
    state.verdicts_by_tree.setdefault((event.tree_key, event.split), []).append(event)
    if experiment.queued.purpose != "screen":
        key = (event.tree_key, event.split, event.device_class)
        state.index.repeats.setdefault(key, []).append(experiment)
    if not experiment.is_apart:
        state.experiments_done += 1
    return ""


def _spend(state: RunState, experiment: ExperimentState) -> SpendState:
    return state.spend.setdefault(experiment.queued.charged_to, SpendState())


def _charge(state: RunState, experiment: ExperimentState, seconds: float) -> None:
    _spend(state, experiment).device_seconds += seconds
    if experiment.is_baseline:
        state.baseline_device_seconds += seconds
    elif experiment.is_apart:
        state.final_device_seconds += seconds
    else:
        state.device_seconds += seconds
