"""The Mind protocol: what decides for an agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agents.actions import Action
from agents.lab import Lab
from agents.observation import Observation


class Mind(Protocol):
    """Decides what an agent does next; keeps no state that the observation could not rebuild."""

    async def decide(self, observation: Observation, lab: Lab) -> Sequence[Action]:
        """Answer one turn with actions, at most one of them `Run` or `Reproduce`.

        `lab` is for reading (`read_tree`, `merge`); running goes through actions.
        """
        ...
