"""Sixteen agents at once, three APIs, a thousand turns of calls that fail: no cap is passed."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict

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

    def settled(self, entry: Settled) -> None:
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


@pytest.mark.timeout(300)
async def test_no_cap_is_passed_and_the_sums_are_the_servers(monkeypatch):
    """What is settled is what the servers counted, to the last millionth of a dollar."""
    chance = random.Random(7)
    ledger, bills = CheckedLedger(), {flavour: {} for flavour in FLAVOURS}
    prompt = make_prompt(SEEN)
    question = Question(prompt, Options(answer_tokens=800))
    async with (
        serving(FLAVOURS[0], script_of(chance, bills[FLAVOURS[0]])) as first,
        serving(FLAVOURS[1], script_of(chance, bills[FLAVOURS[1]])) as second,
        serving(FLAVOURS[2], script_of(chance, bills[FLAVOURS[2]])) as third,
    ):
        monkeypatch.setenv("OPENAI_BASE_URL", f"{second.url}/v1")
        minds: dict[str, str] = {}
        for number in range(AGENTS):
            flavour = FLAVOURS[number % 3]
            server = (first, second, third)[number % 3]
            name = mind_name(flavour, server.url, monkeypatch)
            head, _, tail = name.partition(":m")
            minds[f"agent-{number}"] = f"{head}:m{number}{tail}"
        monkeypatch.setenv("ANTHROPIC_BASE_URL", first.url)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{second.url}/v1")
        prices = {name: random_price(chance) for name in minds.values()}
        caps = Caps(run=Cap(micro_usd=CAP), agent=Cap(micro_usd=OWN_CAP))
        account = Account(prices, caps, ledger)
        providers = Providers(PACE)
        left = iter(range(TURNS))
        ends: dict[str, int] = defaultdict(int)

        async def live(agent: str, mind: str) -> None:
            family = family_of(mind)
            assert family is not None
            model = open_model(mind, family)
            provider = providers.get(provider_of(mind))
            caller = Caller(agent, "explorer", mind, account, provider, model)
            for turn in left:
                try:
                    until = asyncio.get_running_loop().time() + 60.0
                    await caller.ask(question, turn=turn, seed=turn, until=until)
                    ends["answered"] += 1
                except CallFailedError:
                    ends["failed"] += 1
                except OutOfFundsError:
                    ends["refused"] += 1
            await model.aclose()

        async with asyncio.TaskGroup() as group:
            for agent, mind in minds.items():
                group.create_task(live(agent, mind))
    assert sum(ends.values()) == TURNS
    assert min(ends["answered"], ends["failed"], ends["refused"]) > 0
    known = {"ok": 0, "other": 0}
    for entry in ledger.entries:
        if isinstance(entry, Settled):
            known["ok" if entry.outcome == "ok" else "other"] += entry.micro_usd
            assert entry.outcome != "ok" or entry.doubt_micro_usd == 0
    counted = defaultdict(Usage)
    for entry in ledger.entries:
        if isinstance(entry, Settled) and entry.outcome == "ok":
            counted[minds[entry.agent]] = counted[minds[entry.agent]].plus(entry.usage)
    billed = {
        mind: bills[family_of(mind)][mind.partition(":")[2].partition("@")[0]]
        for mind in counted
    }  # fmt: skip
    assert dict(counted) == billed
    assert account.run.micro_usd == known["ok"] + known["other"]
    assert account.run.doubt_micro_usd > 0
    assert ledger.highest <= CAP
    assert account.run.open_micro_usd == 0
