"""What every Executor must do, run against each implementation."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from trainer.devices import Slot
from trainer.executor import Executor, Program
from trainer.experiment import Budget, Job
from trainer.gpu_pool import Lease
from trainer.local_executor import LocalExecutor

pytestmark = pytest.mark.asyncio(loop_scope="module")

TREE = """
import torch
from torch import nn
def build_model():
    return nn.Linear(3, 3)
def train(model, run):
    for _ in run.steps():
        model.weight.data += torch.randn(3, 3) * run.tokens.float().mean()
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["local"])
async def contestant(request: pytest.FixtureRequest) -> AsyncIterator[Executor]:
    """Each implementation in turn, closed at the end."""
    makers = {"local": LocalExecutor}
    executor: Executor = makers[request.param]()
    yield executor
    loop = asyncio.get_running_loop()
    begin = loop.time()
    await executor.aclose()
    assert loop.time() - begin < 2


@pytest.fixture
def lease() -> Lease:
    """A lease of one processor."""
    return Lease(Slot("cpu0", "cpu", frozenset({min(os.sched_getaffinity(0))})))


def make_job(folder: Path, source: str = TREE, seed: int = 1) -> Job:
    """A job of 5 steps in folders of its own."""
    for name in ("tree", "data"):
        (folder / name).mkdir(parents=True)
    (folder / "tree" / "train.py").write_text(source)
    (folder / "data" / "train.bin").write_bytes(b"data")
    budget = Budget("steps", 5)
    return Job("e1", 1, folder / "tree", folder / "data", folder / "job", seed, budget)


async def test_result_of_an_honest_run(contestant: Executor, lease: Lease, tmp_path: Path):
    """An ok result has an artefact in the job's folder and no reason."""
    job = make_job(tmp_path)
    result = await contestant.train(job, lease)
    assert (result.outcome, result.reason) == ("ok", "")
    assert result.artefact is not None
    assert result.artefact.parent == job.folder
    assert result.isolation in {"full", "partial", "none"}
    assert (job.folder / "log.txt").exists()


async def test_steps_budget_is_reproducible(contestant: Executor, lease: Lease, tmp_path: Path):
    """Same tree and seed give the same bytes, another seed others."""
    runs = [
        await contestant.train(make_job(tmp_path / str(n), seed=seed), lease)
        for n, seed in enumerate((1, 1, 2))
    ]
    first, second, third = (run.artefact.read_bytes() for run in runs)
    assert first == second != third


async def test_candidates_fault_is_a_result_not_an_error(
    contestant: Executor, lease: Lease, tmp_path: Path
):
    """Train never raises for what candidate code does."""
    result = await contestant.train(make_job(tmp_path, "raise OSError('mine')"), lease)
    assert (result.outcome, result.reason, result.artefact) == ("invalid", "crash", None)


async def test_cancelled_train_returns_soon(contestant: Executor, lease: Lease, tmp_path: Path):
    """Cancellation ends the run and is passed on."""
    source = TREE.replace("in run.steps()", "in iter(int, 1)")
    task = asyncio.create_task(contestant.train(make_job(tmp_path, source), lease))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await asyncio.shield(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(5):
            await task


async def test_served_program_lives_as_long_as_its_block(
    contestant: Executor, lease: Lease, tmp_path: Path
):
    """A program answers over its descriptors while the block runs and is gone afterwards."""
    path, tree = tmp_path / "program.py", tmp_path / "tree"
    tree.mkdir()
    path.write_text(
        "import os, time\n"
        "def main(arguments, descriptors):\n"
        "    os.write(descriptors[0], str(arguments['n'] + 1).encode())\n"
        "    time.sleep(60)\n"
    )
    reading, writing = os.pipe()
    program = Program(path, tree, {"n": 41}, (writing,))
    async with contestant.serve(program, lease) as running:
        assert await asyncio.to_thread(os.read, reading, 10) == b"42"
        assert running.is_alive()
        assert running.cpu_s() >= 0
    assert not running.is_alive()
    assert os.read(reading, 10) == b""
    os.close(reading)
