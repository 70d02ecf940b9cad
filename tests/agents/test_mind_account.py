"""The account: what is reserved, settled, in doubt and lost, and that no cap is ever passed."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from agents.account import Account, Cap, Caps, Reserved, Settled
from agents.errors import OutOfFundsError, PriceError
from agents.prices import FREE, Price, Usage, in_usd, price_of, price_table, shipped_prices

PRICE = Price(input=2.0, output=10.0, cache_read=0.1, cache_write=2.5)
AGENTS = ("ada", "bob", "cyd", "dan")
PRICES = {"a:m": PRICE, "b:m": Price(input=0.03, output=0.7), "free:*": FREE}


@dataclass
class Book:
    """A journal that checks each cap with every entry."""

    caps: Caps
    entries: list[Reserved | Settled] = field(default_factory=list)

    def reserved(self, entry: Reserved) -> None:
        """Keep it."""
        self.entries.append(entry)
        assert self.caps.run.micro_usd is None or self.taken() <= self.caps.run.micro_usd

    def write_bill(self, agent: str) -> None:
        """Do nothing: bills are written at once."""

    def settled(self, entry: Settled, *, is_answer: bool = False) -> None:
        """Keep it."""
        self.entries.append(entry)

    def taken(self, agent: str = "") -> int:
        """Return what is spent or set aside, by the entries alone."""
        still_open: dict[str, Reserved] = {}
        total = 0
        for entry in self.entries:
            if agent not in ("", entry.agent):
                continue
            if isinstance(entry, Reserved):
                still_open[entry.call_id] = entry
            else:
                del still_open[entry.call_id]
                total += entry.micro_usd + entry.doubt_micro_usd
        return total + sum(each.micro_usd for each in still_open.values())


def account(caps: Caps | None = None, entries=()) -> tuple[Account, Book]:
    """Return an account and its book."""
    book = Book(caps or Caps())
    return Account(PRICES, book.caps, book, entries), book


async def call(of: Account, agent: str, usage: Usage, **settled) -> Settled:
    """Make one call that comes to `usage`."""
    entry = await of.reserve(agent, "explorer", "a:m", 0, 10_000, 1_000)
    return of.settle(entry, "ok", usage, **settled)


def test_money_is_rounded_up_to_whole_millionths():
    """A token of cache at a tenth of a dollar per million costs a tenth, hence one."""
    assert PRICE.micro_usd(Usage(cache_read=1)) == 1
    assert PRICE.micro_usd(Usage(input=3, output=2, cache_read=10, cache_write=4)) == 37
    assert PRICE.most_micro_usd(1_000, 100) == 3_500
    assert in_usd(1_500) == "$0.0015"


def test_a_model_without_a_price_is_refused_unless_it_was_declared_free():
    """A star stands for the rest of a name; the longest such key holds."""
    table = price_table({"x:*": {"input": 1, "output": 2}, "x:big*": "free"})
    assert price_of("x:small", table).output == 2
    assert price_of("x:big-1", table) == FREE
    with pytest.raises(PriceError, match="declare it free"):
        price_of("y:z", table)
    with pytest.raises(PriceError, match="input"):
        price_table({"x": {"output": 1}})
    with pytest.raises(PriceError):
        price_table({"x": {"input": -1, "output": 1}})
    assert all(price.output > price.input for price in shipped_prices().values())


async def test_what_is_settled_frees_the_rest():
    """A call that is whole leaves nothing open and nothing in doubt."""
    of, book = account()
    settled = await call(of, "ada", Usage(input=100, output=50), is_whole=True)
    assert (settled.micro_usd, settled.doubt_micro_usd) == (700, 0)
    assert of.run.taken_micro_usd == of.of("ada").taken_micro_usd == book.taken() == 700
    assert of.run.open_micro_usd == of.run.open_tokens == of.run.open_calls == 0


async def test_what_is_billed_in_dollars_needs_no_price():
    """A program that tells its own cost is held to the same caps, and may be lost likewise."""
    of, book = account(Caps(run=Cap(micro_usd=10_000)))
    entry = await of.reserve_sum("ada", "explorer", "cli:x", 0, 8_000, 500)
    of.settle(entry, "ok", Usage(input=3), micro_usd=2_000, is_whole=True)
    assert of.run.taken_micro_usd == 2_000
    await of.reserve_sum("ada", "explorer", "cli:x", 1, 8_000, 500)
    with pytest.raises(OutOfFundsError):
        await of.reserve_sum("bob", "explorer", "cli:x", 0, 8_001, 500)
    again, _ = account(Caps(run=Cap(micro_usd=10_000)), book.entries)
    assert again.run.taken_micro_usd == 10_000


async def test_a_call_that_broke_off_keeps_all_it_may_have_cost():
    """What is known of it is told apart from what is not."""
    of, book = account()
    settled = await call(of, "ada", Usage(input=100))
    assert settled.micro_usd == 200
    assert settled.micro_usd + settled.doubt_micro_usd == PRICE.most_micro_usd(10_000, 1_000)
    assert of.run.taken_micro_usd == book.taken()


async def test_a_killed_process_s_reservations_stay_spent():
    """Who opens the account again writes them off as lost, once."""
    of, book = account()
    await of.reserve("ada", "explorer", "a:m", 0, 10_000, 1_000)
    await call(of, "ada", Usage(input=5), is_whole=True)
    again, later = account(entries=book.entries)
    assert [each.outcome for each in later.entries if isinstance(each, Settled)] == ["lost"]
    assert again.run.taken_micro_usd == PRICE.most_micro_usd(10_000, 1_000) + 10
    third, last = account(entries=[*book.entries, *later.entries])
    assert last.entries == []
    assert third.run.taken_micro_usd == again.run.taken_micro_usd
    entry = await third.reserve("ada", "explorer", "a:m", 1, 1, 1)
    assert entry.call_id not in {each.call_id for each in book.entries}


@pytest.mark.parametrize(
    ("caps", "words"),
    [
        (Caps(run=Cap(micro_usd=34_999)), "the run's"),
        (Caps(agent=Cap(micro_usd=34_999)), "each agent's"),
        (Caps(roles={"explorer": Cap(micro_usd=34_999)}), "role explorer's"),
        (Caps(run=Cap(tokens=10_999)), "the run's 10999"),
        (Caps(agent=Cap(calls=0)), "0 calls"),
    ],
)
async def test_each_cap_holds_by_itself(caps, words):
    """The first that a call might pass refuses it, in words."""
    of, book = account(caps)
    with pytest.raises(OutOfFundsError, match=words):
        await of.reserve("ada", "explorer", "a:m", 0, 10_000, 1_000)
    assert book.entries == []


async def test_who_may_be_freed_for_waits():
    """A call waits for those under way, and goes when one of them cost less than it might."""
    of, _ = account(Caps(run=Cap(micro_usd=50_000)))
    first = await of.reserve("ada", "explorer", "a:m", 0, 10_000, 1_000)
    second = asyncio.create_task(of.reserve("bob", "explorer", "a:m", 0, 10_000, 1_000))
    await asyncio.sleep(0)
    assert not second.done()
    of.settle(first, "ok", Usage(input=10), is_whole=True)
    assert (await second).agent == "bob"


async def test_who_cannot_be_freed_for_is_refused_at_the_last_settlement():
    """Waiting ends when what was under way has cost too much."""
    of, _ = account(Caps(run=Cap(micro_usd=50_000)))
    first = await of.reserve("ada", "explorer", "a:m", 0, 10_000, 1_000)
    second = asyncio.create_task(of.reserve("bob", "explorer", "a:m", 0, 10_000, 1_000))
    await asyncio.sleep(0)
    of.settle(first, "cut")
    with pytest.raises(OutOfFundsError):
        await second


async def test_a_waiting_call_can_be_cancelled():
    """Nothing is reserved for it."""
    of, _ = account(Caps(run=Cap(micro_usd=50_000)))
    await of.reserve("ada", "explorer", "a:m", 0, 10_000, 1_000)
    waiting = asyncio.create_task(of.reserve("bob", "explorer", "a:m", 0, 10_000, 1_000))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert of.of("bob").open_calls == 0


@settings(max_examples=30, deadline=None, phases=(Phase.generate,))
@given(seed=st.integers(0, 2**32), cap=st.integers(0, 300_000))
def test_no_order_of_calls_passes_the_cap(seed, cap):
    """Any number of callers at once, whatever calls come to, killed and opened again."""
    chance = random.Random(seed)
    caps = Caps(run=Cap(micro_usd=cap), agent=Cap(micro_usd=cap // 2))

    async def calls(of: Account, agent: str) -> None:
        for turn in range(6):
            model = chance.choice(["a:m", "b:m", "free:x"])
            sizes = chance.randrange(1, 8_000), chance.randrange(1, 2_000)
            try:
                entry = await of.reserve(agent, "explorer", model, turn, *sizes)
            except OutOfFundsError:
                continue
            await asyncio.sleep(0)
            usage = Usage(input=chance.randrange(sizes[0] + 1), output=chance.randrange(sizes[1]))
            if chance.random() < 0.1:
                raise ConnectionAbortedError  # its process is killed within the call
            of.settle(entry, "ok", usage, is_whole=chance.random() < 0.8)

    async def life(entries) -> Book:
        book = Book(caps, list(entries))
        of = Account(PRICES, caps, book, entries)
        async with asyncio.timeout(5):
            tasks = [asyncio.create_task(calls(of, name)) for name in AGENTS]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:  # a killed process takes all with it
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert all(book.taken(name) <= cap // 2 for name in AGENTS)
        assert of.run.taken_micro_usd + of.run.open_micro_usd == book.taken() <= cap
        return book

    entries: list[Reserved | Settled] = []
    for _ in range(3):
        book = asyncio.run(life(entries))
        entries = book.entries
