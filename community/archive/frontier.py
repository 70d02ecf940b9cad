"""The frontier in the ledger follows the order of the leaderboard, one move at a time.

What leads is what the last move says that still stands (`community.archive.queries.leader`): a
recorded fact, which costs nothing to ask. Whoever records something that may change the order asks
here for the move that goes with it.
"""

from __future__ import annotations

from community.archive.queries import leader
from community.archive.standing import standing_places
from community.archive.state import RunState
from community.events import FrontierMoved, StatusChanged


def frontier_move(state: RunState, decided: StatusChanged | None = None) -> list[FrontierMoved]:
    """Return the move to the reproduced commit whose gain over the baseline is surest, or nothing.

    Nothing where it leads already, and where no commit is reproduced.

    Args:
        state: The run.
        decided: The decision that is recorded with the move; None where it is about something else,
            say runs on vault or a retraction that is recorded already.
    """
    standing = standing_places(state, decided)
    if not standing:
        return []
    claim, leading = standing[0].hypothesis, leader(state)
    score = state.mean_score(claim.tree_key, "vault")
    if score is None or (leading is not None and leading.hypothesis == claim.post_id):
        return []
    return [FrontierMoved(claim.commit, claim.post_id, score)]
