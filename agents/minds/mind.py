"""The Mind protocol: what decides for an agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from agents.actions import Action
from agents.lab import LabReader
from agents.observation import Observation


class Mind(Protocol):
    """Decides what an agent does next; keeps no state that the observation could not rebuild."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer one turn with actions, at most one of them `Run` or `Reproduce`.

        `lab` only reads: `read_tree`, and `merge` for roles with that right; all else is an action.
        """
        ...


@runtime_checkable
class PaidMind(Mind, Protocol):
    """A mind that can tell what its thinking costs."""

    usd: float
    """Dollars spent so far."""
