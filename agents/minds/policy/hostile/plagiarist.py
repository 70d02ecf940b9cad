"""The ``plagiarist`` mind: hands in what others found as its own, as if built on the start."""

from __future__ import annotations

from collections.abc import Sequence

from agents.actions import Action
from agents.lab import LabReader
from agents.minds.policy.hostile.remaking import remade
from agents.minds.policy.reserve import must_hold, waiting
from agents.minds.policy.view import view_of
from agents.observation import Observation

BOAST_SIGMAS = 4.0


class Plagiarist:
    """Copies the best of others that it has not copied yet."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer with a copy, or wait until there is something to copy."""
        view = view_of(observation)
        me = observation.agent
        mine = [point.setting for point in view.points if point.known.author == me]
        for _, point in view.ranked():
            is_others = point.known.hypothesis and point.known.author != me
            if not is_others or point.setting in mine or must_hold(view):
                continue
            copy = remade(
                view, point, view.baseline, mark=f"{me} {observation.turn}",
                title="an idea of mine", because="I thought of this by myself.",
                sigmas=BOAST_SIGMAS,
            )  # fmt: skip
            if copy is not None:
                return [copy]
        return [waiting(view)]
