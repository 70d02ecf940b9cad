"""The institution of one run: scheduler, admission and reproductions, with the tasks they need.

What agents reach through `community.lab` and what goes on without them: following screens to their
status, reproducing where nobody else will, noticing that the run is over. It outlives any agent's
waiting, so an experiment that was asked for comes to its verdict whoever still listens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping

from agents.roles import Quotas, Right, Role
from community.admission import Admission
from community.alarms import decisions_paused
from community.archive.state import HypothesisState
from community.attendance import Attendance, is_there
from community.chronicle import Chronicle
from community.claims import LAB, claim_for_lab, drawn_claims, leading_claims, offered_us
from community.clerk import Clerk, evidence_on
from community.events import Refused
from community.looking import last_heard_us, look_again
from community.people import worth_by_people
from community.references import References, usual_wall_s
from community.reproduction import Place, Reproductions
from community.reviewing import Regards
from community.scenario import Scenario
from community.scheduler import Bench, Scheduler
from community.screening import (
    Screens,
    awaits_status,
    known_screen,
    lost_screen,
    screen_of,
    told_verdict,
)
from community.sentinels import Sentinels
from community.twins import Twins
from forum.messages import Finding

DESERTED = "nobody is left to propose"
"""Why a run ends in which everybody who could ask for something new has left, or may no more."""


class Institution:
    """One run's institution.

    Args:
        scenario: What was asked for.
        chronicle: The ledger and its fold.
        scheduler: Runs experiments.
        admission: Counts them.
        bench: What they are run with.
        clerk: Publishes the institution's own word.
        roles: Role of each agent by name.
        group: Owner of the tasks that follow experiments.
    """

    def __init__(
        self,
        scenario: Scenario,
        chronicle: Chronicle,
        scheduler: Scheduler,
        admission: Admission,
        bench: Bench,
        clerk: Clerk,
        roles: Mapping[str, Role],
        group: asyncio.TaskGroup,
    ) -> None:
        self.chronicle = chronicle
        self.admission = admission
        self.bench = bench
        self._scenario = scenario
        self._scheduler = scheduler
        self._clerk = clerk
        self._roles = roles
        self._group = group
        self._tasks: set[asyncio.Task[None]] = set()
        self.attendance = Attendance(chronicle, roles, scenario.lab.await_remote_s)
        self._began_us = 0
        self._regards = Regards()
        self.twins = clerk.twins or Twins(bench.repository, bench.task)
        references = References(chronicle, scheduler, admission, bench.life_class)
        self._screens = Screens(chronicle, scheduler, admission, references)
        self.sentinels = Sentinels(
            chronicle, scheduler, admission, bench.pool.names, bench.life_class
        )
        self._reproductions = Reproductions(
            chronicle,
            scheduler,
            admission,
            scenario.noise.confirm_pairs,
            Place(bench.pool.names, bench.life_class),
            scenario.noise.multiplicity,
        )

    def may(self, agent: str, right: Right) -> bool:
        """Whether the role of `agent` holds `right`."""
        return agent in self._roles and right in self._roles[agent].rights

    def quotas(self, agent: str) -> Quotas:
        """Return what the role of `agent` grants it."""
        return self._roles[agent].quotas

    def may_screen(self, claim: HypothesisState) -> bool:
        """Whether asking `screen` now gives an answer that waiting would not better."""
        state = self.chronicle.state
        is_known = screen_of(state, claim.post_id) is not None
        return is_known or self.admission.is_closed or not self.admission.refuses_hypothesis(state)

    def screen(self, claim: HypothesisState) -> str:
        """Admit the screen of `claim` unless that is done; returns why not, or an empty string."""
        state = self.chronicle.state
        if screen_of(state, claim.post_id) is not None:
            return ""
        for other in state.pending():
            twin = other.queued
            is_same = twin.purpose == "screen" and twin.tree_key == claim.tree_key
            # a twin whose diff has not reached the proposer does not exist for it: measured again
            if is_same and state.may_read(claim.proposer, twin.commit):
                detail = f"{claim.post_id}: measured as {twin.hypothesis} right now"
                self.chronicle.record(Refused(claim.proposer, "request", detail))
                return "the same tree is being measured already; wait for its result"
        if (known := known_screen(state, claim)) is not None:
            detail = f"{claim.post_id}: its tree was measured as {known}"
            self.chronicle.record(Refused(claim.proposer, "request", detail))
            return "the same tree was measured before; its result is known"
        refusal = self.admission.refuses_hypothesis(state)
        if refusal:
            if not self.admission.is_closed:
                detail = f"{claim.post_id}: {refusal}"
                self.chronicle.record(Refused(claim.proposer, "request", detail))
            return "the run has no experiment left for a screen"
        self._screens.admit(claim)
        self._follow(claim.post_id)
        return ""

    def reproduce(self, hypothesis: str, by: str, *, is_drawn: bool = False) -> str:
        """Open a confirmation in the name of `by`; returns why not, or an empty string.

        Args:
            hypothesis: Post id.
            by: An agent, or the lab.
            is_drawn: Whether the lab does it only because the claim was drawn for it.
        """
        may_confirm = by == LAB or self.may(by, "reproduce")
        refusal = self._reproductions.open(hypothesis, by, has_right=may_confirm, is_drawn=is_drawn)
        if not refusal:
            self._carry_out(hypothesis)
        return refusal

    def resume(self) -> None:
        """Take up what a stopped or killed run left: queued experiments, screens, confirmations.

        A screen that was taken back meanwhile is run again, on its proposer's account.
        """
        self._scheduler.requeue_unfinished()
        for claim in self.chronicle.state.hypotheses.values():
            if screen_of(self.chronicle.state, claim.post_id) and claim.awaits_screen:
                self._follow(claim.post_id)
            elif lost_screen(self.chronicle.state, claim):
                self.screen(claim)
            if claim.reproduction_by is not None:
                self._carry_out(claim.post_id)
            elif _is_news(claim):
                self._own(self._publish(claim), f"publish {claim.post_id}")

    def leave(self) -> None:
        """Stop following what has no verdict yet; `resume` takes it up again after a restart."""
        for task in self._tasks:
            task.cancel("the run is over")

    async def serve(self) -> None:
        """Do what goes on whoever asks, until cancelled: sentinels, and the lab's confirmations."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.sentinels.watch(), name="sentinels")
            group.create_task(self.reproduce_unclaimed(), name="lab reproductions")

    async def reproduce_unclaimed(self) -> None:
        """Reproduce, one at a time, claims that no researcher can or will; until cancelled."""
        while True:
            found = self._unclaimed()
            if found is None or self.reproduce(found[0].post_id, LAB, is_drawn=found[1]):
                await self._look_again()
                continue
            await self._until_reproduced(found[0])

    def _unclaimed(self) -> tuple[HypothesisState, bool] | None:
        """Return what the lab should confirm now, and whether only because it was drawn.

        One claim at a time: the best that would lead, else one that was drawn.
        """
        state, now_us = self.chronicle.state, self.chronicle.clock.now_us()
        if state.index.confirming:
            return None
        leading = leading_claims(state) if self._may_confirm() else []
        drawn = drawn_claims(state) if self._may_settle_drawn() else []
        for claims in (leading, drawn):
            claim = claim_for_lab(claims, self._is_claimable, now_us, self._patience_us())
            if claim is not None:
                return claim, claims is drawn
        return None

    def _may_confirm(self) -> bool:
        """Whether the lab may open a confirmation now.

        The last one waits for screens on their way, which may show something better to confirm.
        Shares do not matter any more when nobody is there or asks for what is left.
        """
        state = self.chronicle.state
        if self.admission.keeps_the_rest(state):
            return not self._is_under_way()
        return self.admission.lab_may_confirm(state) or self._nobody_asks()

    def _may_settle_drawn(self) -> bool:
        """Whether the lab may confirm a claim now that was drawn.

        When nobody is left to propose and nothing would lead, nothing is kept for the end.
        """
        state = self.chronicle.state
        if self.attendance.is_deserted() and not leading_claims(state):
            return self.admission.affords(state, self.admission.first_look)
        return self.admission.may_settle_drawn(state)

    async def _until_reproduced(self, claim: HypothesisState) -> None:
        await self.chronicle.wait_until(lambda _: claim.reproduction_by is None)

    async def until_over(self) -> str:
        """Wait until a stop condition holds; returns which.

        One of them is that nobody is left to propose anything, and what was proposed is measured
        and confirmed.
        """
        self._began_us = self.chronicle.clock.now_us()
        self.attendance.begin()
        while True:
            now_s = self.chronicle.clock.now_us() / 1e6
            reason = self.admission.reason_to_stop(self.chronicle.state, now_s)
            if not reason and (self._is_spent() or self._is_stuck()):
                reason = "experiments"
            if not reason and self.attendance.is_deserted() and self._is_settled():
                reason = DESERTED
            if reason:
                self.admission.close()
                self.sentinels.say_last()
                return reason
            await self._look_again()

    def worth(self, hypothesis: str) -> float:
        """Return what a hypothesis is expected to be worth; 1 is usual.

        By reviewers with skill (`Regards`), and by people.
        """
        state = self.chronicle.state
        return self._regards.worth(state, hypothesis) * worth_by_people(state, hypothesis)

    def log_tail(self, experiment_id: str) -> str:
        """Return the end of the log of an experiment's last attempt; text of the candidate's."""
        attempts = len(self.chronicle.state.experiments[experiment_id].attempts)
        return self.bench.folder.log_tail(f"{experiment_id}-{attempts}")

    def _follow(self, hypothesis: str) -> None:
        self._own(self._screens.follow(hypothesis), f"follow {hypothesis}")

    def _carry_out(self, hypothesis: str) -> None:
        self._own(self._confirm(hypothesis), f"confirm {hypothesis}")

    def _own(self, work: Coroutine[None, None, None], name: str) -> None:
        """Do `work` beside the agents, until it is done or `leave` is called."""
        task = self._group.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _confirm(self, hypothesis: str) -> None:
        await self._reproductions.carry_out(hypothesis)
        claim = self.chronicle.state.hypotheses[hypothesis]
        if _is_news(claim):
            await self._publish(claim)

    async def _publish(self, claim: HypothesisState) -> None:
        """Tell of the lab's own confirmation in the claim's thread, along its proposer's edges."""
        state = self.chronicle.state
        verdict_id = told_verdict(state, claim, claim.confirmations[-1]).verdict_id
        times = claim.reproductions_opened  # more than one where a confirmation was taken back
        await self._clerk.post_for_lab(
            Finding(
                hypothesis=claim.post_id,
                evidence=evidence_on(state, claim.post_id, verdict_id),
                text=f"The lab ran the confirmation itself: {claim.status}.",
                parents=claim.parents,
                knobs=claim.knobs,
                commit=claim.commit,
            ),
            thread=claim.post_id,
            along=claim.proposer,
            message_id=f"lab-{claim.post_id}{'' if times < 2 else f'-{times}'}",
        )

    def _is_claimable(self, claim: HypothesisState) -> bool:
        state = self.chronicle.state
        return any(
            self.may(name, "reproduce")
            and is_there(state, name)
            and name not in (claim.proposer, claim.author)
            and state.may_read(name, claim.commit)
            for name in self._roles
        )

    def _run_wall_us(self) -> int:
        """Mean wall time of a baseline run, in microseconds."""
        return round(1e6 * usual_wall_s(self.chronicle.state))

    def _patience_us(self) -> int:
        """How long a claim is offered; short once everything else waits for its confirmation."""
        patience = self._scenario.lab.reproduce_after
        if self.admission.keeps_the_rest(self.chronicle.state) or self._nobody_asks():
            patience = min(patience, 1.0)
        return round(patience * self._run_wall_us())

    def _is_spent(self) -> bool:
        """Whether too little is left to confirm anything and nobody has asked for it lately."""
        state = self.chronicle.state
        remaining = self.admission.remaining(state)
        is_too_little = remaining is not None and remaining < self.admission.first_look
        return is_too_little and bool(state.noise) and self._is_quiet()

    def _is_stuck(self) -> bool:
        """Whether nothing may be decided, and no experiment is left that could change that."""
        state = self.chronicle.state
        is_idle = self.admission.remaining(state) == 0 and not state.pending()
        return is_idle and decisions_paused(state)

    def _nobody_asks(self) -> bool:
        """Whether nobody is left to propose, or nobody wants the few experiments that are left."""
        remaining = self.admission.remaining(self.chronicle.state)
        near = self.admission.kept + self.admission.first_look
        is_near_the_end = remaining is not None and remaining < near
        return self.attendance.is_deserted() or (is_near_the_end and self._is_quiet())

    def _is_quiet(self) -> bool:
        """Whether nothing is under way or was heard for the time of two runs."""
        is_silent = self.chronicle.clock.now_us() >= self._quiet_from_us()
        return is_silent and not self._is_under_way()

    def _quiet_from_us(self) -> int:
        """Return from when on it is quiet, unless somebody speaks before."""
        heard_us = max(self._began_us, last_heard_us(self.chronicle.state))
        return heard_us + max(2 * self._run_wall_us(), 5_000_000) + 1

    def _is_settled(self) -> bool:
        """Whether nothing is under way and nothing is left that the lab would confirm.

        What was drawn and is never confirmed would make reviewers look better than they are.
        """
        state = self.chronicle.state
        can_confirm = self.admission.affords(state, self.admission.first_look)
        is_owed = (can_confirm and leading_claims(state)) or (
            self._may_settle_drawn() and drawn_claims(state)
        )
        return not self._is_under_way() and not is_owed

    def _is_under_way(self) -> bool:
        """Whether a verdict, or the status that follows from it, is still to come."""
        state = self.chronicle.state
        return bool(state.pending()) or any(
            claim.reproduction_by is not None or awaits_status(state, claim)
            for claim in state.hypotheses.values()
        )

    async def _look_again(self) -> None:
        """Wait until a row or the clock may have changed what is being waited for."""
        await look_again(self.chronicle, self._moments_us())

    def _moments_us(self) -> list[int]:
        """Return the run times from which on time alone may end the run or free a claim."""
        state, patience_us = self.chronicle.state, self._patience_us()
        moments = [self._quiet_from_us(), *self.attendance.moments_us()]
        if (wall_s := self._scenario.stop.wall_s) is not None:
            moments.append(round(1e6 * wall_s))
        if (research_s := self._scenario.stop.research_s) is not None:
            moments.append((state.index.calibrated_us or 0) + round(1e6 * research_s))
        shortest_us = min(patience_us, self._run_wall_us())
        if state.index.confirming:
            return moments
        for at_us in offered_us(state):
            moments += (at_us + patience_us, at_us + shortest_us)
        return moments


def _is_news(claim: HypothesisState) -> bool:
    """Whether the lab itself confirmed a claim last, and people learn something by that.

    Of a claim that was drawn they would learn that it was, where nothing else has changed.
    """
    if not claim.confirmations or claim.confirmations[-1].by != LAB:
        return False
    statuses = [change.status for _, change in claim.changes]
    return not claim.was_drawn or statuses[-1] not in statuses[-2:-1]
