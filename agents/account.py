"""The account: what thinking has cost, and may cost, for a run, its roles and each agent.

Money and tokens are reserved before a call is made and settled after it, so that calls under way at
once never pass a cap together. Each step is written to the journal before it counts; what a killed
process had reserved stays spent. Of a call that broke off what it cost is only partly known: the
rest of its reservation stays taken, as doubt. Knows prices and caps, no provider and no ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agents.errors import OutOfFundsError
from agents.prices import PriceTable, Usage, in_usd, price_of


@dataclass(frozen=True, slots=True)
class Cap:
    """The most that may be spent; None means no limit."""

    micro_usd: int | None = None
    tokens: int | None = None
    calls: int | None = None


@dataclass(frozen=True, slots=True)
class Caps:
    """All caps of a run. Each holds by itself."""

    run: Cap = Cap()
    agent: Cap = Cap()
    """Of each agent."""
    roles: Mapping[str, Cap] = field(default_factory=dict)
    """Of all agents of a role together."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """Money and tokens that a call may take."""

    call_id: str
    agent: str
    role: str
    model: str
    """The mind's name, which prices go by."""
    turn: int
    micro_usd: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Settled:
    """What a call took in the end."""

    call_id: str
    agent: str
    outcome: str
    """``ok`` or a kind of failure (`agents.minds.exchange`); ``lost``: its process was killed."""
    usage: Usage
    """As the provider counted it, as far as that was heard."""
    micro_usd: int
    """What `usage` costs."""
    doubt_micro_usd: int = 0
    """What it may have cost beyond that; counts as spent."""
    doubt_tokens: int = 0


class Journal(Protocol):
    """Where an account writes down what it does, before it does it."""

    def reserved(self, entry: Reserved) -> None:
        """Record a reservation, so that it outlives the process."""
        ...

    def settled(self, entry: Settled, *, is_answer: bool = False) -> None:
        """Record how a call ended; the bill of an answer in one step with the answer."""
        ...

    def write_bill(self, agent: str) -> None:
        """Record an agent's bill whose answer will not be written, if there is one."""
        ...


@dataclass(slots=True)
class Tally:
    """Sums of one purse: a run, a role or an agent."""

    micro_usd: int = 0
    """Settled."""
    doubt_micro_usd: int = 0
    tokens: int = 0
    """Settled and in doubt."""
    calls: int = 0
    """Settled; whatever came of them."""
    usage: Usage = field(default_factory=Usage)
    open_micro_usd: int = 0
    open_tokens: int = 0
    open_calls: int = 0

    @property
    def taken_micro_usd(self) -> int:
        """Settled or in doubt."""
        return self.micro_usd + self.doubt_micro_usd


class Account:
    """One run's account of thinking.

    Args:
        prices: of all minds that may ask.
        caps: never passed.
        journal: told of every step first.
        entries: what an earlier life recorded, in order.
    """

    def __init__(
        self,
        prices: PriceTable,
        caps: Caps,
        journal: Journal,
        entries: Iterable[Reserved | Settled] = (),
    ) -> None:
        self._prices = prices
        self._caps = caps
        self._journal = journal
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._open: dict[str, Reserved] = {}
        self._news = asyncio.Event()
        self._number = 0
        for entry in entries:
            if isinstance(entry, Reserved):
                self._take(entry)
            else:
                self._give_back(entry)
        for lost in [*self._open.values()]:  # of a killed process: nobody knows what it came to
            self.settle(lost, "lost")

    async def reserve(
        self, agent: str, role: str, model: str, turn: int, prompt_tokens: int, answer_tokens: int
    ) -> Reserved:
        """Set aside the most that a call can cost; wait while calls under way may free enough.

        Args:
            agent: who asks.
            role: of which role.
            model: the mind's name, for the price.
            turn: for the record.
            prompt_tokens: the most that is sent.
            answer_tokens: the most that comes back.

        Raises:
            OutOfFundsError: a cap would be passed, whatever the calls under way come to.
            PriceError: the model has no price.

        Cancellation: nothing is reserved.
        """
        most = price_of(model, self._prices).most_micro_usd(prompt_tokens, answer_tokens)
        return await self.reserve_sum(agent, role, model, turn, most, prompt_tokens + answer_tokens)

    async def reserve_sum(
        self, agent: str, role: str, model: str, turn: int, most: int, tokens: int
    ) -> Reserved:
        """Likewise, of what is billed in dollars: a program with a limit of its own, say.

        Args:
            agent: who asks.
            role: of which role.
            model: the mind's name, for the record.
            turn: for the record.
            most: the most that it can cost, in millionths of a dollar.
            tokens: the most that it can take.

        Raises:
            OutOfFundsError: as `reserve`.

        Cancellation: nothing is reserved.
        """
        while True:
            short = self._short(agent, role, most, tokens, with_open=True)
            if not short:
                break
            if final := self._short(agent, role, most, tokens, with_open=False):
                raise OutOfFundsError(final)
            self._news.clear()
            await self._news.wait()
        entry = Reserved(self.next_call_id, agent, role, model, turn, most, tokens)
        self._journal.reserved(entry)
        self._take(entry)
        return entry

    def settle(
        self,
        entry: Reserved,
        outcome: str,
        usage: Usage | None = None,
        *,
        is_whole: bool = False,
        micro_usd: int | None = None,
        is_answer: bool = False,
    ) -> Settled:
        """Record what a call came to and free the rest of its reservation.

        Args:
            entry: its reservation.
            outcome: ``ok`` or a kind of failure.
            usage: what the provider counted, as far as that was heard.
            is_whole: Whether that is all of it; otherwise the rest stays taken, as doubt.
            micro_usd: what was billed, where that is told in dollars; else `usage` at its price.
            is_answer: Whether its answer is written down next, in the same step as the bill.
        """
        usage = usage or Usage()
        cost = micro_usd
        if cost is None:
            is_nothing = usage == Usage()
            cost = 0 if is_nothing else price_of(entry.model, self._prices).micro_usd(usage)
        doubt = 0 if is_whole else max(0, entry.micro_usd - cost)
        doubt_tokens = 0 if is_whole else max(0, entry.tokens - usage.tokens)
        settled = Settled(entry.call_id, entry.agent, outcome, usage, cost, doubt, doubt_tokens)
        self._journal.settled(settled, is_answer=is_answer)
        self._give_back(settled)
        self._news.set()
        return settled

    def close_turn(self, agent: str) -> None:
        """Write down what is left of an agent's turn: a bill whose answer was not."""
        self._journal.write_bill(agent)

    @property
    def next_call_id(self) -> str:
        """The name of the next call."""
        return f"c{self._number + 1:06d}"

    def again(self, entry: Reserved | Settled) -> None:
        """Write down and count a step of another run that is played again; nobody is paid."""
        if isinstance(entry, Reserved):
            self._journal.reserved(entry)
            self._take(entry)
        else:
            self._journal.settled(entry)
            self._give_back(entry)

    def of(self, agent: str) -> Tally:
        """Return what an agent has spent."""
        return self._tally("agent", agent)

    @property
    def run(self) -> Tally:
        """What all have spent together."""
        return self._tally("run", "")

    def in_words(self, agent: str, role: str) -> str:
        """Say to an agent what it has spent and may still spend."""
        mine = self.of(agent)
        words = f"Your thinking has cost {in_usd(mine.taken_micro_usd)} in {mine.calls} calls"
        left = [
            cap.micro_usd - tally.taken_micro_usd
            for cap, tally in self._purses(agent, role)
            if cap.micro_usd is not None
        ]
        return f"{words}; at most {in_usd(max(0, min(left)))} more." if left else f"{words}."

    def _purses(self, agent: str, role: str) -> list[tuple[Cap, Tally]]:
        purses = [(self._caps.run, self.run), (self._caps.agent, self.of(agent))]
        if role in self._caps.roles:
            purses.append((self._caps.roles[role], self._tally("role", role)))
        return purses

    def _short(self, agent: str, role: str, micro_usd: int, tokens: int, *, with_open: bool) -> str:
        """Say which cap would be passed; empty when none would."""
        for cap, tally in self._purses(agent, role):
            whose = "each agent" if tally is self.of(agent) else "the run"
            whose = f"role {role}" if cap is self._caps.roles.get(role) else whose
            open_usd = tally.open_micro_usd if with_open else 0
            open_tokens = tally.open_tokens if with_open else 0
            open_calls = tally.open_calls if with_open else 0
            if cap.micro_usd is not None:
                left = cap.micro_usd - tally.taken_micro_usd - open_usd
                if micro_usd > left:
                    return (
                        f"a call may cost {in_usd(micro_usd)} and of {whose}'s "
                        f"{in_usd(cap.micro_usd)} only {in_usd(max(0, left))} is left"
                    )
            if cap.tokens is not None and tokens > cap.tokens - tally.tokens - open_tokens:
                return f"a call may take {tokens} tokens, beyond {whose}'s {cap.tokens}"
            if cap.calls is not None and tally.calls + open_calls >= cap.calls:
                return f"{whose}'s {cap.calls} calls are used up"
        return ""

    def _tally(self, kind: str, name: str) -> Tally:
        return self._tallies.setdefault((kind, name), Tally())

    def _all_of(self, entry: Reserved) -> tuple[Tally, Tally, Tally]:
        return (self.run, self.of(entry.agent), self._tally("role", entry.role))

    def _take(self, entry: Reserved) -> None:
        self._number = max(self._number + 1, int(entry.call_id[1:]))
        self._open[entry.call_id] = entry
        for tally in self._all_of(entry):
            tally.open_micro_usd += entry.micro_usd
            tally.open_tokens += entry.tokens
            tally.open_calls += 1

    def _give_back(self, settled: Settled) -> None:
        entry = self._open.pop(settled.call_id)
        for tally in self._all_of(entry):
            tally.open_micro_usd -= entry.micro_usd
            tally.open_tokens -= entry.tokens
            tally.open_calls -= 1
            tally.micro_usd += settled.micro_usd
            tally.doubt_micro_usd += settled.doubt_micro_usd
            tally.tokens += settled.usage.tokens + settled.doubt_tokens
            tally.calls += 1
            tally.usage = tally.usage.plus(settled.usage)
