"""How steady the yardstick was: sentinel runs, alarms, reference runs and what they cost.

A function of the fold. What an alarm means for a decision is decided elsewhere; views show this.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass

from community.archive.spreads import prior_of
from community.archive.state import ExperimentState, RunState
from community.events import Purpose
from community.evidence_events import AlarmRaised
from scoring.evidence.drift import Cusum, residuals

_REFERENCES: frozenset[Purpose] = frozenset({"baseline", "parent", "sentinel"})
"""Runs that nobody chose by their scores."""


@dataclass(frozen=True, slots=True)
class Sentinel:
    """A run of a tree whose score is known, made to see whether the machine still gives it."""

    at_s: float
    """Run time of its verdict."""
    experiment_id: str
    commit: str
    slot: str
    device_class: str
    score: float | None
    """On dev; None when it failed."""
    residual: float | None
    """How far it lies from the tree's earlier runs on this slot since the last alarm, as a standard
    normal number; positive is better. None of a tree's first there."""
    up: float
    """Sum of what was better than expected, up to this one (`scoring.evidence.drift.Cusum`)."""
    down: float
    """Sum of what was worse."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A time in which nothing was decided."""

    alarm_id: str
    what: str
    slot: str
    """Empty for all."""
    device_class: str
    detail: str
    raised_s: float
    """Run time."""
    cleared_s: float | None
    """None while it lasts."""


@dataclass(frozen=True, slots=True)
class PurposeSpend:
    """What the runs of one purpose came to."""

    purpose: Purpose
    runs: int
    device_seconds: float
    share: float
    """Of the device-seconds of all purposes, baseline and last runs included; from 0 to 1."""


def sentinels(state: RunState) -> tuple[Sentinel, ...]:
    """Return the sentinel runs in the order of their verdicts.

    Sums begin anew with every alarm about drift, and in every device class.
    """
    sign = 1.0 if state.opened is not None and state.opened.direction == "higher" else -1.0
    log = state.evidence.alarm_log
    drifts = [at for at, e in log if isinstance(e, AlarmRaised) and e.what == "drift"]
    found, away = [], _residuals(state, drifts)
    sums: defaultdict[tuple[int, str], Cusum] = defaultdict(Cusum)
    for experiment in state.by_verdict:
        verdict = experiment.standing_verdict
        if experiment.queued.purpose != "sentinel" or verdict is None:
            continue
        residual = away.get(experiment.queued.experiment_id)
        cusum = sums[_epoch(experiment, drifts), verdict.device_class]
        if residual is not None:
            residual *= sign
            cusum.add(residual)
        found.append(
            Sentinel(
                at_s=(experiment.verdict_us or 0) / 1e6,
                experiment_id=experiment.queued.experiment_id,
                commit=verdict.commit,
                slot=_slot(experiment),
                device_class=verdict.device_class,
                score=verdict.score,
                residual=residual,
                up=cusum.high,
                down=cusum.low,
            )
        )
    return tuple(found)


def _residuals(state: RunState, drifts: list[int]) -> dict[str, float]:
    """Return how far each reference run lies off, by experiment: positive is a higher score."""
    like: defaultdict[tuple[int, str, str, str], dict[str, float]] = defaultdict(dict)
    for run in state.by_verdict:
        verdict = run.standing_verdict
        if verdict is None or verdict.score is None or run.queued.purpose not in _REFERENCES:
            continue
        key = (_epoch(run, drifts), verdict.tree_key, verdict.device_class, _slot(run))
        like[key][run.queued.experiment_id] = verdict.score
    found: dict[str, float] = {}
    classes = dict.fromkeys(device_class for _, _, device_class, _ in like)
    priors = {device_class: prior_of(state, device_class) for device_class in classes}
    for (_, _, device_class, _), runs in like.items():
        if (prior := priors[device_class]) is not None:
            found |= zip(list(runs)[1:], residuals(list(runs.values()), prior), strict=True)
    return found


def _epoch(experiment: ExperimentState, drifts: list[int]) -> int:
    """Return how many alarms about drift had been raised when its last attempt began."""
    last = experiment.attempts[-1].started_us if experiment.attempts else experiment.queued_at_us
    return bisect_right(drifts, last)  # none in this run where its baseline was taken over


def alarms(state: RunState) -> tuple[Alarm, ...]:
    """Return all alarms, oldest first, those that were cleared included."""
    log = state.evidence.alarm_log
    cleared = {e.alarm_id: at_us / 1e6 for at_us, e in log if not isinstance(e, AlarmRaised)}
    return tuple(
        Alarm(
            alarm_id=event.alarm_id,
            what=event.what,
            slot=event.slot,
            device_class=event.device_class,
            detail=event.detail,
            raised_s=at_us / 1e6,
            cleared_s=cleared.get(event.alarm_id),
        )
        for at_us, event in log
        if isinstance(event, AlarmRaised)
    )


def spend_by_purpose(state: RunState) -> tuple[PurposeSpend, ...]:
    """Return runs and device-seconds by purpose, in the order in which purposes first came up."""
    runs: defaultdict[Purpose, int] = defaultdict(int)
    seconds: defaultdict[Purpose, float] = defaultdict(float)
    for experiment in state.experiments.values():
        purpose = experiment.queued.purpose
        runs[purpose] += 1
        seconds[purpose] += sum(attempt.charge_s for attempt in experiment.attempts)
    whole = sum(seconds.values())
    return tuple(
        PurposeSpend(purpose, runs[purpose], seconds[purpose], seconds[purpose] / (whole or 1.0))
        for purpose in runs
    )


def dev_looks(state: RunState) -> int:
    """Return how many trees had a look at dev: the more, the luckier the best of them."""
    return len(
        {
            experiment.queued.tree_key
            for experiment in state.by_verdict
            if experiment.queued.purpose == "screen"
        }
    )


def _slot(experiment: ExperimentState) -> str:
    verdict = experiment.verdict
    if verdict is not None and verdict.slot:
        return verdict.slot
    return experiment.attempts[-1].slot if experiment.attempts else ""
