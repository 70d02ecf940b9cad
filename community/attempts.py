"""What one lease came to, and the rows that tell of it: the attempt's end, and facts beside it.

Records and translations alone; `community.scheduler` makes the attempts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from community.archive.state import RunState
from community.events import AttemptEnded, ExperimentQueued
from community.evidence_events import (
    ArtefactGraded,
    DeviceUsed,
    ModelMeasured,
    NumbersTold,
    SlotPlaced,
)
from community.queueing import Waiting
from community.score_phase import Scored
from community.script_phase import told_rows
from trainer.aim import Aim
from trainer.experiment import BudgetKind, TrainResult
from trainer.gpu_pool import Lease


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one lease came to."""

    train: TrainResult
    scored: Scored | None
    leased_us: int
    train_us: tuple[int, int]
    answer_us: tuple[int, int]
    used: DeviceUsed | None = None
    """What it had of a card, where it had one."""


def attempt_ended(waiting: Waiting, slot: str, attempt: Attempt) -> AttemptEnded:
    """Return the row of an attempt's end."""
    outcome: Literal["ok", "invalid", "interrupted", "scorer_failed"] = attempt.train.outcome
    reason = attempt.train.reason
    if attempt.scored is not None:
        outcome, reason = attempt.scored.score.outcome, attempt.scored.score.reason
    return AttemptEnded(
        experiment_id=waiting.experiment.experiment_id,
        attempt=waiting.attempt,
        slot=slot,
        outcome=outcome,
        reason=reason,
        leased_us=attempt.leased_us,
        train_us=attempt.train_us,
        answer_us=attempt.answer_us,
        train_cpu_s=round(attempt.train.cpu_s, 3),
        score_cpu_s=round(attempt.scored.cpu_s, 1) if attempt.scored else 0.0,
        start_s=round(attempt.train.start_s, 4),
        charge_s=round(attempt.train.charge_s, 3),
        gate_cpu_s=round(attempt.train.gate_cpu_s, 3),
        slowdown=None if (slower := attempt.train.slowdown) is None else round(slower, 3),
    )


def aimed(scored: Scored, train: TrainResult, kind: BudgetKind, aim: Aim | None) -> Scored:
    """Return what counts under a task's objective: the score, or the time to its target.

    Args:
        scored: What the scorer says.
        train: What the program took, on the clock that its budget is counted by.
        kind: Of the budget.
        aim: The target; None where the score itself counts.
    """
    if aim is None or scored.score.value is None:
        return scored
    if not aim.is_reached(scored.score.value):
        missed = replace(scored.score, outcome="invalid", value=None, reason="target")
        return replace(scored, score=missed)
    took_s = train.wall_s if kind == "device_seconds" else train.cpu_s
    return replace(scored, score=replace(scored.score, value=took_s))


def told_score(value: float | None, digits: int) -> float | None:
    """Return a score as anybody gets to know it.

    Where something is held out, a model could hide a message in further digits.
    """
    return None if value is None else float(f"{value:.{digits}g}")


def facts_of(
    queued: ExperimentQueued, attempt: Attempt
) -> tuple[ArtefactGraded | ModelMeasured | NumbersTold | DeviceUsed, ...]:
    """Return what is recorded beside a verdict: all that was measured, what a script said."""
    beside = (attempt.used,) if attempt.used is not None else ()
    told = (*beside, *told_rows(queued, attempt.scored))
    if attempt.scored is None:
        return told
    score = attempt.scored.score
    if score.sha256:
        return (ArtefactGraded(queued.experiment_id, score.sha256, dict(score.measures)), *told)
    if score.measures:
        return (ModelMeasured(queued.experiment_id, dict(score.measures)), *told)
    return told


def newly_placed(state: RunState, lease: Lease) -> tuple[SlotPlaced, ...]:
    """Return the row that says where a slot of a cluster is, unless that is known."""
    slot = lease.slot
    _, known = state.evidence.placed.get(slot.name, (0, ""))
    return () if slot.node == known else (SlotPlaced(slot.name, slot.node),)
