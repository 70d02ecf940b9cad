"""Opening what a run's minds share: the account, the providers, and the record of answers.

Prices are pinned by the ledger's first row about them; prompts are recorded again where their files
have changed. Built-in policies need none of it, and a run of them alone records none. Providers
that go down, and come back, are told of as notices; the community goes on meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace

from agents.account import Account, Reserved, Settled
from agents.minds.catalogue import is_command_mind, make_mind, provider_of
from agents.minds.exchange import ToolCall
from agents.minds.language_mind import LanguageMind
from agents.minds.means import Answer, Means
from agents.minds.mind import Mind
from agents.minds.prompt_files import prompt_hashes
from agents.minds.providers import Pace, Providers
from agents.prices import (
    Price,
    PriceTable,
    Usage,
    price_of,
    price_or_none,
    price_table,
    shipped_prices,
)
from community.archive.state import RunState
from community.chronicle import Chronicle
from community.cli_sections import cli_of
from community.command_runs import Programs
from community.errors import CommunityError
from community.events import Event, Noticed
from community.mind_events import Answered, MindsPrepared, SpendReserved, SpendSettled
from community.mind_faults import is_language_mind, is_replay
from community.scenario import Member, Scenario
from community.spend_sections import ModelSection


class Minds:
    """Makes the minds of one run's agents; those that ask models share an account and providers.

    Args:
        scenario: who takes part and what thinking may cost.
        chronicle: where reservations, settlements and answers are recorded.
        others: makes minds that ask no model.
        pace: how patient callers of providers are.
        programs: how coding programs are run, where they can be.
    """

    def __init__(
        self,
        scenario: Scenario,
        chronicle: Chronicle,
        others: Callable[[Member], Mind],
        pace: Pace | None = None,
        programs: Programs | None = None,
    ) -> None:
        self._scenario = scenario
        self._programs = programs
        self._chronicle = chronicle
        self._others = others
        self._made: list[LanguageMind] = []
        self._account: Account | None = None
        self._journal = _Journal(chronicle)
        self.providers = Providers(pace, self._tell)
        """Whom those that ask models share."""
        self.failure: CommunityError | None = None
        """Why the run cannot go on, by the word of a mind."""

    def make(self, member: Member) -> Mind:
        """Return the mind of `member`.

        Raises:
            MindError: it cannot be made here.
            PriceError: its model has no price.
            RecordError: it is to answer from a record that has no answers of this agent.
        """
        if is_replay(member.mind):
            from community.recorded.live import ReplayMind

            opened = self._chronicle.state.opened
            assert opened is not None
            return ReplayMind(member, self.means(member), opened, self._fail)
        if not is_language_mind(member.mind):
            return self._others(member)
        mind = make_mind(member.mind, self.means(member))
        if isinstance(mind, LanguageMind):
            self._made.append(mind)
        return mind

    def means(self, member: Member) -> Means:
        """Return what the mind of `member` may use; also of minds that ask by other ways.

        Raises:
            PriceError: a model of the scenario has no price.
        """
        means = Means(
            member.name,
            member.role,
            self.account,
            self.providers,
            (member.model or ModelSection()).as_options(),
            self._record,
            lambda turn: self._answered(member.name, turn),
        )
        if not is_command_mind(member.mind) or self._programs is None:
            return means
        prices = pinned_prices(self._scenario, self._chronicle.state)
        cli = cli_of(member.mind, self._scenario.minds, prices)
        commands = None if cli is None else self._programs(member.name, cli)
        return replace(means, cli=cli, commands=commands)

    @property
    def account(self) -> Account:
        """The run's account, opened with what the ledger holds.

        Raises:
            PriceError: a model of the scenario has no price.
        """
        if self._account is None:
            prices = self._prepare()
            entries = account_entries(self._chronicle.state)
            caps = self._scenario.spend.as_caps()
            self._account = Account(prices, caps, self._journal, entries)
        return self._account

    def _fail(self, why: CommunityError) -> None:
        self.failure = self.failure or why

    def say(self, *events: Event) -> None:
        """Record what is told of minds."""
        self._chronicle.record(*events)

    async def aclose(self) -> None:
        """Close the connections of all minds that were made."""
        for mind in self._made:
            await mind.aclose()

    def _prepare(self) -> PriceTable:
        """Return the prices that hold, and record them and the prompts where that is new."""
        state = self._chronicle.state
        prices, prompts = pinned_prices(self._scenario, state), dict(prompt_hashes())
        if state.minds.prepared is None or state.minds.prompts != prompts:
            plain = {name: price.model_dump(exclude_none=True) for name, price in prices.items()}
            self._chronicle.record(MindsPrepared(prompts, plain))
        return prices

    def _record(self, answer: Answer) -> None:
        self._chronicle.record(
            *self._journal.bill(answer.agent),
            Answered(
                agent=answer.agent,
                turn=answer.turn,
                round=answer.round,
                mind=answer.mind,
                outcome=answer.outcome,
                calls=tuple(asdict(call) for call in answer.calls),
                text=answer.text,
                seen=answer.seen,
                faults=answer.faults,
            ),
        )

    def _answered(self, agent: str, turn: int) -> Sequence[Answer]:
        recorded = self._chronicle.state.minds.answers.get(agent, ())
        return [as_answer(each) for each in recorded if each.turn == turn]

    def _tell(self, provider: str, is_up: bool) -> None:
        names = [m.name for m in self._scenario.members() if provider_of(m.mind) == provider]
        who = ", ".join(names)
        if is_up:
            self._chronicle.record(Noticed("resume", f"{provider} answers again: {who}"[:300]))
        else:
            text = f"{provider} does not answer; waiting for it: {who}"
            self._chronicle.record(Noticed("pause", text[:300]))


@asynccontextmanager
async def open_minds(
    scenario: Scenario,
    chronicle: Chronicle,
    others: Callable[[Member], Mind],
    pace: Pace | None = None,
    programs: Programs | None = None,
) -> AsyncIterator[Minds]:
    """Make minds within the block, and close their connections after it."""
    minds = Minds(scenario, chronicle, others, pace, programs)
    try:
        yield minds
    finally:
        await minds.aclose()


def as_answer(event: Answered) -> Answer:
    """Return a recorded answer as minds take it."""
    calls = tuple(
        ToolCall(each["call_id"], each["name"], each["arguments"]) for each in event.calls
    )
    return Answer(
        agent=event.agent,
        turn=event.turn,
        round=event.round,
        mind=event.mind,
        outcome=event.outcome,
        calls=calls,
        text=event.text,
        seen=event.seen,
        faults=event.faults,
    )


def pinned_prices(scenario: Scenario, state: RunState) -> PriceTable:
    """Return the prices that a run has pinned, or that a new one would.

    Raises:
        PriceError: a model of the scenario has no price.
    """
    if state.minds.prepared is not None:
        return price_table(state.minds.prepared.prices)
    return dict(_prices(scenario))


def account_entries(state: RunState) -> list[Reserved | Settled]:
    """Return what a ledger holds of calls, as an account takes it."""
    return [as_entry(each) for each in state.minds.entries]


def _prices(scenario: Scenario) -> Iterator[tuple[str, Price]]:
    """Yield the prices of the minds that take part, by mind."""
    known = {**shipped_prices(), **(scenario.spend.prices or {})}
    for name in dict.fromkeys(member.mind for member in scenario.members()):
        if is_command_mind(name):  # which may tell what it costs, or be billed by the turn
            price = price_or_none(name, known)
            if price is not None:
                yield name, price
        elif is_language_mind(name):
            yield name, price_of(name, known)


class _Journal:
    """Writes an account's steps into the ledger."""

    def __init__(self, chronicle: Chronicle) -> None:
        self._chronicle = chronicle
        self._bills: dict[str, SpendSettled] = {}
        """Of answers that are being read, by agent: written in one transaction with them, so that a
        kill finds both or neither."""

    def bill(self, agent: str) -> list[SpendSettled]:
        """Return the bill of an agent's answer that is being read, for whoever writes it down."""
        return [self._bills.pop(agent)] if agent in self._bills else []

    def write_bill(self, agent: str) -> None:
        for bill in self.bill(agent):
            self._chronicle.record(bill)

    def reserved(self, entry: Reserved) -> None:
        self._chronicle.record(
            SpendReserved(
                entry.call_id,
                entry.agent,
                entry.role,
                entry.model,
                entry.turn,
                entry.micro_usd,
                entry.tokens,
            )
        )

    def settled(self, entry: Settled, *, is_answer: bool = False) -> None:
        usage = entry.usage
        self._bills[entry.agent] = SpendSettled(
            call_id=entry.call_id,
            agent=entry.agent,
            outcome=entry.outcome,
            input=usage.input,
            output=usage.output,
            cache_read=usage.cache_read,
            cache_write=usage.cache_write,
            thinking=usage.thinking,
            micro_usd=entry.micro_usd,
            doubt_micro_usd=entry.doubt_micro_usd,
            doubt_tokens=entry.doubt_tokens,
        )
        if not is_answer:
            self.write_bill(entry.agent)


def as_entry(event: SpendReserved | SpendSettled) -> Reserved | Settled:
    """Return a recorded step of the account as accounts take it."""
    if isinstance(event, SpendReserved):
        return Reserved(
            event.call_id,
            event.agent,
            event.role,
            event.model,
            event.turn,
            event.micro_usd,
            event.tokens,
        )
    return Settled(
        event.call_id,
        event.agent,
        event.outcome,
        Usage(event.input, event.output, event.cache_read, event.cache_write, event.thinking),
        event.micro_usd,
        event.doubt_micro_usd,
        event.doubt_tokens,
    )
