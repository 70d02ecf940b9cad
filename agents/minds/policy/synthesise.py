"""The ``synthesise`` mind: merges branches, and tests whether what it merged adds up.

It does as `merge` does, but looks first at the best tree it can see: if that is a merge which was
found good, it is run once without each of its parts (`agents.minds.policy.additivity`), and when
all of that is measured the table goes into the thread of the merge. A part without which the tree
is better is out of the best tree by the same rules as any other gain.
"""

from __future__ import annotations

from collections.abc import Sequence

from agents.actions import Action, PostComment, WriteNotebook
from agents.lab import LabReader
from agents.minds.policy.additivity import (
    additivity_in_words,
    is_merged,
    leaving_one_out,
    parts_of,
)
from agents.minds.policy.merge import Merge
from agents.minds.policy.reserve import must_hold
from agents.minds.policy.surrogate import Surrogate
from agents.minds.policy.view import Point, View, view_of
from agents.observation import Observation

TOLD = 40
"""Merges that the notebook remembers as told of."""


class Synthesise:
    """Brings separate lines of work together, and says what each gives."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer with a table of what adds up, a run without one part, or what `merge` would do."""
        view = view_of(observation)
        whole = _merged_and_good(view)
        if whole is None:
            return await Merge().decide(observation, lab)
        told = observation.notebook.split()
        if whole.known.hypothesis not in told and "comment" in observation.rights:
            words = additivity_in_words(view, whole)
            if words:
                told = [*told, whole.known.hypothesis][-TOLD:]
                comment = PostComment(words, whole.known.hypothesis)
                return [comment, WriteNotebook(" ".join(told))]
        if not must_hold(view):
            run = leaving_one_out(view, Surrogate(view), whole, "synthesise")
            if run is not None:
                return [run]
        return await Merge().decide(observation, lab)


def _merged_and_good(view: View) -> Point | None:
    """Return the best tree if it was found good and holds what two branches found."""
    best = view.best()
    return best if best.is_good and is_merged(view, parts_of(view, best)) else None
