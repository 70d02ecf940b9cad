"""Programs served in a sandbox: what goes in, which limits hold, when they end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from trainer.errors import ExecutorError
from trainer.executor import Overuse, Program
from trainer.gpu_pool import Lease
from trainer.local_executor import LocalExecutor

pytestmark = pytest.mark.asyncio(loop_scope="session")

ECHO = """
from __future__ import annotations
import os, sys
from dataclasses import dataclass
import candidate

@dataclass
class Greeting:
    text: str

def main(arguments, descriptors):
    reading, writing = descriptors
    question = os.read(reading, 100).decode()
    seen = os.path.exists("/data")
    answer = Greeting(f"{question} {arguments['name']} {candidate.VALUE} {os.getcwd()} {seen}")
    print("nobody reads this")
    os.write(writing, answer.text.encode())
    os.read(reading, 1)
"""
SPIN = "def main(arguments, descriptors):\n    while True: pass\n"
SLEEP = "import time\ndef main(arguments, descriptors):\n    time.sleep(60)\n"
GREEDY = "def main(arguments, descriptors):\n    x = bytearray(1 << 30)\n"

Prepare = Callable[..., Program]


@pytest.fixture
def program(tmp_path: Path) -> Prepare:
    """Write a program's text beside a workspace with one module in it."""
    workspace = tmp_path / "tree"
    workspace.mkdir()
    (workspace / "candidate.py").write_text("VALUE = 42\n")

    def prepare(source: str, **fields: object) -> Program:
        path = tmp_path / "program.py"
        path.write_text(source)
        return Program(path, workspace, **fields)

    return prepare


async def read_all(descriptor: int) -> bytes:
    """Read a pipe's next piece without holding up the loop."""
    async with asyncio.timeout(10):
        return await asyncio.to_thread(os.read, descriptor, 4096)


async def until_dead(running: object) -> None:
    """Wait until the program has ended by itself or was killed."""
    async with asyncio.timeout(10):
        while running.is_alive():  # noqa: ASYNC110 - the protocol offers no event
            await asyncio.sleep(0.01)


async def test_program_talks_over_its_descriptors(
    executor: LocalExecutor, program: Prepare, lease: Lease
):
    """It gets arguments and descriptors in order, imports the workspace, and sees no data."""
    question_in, question_out = os.pipe()
    answer_in, answer_out = os.pipe()
    task = program(ECHO, arguments={"name": "you"}, descriptors=(question_in, answer_out))
    async with executor.serve(task, lease) as running:
        os.write(question_out, b"hello")
        answer = await read_all(answer_in)
        assert running.is_alive()
        assert 0 < running.cpu_s() < 1
    inside = "/workspace" if running.isolation == "full" else str(task.workspace)
    assert answer.decode() == f"hello you 42 {inside} False"
    assert not running.is_alive()
    os.close(question_out)
    assert await read_all(answer_in) == b""  # the executor has closed its own copies
    os.close(answer_in)
    for descriptor in (question_in, answer_out):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


async def test_block_that_raises_ends_the_program(
    executor: LocalExecutor, program: Prepare, lease: Lease
):
    """An exception in the block passes through unchanged, and the program is gone."""
    with pytest.raises(KeyError):
        async with executor.serve(program(SPIN), lease) as running:
            raise KeyError("the caller's own")
    assert not running.is_alive()


@pytest.mark.parametrize(
    ("source", "limits", "overuse"),
    [
        (SPIN, {"cpu_s": 0.2}, "limit"),
        (SLEEP, {"wall_s": 0.2}, "limit"),
        (GREEDY, {"memory_bytes": 600 << 20}, "memory"),
        (SLEEP, {"memory_bytes": 64 << 20}, "memory"),
        ("def main(arguments, descriptors): raise ValueError", {}, None),
    ],
    ids=["cpu", "wall", "memory refused", "memory watched", "error"],
)
async def test_limits_end_a_program_and_are_told(
    executor: LocalExecutor,
    program: Prepare,
    lease: Lease,
    source: str,
    limits: dict[str, float],
    overuse: Overuse | None,
):
    """CPU, wall time and memory are watched while the caller does something else."""
    async with executor.serve(program(source, **limits), lease) as running:
        await until_dead(running)
        assert running.cpu_s() < 1
    assert running.overuse() == overuse


async def test_two_programs_and_their_clocks(
    executor: LocalExecutor, program: Prepare, lease: Lease
):
    """Two run beside each other; the clock of a busy one moves, that of a sleeping one rests."""
    async with executor.serve(program(SLEEP), lease) as asleep:
        rested = asleep.cpu_s()
        async with executor.serve(program(SPIN, cpu_s=0.3), lease) as busy:
            await until_dead(busy)
            assert busy.cpu_s() > 0.25
        assert asleep.is_alive()
        assert asleep.cpu_s() - rested < 0.2


async def test_passed_file_stays_as_it_is(
    executor: LocalExecutor, program: Prepare, lease: Lease, tmp_path: Path
):
    """A program cannot reopen a file that it got for reading in order to write to it."""
    source = (
        "import os\n"
        "def main(arguments, descriptors):\n"
        "    held, writing = descriptors\n"
        "    try: os.open(f'/proc/self/fd/{held}', os.O_RDWR); word = b'opened'\n"
        "    except OSError: word = os.pread(held, 10, 0)\n"
        "    os.write(writing, word)\n"
    )
    path = tmp_path / "artefact"
    path.write_bytes(b"kept")
    path.chmod(0o400)
    reading, writing = os.pipe()
    held = os.open(path, os.O_RDONLY)
    async with executor.serve(program(source, descriptors=(held, writing)), lease):
        assert await read_all(reading) == b"kept"
    os.close(reading)


async def test_missing_program_is_our_fault(
    executor: LocalExecutor, program: Prepare, lease: Lease
):
    """A path without a file raises, and leaks no descriptor."""
    task = program(SPIN)
    task.path.unlink()
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ExecutorError, match=r"program\.py"):
        async with executor.serve(task, lease):
            pass
    assert len(os.listdir("/proc/self/fd")) == before


TRY_ALL_SIGNALS = """
import os, signal, threading
def main(arguments, descriptors):
    for send in (os.kill, lambda _, number: signal.pthread_kill(threading.get_ident(), number)):
        try: send(os.getpid(), signal.SIGKILL)
        except OSError: pass
    os.write(descriptors[0], b"alive")
    signal.pthread_kill(threading.get_ident(), signal.SIGSEGV)
    import ctypes
    ctypes.string_at(0)
"""


async def test_program_cannot_feign_its_loss(
    executor: LocalExecutor, program: Prepare, lease: Lease
):
    """SIGKILL to itself is ignored in its namespace, and any other death counts as its own."""
    reading, writing = os.pipe()
    task = program(TRY_ALL_SIGNALS, descriptors=(writing,))
    async with executor.serve(task, lease) as running:
        if running.isolation == "full":
            assert await read_all(reading) == b"alive"
        await until_dead(running)
        assert not running.is_lost()
    os.close(reading)


@pytest.mark.parametrize(("memory_bytes", "is_lost"), [(1 << 30, True), (800 << 20, False)])
async def test_kill_from_outside_loses_a_modest_program(
    executor: LocalExecutor, program: Prepare, lease: Lease, memory_bytes: int, is_lost: bool
):
    """SIGKILL by somebody else is nobody's fault, unless the program held much of its memory."""
    if await executor.warm_up() != "full":
        pytest.skip("elsewhere a program can kill itself, so it is never believed")
    reading, writing = os.pipe()
    source = (
        "import os, time\n"
        "def main(arguments, descriptors):\n"
        "    held = b'x' * (1 << 28)\n"
        "    os.write(descriptors[0], b'ready')\n"
        "    time.sleep(60)\n"
    )
    if is_lost:
        source = source.replace("(1 << 28)", "1")
    task = program(source, descriptors=(writing,), memory_bytes=memory_bytes)
    async with executor.serve(task, lease) as running:
        await read_all(reading)
        await asyncio.sleep(0.2)  # the watch looks every 0.05 s
        innermost = [
            child
            for child in psutil.Process(executor.warm_parent_pid).children(recursive=True)
            if not child.children()
        ]
        assert len(innermost) == 1
        assert not running.is_lost()
        innermost[0].kill()
        await until_dead(running)
    assert running.is_lost() is is_lost
    os.close(reading)


async def test_programs_we_kill_are_not_lost(
    executor: LocalExecutor, program: Prepare, lease: Lease
):
    """Neither the end of the block nor a limit is a loss."""
    async with executor.serve(program(SLEEP), lease) as left:
        async with executor.serve(program(SPIN, cpu_s=0.1), lease) as stopped:
            await until_dead(stopped)
        assert not stopped.is_lost()
    assert not left.is_lost()


async def test_program_is_lost_with_its_warm_parent(
    executor: LocalExecutor, program: Prepare, lease: Lease
):
    """A warm parent that dies takes its programs along: lost."""
    async with executor.serve(program(SLEEP), lease) as running:
        os.kill(executor.warm_parent_pid, signal.SIGKILL)
        await until_dead(running)
    assert running.is_lost()
    await executor.warm_up()  # the other tests share this executor
