"""Guests' minds: what decides for an agent that joins a run from elsewhere, and pays for itself.

A mind that asks a model has its own key and its own account here, up to what its owner allows. What
a turn cost is told to the run with the turn. What an earlier process spent is not known.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

from agents.account import Account, Cap, Caps, Reserved, Settled
from agents.actions import Action
from agents.errors import MindError, PriceError
from agents.lab import LabReader
from agents.minds.catalogue import is_command_mind, make_mind
from agents.minds.language_mind import LanguageMind
from agents.minds.means import Means
from agents.minds.mind import Mind
from agents.minds.providers import Providers
from agents.observation import Observation
from agents.prices import FREE, MICRO_USD, price_of
from community.mind_faults import check_mind, is_language_mind, prices_of


class GuestMinds:
    """Makes the mind of one agent that joins, as often as it takes its seat.

    Args:
        mind: its name.
        usd: the most that it may cost in this process; None for nothing.
        prices: a file of prices over those that are shipped.

    Raises:
        MindError: the mind asks a model that costs money and no limit was given, or its SDK or its
            key is missing.
        PriceError: its model has no price, or the file holds none.
    """

    def __init__(self, mind: str, usd: float | None, prices: Path | None) -> None:
        self._mind = mind
        self._account: Account | None = None
        self._providers = Providers()
        self._made: list[LanguageMind] = []
        if is_command_mind(mind):
            raise MindError(
                f"{mind} runs a program, which a run does for its own agents: name it in the "
                "scenario, or let the program join by itself (`community mcp`)"
            )
        if not is_language_mind(mind):
            return
        check_mind(mind)
        known = prices_of(_read(prices) if prices is not None else {})
        if price_of(mind, known) != FREE and usd is None:
            raise MindError(f"{mind} costs money; say how much it may: --usd 5")
        cap = Cap() if usd is None else Cap(micro_usd=int(usd * MICRO_USD))
        self._account = Account(known, Caps(run=cap), _Nowhere())

    def make(self, name: str, role: str) -> Mind:
        """Return the mind for an agent called `name` in a role.

        Raises:
            UnknownMindError: no mind has that name.
        """
        if self._account is None:
            return make_mind(self._mind)
        means = Means(name, role, self._account, self._providers)
        mind = make_mind(self._mind, means)
        if isinstance(mind, LanguageMind):
            self._made.append(mind)
        return _Paying(mind, self._account)

    async def aclose(self) -> None:
        """Close the connections of all minds that were made."""
        for mind in self._made:
            await mind.aclose()


class _Paying:
    """A mind that can say what its thinking has cost (`agents.minds.mind.PaidMind`)."""

    def __init__(self, mind: Mind, account: Account) -> None:
        self._mind = mind
        self._account = account
        self.usd = account.run.taken_micro_usd / MICRO_USD

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer one turn."""
        try:
            return await self._mind.decide(observation, lab)
        finally:
            self.usd = self._account.run.taken_micro_usd / MICRO_USD


class _Nowhere:
    """A journal that keeps nothing: the process's own memory is all there is."""

    def reserved(self, entry: Reserved) -> None:
        """Forget it."""

    def write_bill(self, agent: str) -> None:
        """Do nothing."""

    def settled(self, entry: Settled, *, is_answer: bool = False) -> None:
        """Forget it."""


def _read(prices: Path) -> dict[str, object]:
    try:
        return tomllib.loads(prices.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PriceError(f"{prices}: {error}") from error
