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


class Waves:
    """One mind with many hands: their turns begin together, after one thinking time.

    Nobody's turn begins before everybody is back, or nothing has come for `patience_s`: a hand that
    waits for news would else wait for ever.

    Args:
        hands: How many.
        patience_s: Longest wait for those who are not back.
    """

    def __init__(self, hands: int, patience_s: float) -> None:
        self._hands = hands
        self._patience_s = patience_s
        self._begun = asyncio.Event()
        self._back = 0

    async def begin(self) -> None:
        """Return when the next wave begins.

        Cancellation: whoever leaves is not waited for in this wave.
        """
        begun = self._begun
        self._back += 1
        if self._back >= self._hands:
            self._begin()
        try:
            async with asyncio.timeout(self._patience_s):
                await begun.wait()
        except TimeoutError:
            if begun is self._begun:
                self._begin()
        except asyncio.CancelledError:
            if begun is self._begun:
                self._back -= 1
            raise

    def _begin(self) -> None:
        self._begun.set()
        self._begun, self._back = asyncio.Event(), 0


class PacedMind:
    """Another mind that takes its time.

    Args:
        inner: What decides.
        section: What a turn takes.
        waves: Whom its turns wait for; None: for nobody.
    """

    def __init__(self, inner: Mind, section: WorldSection, waves: Waves | None = None) -> None:
        self._inner = inner
        self._section = section
        self._waves = waves
        self.usd = 0.0
        """Dollars spent so far."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Think for a while, then answer as the inner mind does on what was observed before.

        Cancellation: the turn is not paid for.
        """
        section = self._section
        if self._waves is not None:
            await self._waves.begin()
        thinking_s = around(
            section.thinking_s, section.thinking_spread, "thinking", observation.seed
        )
        if thinking_s:
            await asyncio.sleep(thinking_s)
        self.usd += section.cost_usd
        return await self._inner.decide(observation, lab)
