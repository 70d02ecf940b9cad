"""Reproduction: somebody else's claim on fresh seeds, child and parent interleaved, on vault.

Opened by a reproducer, or by the lab where nobody else can or will. Pairs run one after another,
each pair's parent and child side by side where there are two slots. The rule is
`scoring.evidence.decision.confirm`; a claim that passes may lead the frontier.
"""

from __future__ import annotations

from collections.abc import Callable

from community.admission import Admission, leading_claims
from community.archive.frontier import frontier_move
from community.archive.state import ExperimentState, HypothesisState, RunState
from community.chronicle import Chronicle
from community.events import (
    Purpose,
    Refused,
    ReproductionOpened,
    StatusChanged,
)
from community.retraction import raised_again
from community.scheduler import Request, Scheduler
from community.screening import parent_tree
from community.seed_rule import is_deterministic
from scoring.evidence.decision import confirm

LAB = "lab"
"""Name under which the institution itself reproduces."""
NOT_OPEN = "the claim is not open for confirmation"
"""All that an agent is told of a claim that nobody may confirm now."""


class Reproductions:
    """Opens and carries out confirmations.

    Args:
        chronicle: Where everything is recorded.
        scheduler: Runs the experiments.
        admission: Holds a confirmation's experiments in reserve.
        pairs: How many pairs make a confirmation.
    """

    def __init__(
        self, chronicle: Chronicle, scheduler: Scheduler, admission: Admission, pairs: int
    ) -> None:
        self._chronicle = chronicle
        self._scheduler = scheduler
        self._admission = admission
        self._pairs = pairs

    def open(self, hypothesis: str, by: str, *, has_right: bool = True) -> str:
        """Open a confirmation of `hypothesis` in the name of `by`, whose role may hold the right.

        Returns:
            Empty when it is open now, else why it is refused: one of a few fixed texts, which say
            nothing of a claim that `by` may not have heard. The ledger keeps the details.
        """
        text, detail = self._refusal(hypothesis, by)
        if not text and not has_right:
            text = f"the role of {by} has no right to reproduce"
            detail = f"{hypothesis}: {text}"
        if not text and not self._admission.reserve(self._chronicle.state):
            text = "too few experiments remain for a confirmation"
            detail = f"{hypothesis}: a confirmation needs {2 * self._pairs} experiments"
        if not text:
            known = confirmations(
                self._chronicle.state, self._chronicle.state.hypotheses[hypothesis]
            )
            self._admission.release(len(known))  # what a retraction left of an earlier one
            self._chronicle.record(ReproductionOpened(hypothesis, by))
        elif by != LAB:  # the lab asks again and again
            self._chronicle.record(Refused(by, "request", detail))
        return text

    def _refusal(self, hypothesis: str, by: str) -> tuple[str, str]:
        """Return (what `by` is told, what the ledger keeps); both empty if it may be confirmed."""
        state = self._chronicle.state
        claim = state.hypotheses.get(hypothesis)
        if claim is None:
            return NOT_OPEN, f"no hypothesis was posted as {hypothesis}"
        if by in (claim.proposer, claim.author):
            return "the proposer never confirms its own claim", f"{hypothesis} is {by}'s own claim"
        if claim.status not in ("improved", "undecided"):
            return NOT_OPEN, f"{hypothesis} is {claim.status}, neither improved nor undecided"
        if claim.confirmations:
            return NOT_OPEN, f"{hypothesis} was confirmed before; that is not repeated"
        if claim.reproduction_by is not None:
            return NOT_OPEN, f"{claim.reproduction_by} is reproducing {hypothesis} already"
        return "", ""

    def resume(self, hypothesis: str) -> None:
        """After a restart: hold what an open confirmation has not admitted yet."""
        claim = self._chronicle.state.hypotheses[hypothesis]
        admitted = len(confirmations(self._chronicle.state, claim))
        self._admission.hold(2 * self._pairs - admitted)

    async def carry_out(self, hypothesis: str) -> None:
        """Run the open confirmation of `hypothesis` to its status; goes on where a restart left it.

        Cancellation: admitted experiments go on, no further pair is admitted.
        """
        claim = self._chronicle.state.hypotheses[hypothesis]
        by = claim.reproduction_by
        assert by is not None
        for pair in range(1, self._pairs + 1):
            await self._run_pair(claim, by, pair)
            decision = self._decide(claim, pair)
            if decision is not None:
                state = self._chronicle.state
                self._admission.release(2 * self._pairs - len(confirmations(state, claim)))
                follows = raised_again(state, decision) or frontier_move(state, decision)
                self._chronicle.record(decision, *follows)
                return

    async def _run_pair(self, claim: HypothesisState, by: str, pair: int) -> None:
        """Admit what the pair still lacks, its sides in alternating order, and wait for both."""
        state = self._chronicle.state
        parent = state.proposals[claim.commit].parents[0]
        sides: tuple[tuple[Purpose, str, str], ...] = (
            ("confirm_parent", parent, parent_tree(state, claim.commit)),
            ("confirm_child", claim.commit, claim.tree_key),
        )
        known = {(e.queued.purpose, e.queued.pair): e for e in confirmations(state, claim)}
        waiting = []
        for purpose, commit, tree_key in sides if pair % 2 else sides[::-1]:
            if (purpose, pair) in known:
                waiting.append(known[purpose, pair].queued.experiment_id)
                continue
            charged_to = claim.proposer if by == LAB else by
            request = Request(
                commit, tree_key, claim.post_id, purpose, "vault", charged_to, by, pair
            )
            self._admission.release(1)
            waiting.append(self._scheduler.admit(request))
        for experiment_id in waiting:
            await self._scheduler.verdict(experiment_id)

    def _decide(self, claim: HypothesisState, done: int) -> StatusChanged | None:
        """Apply the rule to the first `done` pairs; None when another pair is needed.

        Later pairs, of which a restart may know, do not count yet: the decisions are those of a
        life without a restart. A child that fails ends it as ``not_improved``; a pair whose parent
        failed does not count.
        """
        state = self._chronicle.state
        assert state.opened is not None
        assert state.noise is not None
        experiments = [e for e in confirmations(state, claim) if e.queued.pair <= done]
        verdicts = [e.verdict for e in experiments if e.verdict is not None]
        sides: dict[tuple[Purpose, int], float] = {
            (e.queued.purpose, e.queued.pair): e.verdict.score
            for e in experiments
            if e.verdict is not None and e.verdict.score is not None
        }
        has_failed = any(
            e.queued.purpose == "confirm_child"
            and e.verdict is not None
            and e.verdict.score is None
            for e in experiments
        )
        whole = [
            n
            for n in range(1, done + 1)
            if {("confirm_child", n), ("confirm_parent", n)} <= set(sides)
        ]
        decision = None
        if whole:
            decision = confirm(
                [sides["confirm_child", n] for n in whole],
                [sides["confirm_parent", n] for n in whole],
                state.noise.sigma,
                state.opened.direction,
                pairs=self._pairs,
                is_child_fixed=is_deterministic(state, claim.tree_key),
                is_parent_fixed=is_deterministic(state, parent_tree(state, claim.commit)),
            )
        is_final = has_failed or done >= self._pairs or (decision is not None and decision.is_final)
        if not is_final:
            return None
        status = decision.status if decision is not None else "undecided"
        return StatusChanged(
            hypothesis=claim.post_id,
            commit=claim.commit,
            status="not_improved" if has_failed else status,
            gain=decision.gain if decision is not None else None,
            threshold=decision.threshold if decision is not None else None,
            by=claim.reproduction_by or LAB,
            verdicts=tuple(v.verdict_id for v in verdicts),
        )


def confirmations(state: RunState, claim: HypothesisState) -> list[ExperimentState]:
    """Return the experiments that confirm `claim`, in order of admission.

    Not those whose verdicts were taken back: in their place others are run.
    """
    served = [state.experiments[name] for name in claim.experiments]
    confirming = ("confirm_child", "confirm_parent")
    return [e for e in served if e.queued.purpose in confirming and not e.is_retracted]


def claim_for_lab(
    state: RunState, able: Callable[[HypothesisState], bool], now_us: int, patience_us: int
) -> HypothesisState | None:
    """Return the claim that the lab itself should reproduce now, or None.

    One at a time, and only what would lead the frontier: the best open claim, once no reproducer
    is able to take it or none has within `patience_us` microseconds of run time.

    Args:
        state: The run.
        able: Whether some agent other than the proposer can see the claim and may reproduce.
        now_us: Run time.
        patience_us: How long a claim is offered to reproducers.
    """
    if any(h.reproduction_by is not None for h in state.hypotheses.values()):
        return None
    for claim in leading_claims(state):
        offered_us = claim.changes[-1][0]
        if not able(claim) or now_us - offered_us >= patience_us:
            return claim
    return None
