"""Taking back a verdict or a claim: what rested on it is open again, and says so in one step.

By hand a person strikes a verdict that should never have counted (a broken machine, a leak); the
lab takes back a claim that later runs refuted. Either is one transaction: the retraction with its
reach, the statuses that follow from it, and the frontier that is left. A kill leaves all or none.

What follows from a struck verdict:

- A claim whose newest status cites it falls back to its last status that rests on standing runs
  alone. For a confirmation that is the screen, so that the claim is open for confirmation again;
  without any it is ``measured``, and is screened again.
- A claim with a confirmation that stands keeps it, whatever becomes of its screen: a confirmation
  uses fresh seeds and other text, and the screen gave no more than the right to it.
- Reproduced descendants of a claim that was reproduced and fell, through any parent, are
  ``contested``: what they add was measured, but on a ground that is open again. They stand again
  with it (`raised_again`).

A confirmation that lost runs may be completed by fresh ones although alpha is spent once in a
tree's life: the decision that spent it is void, the runs that stand are kept and count, and who
strikes says why under his name. It is no second try for a claim that was turned down: nobody
but a person can strike a verdict, and agents cannot ask for it.

Pure functions of the fold, but for `retract_verdict` and `retract_claim`, which record.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace

from community.archive.frontier import beats_baseline
from community.archive.queries import leader
from community.archive.resting import reach_of
from community.archive.standing import standing_places
from community.archive.state import HypothesisState, RunState
from community.chronicle import Chronicle
from community.claims import LAB
from community.errors import RetractionError
from community.events import Event, FrontierMoved, Row, StatusChanged, VerdictGiven
from community.evidence_events import ClaimRetracted, VerdictRetracted


def retract_verdict(chronicle: Chronicle, verdict_id: str, by: str, why: str) -> VerdictRetracted:
    """Take back a verdict in the name of `by`, with everything that follows.

    Returns:
        The retraction as recorded.

    Raises:
        RetractionError: there is no such verdict, it was taken back before, or it is a baseline's.
    """
    events = verdict_retraction(chronicle.state, verdict_id, by, why)
    chronicle.record(*events)
    return chronicle.state.evidence.retracted[verdict_id]


def retract_claim(
    chronicle: Chronicle, hypothesis: str, by: str, why: str, change: StatusChanged | None = None
) -> None:
    """Take back a claim that later runs refuted; its runs stand, for they are what refutes it.

    Args:
        chronicle: The run.
        hypothesis: Post id.
        by: Who found out.
        why: For people.
        change: The status ``retracted`` with its numbers and verdicts; made from the newest one
            where None.
    """
    chronicle.record(*claim_retraction(chronicle.state, hypothesis, by, why, change))


def verdict_retraction(state: RunState, verdict_id: str, by: str, why: str) -> tuple[Event, ...]:
    """Return the rows by which a verdict is taken back: itself, statuses, the frontier.

    Raises:
        RetractionError: there is no such verdict, it was taken back before, or it is a baseline's.
    """
    verdict = state.verdicts.get(verdict_id)
    if verdict is None:
        raise RetractionError(f"there is no verdict {verdict_id}")
    if (earlier := state.evidence.retracted.get(verdict_id)) is not None:
        raise RetractionError(
            f"verdict {verdict_id} was taken back already, by {earlier.by}: {earlier.why}"
        )
    if state.experiments[verdict.experiment_id].is_baseline:
        raise RetractionError(
            f"verdict {verdict_id} is the baseline's: the noise band, and with it every decision "
            "of this run, rests on it, so that nothing would be left; start a new run instead"
        )
    reach = reach_of(state, f"verdict:{verdict_id}").nodes
    first = VerdictRetracted(verdict_id, why, by, reach)
    ahead = _Ahead(state)
    ahead.take(first)
    claims = ahead.state.hypotheses.values()
    fallen = [claim for claim in claims if _rested_on(ahead.state, claim, verdict)]
    ground = [claim for claim in fallen if claim.status == "reproduced"]
    ahead.take(*(_fallen_back(claim, by) for claim in fallen))
    lost = {claim.post_id for claim in ground if claim.status != "reproduced"}
    ahead.take(*_contested(ahead.state, lost, by))
    ahead.take(*_left_to_lead(ahead.state))
    return tuple(ahead.events)


def claim_retraction(
    state: RunState, hypothesis: str, by: str, why: str, change: StatusChanged | None = None
) -> tuple[Event, ...]:
    """Return the rows by which a claim is taken back; see `retract_claim`.

    Raises:
        RetractionError: there is no such claim, or nothing was found of it.
    """
    claim = state.hypotheses.get(hypothesis)
    newest = claim.changes[-1][1] if claim is not None and claim.changes else None
    if change is None and newest is None:
        raise RetractionError(f"nothing was found of {hypothesis}, so there is nothing to retract")
    if change is None:
        assert newest is not None
        change = replace(newest, status="retracted", by=by)
    ahead = _Ahead(state)
    reach = reach_of(state, f"hypothesis:{hypothesis}").nodes
    ahead.take(ClaimRetracted(hypothesis, why, by, reach), change)
    ahead.take(*_contested(ahead.state, {hypothesis}, by))
    ahead.take(*_left_to_lead(ahead.state))
    return tuple(ahead.events)


def raised_again(state: RunState, decision: StatusChanged) -> tuple[Event, ...]:
    """Return what follows where `decision` reproduces a claim that had fallen before.

    Descendants that were contested with it are reproduced as they were, since their own pairs were
    never in doubt, but for those with another ancestor that is still open or refuted; the best
    leads. Empty where no descendant stands again.

    Args:
        state: The run before `decision`.
        decision: The status that is about to be recorded.
    """
    if decision.status != "reproduced":
        return ()
    name = decision.hypothesis
    claims = state.hypotheses
    lost = {other for other in claims if other != name and _is_lost(claims[other])}
    shaded = set(descendants(state, lost))
    below = [claims[each] for each in descendants(state, {name}) if each not in shaded]
    again = [before for claim in below if (before := _contested_with_ground(claim)) is not None]
    if not again:
        return ()
    ahead = _Ahead(state)
    ahead.take(decision, *again)
    ahead.take(*_left_to_lead(ahead.state))
    return tuple(ahead.events[1:])


def follows_retraction(claim: HypothesisState) -> bool:
    """Whether its newest status follows from a retraction: it fell, or stands or is judged again.

    A status that is taken up again has the numbers and verdicts that it had before.
    """
    changes = [change for _, change in claim.changes]
    if not changes:
        return False
    was_open = len(changes) > 1 and changes[-2].status == "measured"
    is_again = changes[-1] in changes[:-1] or _contested_with_ground(claim) is not None
    return claim.awaits_screen or was_open or is_again


def fell_with_ground(claim: HypothesisState) -> bool:
    """Whether a claim is contested with what it is built on, and by nothing found of itself."""
    return _contested_with_ground(claim) is not None


def descendants(state: RunState, names: Iterable[str]) -> list[str]:
    """Return the hypotheses built on those named (post ids), through any parent, in ledger order.

    Those named are left out unless one is built on another.
    """
    built_on = {state.hypotheses[name].commit for name in names}
    found: list[str] = []
    for commit, proposal in state.proposals.items():  # a parent is recorded before its child
        if built_on.intersection(proposal.parents):
            built_on.add(commit)
            found += state.hypotheses_by_commit.get(commit, ())
    return found


class _Ahead:
    """A run as it will stand: rows are folded into a copy, so that what follows is seen first.

    What no row of a retraction changes, and is most of a long run, is shared with the original.
    """

    def __init__(self, state: RunState) -> None:
        kept = (
            *(state.posts, state.posts_by_message, state.proposals, state.verdicts),
            *(state.reach, state.delivered),
        )
        self.state = copy.deepcopy(state, {id(part): part for part in kept})
        self.events: list[Event] = []

    def take(self, *events: Event) -> None:
        for event in events:
            self.state.apply(Row(self.state.last_seq + 1, self.state.last_us, event))
            self.events.append(event)


def _rested_on(state: RunState, claim: HypothesisState, verdict: VerdictGiven) -> bool:
    """Whether the newest status of `claim` rests on `verdict`.

    A screen that cites its own run alone was measured against all runs that its parent had on dev.
    """
    if not claim.changes:
        return False
    at_us, newest = claim.changes[-1]
    if verdict.verdict_id in newest.verdicts:
        return True
    given_us = state.experiments[verdict.experiment_id].verdict_us or 0
    cited = [state.verdicts[name] for name in newest.verdicts]
    is_screen = bool(cited) and all(v.split == "dev" and v.commit == claim.commit for v in cited)
    is_of_parent = verdict.split == "dev" and verdict.commit == claim.parents[0]
    return is_screen and is_of_parent and newest.gain is not None and given_us <= at_us


def _fallen_back(claim: HypothesisState, by: str) -> StatusChanged:
    """Return the newest status that rests on standing runs alone; ``measured`` without one."""
    newest = claim.changes[-1][1]
    for change in reversed(claim.standing_changes):
        if change.status != "measured" and change is not newest:
            return change
    return StatusChanged(claim.post_id, claim.commit, "measured", None, None, by, ())


def _contested(state: RunState, ground: set[str], by: str) -> list[StatusChanged]:
    """Return the reproduced descendants of `ground`, contested; numbers and verdicts as they were.

    Those under a challenge as well, which goes on, for it says nothing of their ground. The name of
    whoever makes it would end it: then it is the lab that says so.
    """
    found = []
    for name in descendants(state, ground):
        claim = state.hypotheses[name]
        if claim.status == "reproduced":
            who = LAB if by == claim.reproduction_by else by
            found.append(replace(claim.changes[-1][1], status="contested", by=who))
    return found


def _contested_with_ground(claim: HypothesisState) -> StatusChanged | None:
    """Return the status that a claim lost with its ground alone; None for every other claim."""
    if claim.status != "contested" or len(claim.changes) < 2:
        return None
    before, now = claim.changes[-2][1], claim.changes[-1][1]
    is_same = before.status == "reproduced" and before.verdicts == now.verdicts
    return before if is_same and not claim.taken_back.intersection(now.verdicts) else None


def _is_lost(claim: HypothesisState) -> bool:
    """Whether it was reproduced and is so no more, by what was found of itself."""
    if claim.status == "reproduced" or _contested_with_ground(claim) is not None:
        return False
    return any(change.status == "reproduced" for _, change in claim.changes)


def _left_to_lead(after: RunState) -> list[FrontierMoved]:
    """Return the move to the best that stands, unless it leads already or nothing stands."""
    places = [place for place in standing_places(after) if beats_baseline(place)]
    for claim in [place.hypothesis for place in places[:1]]:
        score = after.mean_score(claim.tree_key, "vault")
        assert score is not None
        best = FrontierMoved(claim.commit, claim.post_id, score)
        return [] if best == leader(after) else [best]
    return []
