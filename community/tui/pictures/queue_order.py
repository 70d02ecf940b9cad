"""Whose turn it is among what waits, and why: the queue discipline, computed from the ledger.

`community.queueing` decides; this repeats its reasons for people. It knows what the ledger knows:
passed-over turns are counted from the attempts that began meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass

from community.archive.state import ExperimentState, RunState
from community.people import worth_by_people
from community.queueing import FIRST_CLASS, LAST_CLASS, PATIENCE, PoolSpend, class_of
from community.reviewing import Regards


@dataclass(frozen=True, slots=True)
class Turn:
    """One experiment that waits."""

    experiment: ExperimentState
    reason: str
    """Why it stands where it stands."""


def queue_order(state: RunState, at_us: int) -> tuple[Turn, ...]:
    """Return what waits at run time `at_us`, the next one first."""
    waiting = [e for e in state.pending() if not e.is_running]
    if not waiting:
        return ()
    usage, regards = _usage(state), Regards()
    starts = sorted(a.started_us for e in state.experiments.values() for a in e.attempts)
    ranked = []
    for place, experiment in enumerate(waiting):
        used_s = usage.of(experiment.queued.charged_to, at_us / 1e6)
        rank, words = _class(state, regards, experiment, starts)
        key = (rank, used_s if rank else 0.0, place)
        if rank:
            words += f"; {experiment.queued.charged_to} used {used_s:.0f} s lately"
        if experiment.queued.slot:
            words += f"; only on {experiment.queued.slot}"
        ranked.append((key, Turn(experiment, words)))
    return tuple(turn for _, turn in sorted(ranked, key=lambda pair: pair[0]))


def _class(
    state: RunState, regards: Regards, experiment: ExperimentState, starts: list[int]
) -> tuple[int, str]:
    """Return the class of an experiment, 0 for what goes first, and why it is in it."""
    queued = experiment.queued
    if queued.purpose != "screen" or queued.slot:
        what = "a reference" if queued.purpose == "parent" else "a confirmation"
        known = {"baseline": "calibration", "sentinel": "a sentinel", "credit": "for credit",
                 "transfer": "a commit at this size"}  # fmt: skip
        return 0, f"first: {known.get(queued.purpose, what)}, somebody waits for it"
    worth = regards.worth(state, queued.hypothesis)
    rank = class_of(worth * worth_by_people(state, queued.hypothesis))
    passed = sum(at_us > experiment.queued_at_us for at_us in starts) // PATIENCE
    words = f"class {rank} of {LAST_CLASS}: worth {worth:.2g} of the usual"
    if worth == 1.0:
        words = f"class {rank} of {LAST_CLASS}: nobody with skill has spoken"
    if boosts := state.forum.boosts.get(queued.hypothesis, 0):
        words += ", boosted by people" if boosts > 0 else ", vetoed by people"
    moved = max(FIRST_CLASS, rank - passed)
    return moved, words if moved == rank else f"{words}, now {moved} after being passed over"


def _usage(state: RunState) -> PoolSpend:
    usage = PoolSpend()
    ended = sorted(
        (attempt.ended_us or 0, experiment.queued.charged_to, attempt.started_us)
        for experiment in state.experiments.values()
        for attempt in experiment.attempts
        if attempt.ended is not None
    )
    for ended_us, who, started_us in ended:
        usage.charge(who, (ended_us - started_us) / 1e6, ended_us / 1e6)
    return usage
