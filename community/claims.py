"""Which claims may be confirmed, and which stand: read from the fold, decided nowhere else.

A tree is confirmed once in its life: whoever proposes it again, its error probability is not
renewed. What was reproduced may be challenged, by somebody who had no part in it.
"""

from __future__ import annotations

from collections.abc import Callable

from community.archive.queries import baseline_mean, leader
from community.archive.standing import standing_places
from community.archive.state import HypothesisState, RunState
from community.events import StatusChanged
from community.reviewing import must_confirm

LAB = "lab"
"""Name under which the institution itself reproduces."""


def better(first: float, second: float, direction: str) -> bool:
    """Whether score `first` is better than `second`."""
    return first < second if direction == "lower" else first > second


def has_right(claim: HypothesisState) -> bool:
    """Whether the screen gave the right to be confirmed: improved, or undecided but promising."""
    if claim.status == "improved":
        return True
    changes = claim.standing_changes
    return claim.status == "undecided" and bool(changes) and changes[-1].may_confirm


def offered_us(state: RunState) -> list[int]:
    """Return when the claims that have the right to be confirmed were given it."""
    known: list[int] = state.remember("offered", lambda: _offered_us(state), state.index.moves)
    return known


def _offered_us(state: RunState) -> list[int]:
    claims = (c for c in state.hypotheses.values() if c.status in ("improved", "undecided"))
    return [claim.changes[-1][0] for claim in claims if has_right(claim)]


def is_spent(state: RunState, tree_key: str) -> bool:
    """Whether a tree was confirmed before, or is being confirmed, in whosever name."""
    return any(
        claim.confirmations or claim.reproduction_by is not None
        for claim in state.index.hypotheses_by_tree.get(tree_key, ())
    )


def is_open(state: RunState, claim: HypothesisState) -> bool:
    """Whether a claim may be confirmed for the first time."""
    return has_right(claim) and not is_spent(state, claim.tree_key)


def may_challenge(claim: HypothesisState, by: str) -> bool:
    """Whether `by`, who has no part in what was reproduced, may reproduce it again."""
    had_a_part = {claim.proposer, claim.author, *(c.by for c in claim.confirmations)}
    is_free = claim.reproduction_by is None
    return claim.status == "reproduced" and is_free and by not in had_a_part


def stood_by(claim: HypothesisState) -> StatusChanged | None:
    """Return the confirmation by which a claim is reproduced; None where the last did not pass.

    Not by its status: while what it is built on is open again, it is contested with that, and what
    was found of itself stands. What is confirmed of such a claim is a challenge.
    """
    standing = [c for c in claim.confirmations if not claim.taken_back.intersection(c.verdicts)]
    return standing[-1] if standing and standing[-1].status == "reproduced" else None


def standing_claims(state: RunState) -> list[HypothesisState]:
    """Return the reproduced claims, the best first: by the lower bounds of their gains."""
    return [place.hypothesis for place in standing_places(state)]


def leading_claims(state: RunState) -> list[HypothesisState]:
    """Return open ``improved`` claims that would lead the frontier, the best score first.

    A claim's score is its tree's mean on dev; it must beat the dev mean of the leader's tree, or
    the baseline's before anything leads.
    """
    known: list[HypothesisState] = state.remember(
        "leading", lambda: _leading(state), state.index.moves
    )
    return known


def _leading(state: RunState) -> list[HypothesisState]:
    if state.opened is None:
        return []
    sign = 1.0 if state.opened.direction == "lower" else -1.0
    lead = baseline_mean(state, "dev")
    if (leading := leader(state)) is not None:
        lead = state.mean_score(state.hypotheses[leading.hypothesis].tree_key, "dev")
    found = []
    for claim in state.hypotheses.values():
        if claim.status != "improved" or not is_open(state, claim):
            continue
        score = state.mean_score(claim.tree_key, "dev")
        if score is None:
            continue
        if lead is None or better(score, lead, state.opened.direction):
            found.append((sign * score, claim))
    return [claim for _, claim in sorted(found, key=lambda pair: pair[0])]


def drawn_claims(state: RunState) -> list[HypothesisState]:
    """Return the claims that the lab owes a confirmation because they were drawn, oldest first."""
    return [state.hypotheses[name] for name in state.evidence.drawn if must_confirm(state, name)]


def claim_for_lab(
    claims: list[HypothesisState],
    able: Callable[[HypothesisState], bool],
    now_us: int,
    patience_us: int,
) -> HypothesisState | None:
    """Return the first of `claims` that the lab itself should confirm now, or None.

    That is once no reproducer is able to take it, or none has within `patience_us`.

    Args:
        claims: In order of urgency.
        able: Whether some agent other than the proposer can see the claim and may reproduce it.
        now_us: Run time in microseconds.
        patience_us: How long a claim is offered to reproducers.
    """
    for claim in claims:
        offered_us = claim.changes[-1][0]
        if not has_right(claim) or not able(claim) or now_us - offered_us >= patience_us:
            return claim
    return None
