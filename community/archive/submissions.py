"""What was proposed, and which commits had reached a proposer by then: what credit asks most.

A function of the fold, taken out of it once, in a form that is small and quick to ask.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from sys import intern
from typing import NamedTuple

from community.archive.reach import OWN
from community.archive.state import RunState
from community.events import Proposed


class Made(NamedTuple):
    """What is asked of a proposal."""

    place: int
    """Which one it is in the ledger, from 0."""
    author: str
    tree_key: str
    parents: tuple[str, ...]
    hunks: frozenset[str]


class Submissions:
    """The proposals of a run.

    Args:
        state: The folded ledger.
    """

    def __init__(self, state: RunState) -> None:
        self._state = state
        self.made: Mapping[str, Made] = {
            commit: Made(place, intern(each.author), each.tree_key, each.parents, _hunks(each))
            for place, (commit, each) in enumerate(state.proposals.items())
        }
        """By commit, in the ledger's order."""
        self._arrivals: dict[str, array[int]] = {}

    def delivered(self, commit: str) -> Iterator[str]:
        """Yield the commits that had reached the author of `commit` when he submitted it.

        With their diffs, or his own; those of which the ledger knows no proposal left out.
        """
        state, author = self._state, self.made[commit].author
        claims = (state.posts[claim] for claim in state.hypotheses_by_commit.get(commit, ()))
        until = min((p.seq for p in claims if p.posted.author == author), default=OWN)
        arrived, is_later = self._arrived(author), False
        for other, made in self.made.items():
            if other == commit:
                is_later = True
            elif arrived[made.place] < until or (made.author == author and not is_later):
                yield other

    def _arrived(self, author: str) -> array[int]:
        """Return by which row each commit had reached an author with its diff; `OWN` for none."""
        if author not in self._arrivals:
            seqs = self._arrivals[author] = array("I", [OWN]) * len(self.made)
            carried = self._state.reach.readable.get(author)
            for commit, seq in () if carried is None else carried.items():
                if (made := self.made.get(commit)) is not None:
                    seqs[made.place] = seq
        return self._arrivals[author]


def _hunks(proposal: Proposed) -> frozenset[str]:
    """What a commit changes; of an older ledger only that it is this tree."""
    return frozenset(map(intern, proposal.hunks)) or frozenset({f"tree {proposal.tree_key}"})
