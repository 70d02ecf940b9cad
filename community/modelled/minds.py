"""Minds with the time and the money that a turn takes, in a modelled world.

What is slept here a language model would spend thinking; what it is told at the beginning of a turn
may be old by its end, as there.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from agents.actions import Action, Wait
from agents.lab import LabReader
from agents.minds.mind import Mind
from agents.observation import Observation
from community.modelled.chance import around
from community.modelled.parameters import WorldSection

LOOK_S = 600.0
"""Seconds after which a hand that waits looks whether the run is over."""


_LONGEST_S = 600.0
"""Of one turn; who thinks much longer is taken to hang."""


class Waves:
    """One mind with many hands: their turns begin together, when all of them are back.

    Args:
        hands: How many.
        patience_s: After which a wave begins without those who are not back: a hand that has left
            would else hold up the others for ever.
    """

    def __init__(self, hands: int, patience_s: float) -> None:
        self._hands = hands
        self._patience_s = patience_s
        self._next = asyncio.Event()
        self._back = 0
        self._since_s = 0.0

    def come_back(self) -> asyncio.Event:
        """Count one more hand as back; return what is set when the next wave begins."""
        own = self._next
        if not self._back:
            self._since_s = asyncio.get_running_loop().time()
        self._back += 1
        if self._back >= self._hands:
            self._begin()
        return own

    async def begins(self, wave: asyncio.Event) -> bool:
        """Wait for a wave, for up to `LOOK_S`; return whether it has begun."""
        try:
            async with asyncio.timeout(LOOK_S):
                await wave.wait()
        except TimeoutError:
            waited_s = asyncio.get_running_loop().time() - self._since_s
            if wave is self._next and waited_s >= self._patience_s:
                self._begin()
        return wave.is_set()

    def _begin(self) -> None:
        self._next.set()
        self._next, self._back = asyncio.Event(), 0


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
        self._wave: asyncio.Event | None = None
        """What it waits for; None when its turn has come."""
        self._is_on = waves is None
        self._is_awake = False
        """Whether the round has come for which it waited, so that it decides in this turn."""
        self.usd = 0.0
        """Dollars spent so far."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Think for a while, then answer as the inner mind does on what was observed before.

        Cancellation: the turn is not paid for.
        """
        section = self._section
        if section.round_s:
            if not self._is_awake:
                return await self._wait_for_round(section.round_s)
            self._is_awake = False
        if self._waves is not None:
            if not self._is_on:
                return await self._wait_for(self._waves)
            self._is_on = False
        thinking_s = around(
            section.thinking_s, section.thinking_spread, "thinking", observation.seed
        )
        if thinking_s:
            await asyncio.sleep(thinking_s)
        self.usd += section.cost_usd
        return await self._inner.decide(observation, lab)

    async def _wait_for_round(self, round_s: float) -> Sequence[Action]:
        """Wait for the next round and look again, as who waits for a wave."""
        now_s = asyncio.get_running_loop().time()
        left_s = round_s * (math.floor(now_s / round_s) + 1) - now_s
        await asyncio.sleep(min(left_s, _LONGEST_S))
        self._is_awake = left_s <= _LONGEST_S
        return (Wait(seconds=0.05),)

    async def _wait_for(self, waves: Waves) -> Sequence[Action]:
        """Wait for the next wave and look again: what the others found belongs into its turn."""
        if self._wave is None:
            self._wave = waves.come_back()
        if await waves.begins(self._wave):
            self._wave, self._is_on = None, True
        return (Wait(seconds=0.05),)
