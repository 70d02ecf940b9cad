"""Programs served in a sandbox: what goes in, which limits hold, when they end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from trainer.errors import ExecutorError
from trainer.executor import Program
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
    ("source", "limits"),
    [
        (SPIN, {"cpu_s": 0.2}),
        (SLEEP, {"wall_s": 0.2}),
        (SPIN.replace("while True: pass", "x = bytearray(1 << 30)"), {"memory_bytes": 600 << 20}),
    ],
    ids=["cpu", "wall", "memory"],
)
async def test_limits_end_a_program(
    executor: LocalExecutor, program: Prepare, lease: Lease, source: str, limits: dict[str, float]
):
    """CPU, wall time and memory are watched while the caller does something else."""
    async with executor.serve(program(source, **limits), lease) as running:
        await until_dead(running)
        assert running.cpu_s() < 1


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
