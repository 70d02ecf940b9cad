"""What researchers hear of a retraction: in the thread of each claim, how it stands now.

Who has heard that a claim was reproduced would build on it for ever. So the lab says, along its
proposer's edges, each status that follows from a retraction, and what a repeated screen showed. It
tells neither why nor which verdict. Once each, also after a restart: message ids count changes.
"""

from __future__ import annotations

from collections.abc import Iterator

from community.archive.state import HypothesisState, RunState
from community.chronicle import Chronicle
from community.clerk import LAB, Clerk, evidence_on
from community.retraction import follows_retraction
from forum.messages import Finding


async def tell_of_retractions(chronicle: Chronicle, clerk: Clerk) -> None:
    """Tell what follows from retractions as it is recorded; until cancelled.

    Cancellation: what was not told is told by the next life.
    """
    while True:
        await chronicle.wait_until(lambda state: next(_untold(state), None) is not None)
        for claim in list(_untold(chronicle.state)):
            await _tell(chronicle.state, clerk, claim)


def _untold(state: RunState) -> Iterator[HypothesisState]:
    if not state.evidence.retractions:
        return
    for claim in state.hypotheses.values():
        if follows_retraction(claim) and (LAB, _message(claim)) not in state.posts_by_message:
            yield claim


def _message(claim: HypothesisState) -> str:
    return f"lab-now-{claim.post_id}-{len(claim.changes)}"


async def _tell(state: RunState, clerk: Clerk, claim: HypothesisState) -> None:
    cited = next(verdict for _, change in claim.changes for verdict in change.verdicts)
    status = "open again" if claim.awaits_screen else claim.status.replace("_", " ")
    await clerk.post_for_lab(
        Finding(
            hypothesis=claim.post_id,
            evidence=evidence_on(state, claim.post_id, cited),
            text=f"Something that this rested on was taken back. It is {status} now.",
            parents=claim.parents,
            knobs=claim.knobs,
            commit=claim.commit,
        ),
        thread=claim.post_id,
        along=claim.proposer,
        message_id=_message(claim),
    )
