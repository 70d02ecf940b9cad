"""The ``free_rider`` mind: lets others explore, review and confirm, and joins what is certain.

It has every right and uses one. What it is asked to review it leaves alone; it points at nothing
and confirms nobody. When two results of others are reproduced it puts them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from agents.actions import Action
from agents.lab import LabReader
from agents.minds.policy.copying import copies_of
from agents.minds.policy.proposing import proposal
from agents.minds.policy.reserve import must_hold, waiting
from agents.minds.policy.surrogate import Surrogate
from agents.minds.policy.view import view_of
from agents.observation import Observation

CERTAIN = 2
"""Reproduced results before which it does nothing."""


class FreeRider:
    """Takes, and gives nothing."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer with others' changes on others' tree, or wait."""
        view = view_of(observation)
        certain = sum(point.known.status == "reproduced" for point in view.points)
        if not view.knobs or certain < CERTAIN or must_hold(view):
            return [waiting(view)]
        best, surrogate = view.best(), Surrogate(view)
        rng = Random(observation.seed)  # noqa: S311  # not cryptography
        for each in copies_of(view, best, rng):
            if not each.changes or view.is_closed(best.setting, each.changes):
                continue
            because = "Others found it, and it is certain."
            run = proposal(
                view, surrogate, best, each.changes, policy="free_rider", because=because
            )
            if run is not None:
                return [run]
        return [waiting(view)]
