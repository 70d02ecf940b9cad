"""The warm parent: what it is when it is ready, and what dies with what."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from trainer_trials import NOTHING

from trainer import train_phase
from trainer import warm_parent as starting
from trainer.devices import Slot
from trainer.errors import ExecutorError
from trainer.experiment import Job
from trainer.gpu_pool import Lease
from trainer.local_executor import LocalExecutor
from trainer.warm_parent import WarmParent

pytestmark = pytest.mark.asyncio(loop_scope="session")

BUSY = NOTHING.replace("    pass\n", "    print('here')\n    while True: pass\n")


def warm(executor: LocalExecutor) -> psutil.Process:
    """The warm parent's process."""
    return psutil.Process(executor.warm_parent_pid)


async def test_warm_parent_is_single_threaded_and_knows_nothing(executor: LocalExecutor):
    """One thread, a nearly empty environment, no file of ours open but its socket."""
    process = warm(executor)
    assert process.num_threads() == 1
    names = set(process.environ())
    assert names <= {
        *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"),
        *("PYTHONHASHSEED", "LD_LIBRARY_PATH", "LC_CTYPE"),
    }
    assert process.open_files() == []
    assert process.net_connections() == []
    assert len(os.listdir(f"/proc/{process.pid}/fd")) == 4


async def test_warm_parent_keeps_no_trace_of_a_job(executor: LocalExecutor, job: Job, lease: Lease):
    """A job's descriptors are closed in the parent once its child has them."""
    before = os.listdir(f"/proc/{warm(executor).pid}/fd")
    result = await executor.train(job, lease)
    assert result.outcome == "ok"
    assert os.listdir(f"/proc/{warm(executor).pid}/fd") == before


async def test_killed_keeper_takes_the_candidate_along(
    executor: LocalExecutor, job: Job, lease: Lease
):
    """Without its keeper the candidate dies at once and the attempt is lost, not invalid."""
    (job.workspace / "train.py").write_text(BUSY)
    task = asyncio.create_task(executor.train(job, lease))
    log = job.folder / "log.txt"
    async with asyncio.timeout(10):
        while not (log.exists() and log.read_bytes()):  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.01)
    (keeper,) = (p for p in warm(executor).children() if p.status() != psutil.STATUS_ZOMBIE)
    (candidate,) = keeper.children()
    keeper.kill()
    result = await task
    assert (result.outcome, result.reason) == ("interrupted", "lost")
    _, alive = await asyncio.to_thread(psutil.wait_procs, [candidate], 2)
    assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]


async def test_parent_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch):
    """The error of a warm parent that fails holds its last words."""
    monkeypatch.setattr(starting, "_BOOTSTRAP", "raise SystemExit('torch is broken here')")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ExecutorError, match="torch is broken here"):
        await WarmParent.start()
    assert len(os.listdir("/proc/self/fd")) == before


async def test_start_is_warm(executor: LocalExecutor, job: Job, lease: Lease):
    """From request to candidate code takes a small fraction of what importing torch takes."""
    starts = [
        (await executor.train(replace(job, folder=Path(f"{job.folder}-{n}")), lease)).start_s
        for n in range(5)
    ]
    assert min(starts) < 0.5


async def test_time_to_replace_the_warm_parent_is_not_the_sandboxes(
    executor: LocalExecutor, job: Job, lease: Lease, monkeypatch: pytest.MonkeyPatch
):
    """A slow start of the warm parent is told in `start_s` and loses no attempt."""
    ready = executor._ready

    async def slowly() -> object:
        await asyncio.sleep(1.5)
        return await ready()

    monkeypatch.setattr(train_phase, "_START_S", 1.0)
    monkeypatch.setattr(executor, "_ready", slowly)
    result = await executor.train(job, lease)
    assert result.outcome == "ok"
    assert result.start_s > 1.5


async def test_gpu_is_named_by_its_uuid(executor: LocalExecutor, job: Job, lease: Lease):
    """Where one card is bound, its index among all would be the wrong name for it."""
    slot = Slot("cuda7", "cpu", lease.slot.cpus, cuda_index=7, cuda_uuid="GPU-aaaa-7")
    source = NOTHING.replace("    pass\n", "    print(os.environ['CUDA_VISIBLE_DEVICES'])\n")
    (job.workspace / "train.py").write_text(source)
    assert (await executor.train(job, Lease(slot))).outcome == "ok"
    assert (job.folder / "log.txt").read_text() == "GPU-aaaa-7\n"


LEAVING = """
import os, signal, sys
from types import SimpleNamespace
sys.path.insert(0, sys.argv[1])
from trainer import keeper
from trainer.sandbox.kernel import die_with_parent

parent, status = os.getpid(), int(sys.argv[2])
if os.fork():
    signal.pause()

def leave():
    die_with_parent(0)  # as new credentials do
    os.kill(parent, signal.SIGKILL)
    while os.getppid() == parent:
        pass

keeper.leave_host = lambda walls: leave()
walls = SimpleNamespace(isolation="full")
keeper.from_descriptor = lambda _: SimpleNamespace(walls=walls)
keeper.run([0, status, status], parent)
"""


async def test_keeper_does_not_outlive_a_parent_that_dies_while_it_leaves():
    """In the moment in which leaving has undone its leash, the keeper looks for its parent."""
    reading, writing = os.pipe()
    root = str(Path(starting.__file__).resolve().parents[1])
    command = [sys.executable, "-c", LEAVING, root, str(writing)]
    process = subprocess.Popen(command, pass_fds=[writing])  # noqa: ASYNC220 - it kills itself
    os.close(writing)
    async with asyncio.timeout(30):
        with os.fdopen(reading, "rb") as status:
            told = await asyncio.to_thread(status.read)
    assert process.wait() == -signal.SIGKILL
    assert told == b""
