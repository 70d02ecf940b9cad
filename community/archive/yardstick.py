"""How steady the yardstick was: sentinel runs, alarms, reference runs and what they cost.

A function of the fold. What an alarm means for a decision is decided elsewhere; views show this.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass

from community.archive.state import ExperimentState, RunState
from community.events import Purpose
from community.evidence_events import AlarmRaised


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
    """How far it lies above the mean of the tree's earlier runs on dev, those from before an alarm
    left out, in standard deviations of such a difference; positive is better. None before there
    are two, or without a sigma."""


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
    """Return the sentinel runs in the order of their verdicts."""
    direction = -1.0 if state.opened is None or state.opened.direction == "lower" else 1.0
    sigma = state.noise.sigma if state.noise else 0.0
    log = state.evidence.alarm_log
    drifts = [at for at, e in log if isinstance(e, AlarmRaised) and e.what == "drift"]
    earlier: defaultdict[tuple[int, str, str], list[float]] = defaultdict(list)
    found = []
    for experiment in state.by_verdict:
        verdict = experiment.verdict
        if verdict is None or verdict.split != "dev":
            continue
        epoch = bisect_right(drifts, experiment.attempts[-1].started_us)
        before = earlier[epoch, verdict.tree_key, verdict.device_class]
        if experiment.queued.purpose == "sentinel":
            spread = sigma * (1 + 1 / len(before)) ** 0.5 if len(before) > 1 else 0.0
            residual = None
            if verdict.score is not None and spread > 0:
                mean = sum(before) / len(before)
                residual = direction * (verdict.score - mean) / spread
            found.append(
                Sentinel(
                    at_s=(experiment.verdict_us or 0) / 1e6,
                    experiment_id=experiment.queued.experiment_id,
                    commit=verdict.commit,
                    slot=_slot(experiment),
                    device_class=verdict.device_class,
                    score=verdict.score,
                    residual=residual,
                )
            )
        if verdict.score is not None and experiment.queued.purpose != "screen":
            before.append(verdict.score)
    return tuple(found)


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
    return (verdict.slot if verdict else "") or experiment.attempts[-1].slot
