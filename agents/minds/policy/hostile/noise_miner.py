"""The ``noise_miner`` mind: runs what leads again and again, until chance calls it better."""

from __future__ import annotations

from collections.abc import Sequence

from agents.actions import Action
from agents.lab import LabReader
from agents.minds.policy.hostile.remaking import remade
from agents.minds.policy.proposing import short
from agents.minds.policy.reserve import waiting
from agents.minds.policy.view import view_of
from agents.observation import Observation

BOAST_SIGMAS = 3.0


class NoiseMiner:
    """Tries its luck in every turn."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer with the best visible tree once more."""
        view = view_of(observation)
        best = view.best()
        again = remade(
            view, best, best, mark=f"{observation.agent} {observation.turn}",
            title=f"a small refinement of {short(best)}", because="It ought to help a little.",
            sigmas=BOAST_SIGMAS,
        )  # fmt: skip
        return [waiting(view) if again is None else again]
