"""Candidate text is read within limits: hostile text gets true answers, and harms nobody."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from trainer.errors import PatchRefusedError, TextLimitError
from trainer.experiment import Budget
from trainer.patch_policy import PatchPolicy
from trainer.text_process import TextProcess
from trainer.texts import TrustedTexts
from trainer.tree_key import byte_key

START = {"train.py": b"A = 1\n# a\nB = 2\n", "notes.txt": b"x\n"}
CHANGED = {**START, "train.py": b"A = 9\n# a\nB = 2\n"}
OTHER = {**START, "train.py": b"A = 1\n# a\nB = 8\n"}
POLICY = PatchPolicy(editable=("train.py",))
TERMS = {"lock_hash": "l", "budget": Budget("cpu_seconds", 10), "device_class": "d"}

HOSTILE = {
    "parentheses": b"x = " + b"(" * 100_000,
    "brackets": b"x = " + b"[" * 100_000 + b"]" * 100_000,
    "digits": b"x = 1" + b"0" * 10_000_000,
    "hexadecimals": b"x = 0x" + b"f" * 4_000_000,
    "one long sum": b"x = " + b"1+" * 500_000 + b"1",
    "unary": b"x = " + b"-" * 1_000_000 + b"1",
    "lambdas": b"lambda:" * 100_000 + b"1",
    "attributes": b"x" + b".y" * 500_000,
    "dictionaries": b"{" + b"1:{" * 50_000,
    "conditions": b"x = " + b"1 if 1 else " * 80_000 + b"1",
    "indents": b"".join(b" " * n + b"if 1:\n" for n in range(1_000)),
    "f-strings": b"f'" + b'{f"' * 50_000,
    "nul": b"x = '\0'",
    "not UTF-8": b"x = '\xff\xfe'",
    "carriage return": b"x = 1\rimport os\r",
    "byte order mark": b"\xef\xbb\xbfx = 1\n",
    "form feeds": b"\f" * 1_000_000 + b"x = 1\n",
    "bidirectional": "x = '\u202e\u2066' # \u2069\n".encode(),
    "another encoding": b"# coding: utf-7\nx = 1\n",
    "no such encoding": b"# coding: nonesuch\nx = 1\n",
}


@pytest_asyncio.fixture
async def texts() -> AsyncIterator[TextProcess]:
    """Give a text process."""
    async with TextProcess() as process:
        yield process


def held_bytes() -> int:
    """Return this process's resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_it_answers_as_the_plain_functions_do(texts: TextProcess):
    """Key, patch, merge and refusal are those of trusted text, byte for byte."""
    plain = TrustedTexts()
    assert await texts.tree_key(CHANGED, **TERMS) == await plain.tree_key(CHANGED, **TERMS)
    assert await texts.diff(START, CHANGED) == await plain.diff(START, CHANGED)
    assert await texts.merge(START, CHANGED, OTHER) == await plain.merge(START, CHANGED, OTHER)
    await texts.check(POLICY, CHANGED, [START, OTHER], START)
    with pytest.raises(PatchRefusedError) as told:
        await texts.check(POLICY, {"train.py": b"'" + b"a" * 3000 + b"'"}, [START], START)
    assert told.value.rule == "literals"
    with pytest.raises(PatchRefusedError) as plainly:
        await plain.check(POLICY, {"train.py": b"'" + b"a" * 3000 + b"'"}, [START], START)
    assert str(told.value) == str(plainly.value)


async def rule_of(texts: TextProcess, text: bytes) -> str:
    """Return the rule by which a text is refused, or an empty string."""
    policy = PatchPolicy(editable=("train.py",), literal_bytes=100, novel_bytes=300)
    try:
        await texts.check(policy, {"train.py": text}, [START], START)
    except PatchRefusedError as error:
        return error.rule
    return ""


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_text_is_refused_and_has_a_key(texts: TextProcess, name: str):
    """Nothing is raised but the refusal, the key tells texts apart, and others are served on."""
    text = HOSTILE[name]
    assert await rule_of(texts, text) in ("text", "syntax", "literals", "novelty", "time")
    key = await texts.tree_key({"train.py": text}, **TERMS)
    assert key != await texts.tree_key({"train.py": text + b"\n1"}, **TERMS)
    await texts.check(POLICY, CHANGED, [START], START)


async def test_what_fills_the_memory_counts_as_bytes():
    """A text whose syntax does not fit into 512 MiB is refused and has the key of its bytes."""
    large = {"train.py": b"x = [" + b"[]," * 1_000_000 + b"]"}
    async with TextProcess(cpu_s=30, wall_s=100) as texts:
        assert await texts.tree_key(large, **TERMS) == byte_key(large, **TERMS)
        assert await rule_of(texts, large["train.py"]) in ("syntax", "time")
        await texts.check(POLICY, CHANGED, [START], START)


async def test_what_takes_too_long_is_cut_off():
    """Each question has its answer for that: refusal, bytes, whole files, error; a new child."""
    lines = [b"%d\n" % (n % 7) for n in range(20_000)]
    older, newer = {"a.py": b"".join(lines)}, {"a.py": b"".join(lines[::-1])}
    async with TextProcess(cpu_s=0.3) as texts:
        first = texts.pid
        patch = await texts.diff(older, newer, cap_bytes=1 << 20)
        assert texts.pid is None
        assert patch.count("\n-") == patch.count("\n+") == len(lines) + 1
        with pytest.raises(TextLimitError):
            await texts.merge(older, newer, {"a.py": older["a.py"] * 2})
        hard = {"train.py": b"x = [" + b"[0,1],\n" * 400_000 + b"]"}
        assert await texts.tree_key(hard, **TERMS) == byte_key(hard, **TERMS)
        with pytest.raises(PatchRefusedError) as caught:
            await texts.check(POLICY, hard, [START], START)
        assert caught.value.rule == "time"
        await texts.check(POLICY, CHANGED, [START], START)
        assert texts.pid not in (first, None)


async def test_the_loop_goes_on_and_our_memory_does_not_grow(texts: TextProcess):
    """While hostile text is read the event loop turns, and what is read is not kept here."""
    turns = before = 0

    async def beat() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.02)
            turns += 1

    heart = asyncio.create_task(beat())
    for life in range(4):
        for name in ("digits", "one long sum", "form feeds"):
            began = turns
            await texts.tree_key({"train.py": HOSTILE[name]}, **TERMS)
            assert name != "one long sum" or turns > began + 5
        if life == 1:
            before = held_bytes()
    heart.cancel()
    assert held_bytes() - before < 64 << 20


async def test_a_child_that_dies_is_replaced_and_asked_again(texts: TextProcess):
    """Whoever killed it, the next request is answered as if nothing had been."""
    key = await texts.tree_key(CHANGED, **TERMS)
    for _ in range(3):
        dead = texts.pid
        assert dead is not None
        os.kill(dead, signal.SIGKILL)
        assert await texts.tree_key(CHANGED, **TERMS) == key
        assert texts.pid not in (dead, None)


async def test_a_request_that_is_cancelled_disturbs_no_other(texts: TextProcess):
    """The child of a cancelled request is not asked again, so no answer goes to another asker."""
    hard = {"train.py": HOSTILE["one long sum"]}
    asking = asyncio.create_task(texts.tree_key(hard, **TERMS))
    waiting = asyncio.create_task(texts.diff(START, CHANGED))
    await asyncio.sleep(0.05)
    asking.cancel()
    assert "+A = 9" in await waiting
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_it_ends_with_its_block_and_holds_little():
    """No child is left behind; while it lives it sees no file of ours and cannot open one."""
    async with TextProcess() as texts:
        pid = texts.pid
        assert pid is not None
        limits = Path(f"/proc/{pid}/limits").read_text()
        status = Path(f"/proc/{pid}/status").read_text()
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        descriptors = sorted(int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir())
    assert not Path(f"/proc/{pid}").exists()
    assert f"Max address space         {512 << 20}" in limits
    assert "NoNewPrivs:\t1" in status
    assert environment == b""
    assert descriptors == [0, 1, 2]
