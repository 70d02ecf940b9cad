"""Sixteen agents at once, three APIs, a thousand turns of calls that fail: no cap is passed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from contextlib import AsyncExitStack

import pytest
from mind_stage import SEEN, Ledger, mind_name
from model_servers import FLAVOURS, Cut, Say, Status, StreamError, serving

from agents.account import Account, Cap, Caps, Reserved, Settled
from agents.errors import OutOfFundsError
from agents.minds.calling import Caller
from agents.minds.catalogue import family_of, open_model, provider_of
from agents.minds.exchange import CallFailedError, Options, Question
from agents.minds.prompting import make_prompt
from agents.minds.providers import Pace, Providers
from agents.prices import Price, Usage

AGENTS = 16
TURNS = 1_000
CAP = 6_000_000
OWN_CAP = 900_000
PACE = Pace(start=4, most=8, down_after=10**9, tries=3, first_pause_s=0.001, longest_pause_s=0.002)


class CheckedLedger(Ledger):
    """Holds every cap against the entries alone, with each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.now: dict[str, int] = defaultdict(int)
        self._open: dict[str, int] = {}
        self.highest = 0

    def reserved(self, entry: Reserved) -> None:
        """Keep it, and check."""
        super().reserved(entry)
        self._open[entry.call_id] = entry.micro_usd
        self._add(entry.agent, entry.micro_usd)

    def write_bill(self, agent: str) -> None:
        """Do nothing: bills are written at once."""

    def settled(self, entry: Settled, *, is_answer: bool = False) -> None:
        """Keep it, and check."""
        super().settled(entry)
        spent = entry.micro_usd + entry.doubt_micro_usd
        self._add(entry.agent, spent - self._open.pop(entry.call_id))

    def _add(self, agent: str, micro_usd: int) -> None:
        self.now[agent] += micro_usd
        total = sum(self.now.values())
        self.highest = max(self.highest, total)
        assert total <= CAP
        assert self.now[agent] <= OWN_CAP


def script_of(chance: random.Random, billed: dict[str, Usage]):
    """Return a server's script: random answers, errors and cuts; it keeps its own bill by model."""

    def script(body, number):
        draw = chance.random()
        if draw < 0.1:
            return Status(429, headers=(("retry-after-ms", "1"),))
        if draw < 0.2:
            return Status(chance.choice([500, 529, 400]))
        usage = Usage(*(chance.randrange(1, most) for most in (3_000, 800, 4_000, 900)))
        say = Say(calls=(("wait", {"seconds": 1}),), usage=usage)
        if draw < 0.24:
            return Cut(say, chance.uniform(0.0, 0.9))
        if draw < 0.27:
            return StreamError("overloaded_error")
        billed[body["model"]] = billed.get(body["model"], Usage()).plus(usage)
        return say

    return script


def random_price(chance: random.Random) -> Price:
    """Return some price with digits that no binary fraction holds."""
    read, write = round(chance.uniform(0, 2), 4), round(chance.uniform(0, 9), 2)
    fresh, written = round(chance.uniform(0.01, 9), 3), round(chance.uniform(0.1, 40), 3)
    return Price(input=fresh, output=written, cache_read=read, cache_write=write)


class Crowd:
    """Agents that ask one question over and over, until so many turns are taken."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._providers = Providers(PACE)
        self._question = Question(make_prompt(SEEN), Options(answer_tokens=800))
        self._left = iter(range(TURNS))
        self.ends: Counter[str] = Counter()

    async def live(self, agent: str, mind: str) -> None:
        """Take turns."""
        family = family_of(mind)
        assert family is not None
        model = open_model(mind, family)
        provider = self._providers.get(provider_of(mind))
        caller = Caller(agent, "explorer", mind, self._account, provider, model)
        for turn in self._left:
            try:
                until = asyncio.get_running_loop().time() + 60.0
                await caller.ask(self._question, turn=turn, seed=turn, until=until)
                self.ends["answered"] += 1
            except CallFailedError:
                self.ends["failed"] += 1
            except OutOfFundsError:
                self.ends["refused"] += 1
        await model.aclose()


@pytest.mark.timeout(300)
async def test_no_cap_is_passed_and_the_sums_are_the_servers(monkeypatch):
    """What is settled is what the servers counted, to the last millionth of a dollar."""
    chance = random.Random(7)
    ledger, bills = CheckedLedger(), {flavour: {} for flavour in FLAVOURS}
    async with AsyncExitStack() as stack:
        urls = [
            (await stack.enter_async_context(serving(each, script_of(chance, bills[each])))).url
            for each in FLAVOURS
        ]
        minds: dict[str, str] = {}
        for number in range(AGENTS):
            name = mind_name(FLAVOURS[number % 3], urls[number % 3], monkeypatch)
            head, _, tail = name.partition(":m")
            minds[f"agent-{number}"] = f"{head}:m{number}{tail}"
        monkeypatch.setenv("ANTHROPIC_BASE_URL", urls[0])
        monkeypatch.setenv("OPENAI_BASE_URL", f"{urls[1]}/v1")
        prices = {name: random_price(chance) for name in minds.values()}
        caps = Caps(run=Cap(micro_usd=CAP), agent=Cap(micro_usd=OWN_CAP))
        account = Account(prices, caps, ledger)
        crowd = Crowd(account)
        async with asyncio.TaskGroup() as group:
            for agent, mind in minds.items():
                group.create_task(crowd.live(agent, mind))
    assert sum(crowd.ends.values()) == TURNS
    assert min(crowd.ends[end] for end in ("answered", "failed", "refused")) > 0
    settled = [entry for entry in ledger.entries if isinstance(entry, Settled)]
    counted: dict[str, Usage] = defaultdict(Usage)
    for entry in settled:
        if entry.outcome == "ok":
            counted[minds[entry.agent]] = counted[minds[entry.agent]].plus(entry.usage)
            assert entry.doubt_micro_usd == 0
    assert dict(counted) == {
        mind: bills[family_of(mind)][mind.partition(":")[2].partition("@")[0]] for mind in counted
    }
    assert account.run.micro_usd == sum(entry.micro_usd for entry in settled)
    assert account.run.doubt_micro_usd > 0
    assert ledger.highest <= CAP
    assert account.run.open_micro_usd == 0
