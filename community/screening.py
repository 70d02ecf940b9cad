"""Screening: one run on dev, and what it says of a hypothesis.

A screen can only give the right to be confirmed; see `community.reproduction`. The rule itself is
`scoring.evidence.decision.screen`; here it is applied to ledger rows and its word recorded.
"""

from __future__ import annotations

from community.archive.state import HypothesisState, RunState
from community.chronicle import Chronicle
from community.events import StatusChanged, VerdictGiven
from community.scheduler import Scheduler
from community.seed_rule import is_deterministic
from scoring.evidence.decision import LOTTERY_Z, Z, gain_over, screen

FOUND = frozenset({"not_improved", "undecided", "improved", "reproduced"})
"""Statuses that a screen or a confirmation gives, and of which somebody reports; others follow."""


def screen_of(state: RunState, hypothesis: str) -> str | None:
    """Return the id of the experiment that screens `hypothesis` (post id), or None.

    One whose verdict was taken back is none: the claim may be screened again.
    """
    for experiment_id in state.hypotheses[hypothesis].experiments:
        experiment = state.experiments[experiment_id]
        if experiment.queued.purpose == "screen" and not experiment.is_retracted:
            return experiment_id
    return None


def lost_screen(state: RunState, claim: HypothesisState) -> bool:
    """Whether the run that screened `claim` was taken back, and no other has been admitted."""
    served = (state.experiments[name] for name in claim.experiments)
    has_lost = any(e.queued.purpose == "screen" and e.is_retracted for e in served)
    return has_lost and claim.awaits_screen and screen_of(state, claim.post_id) is None


def awaits_status(state: RunState, claim: HypothesisState) -> bool:
    """Whether all verdicts on `claim` are in and what they say of it is about to be recorded."""
    if not claim.experiments or not all(state.experiments[e].is_done for e in claim.experiments):
        return False
    is_screened = screen_of(state, claim.post_id) is not None
    return claim.reproduction_by is not None or (claim.awaits_screen and is_screened)


def told_verdict(state: RunState, claim: HypothesisState, change: StatusChanged) -> VerdictGiven:
    """Return the verdict to cite for `change`: the last on the claim's own tree.

    A confirmation ends with the parent's run as often as with the child's.
    """
    verdicts = [state.verdicts[name] for name in change.verdicts]
    return next(v for v in reversed(verdicts) if v.tree_key == claim.tree_key)


def screened_score(state: RunState, hypothesis: str) -> float | None:
    """Return the score of the run that screened `hypothesis`, or None without a valid one.

    Not the mean of its tree's runs: whoever may know this run may not have heard of others.
    """
    experiment_id = screen_of(state, hypothesis)
    verdict = None if experiment_id is None else state.experiments[experiment_id].verdict
    return None if verdict is None else verdict.score


async def follow_screen(
    chronicle: Chronicle, scheduler: Scheduler, hypothesis: str, experiment_id: str
) -> None:
    """Wait for the screen's verdict and record the status it gives; once, also after a restart."""
    verdict = await scheduler.verdict(experiment_id)
    if chronicle.state.hypotheses[hypothesis].awaits_screen:
        chronicle.record(judge_screen(chronicle.state, hypothesis, verdict))


def judge_screen(state: RunState, hypothesis: str, verdict: VerdictGiven) -> StatusChanged:
    """Apply the screening rule: the gain is against the declared parent's mean on dev."""
    claim = state.hypotheses[hypothesis]
    opened, noise = state.opened, state.noise
    assert opened is not None
    assert noise is not None
    parent = parent_tree(state, claim.commit)
    parent_scores = state.scores(parent, "dev")
    if verdict.score is None or not parent_scores:
        return StatusChanged(
            hypothesis, claim.commit, "not_improved", None, None, claim.proposer,
            (verdict.verdict_id,),
        )  # fmt: skip
    parent_mean = sum(parent_scores) / len(parent_scores)
    gain = gain_over(verdict.score, parent_mean, opened.direction)
    decision = screen(
        gain,
        noise.sigma,
        n_parent=1 if is_deterministic(state, parent) else len(parent_scores),
        z=LOTTERY_Z if is_deterministic(state, verdict.tree_key) else Z,
    )
    return StatusChanged(
        hypothesis=hypothesis,
        commit=claim.commit,
        status=decision.status,
        gain=gain,
        threshold=decision.threshold,
        by=claim.proposer,
        verdicts=(verdict.verdict_id,),
    )


def parent_tree(state: RunState, commit: str) -> str:
    """Return the tree key of the first parent of `commit`."""
    opened = state.opened
    assert opened is not None
    parents = state.proposals[commit].parents
    return tree_of(state, parents[0])


def tree_of(state: RunState, commit: str) -> str:
    """Return the tree key of a recorded commit."""
    opened = state.opened
    assert opened is not None
    if commit == opened.baseline_commit:
        return opened.baseline_tree_key
    return state.proposals[commit].tree_key
