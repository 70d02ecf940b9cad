"""Screening: one run on dev, and what it says of a hypothesis.

A screen can only give the right to be confirmed; see `community.reproduction`. The rule itself is
`scoring.decision.screen`; here it is applied to ledger rows and its word recorded.
"""

from __future__ import annotations

from community.archive.state import RunState
from community.chronicle import Chronicle
from community.events import StatusChanged, VerdictGiven
from community.scheduler import Scheduler
from scoring.decision import gain_over, screen


def screen_of(state: RunState, hypothesis: str) -> str | None:
    """Return the id of the experiment that screens `hypothesis` (post id), or None."""
    for experiment_id in state.hypotheses[hypothesis].experiments:
        if state.experiments[experiment_id].queued.purpose == "screen":
            return experiment_id
    return None


async def follow_screen(
    chronicle: Chronicle, scheduler: Scheduler, hypothesis: str, experiment_id: str
) -> None:
    """Wait for the screen's verdict and record the status it gives; once, also after a restart."""
    verdict = await scheduler.verdict(experiment_id)
    if not chronicle.state.hypotheses[hypothesis].changes:
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
    decision = screen(gain, noise.sigma, len(parent_scores))
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
