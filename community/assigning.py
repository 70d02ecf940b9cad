"""Assigning: who is asked to review a hypothesis, who may, and what is drawn for confirmation.

Reviewers are asked, not self-chosen, or whoever likes could review what he knows already and leave
the rest. Whether a hypothesis is drawn follows from the run's secret, so no mind can compute it,
and when the run has ended and told its secret everybody can. Both are recorded with the post, and
neither is told: an agent learns from its lab what it is asked for, of draws nobody learns.

Next: `community.clerk` records what is said here; `community.reviewing` holds reviews against what
confirmations showed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from agents.roles import Role
from community.archive.queries import results_heard
from community.archive.state import RunState, Split
from community.attendance import is_there
from community.events import Posted
from community.evidence_events import ConfirmationDrawn, ReviewerAssigned
from community.scenario import ReviewsSection
from forum.messages import Carries
from forum.visibility import carries_diff


@dataclass(frozen=True, slots=True)
class Assigning:
    """The rules under which one run asks for reviews."""

    section: ReviewsSection
    roles: Mapping[str, Role]
    """What each participant may do."""
    seed: int
    """The run's; decides between reviewers who have equally much to do."""
    secret: bytes
    """The run's; decides what is drawn."""

    def asked(
        self, state: RunState, posted: Posted
    ) -> tuple[ReviewerAssigned | ConfirmationDrawn, ...]:
        """Return what is to be recorded with a post: for a hypothesis, whom it is shown to judge.

        Asked is who may review, is there, gets the diff, wrote none of it and does not know its
        result; those with the fewest open assignments first. Nothing is drawn where nobody is
        asked.
        """
        if posted.body.get("kind") != "hypothesis":
            return ()
        commit = str(posted.body["commit"])
        writers = {posted.author, *coauthors(state, commit)}
        able = [
            name
            for name, carries in posted.readers.items()
            if carries_diff(cast(Carries, carries))
            and name in self.roles
            and "review" in self.roles[name].rights
            and name not in writers
            and is_there(state, name)
            and not knows_result(state, name, state.proposals[commit].tree_key)
        ]
        busy = Counter(
            name for hypothesis in state.evidence.assigned for name in _open_to(state, hypothesis)
        )
        able.sort(key=lambda name: (busy[name], self._lot(posted.post_id, name)))
        reviewers = able[: self.section.reviewers]
        if not reviewers:
            return ()
        share = self.section.settle_share
        lot = is_drawn(self.secret, posted.post_id, share)
        return (
            *(ReviewerAssigned(posted.post_id, name) for name in reviewers),
            ConfirmationDrawn(posted.post_id, share, lot),
        )

    def _lot(self, post_id: str, name: str) -> bytes:
        return hashlib.sha256(f"{self.seed}/review/{post_id}/{name}".encode()).digest()


def is_drawn(secret: bytes, post_id: str, share: float) -> bool:
    """Whether the run's secret draws a hypothesis, which it does with probability `share`."""
    lot = hmac.digest(secret, f"settle/{post_id}".encode(), "sha256")
    return int.from_bytes(lot[:8], "big") < share * 2**64


def assignments(state: RunState, agent: str) -> frozenset[str]:
    """Return the hypotheses that `agent` was asked to review and has not, while there is time.

    Of one that is still on its way he is not told.
    """
    reached = state.delivered.get(agent, {})
    return frozenset(
        hypothesis
        for hypothesis in state.evidence.assigned
        if hypothesis in reached and agent in _open_to(state, hypothesis)
    )


def refuses_review(state: RunState, agent: str, hypothesis: str) -> str:
    """Say why a review by `agent` is not taken; empty when it is."""
    if agent not in state.evidence.assigned.get(hypothesis, ()):
        return f"{agent} was not asked to review {hypothesis!r}; answer the clerk's assignments"
    if agent in state.reach.reviews.get(hypothesis, {}):
        return f"{agent} has reviewed {hypothesis!r}; a review is not taken back or added to"
    if hypothesis in state.reach.begun:
        return f"the experiment on {hypothesis!r} has begun; reviews come before it"
    if knows_result(state, agent, state.hypotheses[hypothesis].tree_key):
        return f"the tree of {hypothesis!r} was measured before, and {agent} may know the result"
    return ""


def coauthors(state: RunState, commit: str) -> frozenset[str]:
    """Return everybody who wrote what is still unconfirmed in a proposed tree.

    That is its proposer, the proposers of those declared parents that nobody has reproduced, and,
    because parents may be left undeclared, whoever first recorded a change (`Proposed.hunks`) that
    the tree holds and no reproduced one does. What is reproduced is common ground: who wrote that
    has no more to gain from this claim than anybody who builds on it.
    """
    proposal = state.proposals[commit]
    common = {h.tree_key for h in state.hypotheses.values() if h.status == "reproduced"}
    unclear = set(proposal.hunks)
    for other in state.proposals.values():
        if other.tree_key in common:
            unclear.difference_update(other.hunks)
    writers = {proposal.author}
    for parent in proposal.parents:
        known = state.proposals.get(parent)  # none for the baseline
        if known is not None and known.tree_key not in common:
            writers.add(known.author)
    for other in state.proposals.values():  # in the ledger's order: the first holder wrote it
        if unclear and (found := unclear.intersection(other.hunks)):
            writers.add(other.author)
            unclear -= found
    return frozenset(writers)


def knows_result(state: RunState, agent: str, tree_key: str) -> bool:
    """Whether a run of this very tree has a verdict that `agent` asked for or was told of."""
    splits: tuple[Split, ...] = ("dev", "vault")
    verdicts = [v for split in splits for v in state.verdicts_by_tree.get((tree_key, split), ())]
    heard = results_heard(state, agent) if verdicts else frozenset()
    for verdict in verdicts:
        queued = state.experiments[verdict.experiment_id].queued
        claim = state.hypotheses.get(queued.hypothesis)
        asked = (queued.requested_by, claim.proposer if claim else "")
        if agent in asked or queued.hypothesis in heard:
            return True
    return False


def _open_to(state: RunState, hypothesis: str) -> tuple[str, ...]:
    """Return who was asked to review it, has not, and still may."""
    if hypothesis in state.reach.begun:
        return ()
    done = state.reach.reviews.get(hypothesis, {})
    return tuple(name for name in state.evidence.assigned[hypothesis] if name not in done)
