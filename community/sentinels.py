"""Sentinels: every so often one more run of what leads, to see whether the machine still gives it.

After every tenth experiment that is admitted the frontier (the baseline before there is one) runs
once more on dev, on the slots in turn, on the lab's account. Where these runs drift away from what
the same tree scored before, an alarm is raised: nothing is decided (`community.alarms`) until the
frontier has run again on every slot, and no run from before the alarm stands beside one from after
it. What the rows mean is `scoring.evidence.drift`'s; here they are read and runs are asked for.

A run that has no experiment left for that ends with its alarm, and what waited stays undecided.
"""

from __future__ import annotations

from community.admission import Admission
from community.alarms import decisions_paused, pauses, raise_alarm, yardstick_commit
from community.archive.state import BASELINE
from community.archive.yardstick import sentinels
from community.chronicle import Chronicle
from community.events import Noticed
from community.evidence_events import AlarmCleared, AlarmRaised
from community.references import LAB
from community.scheduler import Request, Scheduler
from community.screening import tree_of
from scoring.evidence.drift import LIMIT

EVERY = 10
"""Experiments from one sentinel run to the next."""


class Sentinels:
    """Asks for sentinel runs, raises alarms about them, and sees to it that alarms end.

    Args:
        chronicle: The ledger and its fold.
        scheduler: Runs experiments.
        admission: Counts them.
        slots: The slots by name.
        device_class: Of this life of the run.
    """

    def __init__(
        self,
        chronicle: Chronicle,
        scheduler: Scheduler,
        admission: Admission,
        slots: tuple[str, ...],
        device_class: str,
    ) -> None:
        self._chronicle = chronicle
        self._scheduler = scheduler
        self._admission = admission
        self._slots = slots
        self._device_class = device_class
        self._seen = 0
        """How many verdicts were looked through for sentinel runs."""

    async def watch(self) -> None:
        """Look at every row, for as long as the run lives.

        Cancellation: admitted runs go on; a restart finds in the ledger what is due.
        """
        while True:
            self._look_for_drift()
            for alarm in list(self._chronicle.state.evidence.alarms.values()):
                if pauses(self._chronicle.state, alarm):
                    self._end(alarm)
            if self._is_due():
                state = self._chronicle.state
                turn = sum(e.queued.purpose == "sentinel" for e in state.experiments.values())
                self._admit(self._slots[turn % len(self._slots)])
            await self._chronicle.next_row()

    def say_last(self) -> None:
        """Tell people, at the end of a run, that it ends with an alarm."""
        state = self._chronicle.state
        if decisions_paused(state):
            names = ", ".join(state.evidence.alarms)
            text = f"the run ends with alarm {names}: what waited for its end stays undecided"
            self._chronicle.record(Noticed("alarm", text))

    def _is_due(self) -> bool:
        """Whether ten experiments were admitted since the last sentinel, and one more may be."""
        state, since = self._chronicle.state, 0
        if state.noise is None or self._admission.refuses_screen(state):
            return False
        for experiment in reversed(state.experiments.values()):
            if experiment.queued.purpose == "sentinel":
                return False
            since += not experiment.is_apart
            if since >= EVERY:
                return True
        return False

    def _look_for_drift(self) -> None:
        """Raise an alarm when the sentinels since the last one have drifted."""
        state = self._chronicle.state
        new, self._seen = state.by_verdict[self._seen :], len(state.by_verdict)
        names = {
            experiment.queued.experiment_id
            for experiment in new
            if experiment.queued.purpose == "sentinel"
            and experiment.attempts[-1].started_us >= state.evidence.since_us
        }
        for each in sentinels(state) if names else ():
            is_mine = each.experiment_id in names and each.device_class == self._device_class
            if is_mine and max(each.up, each.down) > LIMIT:
                way = "better" if each.up > each.down else "worse"
                detail = f"sentinel runs turn out {way}, the last {each.experiment_id}"
                raise_alarm(
                    self._chronicle,
                    "drift",
                    detail,
                    device_class=self._device_class,
                    slot=each.slot,
                )
                return

    def _end(self, alarm: AlarmRaised) -> None:
        """Ask for a fresh run of the frontier on every slot, or clear `alarm` when all are in."""
        state = self._chronicle.state
        raised_us = max(at for at, e in state.evidence.alarm_log if e.alarm_id == alarm.alarm_id)
        fresh = {
            experiment.queued.slot: experiment
            for experiment in state.experiments.values()
            if experiment.queued.purpose == "sentinel" and experiment.queued_at_us >= raised_us
        }
        for slot in self._slots:
            if slot not in fresh and self._admission.remaining(state) != 0:
                self._admit(slot)
        if all(slot in fresh and fresh[slot].is_done for slot in self._slots):
            why = "what leads has run again on every slot"
            told = Noticed("alarm", f"{alarm.alarm_id} is over: {why}")
            self._chronicle.record(AlarmCleared(alarm.alarm_id, why), told)

    def _admit(self, slot: str) -> None:
        state = self._chronicle.state
        commit = yardstick_commit(state)
        request = Request(
            commit=commit,
            tree_key=tree_of(state, commit),
            hypothesis="",
            purpose="sentinel",
            split="dev",
            charged_to=BASELINE,
            requested_by=LAB,
            slot=slot,
        )
        self._scheduler.admit(request)
