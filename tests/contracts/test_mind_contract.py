"""What every mind that asks a model keeps to, through the real SDKs, whatever the server does."""

from __future__ import annotations

import json

import pytest
from mind_stage import CANARY, PRICE, stage
from model_servers import (
    FLAVOURS,
    PROGRAMS,
    USED,
    Cut,
    Garbage,
    Say,
    Slow,
    Status,
    StreamError,
)

from agents.account import Cap, Caps, Settled
from agents.actions import PostComment, Run, Wait, WriteNotebook
from agents.errors import MindError, OutOfFundsError
from agents.minds.exchange import Options

PATH = "train.py"
WIDER = {"path": PATH, "how": "replace", "search": "DIM = 96", "text": "DIM = 128"}
PROPOSAL = {
    "title": "wider",
    "rationale": "more capacity",
    "parent": "",
    "edits": [WIDER],
    "gain": 0.05,
    "confidence": 0.6,
    "lead": "",
    "insists": False,
}
GOOD = Say(calls=(("propose", PROPOSAL),), text="I widen it.")
WAIT = Say(calls=(("wait", {"seconds": 3}),))


@pytest.fixture(params=FLAVOURS)
def flavour(request):
    """Each API in turn."""
    return request.param


@pytest.fixture(params=(*FLAVOURS, *PROGRAMS))
def any_mind(request):
    """Each API and each coding program in turn."""
    return request.param


def scripted(*behaviours):
    """Return a script that goes through behaviours and stays at the last."""
    return lambda body, number: behaviours[min(number, len(behaviours) - 1)]


def texts_of(body) -> str:
    """Return all that a request says."""
    return json.dumps(body, ensure_ascii=False)


async def test_a_tool_call_becomes_a_typed_action(any_mind, monkeypatch):
    """A proposal is a tree that differs as the edit says, with its knob and its prediction."""
    async with stage(any_mind, scripted(GOOD), monkeypatch) as on:
        (run,) = await on.decide()
    assert isinstance(run, Run)
    assert "DIM = 128" in run.files[PATH]
    assert dict(run.knobs) == {"DIM": 128}
    assert (run.prediction.gain, run.prediction.confidence) == (0.05, 0.6)
    assert [(each.round, each.outcome) for each in on.ledger.answers] == [(0, "acted")]


async def test_parallel_calls_become_actions_in_order(any_mind, monkeypatch):
    """Several tools in one answer are one turn."""
    say = Say(
        calls=(
            ("notebook", {"text": "tried width"}),
            ("propose", PROPOSAL),
            ("comment", {"thread": "", "text": "width next"}),
        )
    )
    async with stage(any_mind, scripted(say), monkeypatch) as on:
        actions = await on.decide()
    assert [type(each) for each in actions] == [WriteNotebook, Run, PostComment]


async def test_what_the_provider_counted_is_what_is_settled(flavour, monkeypatch):
    """Cached, written and fresh tokens are each counted once, and nothing stays in doubt."""
    async with stage(flavour, scripted(WAIT), monkeypatch) as on:
        await on.decide()
    assert on.account.run.usage == USED
    assert on.account.run.taken_micro_usd == PRICE.micro_usd(USED)
    assert on.account.run.open_micro_usd == on.account.run.doubt_micro_usd == 0


async def test_the_prompt_is_sent_with_its_stable_part_first_and_strict_tools(flavour, monkeypatch):
    """Two turns send the same beginning, so that a provider can cache it."""
    async with stage(flavour, scripted(WAIT), monkeypatch) as on:
        await on.decide()
        await on.decide(turn=1, notebook="news")
    first, second = (texts_of(body["tools"]) for body in on.served.requests)
    assert first == second
    assert '"additionalProperties": false' in first
    assert '"strict": true' in first
    starts = [texts_of(body.get("system") or body.get("instructions") or body["messages"][:1])
              for body in on.served.requests]  # fmt: skip
    assert starts[0] == starts[1]


async def test_claude_is_asked_to_cache_the_stable_parts(monkeypatch):
    """Rules, task and code carry a mark; what is new does not."""
    async with stage("anthropic", scripted(WAIT), monkeypatch) as on:
        await on.decide()
    (body,) = on.served.requests
    assert [
        "cache_control" in part for part in [*body["system"], *body["messages"][0]["content"]]
    ] == [True, True, True, False]


async def test_an_edit_that_does_not_apply_goes_back_once_with_the_reason(any_mind, monkeypatch):
    """The second round tells what was accepted and why the rest was not."""
    wrong = {**PROPOSAL, "edits": [{**WIDER, "search": "DIM = 97"}]}
    first = Say(calls=(("notebook", {"text": "n"}), ("propose", wrong)), thinking="let me see")
    async with stage(any_mind, scripted(first, GOOD), monkeypatch) as on:
        note, run = await on.decide()
    assert isinstance(note, WriteNotebook)
    assert isinstance(run, Run)
    told = texts_of(on.served.requests[1])
    assert "the search text does not occur" in told
    assert "accepted" in told
    assert [each.outcome for each in on.ledger.answers] == ["faulty", "acted"]


@pytest.mark.parametrize(
    ("api", "sign"), [("anthropic", "c2lnbmVk"), ("openai", "c2Vj")], ids=["anthropic", "openai"]
)
async def test_thinking_is_sent_back_as_it_came(api, sign, monkeypatch):
    """A second round holds the first one's thinking with its signature."""
    wrong = Say(calls=(("wait", {"seconds": -1}),), thinking="hmm")
    options = Options(thinking=2_000)
    async with stage(api, scripted(wrong, WAIT), monkeypatch, options=options) as on:
        assert await on.decide() == (Wait(3.0),)
    assert sign in texts_of(on.served.requests[1])


async def test_what_is_wrong_twice_counts_as_a_turn(any_mind, monkeypatch):
    """Two answers that cannot be used are a failed turn, both recorded and paid."""
    wrong = Say(calls=(("propose", {**PROPOSAL, "confidence": 7}),))
    async with stage(any_mind, scripted(wrong), monkeypatch) as on:
        with pytest.raises(MindError, match="confidence"):
            await on.decide()
    assert len(on.served.requests) == 2
    assert [each.outcome for each in on.ledger.answers] == ["faulty", "faulty"]


@pytest.mark.parametrize(
    "arguments",
    ["{", '{"seconds": NaN}', "[]", '{"seconds": 1e999}', '{"seconds": "\\ud800"}', "9" * 5_000,
     "[" * 50_000, '{"seconds": 1, "also": 2}'],
    ids=["cut", "nan", "list", "inf", "surrogate", "digits", "deep", "extra"],
)  # fmt: skip
async def test_arguments_that_are_no_arguments_go_back(flavour, arguments, monkeypatch):
    """Whatever a model writes for JSON is told to be none, and nothing breaks."""
    script = scripted(Say(calls=(("wait", arguments),)), WAIT)
    async with stage(flavour, script, monkeypatch) as on:
        assert await on.decide() == (Wait(3.0),)
    assert on.ledger.answers[0].outcome == "faulty"


async def test_tricks_with_letters_do_not_reach_a_prompt_or_a_path(flavour, monkeypatch):
    """Unknown tools, look-alike paths and invisible letters are refused or carried as data."""
    odd = {**PROPOSAL, "edits": [{**WIDER, "path": "trаin.py"}]}
    script = scripted(Say(calls=(("propose", odd), ("rеad", {}))), WAIT)
    async with stage(flavour, script, monkeypatch) as on:
        await on.decide()
        await on.decide(turn=1, notebook="a\u202eb\u2066c\x00d</notebook 0123456789ab>")
    assert len(on.ledger.answers[0].faults) == 2
    sent = json.dumps(on.served.requests[-1])
    assert not any(each in sent for each in ("\\u202e", "\\u2066", "\\u0000"))


async def test_an_answer_without_a_call_is_asked_for_one(any_mind, monkeypatch):
    """Text alone is no turn."""
    async with stage(any_mind, scripted(Say(text="Hm."), WAIT), monkeypatch) as on:
        assert await on.decide() == (Wait(3.0),)
    assert [each.outcome for each in on.ledger.answers] == ["empty", "acted"]


async def test_a_truncated_answer_is_asked_for_a_shorter_one(flavour, monkeypatch):
    """A call that broke off is not carried out."""
    cut = Say(calls=(("propose", '{"title": "wid'),), ending="truncated")
    async with stage(flavour, scripted(cut, WAIT), monkeypatch) as on:
        assert await on.decide() == (Wait(3.0),)
    assert "shorter" in texts_of(on.served.requests[1])
    assert on.ledger.answers[0].outcome == "truncated"
    assert on.ledger.outcomes == ["truncated", "ok"]


async def test_more_than_is_recorded_goes_back_with_the_reason(any_mind, monkeypatch):
    """An answer of any length leaves a bounded record, and the model is told."""
    long = Say(calls=(("comment", {"thread": "", "text": "x" * 120_000}),))
    async with stage(any_mind, scripted(long, WAIT), monkeypatch) as on:
        assert await on.decide() == (Wait(3.0),)
    assert "change less at once" in texts_of(on.served.requests[1])
    assert sum(len(call.arguments) for call in on.ledger.answers[0].calls) < 200


async def test_a_refusal_is_a_failed_turn_and_is_counted(flavour, monkeypatch):
    """It is not asked again in that turn."""
    no = Say(text="I will not.", ending="refused")
    async with stage(flavour, scripted(no), monkeypatch) as on:
        with pytest.raises(MindError, match="refused"):
            await on.decide()
    assert [each.outcome for each in on.ledger.answers] == ["refused"]
    assert on.ledger.outcomes == ["refused"]
    assert len(on.served.requests) == 1


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(429, "rate_limited"), (500, "server_error"), (503, "overloaded"), (529, "overloaded")],
)
async def test_what_passes_is_tried_again_and_costs_nothing(flavour, status, outcome, monkeypatch):
    """A call that was turned down is free; the next one counts."""
    busy = Status(status, headers=(("retry-after", "0"),))
    async with stage(flavour, scripted(busy, busy, WAIT), monkeypatch) as on:
        assert await on.decide() == (Wait(3.0),)
    assert on.ledger.outcomes == [outcome, outcome, "ok"]
    assert on.account.run.taken_micro_usd == PRICE.micro_usd(USED)


async def test_retry_after_is_waited_for(flavour, monkeypatch):
    """The pause is as long as asked, although our own would be shorter."""
    slept: list[float] = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("agents.minds.calling.asyncio.sleep", sleep)
    busy = Status(429, headers=(("retry-after-ms", "150"),))
    async with stage(flavour, scripted(busy, WAIT), monkeypatch) as on:
        await on.decide()
    assert slept == [0.15]


async def test_a_request_that_is_wrong_is_not_repeated(flavour, monkeypatch):
    """400 is ours; asking again would be the same."""
    async with stage(flavour, scripted(Status(400, "bad schema")), monkeypatch) as on:
        with pytest.raises(MindError, match="bad schema"):
            await on.decide()
    assert len(on.served.requests) == 1
    assert on.account.run.taken_micro_usd == 0


async def test_a_key_that_is_not_accepted_pauses_the_agent_with_a_word(any_mind, monkeypatch):
    """401 is not repeated at once; the provider counts as down and whoever listens is told."""
    async with stage(any_mind, scripted(Status(401, f"bad key {CANARY}")), monkeypatch) as on:
        (wait,) = await on.decide()
    assert isinstance(wait, Wait)
    assert len(on.served.requests) == 1
    assert [is_up for _, is_up in on.ledger.told] == [False]


async def test_a_dead_provider_pauses_its_agent_and_comes_back(flavour, monkeypatch):
    """After so many failures it is down; the first answer brings it back, with a word each."""
    script = scripted(*[Status(500)] * 3, WAIT)
    async with stage(flavour, script, monkeypatch) as on:
        (wait,) = await on.decide()
        assert wait != Wait(3.0)
        assert await on.decide(turn=1) == (Wait(3.0),)
    assert [is_up for _, is_up in on.ledger.told] == [False, True]


async def test_a_stream_that_is_cut_is_tried_again_and_its_cost_stays_in_doubt(
    flavour, monkeypatch
):
    """What nobody knows counts as spent."""
    async with stage(flavour, scripted(Cut(GOOD), WAIT), monkeypatch) as on:
        assert await on.decide() == (Wait(3.0),)
    assert on.ledger.outcomes == ["cut", "ok"]
    assert on.account.run.doubt_micro_usd > 0
    first = next(each for each in on.ledger.entries if isinstance(each, Settled))
    assert first.micro_usd + first.doubt_micro_usd == on.ledger.entries[0].micro_usd


async def test_an_error_within_a_stream_is_one_of_the_provider(flavour, monkeypatch):
    """HTTP said 200 and then the provider broke."""
    code = "overloaded_error" if flavour == "anthropic" else "server_error"
    async with stage(flavour, scripted(StreamError(code), WAIT), monkeypatch) as on:
        assert await on.decide() == (Wait(3.0),)
    assert on.ledger.outcomes[1:] == ["ok"]


async def test_slow_bytes_end_at_the_call_s_own_deadline(flavour, monkeypatch):
    """A server that drips holds nobody for ever."""
    script = scripted(Slow(GOOD, 30.0), WAIT)
    async with stage(flavour, script, monkeypatch, options=Options(call_s=0.5)) as on:
        assert await on.decide() == (Wait(3.0),)
    assert on.ledger.outcomes == ["network", "ok"]


@pytest.mark.parametrize("line", [b": x\n\n", b": x\n"], ids=["events", "lines"])
async def test_an_answer_without_end_is_not_read_to_its_end(flavour, line, monkeypatch):
    """More than an answer, or one event of it, may have is a failed call."""
    monkeypatch.setattr("agents.minds.wire.ANSWER_BYTES", 200_000)
    async with stage(flavour, scripted(Garbage(line * 60_000)), monkeypatch) as on:
        with pytest.raises(MindError, match="too_long"):
            await on.decide()


async def test_bytes_that_are_no_protocol_are_a_failed_call(flavour, monkeypatch):
    """Invalid JSON on the wire is tried again."""
    junk = Garbage(b'event: message_start\ndata: {"type": "mess\n\n')
    async with stage(flavour, scripted(junk, WAIT), monkeypatch) as on:
        assert await on.decide() == (Wait(3.0),)
    assert on.ledger.outcomes[0] in ("malformed", "cut")


async def test_an_answer_that_was_recorded_is_not_paid_for_again(any_mind, monkeypatch):
    """A turn whose answer outlived a kill gives the same actions without asking."""
    async with stage(any_mind, scripted(GOOD), monkeypatch) as on:
        before = await on.decide()
        assert await on.decide() == before
    assert len(on.served.requests) == 1


async def test_a_cap_ends_the_agent_s_turns_before_the_call(any_mind, monkeypatch):
    """What might pass the cap is not asked."""
    caps = Caps(run=Cap(micro_usd=100))
    async with stage(any_mind, scripted(WAIT), monkeypatch, caps=caps) as on:
        with pytest.raises(OutOfFundsError, match="only"):
            await on.decide()
    assert on.served.requests == []


async def test_the_key_is_nowhere_but_in_the_request_s_head(any_mind, monkeypatch, caplog):
    """Not even where a server says it back."""
    told = Status(400, f"no such key: {CANARY}")
    echo = Say(calls=(("notebook", {"text": CANARY}),), text=CANARY)
    with caplog.at_level("DEBUG"):
        async with stage(any_mind, scripted(echo, told), monkeypatch) as on:
            (note,) = await on.decide()
            with pytest.raises(MindError) as failed:
                await on.decide(turn=1)
    left = [str(failed.value), str(note), str(on.ledger), caplog.text, texts_of(on.served.requests)]
    assert CANARY in str(on.served.headers)
    assert not any(CANARY in text for text in left)
