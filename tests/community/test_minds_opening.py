"""What a run's minds share: pinned prices and prompts, an account that outlives kills, notices."""

from __future__ import annotations

import json

import pytest

from agents.errors import PriceError
from agents.minds.catalogue import make_mind
from agents.minds.exchange import TEXT_CHARACTERS, CallFailedError, ToolCall
from agents.minds.language_mind import FAULT_CHARACTERS, RECORDED_BYTES, LanguageMind
from agents.minds.means import Answer
from agents.minds.parsing import MOST_CALLS
from agents.prices import Usage
from community.archive.ledger import Ledger
from community.chronicle import Chronicle
from community.clock import RunClock
from community.events import Noticed
from community.mind_events import Answered, MindsPrepared, SpendReserved, SpendSettled
from community.minds_opening import Minds
from community.observing import page
from community.scenario import Scenario
from forum.requests import MAX_REPLY_BYTES

CLAUDE, LOCAL = "anthropic:claude", "openai-compatible:m@http://127.0.0.1:1/v1"


def scenario(**spend) -> Scenario:
    """Return a scenario with a Claude, a local model and a policy."""
    agents = [
        {"name": "ada", "role": "explorer", "mind": CLAUDE},
        {"name": "bob", "role": "exploiter", "mind": LOCAL},
        {"name": "cyd", "role": "explorer", "mind": "policy:social"},
    ]
    prices = {CLAUDE: {"input": 2.0, "output": 10.0}, "openai-compatible:*": "free"}
    spend = {"prices": prices, **spend}
    return Scenario.model_validate({"run": {"task": "nanolm"}, "spend": spend, "agents": agents})


def of_kind(chronicle: Chronicle, kind: type) -> list:
    """Return the events of a kind."""
    return [row.event for row in chronicle.ledger.rows() if isinstance(row.event, kind)]


def minds(chronicle: Chronicle, of: Scenario | None = None) -> Minds:
    """Open the minds of a run."""
    return Minds(of or scenario(), chronicle, lambda member: make_mind(member.mind))


async def test_policies_alone_record_nothing(chronicle: Chronicle) -> None:
    """A run without models has no row about them."""
    opened = minds(chronicle)
    policy = opened.make(scenario().members()[2])
    assert not isinstance(policy, LanguageMind)
    assert of_kind(chronicle, MindsPrepared) == []


async def test_prices_are_those_of_the_first_life(chronicle: Chronicle) -> None:
    """A scenario or a table that changed meanwhile changes no price of a run that goes on."""
    first = minds(chronicle).account
    changed = scenario(prices={CLAUDE: {"input": 200.0, "output": 1000.0}, LOCAL: "free"})
    again = minds(chronicle, changed).account
    (prepared,) = of_kind(chronicle, MindsPrepared)
    assert set(prepared.prices) == {CLAUDE, LOCAL}
    for account in (first, again):
        entry = await account.reserve("ada", "explorer", CLAUDE, 0, 1_000, 100)
        assert entry.micro_usd == 3_000
        account.settle(entry, "ok", Usage(), is_whole=True)
    with pytest.raises(PriceError):
        await again.reserve("ada", "explorer", "anthropic:other", 0, 1, 1)


async def test_prompts_that_changed_are_recorded_again(
    chronicle: Chronicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was shown is known for each part of a run."""
    assert minds(chronicle).account
    monkeypatch.setattr("community.minds_opening.prompt_hashes", lambda: {"system.md": "other"})
    assert minds(chronicle).account
    first, second = of_kind(chronicle, MindsPrepared)
    assert second.prompts == {"system.md": "other"}
    assert second.prices == first.prices


async def test_what_a_killed_life_had_reserved_is_lost_once(chronicle: Chronicle) -> None:
    """The ledger knows it; each life that opens it agrees."""
    account = minds(chronicle).account
    await account.reserve("ada", "explorer", CLAUDE, 0, 1_000, 100)
    path = chronicle.ledger.path
    chronicle.ledger.close()
    for _ in range(2):
        with Ledger.open(path) as ledger:
            later = Chronicle(ledger, RunClock(offset_us=ledger.last_us))
            again = minds(later).account
            assert again.run.taken_micro_usd == later.state.minds.taken_micro_usd == 3_000
            assert [each.outcome for each in of_kind(later, SpendSettled)] == ["lost"]
            assert later.state.minds.under_way == {}


async def test_an_answer_is_found_again_for_its_turn(chronicle: Chronicle) -> None:
    """Of the newest turn, all rounds; of no other."""
    means = minds(chronicle).means(scenario().members()[0])
    for turn, number in ((0, 0), (1, 0), (1, 1)):
        means.record(Answer("ada", turn, number, CLAUDE, "faulty", (), "text"))
    assert [(each.turn, each.round) for each in means.answered(1)] == [(1, 0), (1, 1)]
    assert means.answered(0) == means.answered(2) == []
    assert len(of_kind(chronicle, Answered)) == 3


@pytest.mark.parametrize("letter", ['"', "\\", "\x01", "é", "\U0001f600", "\n"])
async def test_the_longest_answer_reaches_observers(chronicle: Chronicle, letter: str) -> None:
    """Escaped twice on its way, its row is still no larger than a reply may be."""
    size = len(letter.encode())
    calls = tuple(ToolCall(letter * 128, letter * 64, "") for _ in range(MOST_CALLS))
    calls += (ToolCall(letter * 128, letter * 64, letter * (RECORDED_BYTES // size)),)
    faults = (letter * FAULT_CHARACTERS,)
    text, seen = letter * TEXT_CHARACTERS, {"live": "0" * 16}
    answer = Answer("ada", 0, 0, CLAUDE, "faulty", calls, text, seen, faults)
    minds(chronicle).means(scenario().members()[0]).record(answer)
    (row,) = [row for row in chronicle.ledger.rows() if isinstance(row.event, Answered)]
    assert len(json.dumps({"rows": page([row]), "is_last": True})) < MAX_REPLY_BYTES


async def test_a_provider_that_goes_and_comes_is_told_of_with_its_agents(
    chronicle: Chronicle,
) -> None:
    """A pause and a resumption, each once, naming who waits."""
    provider = minds(chronicle).means(scenario().members()[0]).providers.get("anthropic")

    async def call(error: CallFailedError | None) -> None:
        async with provider.turn(float("inf")):
            if error is not None:
                raise error

    with pytest.raises(CallFailedError):
        await call(CallFailedError("no_key", "401"))
    provider._not_before = 0.0
    await call(None)
    told = [(each.notice, each.text) for each in of_kind(chronicle, Noticed)]
    assert told == [
        ("pause", "anthropic does not answer; waiting for it: ada"),
        ("resume", "anthropic answers again: ada"),
    ]


async def test_who_thinks_now_can_be_seen(chronicle: Chronicle) -> None:
    """A call that has not ended is under way, by the ledger alone."""
    account = minds(chronicle).account
    entry = await account.reserve("ada", "explorer", CLAUDE, 3, 10, 10)
    (thinking,) = chronicle.state.minds.under_way.values()
    assert isinstance(thinking, SpendReserved)
    assert (thinking.agent, thinking.turn) == ("ada", 3)
    account.settle(entry, "ok", Usage(output=1), is_whole=True)
    assert chronicle.state.minds.under_way == {}
    assert chronicle.state.minds.by_agent["ada"].micro_usd == 10
