"""Fixtures of the trainer's tests: a warm executor per session, and a way to run candidates."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from trainer_trials import HIDDEN, NOTHING, SECRET, RunTrial, Trial

from trainer.devices import Slot
from trainer.experiment import Budget, Job
from trainer.gpu_pool import Lease
from trainer.local_executor import LocalExecutor


@pytest.fixture(scope="session")
def lease() -> Lease:
    """A lease of the first processor this process may use."""
    return Lease(Slot("cpu0", "cpu", frozenset({min(os.sched_getaffinity(0))})))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job in a folder of its own, with training data and a tree that does nothing."""
    for name in ("tree", "data", "jobs"):
        (tmp_path / name).mkdir()
    (tmp_path / "data" / "train.bin").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "tree" / "train.py").write_text(NOTHING)
    (tmp_path / "ledger.db").write_text(SECRET)
    return Job(
        job_id="e0001",
        attempt=1,
        workspace=tmp_path / "tree",
        data=tmp_path / "data",
        folder=tmp_path / "jobs" / "e0001",
        seed=1,
        budget=Budget("cpu_seconds", 10),
        takes_slow=True,  # a test has neighbours; what they void is tested apart
    )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def executor() -> AsyncIterator[LocalExecutor]:
    """An executor with the best isolation of this machine, warm."""
    async with LocalExecutor(hidden=HIDDEN) as warm:
        yield warm


@pytest.fixture
def run_trial(executor: LocalExecutor, job: Job, lease: Lease) -> RunTrial:
    """Run a candidate's source text to its end and give the result with its log."""

    async def run(source: str, on: LocalExecutor = executor, **changes: object) -> Trial:
        this = replace(job, **changes)
        (this.workspace / "train.py").write_text(source)
        result = await on.train(this, lease)
        return Trial(result, (this.folder / "log.txt").read_text(errors="replace"))

    return run
