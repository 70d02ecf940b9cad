"""Minds with the time and the money that a turn takes, in a modelled world.

What is slept here a language model would spend thinking; what it is told at the beginning of a turn
may be old by its end, as there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from agents.actions import Action
from agents.lab import LabReader
from agents.minds.mind import Mind
from agents.observation import Observation
from community.modelled.chance import around
from community.modelled.parameters import WorldSection


class PacedMind:
    """Another mind that takes its time.

    Args:
        inner: What decides.
        section: What a turn takes.
    """

    def __init__(self, inner: Mind, section: WorldSection) -> None:
        self._inner = inner
        self._section = section
        self.usd = 0.0
        """Dollars spent so far."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Think for a while, then answer as the inner mind does on what was observed before.

        Cancellation: the turn is not paid for.
        """
        section = self._section
        thinking_s = around(
            section.thinking_s, section.thinking_spread, "thinking", observation.seed
        )
        if thinking_s:
            await asyncio.sleep(thinking_s)
        self.usd += section.cost_usd
        return await self._inner.decide(observation, lab)
