"""Reproduction: somebody else's claim on fresh seeds, child and parent interleaved, on vault.

Opened by a reproducer, or by the lab where nobody else can or will. All runs of a confirmation are
on one slot, parent and child in turn (P C C P P C ...), admitted a look at a time; after each look
`scoring.evidence.sequential` says whether it ends. The runs of a look stand first in that slot's
queue, in order; what else comes between them is no more than a run's time, which pairs bear.

A claim that was reproduced may be challenged: two more pairs, and all pairs together decide whether
it stands. Nothing here is kept in memory: a restart goes on from the ledger.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from community.admission import Admission
from community.alarms import FAILURES, decisions_paused, keeps_failing, raise_alarm
from community.archive.frontier import frontier_move
from community.archive.spreads import prior_of
from community.archive.state import HypothesisState
from community.chronicle import Chronicle
from community.claims import LAB, has_right, is_open, is_spent, may_challenge, stood_by
from community.events import Event, Refused, ReproductionOpened, StatusChanged
from community.pairing import Pair, confirmations, pairs_of, pooled, runs_to_share
from community.retraction import claim_retraction, fell_with_ground, raised_again
from community.reviewing import must_confirm
from community.scheduler import Request, Scheduler
from community.screening import parent_tree
from community.seed_rule import is_deterministic
from community.spending import Multiplicity, alpha_of
from scoring.evidence.sequential import (
    ALPHA_DRAWN,
    Judgement,
    judge_pool,
)
from scoring.evidence.variance import Prior

NOT_OPEN = "the claim is not open for confirmation"
"""All that an agent is told of a claim that nobody may confirm now."""
CHALLENGE_PAIRS = 2
"""What a challenge adds to the pairs of a reproduced claim."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where confirmations run."""

    slots: tuple[str, ...]
    device_class: str
    """Of this life of the run."""


class Reproductions:
    """Opens and carries out confirmations.

    Args:
        chronicle: Where everything is recorded.
        scheduler: Runs the experiments.
        admission: Counts them.
        pairs: The most pairs of a confirmation.
        place: Where they run.
        multiplicity: How error is spent over claims.
    """

    def __init__(
        self,
        chronicle: Chronicle,
        scheduler: Scheduler,
        admission: Admission,
        pairs: int,
        place: Place,
        multiplicity: Multiplicity = "fixed",
    ) -> None:
        self._chronicle = chronicle
        self._scheduler = scheduler
        self._admission = admission
        self._most = pairs
        self._place = place
        self._multiplicity = multiplicity

    def open(
        self, hypothesis: str, by: str, *, has_right: bool = True, is_drawn: bool = False
    ) -> str:
        """Open a confirmation and admit its first look in the same breath.

        Args:
            hypothesis: Post id.
            by: In whose name.
            has_right: Whether his role holds the right to reproduce.
            is_drawn: Whether the lab does it only because the claim was drawn for it.

        Returns:
            Empty when it is open now, else why it is refused: one of a few fixed texts, which say
            nothing of a claim that `by` may not have heard. The ledger keeps the details.
        """
        text, detail = self._refusal(hypothesis, by, is_drawn, has_right)
        if not text:
            look = self._look(self._chronicle.state.hypotheses[hypothesis], by, is_drawn)
            if self._admission.affords(self._chronicle.state, len(look)):
                opened = ReproductionOpened(hypothesis, by, is_drawn=is_drawn)
                self._scheduler.admit_all(look, after=(opened,))
                return ""
            text = "too few experiments remain for a confirmation"
            detail = f"{hypothesis}: the first look of a confirmation takes {len(look)} experiments"
        if by != LAB:  # the lab asks again and again
            self._chronicle.record(Refused(by, "request", detail))
        return text

    def _refusal(
        self, hypothesis: str, by: str, is_drawn: bool, has_right: bool
    ) -> tuple[str, str]:
        """Return (what `by` is told, what the ledger keeps); both empty if it may be confirmed."""
        state = self._chronicle.state
        claim = state.hypotheses.get(hypothesis)
        if claim is None:
            return NOT_OPEN, f"no hypothesis was posted as {hypothesis}"
        if by in (claim.proposer, claim.author):
            return "the proposer never confirms its own claim", f"{hypothesis} is {by}'s own claim"
        if not has_right:  # before anything that depends on how the claim stands
            text = f"the role of {by} has no right to reproduce"
            return text, f"{hypothesis}: {text}"
        if claim.reproduction_by is not None:
            return NOT_OPEN, f"{claim.reproduction_by} is reproducing {hypothesis} already"
        if is_open(state, claim) or may_challenge(claim, by):
            return "", ""
        if is_spent(state, claim.tree_key):
            return NOT_OPEN, f"the tree of {hypothesis} was confirmed before; that is not repeated"
        if is_drawn and must_confirm(state, hypothesis):
            return "", ""
        return NOT_OPEN, f"{hypothesis} is {claim.status}, which gives no right to a confirmation"

    async def carry_out(self, hypothesis: str) -> None:
        """Run the open confirmation of `hypothesis` to its status; goes on where a restart left it.

        Cancellation: admitted experiments go on, no further look is admitted.
        """
        claim = self._chronicle.state.hypotheses[hypothesis]
        while (by := claim.reproduction_by) is not None:
            for run in confirmations(self._chronicle.state, claim):
                await self._scheduler.verdict(run.queued.experiment_id)
            await self._chronicle.wait_until(lambda state: not decisions_paused(state))
            change = self._failure(claim, by) or self._decision(claim, by)
            look = [] if change else self._look(claim, by, claim.was_drawn)
            if change is None and not self._admission.affords(self._chronicle.state, len(look)):
                change = self._parked(claim, by)
            if change is None:
                self._scheduler.admit_all(look)
            else:
                self._chronicle.record(*self._following(claim, change))

    def _failure(self, claim: HypothesisState, by: str) -> StatusChanged | None:
        """Return what follows from runs that failed; None where none did that settles it.

        A child that fails has had its confirmation. Of a parent that fails twice nothing can be
        said: that is an alarm, and the claim stays as it is.
        """
        state = self._chronicle.state
        before = {v for change in claim.confirmations for v in change.verdicts}
        failed = [
            run
            for run in confirmations(state, claim)
            if run.verdict is not None
            and run.verdict.score is None
            and run.verdict.verdict_id not in before
        ]
        child = [e for e in failed if e.queued.purpose == "confirm_child"]
        if child:
            status = "contested" if stood_by(claim) else "not_improved"
            failing = [run.verdict.verdict_id for run in child if run.verdict is not None]
            return StatusChanged(
                claim.post_id, claim.commit, status, None, None, by, tuple(failing)
            )
        parent = state.proposals[claim.commit].parents[0]
        if len(failed) < FAILURES and not keeps_failing(state, parent_tree(state, claim.commit)):
            return None
        raise_alarm(
            self._chronicle,
            "parent",
            f"{FAILURES} runs of {parent[:10]}, beside which {claim.post_id} is confirmed, failed",
            device_class=self._place.device_class,
            commit=parent,
        )
        return self._parked(claim, by)

    def _decision(self, claim: HypothesisState, by: str) -> StatusChanged | None:
        """Return what the pairs say; None where the rule wants another look."""
        if self._lacking(claim) > 0:
            return None
        if stood_by(claim):
            return self._pooled(claim, by)
        pairs = self._pairs(claim)
        judgement = self._judge(claim, pairs)
        is_last = len(pairs) >= self._looks()[-1]
        if not (judgement.is_final or is_last):
            return None
        return _change(claim, by, judgement.status, pairs, judgement)

    def _pooled(self, claim: HypothesisState, by: str) -> StatusChanged:
        """Return what all pairs of a reproduced claim say together, device classes combined."""
        state = self._chronicle.state
        pairs = pairs_of(state, claim)
        assert state.opened is not None
        gain = state.noise_model.gain(
            *pooled(state, claim),
            self._prior(),
            state.opened.direction,
            is_child_fixed=is_deterministic(state, claim.tree_key),
            is_parent_fixed=is_deterministic(state, parent_tree(state, claim.commit)),
        )
        assert gain is not None  # a pair has one slot
        status = judge_pool(gain.low, gain.high) or "reproduced"
        return replace(
            _change(claim, by, status, pairs, None),
            gain=gain.estimate,
            t=gain.estimate / math.sqrt(gain.variance),
            low=gain.low,
            high=gain.high,
        )

    def _parked(self, claim: HypothesisState, by: str) -> StatusChanged:
        """Return the end of a confirmation that cannot go on: undecided, or what it was before."""
        if (stood := stood_by(claim)) is not None:
            return replace(stood, by=by)
        pairs = self._pairs(claim)
        judgement = self._judge(claim, pairs) if pairs else None
        return _change(claim, by, "undecided", pairs, judgement)

    def _following(self, claim: HypothesisState, change: StatusChanged) -> tuple[Event, ...]:
        """Return `change` with what follows from it: descendants and the frontier."""
        state = self._chronicle.state
        if change.status == "retracted":
            why = f"{change.pairs} pairs together show no gain"
            return claim_retraction(state, claim.post_id, change.by, why, change)
        if change.status == "reproduced" and fell_with_ground(claim):
            return change, replace(change, status="contested")
        return change, *(raised_again(state, change) or frontier_move(state, change))

    def _judge(self, claim: HypothesisState, pairs: list[Pair]) -> Judgement:
        state = self._chronicle.state
        assert state.opened is not None
        return state.noise_model.judge_pairs(
            [pair.child.score for pair in pairs if pair.child.score is not None],
            [pair.parent.score for pair in pairs if pair.parent.score is not None],
            self._prior(),
            state.opened.direction,
            alpha=self._alpha(claim),
            record=(
                state.on_record(claim.tree_key, "vault"),
                state.on_record(parent_tree(state, claim.commit), "vault"),
            ),
            is_child_fixed=is_deterministic(state, claim.tree_key),
            is_parent_fixed=is_deterministic(state, parent_tree(state, claim.commit)),
            pairs_allowed=self._looks()[-1],
        )

    def _alpha(self, claim: HypothesisState) -> float:
        """Return what may be spent: less for a claim that was only drawn.

        What looks in another device class spent, before the run was resumed in this one, is gone.
        """
        state = self._chronicle.state
        pairs = Counter(p.child.device_class for p in pairs_of(state, claim))
        del pairs[self._place.device_class]
        last, rule = self._looks()[-1], state.noise_model
        spent = sum(rule.spent(done, last) for done in pairs.values())
        earned = has_right(claim)
        alpha = alpha_of(state, claim, self._multiplicity) if earned else ALPHA_DRAWN
        return alpha * max(0.0, 1 - spent)

    def _prior(self) -> Prior:
        prior = prior_of(self._chronicle.state, self._place.device_class)
        assert prior is not None  # the baseline ran twice or more
        return prior

    def _pairs(self, claim: HypothesisState) -> list[Pair]:
        """Return the pairs that count: whole ones, of this life's device class."""
        pairs = pairs_of(self._chronicle.state, claim)
        return [pair for pair in pairs if pair.child.device_class == self._place.device_class]

    def _looks(self) -> list[int]:
        """Return after how many pairs a claim is judged."""
        return self._chronicle.state.noise_model.looks(self._most)

    def _lacking(self, claim: HypothesisState, *, beyond: int = 0) -> int:
        """Return how many pairs are lacking for the next decision, 0 if one can be made now.

        Args:
            claim: Of which pairs are counted.
            beyond: 1 to count for the decision after that.
        """
        pairs = self._pairs(claim)
        if stood_by(claim):
            before = {v for change in claim.confirmations for v in change.verdicts}
            return CHALLENGE_PAIRS - sum(p.child.verdict_id not in before for p in pairs)
        looks = self._looks()
        look = next((look for look in looks if look >= len(pairs) + beyond), len(pairs))
        return look - len(pairs)

    def _look(self, claim: HypothesisState, by: str, is_drawn: bool) -> list[Request]:
        """Return the runs that the next decision lacks, in the order in which they should run."""
        state = self._chronicle.state
        lacking = self._lacking(claim) or self._lacking(claim, beyond=1)
        shareable = self._shareable(claim)
        slot = self._slot(claim, shareable)
        shared = shareable.get(slot, [])[-lacking:]
        first = 1 + max((e.queued.pair for e in confirmations(state, claim)), default=0)
        payer = by if by != LAB or is_drawn else claim.proposer
        request = Request(
            commit=claim.commit,
            tree_key=claim.tree_key,
            hypothesis=claim.post_id,
            purpose="confirm_child",
            split="vault",
            charged_to=payer,
            requested_by=by,
            slot=slot,
        )
        parent = replace(
            request,
            commit=state.proposals[claim.commit].parents[0],
            tree_key=parent_tree(state, claim.commit),
            purpose="confirm_parent",
        )
        look: list[Request] = []
        for number in range(first, first + lacking):
            if shared:
                look.append(replace(request, pair=number, beside=shared.pop(0)))
                continue
            sides = (replace(parent, pair=number), replace(request, pair=number))
            look += sides if number % 2 else sides[::-1]
        return look

    def _slot(self, claim: HypothesisState, shareable: Mapping[str, list[str]]) -> str:
        """Return where the claim is confirmed: where it was begun, else where it costs least.

        Least is where most of the parent's runs can be shared, then where fewest runs wait.
        """
        state = self._chronicle.state
        for run in confirmations(state, claim):
            begun = run.queued.slot or (run.verdict.slot if run.verdict else "")
            if begun in self._place.slots:
                return begun
        load = Counter(
            run.attempts[-1].slot if run.is_running else run.queued.slot for run in state.pending()
        )
        return min(self._place.slots, key=lambda slot: (-len(shareable.get(slot, ())), load[slot]))

    def _shareable(self, claim: HypothesisState) -> dict[str, list[str]]:
        """Return the runs of the claim's parent that it may be paired with, by slot."""
        now_us = self._chronicle.clock.now_us()
        found = runs_to_share(self._chronicle.state, claim, self._place.device_class, now_us)
        return {slot: [verdict.verdict_id for verdict in each] for slot, each in found.items()}


def _change(
    claim: HypothesisState,
    by: str,
    status: str,
    pairs: Iterable[Pair],
    judgement: Judgement | None,
) -> StatusChanged:
    """Return a status with its numbers; its verdicts are parent, child, parent, child ..."""
    verdicts = tuple(name for pair in pairs for name in pair.verdicts)
    change = StatusChanged(
        claim.post_id, claim.commit, status, None, None, by, verdicts, pairs=len(verdicts) // 2
    )
    if judgement is None:
        return change
    return replace(
        change,
        gain=judgement.gain,
        threshold=judgement.needed if math.isfinite(judgement.needed) else None,
        t=judgement.t if math.isfinite(judgement.t) else None,
        low=judgement.low,
        high=judgement.high,
        p=judgement.p,
    )
