"""What a candidate may hold and how long it may last, and whose fault an end is."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest
from trainer_trials import HONEST, RunTrial, children_of, train_body, until_marked

from trainer import train_phase
from trainer.experiment import Budget, Job
from trainer.gpu_pool import Lease
from trainer.local_executor import LocalExecutor
from trainer.sandbox.kernel import machine
from trainer.sandboxed_process import SandboxedProcess

pytestmark = pytest.mark.asyncio(loop_scope="session")

EXIT_THREAD = {"x86_64": "60", "aarch64": "93"}[machine()]
BOMB = """
import mmap
def bomb(flags, file=-1):
    if file >= 0: os.ftruncate(file, 1 << 30) if os.fstat(file).st_size == 0 else None
    keep = []
    for _ in range(32):
        keep.append(mmap.mmap(file, 64 << 20, flags=flags))
        for at in range(0, 64 << 20, 4096): keep[-1][at] = 1
        if flags & 1: keep[-1].madvise(mmap.MADV_DONTNEED)
        print("filled", flush=True)
def tables():
    whole = mmap.mmap(-1, 1 << 40, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000,
                      prot=mmap.PROT_READ)
    for at in range(0, 1 << 40, 1 << 21): whole[at]
    print("filled", flush=True)
"""
TABLES = """
import mmap
whole = mmap.mmap(-1, 1 << 38, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000,
                  prot=mmap.PROT_READ)
whole.madvise(mmap.MADV_NOHUGEPAGE)
for at in range(0, 1 << 38, 1 << 21): whole[at]
"""
STARTED = HONEST.replace("run):\n", "run):\n    print('here')\n")
SLEEPER = train_body("import time\nprint('here')\ntime.sleep(60)")


@pytest.mark.parametrize(
    "body",
    [
        "import torch\nkeep = torch.ones(1 << 30)",
        "keep = [bytearray(1 << 20) for _ in range(4096)]",
        BOMB + "bomb(mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x100)",
        BOMB + "tables()",
    ],
    ids=["tensor", "bytes", "stack mapping", "page tables"],
)
async def test_memory_bomb_is_refused(run_trial: RunTrial, body: str):
    """Private memory is refused by the limit; what that does not count is seen from outside."""
    trial = await run_trial(train_body(body), memory_bytes=600 << 20)
    assert (trial.result.outcome, trial.result.reason) == ("invalid", "memory")


@pytest.mark.parametrize(
    "body",
    [
        BOMB + "bomb(mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)",
        BOMB + "bomb(3 | mmap.MAP_ANONYMOUS)",
        BOMB + "bomb(mmap.MAP_SHARED, os.open('/dev/zero', os.O_RDWR))",
        BOMB + "bomb(mmap.MAP_SHARED, os.memfd_create('bomb'))",
    ],
    ids=["shared", "shared and validated", "/dev/zero", "memfd"],
)
async def test_memory_that_hides_from_its_limit_cannot_be_had(run_trial: RunTrial, body: str):
    """Shared pages that are given back leave the resident size and stay: none are handed out."""
    trial = await run_trial(train_body(body), memory_bytes=600 << 20)
    assert (trial.result.outcome, trial.result.reason) == ("invalid", "crash")
    assert trial.log.count("filled") == 0


async def test_first_thread_that_ends_takes_the_others_along(run_trial: RunTrial):
    """The kernel shows no memory of a process without its first thread, so it does not live on."""
    body = (
        "import ctypes, threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "ctypes.CDLL(None).syscall(" + EXIT_THREAD + ", 0)"
    )
    trial = await run_trial(train_body(body))
    assert (trial.result.outcome, trial.result.reason) == ("invalid", "crash")
    assert trial.result.wall_s < 2


HEADLESS = (
    "import ctypes, threading\n"
    "threading.Thread(target=input).start()\n"
    "ctypes.CDLL(None).syscall(" + EXIT_THREAD + ", 0)"
)


async def test_process_is_headless_at_the_second_look(monkeypatch: pytest.MonkeyPatch):
    """Who ends may be without its first thread for a moment; one look does not tell."""
    status_in, status_out = os.pipe()
    mark_in, mark_out = os.pipe()
    process = SandboxedProcess(status_in, mark_in)
    with subprocess.Popen([sys.executable, "-c", HEADLESS], stdin=subprocess.PIPE) as other:  # noqa: ASYNC220
        os.write(status_out, json.dumps({"pid": other.pid}).encode() + b"\n")
        async with asyncio.timeout(10):
            while psutil.Process(other.pid).status() != "zombie":  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await process.wait(5)
            assert process.pid == other.pid
        assert not process.usage().is_headless
        assert not process.usage().is_headless  # at once is no second look
        async with asyncio.timeout(10):
            while not process.usage().is_headless:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        other.kill()
    os.close(status_out)
    os.close(mark_out)
    process.close()


@pytest.fixture
def low_cap(monkeypatch: pytest.MonkeyPatch):
    """A wall cap that a test can wait for."""
    monkeypatch.setattr(Budget, "wall_cap_s", property(lambda _: 0.8))


@pytest.mark.parametrize(
    ("source", "budget", "cap_s", "expected"),
    [
        (STARTED, Budget("cpu_seconds", 0.6), 1.0, ("ok", "")),
        (SLEEPER, Budget("cpu_seconds", 0.6), 1.0, ("invalid", "limit")),
        (SLEEPER, Budget("device_seconds", 2.0), 2.0, ("interrupted", "lost")),
    ],
    ids=["honest", "sleeping", "device"],
)
async def test_time_in_which_nobody_looked_is_not_the_candidates(
    executor: LocalExecutor,
    job: Job,
    lease: Lease,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    budget: Budget,
    cap_s: float,
    expected: tuple[str, str],
):
    """An executor that stood still forgives the wall cap that much; a lost device time is rerun."""
    monkeypatch.setattr(Budget, "wall_cap_s", property(lambda _: cap_s))
    (job.workspace / "train.py").write_text(source)
    task = asyncio.create_task(executor.train(replace(job, budget=budget), lease))
    async with asyncio.timeout(10):
        await until_marked(job.folder / "log.txt")
    time.sleep(2 * cap_s)  # noqa: ASYNC251 - the loop stands still, as under SIGSTOP
    result = await task
    assert (result.outcome, result.reason) == expected


@pytest.mark.usefixtures("low_cap")
@pytest.mark.parametrize(
    ("source", "expected"),
    [(HONEST, ("ok", "")), (SLEEPER, ("invalid", "limit"))],
    ids=["honest", "sleeping"],
)
async def test_full_processor_is_not_the_candidates_fault(
    run_trial: RunTrial, lease: Lease, source: str, expected: tuple[str, str]
):
    """The wall cap forgives the wait for a processor that others fill, and no sleep."""
    code = (
        f"import os; os.sched_setaffinity(0, {set(lease.slot.cpus)}); os.write(1, b'!')\n"
        "while True: pass"
    )
    command = [sys.executable, "-c", code]
    others = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]  # noqa: ASYNC220
    try:
        for other in others:
            assert other.stdout is not None
            assert await asyncio.to_thread(other.stdout.read, 1) == b"!"
        trial = await run_trial(source, budget=Budget("cpu_seconds", 0.6))
    finally:
        for other in others:
            other.kill()
            other.communicate()
    assert (trial.result.outcome, trial.result.reason) == expected
    assert trial.result.wall_s > 0.8


@pytest.mark.parametrize(("holding", "expected"), [
    ("", ("interrupted", "lost")),
    ("held = b'x' * (1 << 28)\ndel held", ("invalid", "memory")),
    (TABLES, ("invalid", "memory")),
], ids=["modest", "large", "page tables"])  # fmt: skip
async def test_kill_from_outside_loses_a_modest_attempt(
    executor: LocalExecutor,
    job: Job,
    lease: Lease,
    holding: str,
    expected: tuple[str, str],
):
    """SIGKILL by somebody else is nobody's fault, unless the kernel ever had reason to."""
    if await executor.warm_up() != "full":
        pytest.skip("elsewhere a candidate can kill itself, so it is never believed")
    body = f"{holding}\nprint('here')\nwhile True: pass"
    (job.workspace / "train.py").write_text(train_body(body))
    task = asyncio.create_task(executor.train(replace(job, memory_bytes=900 << 20), lease))
    async with asyncio.timeout(10):
        await until_marked(job.folder / "log.txt")
    await asyncio.sleep(0.2)  # the phase looks every 0.05 s
    (innermost,) = (c for c in children_of(psutil.Process(executor.warm_parent_pid))
                    if not c.children())  # fmt: skip
    innermost.kill()
    result = await task
    assert (result.outcome, result.reason) == expected


@pytest.mark.parametrize(("most_bytes", "is_lost"), [(750 << 20, True), (900 << 20, False)])
async def test_what_the_warm_parent_held_is_no_ground_for_suspicion(most_bytes: int, is_lost: bool):
    """A large build of torch is there from the start; modest is who adds little to it."""
    status_in, status_out = os.pipe()
    mark_in, mark_out = os.pipe()
    process = SandboxedProcess(status_in, mark_in)
    end = {"exit": -signal.SIGKILL, "cpu_s": 1.0, "most_bytes": most_bytes}
    os.write(mark_out, json.dumps({"cpu_s": 0.5, "held_bytes": 600 << 20}).encode() + b"\n")
    os.write(status_out, json.dumps(end).encode() + b"\n")
    os.close(status_out)
    os.close(mark_out)
    async with asyncio.timeout(10):
        while not process.is_gone:
            await process.wait(1)
    assert process.is_lost(4 << 30, "full") is is_lost
    process.close()


async def test_an_end_by_a_signal_without_a_name_is_told_by_its_number():
    """Real-time signals have none; a candidate may end by one."""
    assert train_phase._signal_name(36) == "signal 36"
    assert train_phase._signal_name(11) == "SIGSEGV"
