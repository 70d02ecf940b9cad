"""The frontier in the ledger follows the order of the leaderboard, one move at a time.

What leads is what the last move says that still stands (`community.archive.queries.leader`): a
recorded fact, which costs nothing to ask. Whoever records something that may change the order asks
here for the move that goes with it.
"""

from __future__ import annotations

from community.archive.queries import leader
from community.archive.standing import Placed, standing_places
from community.archive.state import RunState
from community.events import FrontierMoved, StatusChanged


def frontier_move(state: RunState, decided: StatusChanged | None = None) -> list[FrontierMoved]:
    """Return the move to the reproduced commit whose gain over the baseline is surest, or nothing.

    Nothing where it leads already, and where no commit is reproduced that surely beats the start:
    who first makes a tree worse and then takes that back has a true gain over its declared parent.

    Args:
        state: The run.
        decided: The decision that is recorded with the move; None where it is about something else,
            say runs on vault or a retraction that is recorded already.
    """
    standing = [place for place in standing_places(state, decided) if beats_baseline(place)]
    if not standing:
        return []
    claim, leading = standing[0].hypothesis, leader(state)
    score = state.mean_score(claim.tree_key, "vault")
    if score is None or (leading is not None and leading.hypothesis == claim.post_id):
        return []
    return [FrontierMoved(claim.commit, claim.post_id, score)]


def beats_baseline(place: Placed) -> bool:
    """Whether a gain over the baseline is sure, as far as one is known: the start's bound is 0."""
    return place.standing is None or place.standing.low > 0
