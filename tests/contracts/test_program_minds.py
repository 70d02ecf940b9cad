"""What a coding agent as a mind keeps to beyond `test_mind_contract`, and what a hostile one gets.

The programs are ours; flags, output, sandbox, repository and account are the real ones.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from mind_stage import CANARY, PRICE, USD_PER_TURN, stage
from model_servers import PROGRAMS, USED, Say, Status

from agents.account import Settled
from agents.actions import PostComment, Run, Wait, WriteNotebook
from agents.errors import MindError
from agents.minds.cli_output import read_output
from agents.minds.cli_presets import PRESETS
from agents.prices import MICRO_USD, Usage

sys.path.append(str(Path(__file__).parent.parent / "agents"))
from made_observations import PATH, TREES, WORLD, measured, observation

PROPOSE = ("propose", {"title": "wider", "rationale": "r", "gain": 0.05, "confidence": 0.6})
WAIT = ("wait", {"seconds": 3})
NOTE = ("notebook", {"text": "n"})
WIDER = [[PATH, "DIM = 96", "DIM = 128"]]


def told(*calls, **does) -> Say:
    """Return what the program is to do."""
    return Say(calls=calls, does=tuple(does.items()))


def script(*behaviours):
    """Return a script that goes through behaviours and stays at the last."""
    return lambda body, number: behaviours[min(number, len(behaviours) - 1)]


@pytest.mark.parametrize("program", PROGRAMS)
async def test_the_difference_of_the_tree_is_the_proposal(program, monkeypatch):
    """It is recorded as a diff against the commit that was checked out; junk counts for nothing."""
    junk = "import os\nos.makedirs('__pycache__/x')\nopen('task.toml', 'w').write('editable = 1')"
    say = told(NOTE, PROPOSE, edits=WIDER, python=junk)
    async with stage(program, script(say), monkeypatch) as on:
        note, run = await on.decide()
    assert isinstance(note, WriteNotebook)
    assert isinstance(run, Run)
    assert [*run.files] == [PATH]
    assert "DIM = 128" in run.files[PATH]
    assert (dict(run.knobs), run.prediction.gain) == ({"DIM": 128}, 0.05)
    (answer,) = on.ledger.answers
    arguments = json.loads(answer.calls[1].arguments)
    (edit,) = arguments["edits"]
    assert (edit["path"], edit["how"]) == (PATH, "diff")
    assert "+DIM = 128" in edit["text"]
    assert arguments["parent"] == WORLD.baseline


async def test_its_repository_holds_what_has_reached_the_agent_and_nothing_else(monkeypatch):
    """Every readable commit is a tag; one whose diff was not carried is not there."""
    seen = measured("a" * 40, {"DIM": 112}, 2.0)
    other = replace(measured("b" * 40, {"DIM": 80}, 2.1), is_readable=False)
    look = (
        "import subprocess, json\n"
        "def git(*words):\n"
        " return subprocess.run(['git', *words], capture_output=True).stdout.decode()\n"
        "log, text = git('log', '--all', '--format=%D'), git('show', 'aaaaaaaaaa:train.py')\n"
        "found = [git('tag'), log, text]\n"
        "calls = [{'name': 'comment', 'text': json.dumps(found)}]\n"
        "json.dump(calls, open('actions.json', 'w'))"
    )  # fmt: skip
    async with stage("cli:claude", script(told(python=look)), monkeypatch) as on:
        told_of = observation(seen, other)
        (comment,) = await on.decide(known=told_of.known, trees=told_of.trees)
    assert isinstance(comment, PostComment)
    tags, log, text = json.loads(comment.text)
    assert tags.split() == sorted(["a" * 10, WORLD.baseline[:10]])
    assert len(log.split("\n")) == 3
    assert text == TREES["a" * 40]


async def test_its_conversation_goes_on_in_the_next_turn_and_in_the_next_life(monkeypatch):
    """The second turn and the second round are resumed; one that cannot be is begun anew."""
    wrong = told(("wait", {"seconds": -1}))
    steps = (told(WAIT), wrong, told(WAIT), Status(500), told(WAIT))
    async with stage("cli:codex", script(*steps), monkeypatch) as on:
        await on.decide()
        await on.decide(turn=1)
        assert await on.decide(turn=2) == (Wait(3.0),)
    resumed = [bool(body["resumed"]) for body in on.served.requests]
    assert resumed == [False, True, True, True, False]
    again = on.served.requests[2]["prompt"]
    assert "greater than or equal to 0" in again
    assert "You are ada" not in again  # it has read that already
    assert "You are ada" in on.served.requests[4]["prompt"]


async def test_real_flags_are_given(monkeypatch):
    """Headless, JSON, its limits; no limit on money where none is billed."""
    async with stage("cli:claude", script(told(WAIT)), monkeypatch) as on:
        await on.decide()
    argv = on.served.requests[0]["argv"]
    assert argv[:4] == ["-p", "--output-format", "stream-json", "--verbose"]
    assert argv[4:8] == ["--max-turns", "50", "--max-budget-usd", "0.5"]
    free = replace(PRESETS["claude"], usd_per_turn=0.0, options=("--model", "m"))
    line = free.command_line("s-1")
    assert "--max-budget-usd" not in line
    assert line[-4:] == ("--model", "m", "--resume", "s-1")
    assert PRESETS["codex"].command_line("t")[:3] == ("codex", "exec", "resume")


@pytest.mark.parametrize(
    ("program", "changed", "does", "micro_usd"),
    [
        ("cli:claude", {}, {"usd": 0.0123456}, 12_346),
        ("cli:codex", {}, {}, PRICE.micro_usd(replace(USED, cache_write=0))),
        ("cli:codex", {"price": None}, {}, round(USD_PER_TURN * MICRO_USD)),
        ("cli:claude", {"usd_per_turn": 0.0}, {"usd": 3.0}, 0),
    ],
    ids=["told", "priced", "declared", "billed elsewhere"],
)
async def test_what_it_costs_is_told_or_priced_or_declared(
    program, changed, does, micro_usd, monkeypatch
):
    """It is set aside before and settled after; tokens are counted whatever they cost."""
    say = told(WAIT, **does)
    async with stage(program, script(say), monkeypatch, program=changed) as on:
        await on.decide()
    first = on.ledger.entries[0]
    assert first.micro_usd == round(changed.get("usd_per_turn", USD_PER_TURN) * MICRO_USD)
    assert on.account.run.taken_micro_usd == micro_usd
    assert on.account.run.doubt_micro_usd == on.account.run.open_micro_usd == 0
    assert on.account.run.usage.output == USED.output


async def test_one_that_hangs_dies_at_its_deadline(monkeypatch):
    """What it had written down by then counts; of one that had not, all it may cost is taken."""
    hang = "import time, json\n{}while True: time.sleep(1)"
    write = "json.dump([{'name': 'wait', 'seconds': 3}], open('actions.json', 'w'))\n"
    steps = (told(python=hang.format(write)), told(python=hang.format("")))
    async with stage("cli:claude", script(*steps), monkeypatch, program={"wall_s": 4.0}) as on:
        assert await on.decide() == (Wait(3.0),)
        with pytest.raises(MindError, match="deadline"):
            await on.decide(turn=1)
    last = on.ledger.entries[-1]
    assert isinstance(last, Settled)
    assert last.doubt_micro_usd == round(USD_PER_TURN * MICRO_USD)


STEPS = [{"input": 2_000, "output": 500}, {"input": 3_000, "output": 600, "cache_read": 4_000}]


@pytest.mark.parametrize("program", PROGRAMS)
async def test_one_that_has_used_what_was_set_aside_is_killed_while_it_goes_on(
    program, monkeypatch
):
    """What it told is counted, each step once, and the rest of its reservation stays in doubt."""
    few = {"tokens_per_turn": 9_999, "wall_s": 60.0}
    say = told(steps=STEPS, hangs=True)
    async with stage(program, script(say), monkeypatch, program=few) as on:
        with pytest.raises(MindError, match=r"killed \(spent\).* 10100 tokens"):
            await on.decide()
    (settled,) = [each for each in on.ledger.entries if isinstance(each, Settled)]
    assert (settled.outcome, settled.usage.tokens) == ("too_long", 10_100)
    assert settled.micro_usd + settled.doubt_micro_usd == round(USD_PER_TURN * MICRO_USD)
    assert settled.doubt_tokens == on.account.run.open_micro_usd == 0


async def test_one_that_has_cost_too_much_is_killed_and_what_it_had_asked_for_counts(monkeypatch):
    """By the price of the tokens that it tells; of one below both limits nobody takes notice."""
    dear = {"usd_per_turn": 0.012, "wall_s": 60.0}
    steps = (told(WAIT, steps=STEPS[:1]), told(WAIT, steps=STEPS, hangs=True))
    async with stage("cli:codex", script(*steps), monkeypatch, program=dear) as on:
        assert await on.decide() == (Wait(3.0),)
        assert await on.decide(turn=1) == (Wait(3.0),)
    first, last = [each for each in on.ledger.entries if isinstance(each, Settled)]
    assert first.usage.tokens == 2_500 + USED.input + USED.cache_read + USED.output
    assert last.micro_usd == PRICE.micro_usd(Usage(input=5_000, output=1_100, cache_read=4_000))
    assert (last.outcome, last.doubt_micro_usd) == ("ok", 0)


SPOILT = {
    "link": ("os.symlink('/etc/passwd', p)", "no regular file"),
    "binary": ("open(p, 'wb').write(bytes(99))", "no text"),
    "huge": ("open(p, 'a').write('#' * 300_000)", "at most 262144"),
    "gone": ("", "gone"),
    "pipe": ("os.mkfifo(p)", "no regular file"),
}


async def test_a_tree_that_cannot_be_taken_goes_back_with_the_reason(monkeypatch):
    """Links, binary, huge and missing files and pipes are told; none is followed or waited for."""
    begin = f"import os\np = {PATH!r}\nif os.path.lexists(p): os.unlink(p)\n"
    steps = [told(PROPOSE, python=begin + deed) for deed, _ in SPOILT.values()]
    async with stage("cli:claude", script(*steps), monkeypatch) as on:
        with pytest.raises(MindError):
            await on.decide()
        with pytest.raises(MindError):
            await on.decide(turn=1)
        with pytest.raises(MindError):
            await on.decide(turn=2)
    faults = [fault for answer in on.ledger.answers for fault in answer.faults]
    expected = [word for _, word in SPOILT.values()]
    assert all(word in fault for word, fault in zip(expected, faults, strict=False))
    assert len(faults) == 6
    assert "passwd" not in str(on.ledger.answers)


async def test_a_change_that_nobody_proposes_and_actions_that_are_none_go_back(monkeypatch):
    """Edits without a word, and a file that is no JSON, are told once."""
    silent = told(NOTE, edits=WIDER)
    junk = told(python="open('actions.json', 'w').write('{[')")
    async with stage("cli:claude", script(silent, junk), monkeypatch) as on:
        assert [type(each) for each in await on.decide()] == [WriteNotebook]
    first, second = on.ledger.answers
    assert "nothing proposes it" in first.faults[0]
    assert "no JSON list" in second.faults[0]


async def test_a_flood_ends_it_and_leaves_bounded_traces(monkeypatch):
    """Output without end is cut, and the transcript with it."""
    flood = "import os\nwhile True: os.write(1, b'x' * 65536)"
    async with stage("cli:claude", script(told(python=flood)), monkeypatch) as on:
        with pytest.raises(MindError, match="output"):
            await on.decide()
        assert on.places is not None
        sizes = [path.stat().st_size for path in on.places.transcripts.iterdir()]
    assert 400_000 < max(sizes) < 1 << 20


def everything_below(place: Path) -> bytes:
    """Return all that is in files below a folder, names included."""
    parts = [str(path).encode() for path in place.rglob("*")]
    parts += [path.read_bytes() for path in place.rglob("*") if path.is_file()]
    return b"\n".join(parts)


async def test_its_key_is_left_nowhere(monkeypatch, caplog):
    """Printed, put into files, the tree and actions, or spelt otherwise: it is gone everywhere."""
    spelt = "".join(f"\\\\u{ord(letter):04x}" for letter in CANARY)
    leak = (
        "import os, sys\nkey = os.environ['ANTHROPIC_API_KEY']\n"
        "print(key, file=sys.stderr)\n"
        "open(os.path.expanduser('~/settings.json'), 'w').write(key)\n"
        f"open({PATH!r}, 'a').write('# ' + key)\n"
        "os.makedirs('deep/er'); open('deep/er/notes', 'w').write(key)\n"
        f"""open('actions.json', 'w').write('[{{"name": "notebook", "text": "{spelt}"}},'"""
        """ '{"name": "propose", "title": "' + key + '", "gain": 0.1, "confidence": 0.5}]')"""
    )
    say = Say(text=f"My key is {CANARY}", does=(("python", leak),))
    with caplog.at_level("DEBUG"):
        async with stage("cli:claude", script(say), monkeypatch) as on:
            actions = await on.decide()
            assert on.places is not None
            left = everything_below(on.places.path)
    assert len(actions) == 2
    assert on.served.headers[0]["x-api-key"] == CANARY
    assert b"My key is [key]" in left
    assert CANARY.encode() not in left
    assert not any(CANARY in text for text in (str(on.ledger), str(actions), caplog.text))


def test_what_other_programs_print_is_read():
    """Recorded shapes of gemini and opencode, our own, and nonsense of every kind."""
    gemini = {
        "session_id": "a1b2", "response": "done",
        "stats": {"models": {"gemini-3-pro": {"tokens": {
            "prompt": 100, "candidates": 20, "total": 130, "cached": 40, "thoughts": 7, "tool": 3,
        }}}},
    }  # fmt: skip
    said = read_output("gemini", json.dumps(gemini))
    assert (said.text, said.session) == ("done", "a1b2")
    assert said.usage == Usage(input=63, output=27, cache_read=40, thinking=7)
    tokens = {"input": 9, "output": 3, "reasoning": 1, "cache": {"read": 4, "write": 2}}
    events = [
        {"type": "step_start", "sessionID": "ses_1", "part": {}},
        {"type": "text", "sessionID": "ses_1", "part": {"text": "do"}},
        {"type": "text", "sessionID": "ses_1", "part": {"text": "ne"}},
        {"type": "step_finish", "sessionID": "ses_1", "part": {"cost": 0.002, "tokens": tokens}},
    ]
    said = read_output("opencode", "\n".join(map(json.dumps, events)))
    assert (said.text, said.session, said.micro_usd) == ("done", "ses_1", 2000)
    assert said.usage == Usage(9, 4, 4, 2, 1)
    own = {"text": "t", "session": "--evil", "usage": {"input": 10**30}, "usd": float("inf")}
    said = read_output("json", json.dumps(own))
    assert (said.session, said.micro_usd, said.usage) == ("", None, Usage(input=10**12))
    for output in ("claude", "codex", "gemini", "opencode", "json"):
        for text in (
            "",
            "[",
            "null",
            "[]",
            '{"type": 7}',
            '{"usage": -1}',
            "{" * 50_000,
            "9" * 9_999,
        ):
            assert read_output(output, text).micro_usd is None
