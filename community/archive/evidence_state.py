"""The part of a run's fold that is about evidence: alarms, assignments, draws, what was taken back.

`community.archive.state` holds one of these and hands it the rows of `community.evidence_events`;
whoever decides reads it. A verdict that was taken back leaves everything that is counted here and
nowhere else: it stays in the ledger, in `RunState.verdicts` and with its experiment. Nothing here
decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from community.archive.shelf import Kept
from community.evidence_events import (
    AlarmCleared,
    AlarmRaised,
    ArtefactGraded,
    ClaimRetracted,
    ConfirmationDrawn,
    DeviceUsed,
    EvidenceEvent,
    FinalsOpened,
    MeasureChanged,
    ModelMeasured,
    NumbersTold,
    ReviewerAssigned,
    SlotPlaced,
    VerdictRetracted,
)

if TYPE_CHECKING:
    from community.archive.state import RunState


@dataclass(slots=True)
class EvidenceState:
    """What the ledger says about how far its verdicts may be believed."""

    alarms: dict[str, AlarmRaised] = field(default_factory=dict)
    """By alarm id, those that are not cleared."""
    alarms_raised: int = 0
    alarm_log: list[tuple[int, AlarmRaised | AlarmCleared]] = field(default_factory=list)
    """(run time in microseconds, what happened), oldest first."""
    since_us: int = 0
    """Run time of the last alarm about drift: runs from before it are no references."""
    assigned: Kept[str, tuple[str, ...]] = field(default_factory=dict)
    """Hypothesis (post id) -> who was asked to review it."""
    drawn: Kept[str, float] = field(default_factory=dict)
    """Hypothesis -> the share with which it was drawn for confirmation."""
    retracted: dict[str, VerdictRetracted] = field(default_factory=dict)
    """By verdict id."""
    retractions: list[tuple[int, VerdictRetracted | ClaimRetracted]] = field(default_factory=list)
    """(run time in microseconds, what was taken back), oldest first."""
    is_open_again: bool = False
    """Whether something was taken back since the run last ended: it may go on where it was over."""
    finals: FinalsOpened | None = None
    told: Kept[str, dict[str, float]] = field(default_factory=dict)
    """Experiment id -> what a script printed of itself beside its score."""
    measure: MeasureChanged | None = None
    """By which scores became somebody else's word, if they did."""
    graded: Kept[str, ArtefactGraded] = field(default_factory=dict)
    """By experiment id, of those whose data were graded."""
    used: dict[str, DeviceUsed] = field(default_factory=dict)
    """By experiment id, of those that ran on a card."""
    measured: dict[str, dict[str, float]] = field(default_factory=dict)
    """Experiment id -> what was measured of its model beside the score."""
    placed: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Of a cluster: slot -> (since when, which node serves it)."""

    def refers_since_us(self, slot: str) -> int:
        """Return since when runs on a slot refer: the last drift, or another node's serving it."""
        return max(self.since_us, self.placed.get(slot, (0, ""))[0])

    def measures(self, experiment_id: str) -> Mapping[str, float]:
        """Return all that was measured of an experiment; empty where a score is all there is."""
        if (graded := self.graded.get(experiment_id)) is not None:
            return graded.measures
        return self.measured.get(experiment_id, {})

    def fold(self, at_us: int, event: EvidenceEvent) -> str:
        """Take in the next row; returns how it contradicts what came before, or nothing."""
        if isinstance(event, AlarmRaised):
            self.alarms[event.alarm_id] = event
            self.alarms_raised += 1
            if event.what == "drift":
                self.since_us = at_us
            self.alarm_log.append((at_us, event))
        elif isinstance(event, AlarmCleared):
            self.alarm_log.append((at_us, event))
            if self.alarms.pop(event.alarm_id, None) is None:
                return f"alarm {event.alarm_id} was not raised"
        elif isinstance(event, ReviewerAssigned):
            known = self.assigned.get(event.hypothesis, ())
            self.assigned[event.hypothesis] = (*known, event.reviewer)
        elif isinstance(event, ConfirmationDrawn):
            if event.is_drawn:
                self.drawn[event.hypothesis] = event.share
        elif isinstance(event, VerdictRetracted):
            if event.verdict_id in self.retracted:
                return f"verdict {event.verdict_id} was taken back before"
            self.retracted[event.verdict_id] = event
            self._take_back(at_us, event)
        elif isinstance(event, ClaimRetracted):
            self._take_back(at_us, event)
        elif isinstance(event, FinalsOpened):
            if self.finals is not None:
                return "the final runs were opened before, and seal is asked once"
            self.finals = event
            self.is_open_again = False
        elif isinstance(event, NumbersTold):
            self.told[event.experiment_id] = dict(event.numbers)
        elif isinstance(event, MeasureChanged):
            self.measure, self.is_open_again, self.finals = event, True, None
            self.alarms.clear()
        elif isinstance(event, ArtefactGraded):
            self.graded[event.experiment_id] = event
        elif isinstance(event, DeviceUsed):
            self.used[event.experiment_id] = event
        elif isinstance(event, ModelMeasured):
            self.measured[event.experiment_id] = dict(event.measures)
        elif isinstance(event, SlotPlaced):
            self.placed[event.slot] = at_us, event.node
        return ""

    def _take_back(self, at_us: int, event: VerdictRetracted | ClaimRetracted) -> None:
        self.retractions.append((at_us, event))
        self.is_open_again = True


def fold_evidence(state: RunState, at_us: int, event: EvidenceEvent) -> str:
    """Take the next row into `state`; returns how it contradicts what came before, or nothing."""
    if isinstance(event, ReviewerAssigned | ConfirmationDrawn | ClaimRetracted):
        if event.hypothesis not in state.hypotheses:
            return f"no hypothesis was posted as {event.hypothesis}"
    elif isinstance(event, VerdictRetracted) and event.verdict_id not in state.verdicts:
        return f"verdict {event.verdict_id} was never given"
    elif isinstance(event, NumbersTold) and event.experiment_id not in state.experiments:
        return f"experiment {event.experiment_id} was never admitted"
    elif isinstance(event, MeasureChanged) and event.then != state.measured_by:
        return f"scores were the {state.measured_by}'s word, not the {event.then}'s"
    elif isinstance(event, ArtefactGraded | DeviceUsed | ModelMeasured):
        run = state.experiments.get(event.experiment_id)
        if run is None or not run.is_done:
            return f"{event.experiment_id} has no verdict that this could stand beside"
    wrong = state.evidence.fold(at_us, event)
    if isinstance(event, MeasureChanged):
        _set_aside(state)
    if not wrong and isinstance(event, VerdictRetracted):
        _strike(state, event.verdict_id)
    return wrong


def _strike(state: RunState, verdict_id: str) -> None:
    """Let a verdict count nowhere: not in means, nor as a screen, nor in a confirmation."""
    verdict = state.verdicts[verdict_id]
    state.experiments[verdict.experiment_id].is_retracted = True
    state.verdicts_by_tree[verdict.tree_key, verdict.split].remove(verdict)
    for name in state.hypotheses:
        claim = state.hypotheses[name]
        if any(verdict_id in change.verdicts for _, change in claim.changes):
            claim.taken_back |= {verdict_id}
            claim.confirmations = [c for c in claim.confirmations if verdict_id not in c.verdicts]


def _set_aside(state: RunState) -> None:
    """Let all verdicts so far count nowhere: what follows is another's word, and compares to none.

    What had been found of claims is open again, the noise band as well.
    """
    for verdict in state.verdicts.values():
        state.experiments[verdict.experiment_id].is_retracted = True
    state.verdicts_by_tree.clear()
    state.index.repeats.clear()
    state.index.calibration.clear()
    state.index.confirming.clear()
    state.noise = state.seal = None
    for name in state.hypotheses:
        claim = state.hypotheses[name]
        claim.taken_back = frozenset(v for _, change in claim.changes for v in change.verdicts)
        claim.confirmations, claim.status = [], "measured"
        claim.gain = claim.threshold = claim.reproduced_by = claim.reproduction_by = None
