"""A hostile candidate's ten minutes at the scorer's pipes, seeded and cut to a few seconds.

Whatever the sandboxes say, the worker neither dies nor hangs nor grows: it says one fixed word, and
scores an honest model beside and after it exactly as before. `SCORER_FUZZ_S` seconds instead of one
fixed round make it long, `SCORER_FUZZ_SEED` another one.
"""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import os
import random
import select
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from scoring_channels import read_exactly, write_all

from scoring.answering import HEADER
from scoring.errors import Refusal
from scoring.scorer import Channel, Scorer
from scoring.verdict import Score

LONG_S = float(os.environ.get("SCORER_FUZZ_S", "0"))
SEED = os.environ.get("SCORER_FUZZ_SEED", "1")
AT_ONCE = 4
"""Hostile scores under way together, with an honest one beside them."""
PATIENT_S, SHORT_S = 60.0, 0.3
"""Deadlines: the short one where waiting until it is the point."""
TABLE = np.random.default_rng(5).normal(size=(256, 256)).astype("<f4")
"""The honest model: a table of bigrams."""
SIZES = (0, 1, 2, 7, 8, 9, 128, 255, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)

pytestmark = pytest.mark.timeout(180 + LONG_S)


class Sandbox(threading.Thread):
    """Plays one answering sandbox: honest for a while, then whatever `fault` does.

    Args:
        chance: decides all that is left open.
        fault: gets this object and one request's tokens; None stays honest to the end.
    """

    def __init__(self, chance: random.Random, fault: Fault | None) -> None:
        super().__init__(daemon=True)
        self.requests, request_write = os.pipe()
        reply_read, self.replies = os.pipe()
        self.channel = Channel(request_write, reply_read)
        self.chance = chance
        self._fault = fault
        self._honest = chance.randrange(4)
        if chance.randrange(3) == 0:
            fcntl.fcntl(self.replies, fcntl.F_SETPIPE_SZ, 4096)
        self.start()

    def run(self) -> None:
        """Answer until the other end is gone."""
        try:
            for number in itertools.count():
                tokens = self.asked()
                if self._fault is not None and number == self._honest:
                    self._fault(self, tokens)
                write_all(self.replies, reply(tokens))
                if not tokens.size:
                    return
        except OSError:
            return
        finally:
            self.hang_up("requests")
            self.hang_up("replies")

    def asked(self) -> np.ndarray:
        """Read the next request: tokens of shape (rows, time), none of them at the end."""
        rows, length = HEADER.unpack(read_exactly(self.requests, HEADER.size))
        content = read_exactly(self.requests, rows * length)
        return np.frombuffer(content, np.uint8).reshape(rows, length)

    def hang_up(self, which: str) -> None:
        """Close one of the two pipes, once."""
        descriptor = getattr(self, which)
        setattr(self, which, -1)
        if descriptor >= 0:
            os.close(descriptor)

    def wait_for_the_end(self, at_most_s: float | None = None) -> None:
        """Wait until nobody reads any more, or so long."""
        poll = select.poll()
        poll.register(self.replies, 0)
        poll.poll(None if at_most_s is None else at_most_s * 1000)


Fault = Callable[[Sandbox, np.ndarray], None]


def reply(tokens: np.ndarray) -> bytes:
    """What the honest model answers, with its header."""
    return HEADER.pack(*tokens.shape) + TABLE[tokens].tobytes()


def noise(sandbox: Sandbox, tokens: np.ndarray) -> None:
    """Random bytes, then the end."""
    write_all(sandbox.replies, sandbox.chance.randbytes(sandbox.chance.choice([1, 8, 99, 1 << 20])))
    sandbox.hang_up("replies")


def cut(sandbox: Sandbox, tokens: np.ndarray) -> None:
    """An honest reply that ends anywhere, before its first byte too."""
    whole = reply(tokens)
    write_all(sandbox.replies, whole[: sandbox.chance.randrange(len(whole))])
    sandbox.hang_up("replies")


def wrong_header(sandbox: Sandbox, tokens: np.ndarray) -> None:
    """Rows and time that nobody asked for, up to 2^32 - 1 of each, and more bytes than fit."""
    shape = tokens.shape
    while shape == tokens.shape:
        shape = (sandbox.chance.choice(SIZES), sandbox.chance.choice(SIZES))
    write_all(sandbox.replies, HEADER.pack(*shape))
    while sandbox.chance.randrange(8):
        write_all(sandbox.replies, bytes(1 << 18))


def wild_floats(sandbox: Sandbox, tokens: np.ndarray) -> None:
    """A reply of the right length whose numbers are random bits."""
    whole = sandbox.chance.randbytes(len(reply(tokens)) - HEADER.size)
    write_all(sandbox.replies, HEADER.pack(*tokens.shape) + whole)


def one_logit(sandbox: Sandbox, tokens: np.ndarray, bits: Sequence[int]) -> None:
    """An honest reply with one number replaced."""
    whole = bytearray(reply(tokens))
    at = HEADER.size + 4 * sandbox.chance.randrange((len(whole) - HEADER.size) // 4)
    struct.pack_into("<I", whole, at, sandbox.chance.choice(bits))
    write_all(sandbox.replies, whole)


def not_a_number(sandbox: Sandbox, tokens: np.ndarray) -> None:
    """One quiet or signalling NaN, or an infinity."""
    one_logit(sandbox, tokens, (0x7FC00000, 0xFFFFFFFF, 0x7F800001, 0x7F800000, 0xFF800000))


def far_out(sandbox: Sandbox, tokens: np.ndarray) -> None:
    """One finite number beyond the cap: 10,000.001 and the largest, either sign."""
    one_logit(sandbox, tokens, (0x461C4001, 0xC61C4001, 0x7F7FFFFF, 0xFF7FFFFF))


def other_answer(sandbox: Sandbox, tokens: np.ndarray) -> None:
    """From here on another model."""
    table = TABLE * np.float32(1.5 + sandbox.chance.random())
    while tokens.size:
        write_all(sandbox.replies, HEADER.pack(*tokens.shape) + table[tokens].tobytes())
        tokens = sandbox.asked()
    write_all(sandbox.replies, HEADER.pack(0, 0))
    sandbox.hang_up("replies")


def trickle(sandbox: Sandbox, tokens: np.ndarray) -> None:
    """The honest reply, a byte every few milliseconds."""
    for byte in reply(tokens):
        write_all(sandbox.replies, bytes([byte]))
        sandbox.wait_for_the_end(0.003)
    sandbox.wait_for_the_end()


def silence(sandbox: Sandbox, tokens: np.ndarray) -> None:
    """Part of a reply or nothing, then nothing more; perhaps the request pipe is closed as well."""
    write_all(sandbox.replies, reply(tokens)[: sandbox.chance.choice([0, 3, 8, 100])])
    if sandbox.chance.randrange(2):
        sandbox.hang_up("requests")
    sandbox.wait_for_the_end()


def gone(sandbox: Sandbox, tokens: np.ndarray) -> None:
    """Both pipes closed, in either order."""
    for which in sandbox.chance.sample(["requests", "replies"], 2):
        sandbox.hang_up(which)


def deaf(sandbox: Sandbox, tokens: np.ndarray) -> None:
    """The request pipe closed, after an honest reply; nothing else is said."""
    sandbox.hang_up("requests")
    write_all(sandbox.replies, reply(tokens))
    sandbox.hang_up("replies")


def surplus(sandbox: Sandbox, tokens: np.ndarray) -> None:
    """A few bytes too many, or many, then honest again."""
    write_all(sandbox.replies, reply(tokens) + sandbox.chance.randbytes(2))
    write_all(sandbox.replies, bytes(sandbox.chance.choice([0, 1, 6, 1 << 17])))


def unasked(sandbox: Sandbox, tokens: np.ndarray) -> None:
    """A reply of the same shape before the next request has come, without end."""
    while True:
        write_all(sandbox.replies, reply(tokens))


def ended(sandbox: Sandbox, tokens: np.ndarray) -> None:
    """The end header, in the middle."""
    write_all(sandbox.replies, HEADER.pack(0, 0))


FAULTS: dict[Fault, set[str]] = {
    noise: {"protocol", "short"},
    cut: {"short"},
    wrong_header: {"protocol"},
    wild_floats: {"not_finite", "range"},
    not_a_number: {"not_finite"},
    far_out: {"range"},
    other_answer: {"probe"},
    trickle: {"late"},
    silence: {"late"},
    gone: {"short"},
    deaf: {"short"},
    surplus: {"protocol"},
    unasked: {"protocol", "probe"},
    ended: {"protocol"},
}
"""What the scorer may say of each."""
WAITING = (trickle, silence)


def cases() -> Iterator[tuple[int, Fault, str]]:
    """Every fault in the first conversation, the second, and both; again and again, shuffled."""
    chance = random.Random(SEED)
    numbers = itertools.count()
    while True:
        together = list(itertools.product(FAULTS, ("blocks", "blind", "both")))
        chance.shuffle(together)
        for fault, where in together:
            yield next(numbers), fault, where


async def one(scorer: Scorer, number: int, fault: Fault | None, where: str) -> Score:
    """Score two sandboxes of which one or both are hostile; both see their pipes closed after."""
    chance = random.Random(f"{SEED}/{number}")
    first = Sandbox(chance, fault if where in ("blocks", "both") else None)
    second = Sandbox(chance, fault if where in ("blind", "both") else None)
    split = chance.choice(["dev", "vault"]) if fault is not None else "dev"
    deadline_s = SHORT_S if fault in WAITING else PATIENT_S
    score = await scorer.score(split, first.channel, second.channel, deadline_s)
    for sandbox in (first, second):
        await asyncio.to_thread(sandbox.join, 30)
        assert not sandbox.is_alive(), (number, fault, where)
    if fault is not None:
        assert (score.outcome, score.value, score.positions) == ("invalid", None, 0)
        assert score.reason in FAULTS[fault], (SEED, number, fault, where)
    return score


async def held(pid: int) -> tuple[int, int]:
    """Resident bytes and open descriptors of the worker, once only its first thread is left."""
    async with asyncio.timeout(30):
        while len(os.listdir(f"/proc/{pid}/task")) > 1:  # noqa: ASYNC110 - a thread ends unheard
            await asyncio.sleep(0.01)
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (resident,) = (line.split()[1] for line in lines if line.startswith("VmRSS"))
    return int(resident) << 10, len(os.listdir(f"/proc/{pid}/fd"))


async def round_of(scorer: Scorer, hostile: Sequence[tuple[int, Fault, str]]) -> Score:
    """Score hostile pairs and an honest one at the same time; the honest one's score."""
    async with asyncio.TaskGroup() as group:
        for number, fault, where in hostile:
            group.create_task(one(scorer, number, fault, where))
        honest = group.create_task(one(scorer, -1, None, ""))
    return honest.result()


async def test_no_answers_break_the_worker(small_scorer: Scorer):
    """Every fault where it can be: a fixed word each, and nothing is left of it in the worker."""
    assert set().union(*FAULTS.values()) == set(get_args(Refusal))
    scorer, ours = small_scorer, len(os.listdir("/proc/self/fd"))
    first = await round_of(scorer, [])
    assert (first.outcome, first.probes) == ("ok", 64 + 8 * 4)
    pid, until_s = scorer.worker_pid, time.monotonic() + LONG_S
    coming, settled, done = cases(), (0, 0), 0
    one_pass = 3 * len(FAULTS)
    while done < 2 * one_pass or time.monotonic() < until_s:
        beside = await round_of(scorer, list(itertools.islice(coming, AT_ONCE)))
        assert (beside.outcome, beside.value) == ("ok", first.value)
        done += AT_ONCE
        if done - AT_ONCE < one_pass <= done:
            settled = await held(pid)
    resident_bytes, descriptors = await held(pid)
    print(f"{done} hostile scores, resident {settled[0] >> 10} -> {resident_bytes >> 10} KiB")
    assert scorer.worker_pid == pid
    assert scorer.complaints() == ""
    assert descriptors == settled[1]
    assert resident_bytes - settled[0] < 8 << 20
    after = await round_of(scorer, [])
    seen = [(score.value, score.positions, score.probes) for score in (first, after)]
    assert seen[0] == seen[1]
    assert len(os.listdir("/proc/self/fd")) == ours
