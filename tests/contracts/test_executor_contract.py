"""What every Executor must do, run against each implementation."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from trainer.cluster.cluster_executor import ClusterExecutor
from trainer.cluster.ray_cluster import RayCluster, Terms
from trainer.devices import Slot
from trainer.executor import Executor, Program
from trainer.experiment import Budget, Job
from trainer.gpu_pool import Lease
from trainer.local_executor import LocalExecutor

sys.path.append(str(Path(__file__).parent))
from ray_stage import (
    SHARE,
    add_nodes,
    is_ours,
    kill_node,
    processes_in_a_namespace,
    sandboxes,
    three_nodes,
)

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


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A Ray cluster of three nodes, one slot each."""
    with three_nodes() as cluster:
        yield cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["local", "ray"])
async def contestant(request: pytest.FixtureRequest) -> AsyncIterator[Executor]:
    """Each implementation in turn, closed at the end."""
    if request.param == "ray":
        cluster = request.getfixturevalue("cluster")
        ray = RayCluster(cluster.address)
        executor = await ray.open(Terms(SHARE, (), ("full", "partial")), "auto")
        yield executor
        await _closed(executor)
    else:
        local = LocalExecutor()
        yield local
        await _closed(local)


async def _closed(executor: Executor) -> None:
    """Close within two seconds."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    await executor.aclose()
    assert loop.time() - begin < 2


@pytest.fixture
def lease(contestant: Executor) -> Lease:
    """A lease of one processor."""
    if isinstance(contestant, ClusterExecutor):
        return Lease(contestant.slots[-1])
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


on_ray = pytest.mark.parametrize("contestant", ["ray"], indirect=True)


@on_ray
async def test_slots_are_one_on_each_node_and_say_so(contestant: ClusterExecutor):
    """Names are the run's, places the cluster's; what timings depend on is the node's."""
    assert contestant.pool.names == ("node1.cpu0", "node2.cpu0", "node3.cpu0")
    assert len({slot.node for slot in contestant.slots}) == 3
    assert all("torch" in slot.machine for slot in contestant.slots)
    assert await contestant.machine_s() > 0


@on_ray
async def test_what_a_node_has_is_not_sent_again(
    contestant: ClusterExecutor, lease: Lease, tmp_path: Path
):
    """Data and trees travel once, a tree that was fetched ahead not at all; nor the artefact."""
    data = os.urandom(1 << 20)
    first, second = (make_job(tmp_path / name, TREE + f"# {name}") for name in "ab")
    for job in (first, second):
        (job.data / "train.bin").write_bytes(data)
    node = contestant.node_of(lease.slot.name)
    before = node.sent_bytes
    await contestant.train(first, lease)
    assert node.sent_bytes - before == len(data) + len(TREE) + len("# a")
    await contestant.prefetch({"train.py": (TREE + "# b").encode()}, lease.slot.name)
    before = node.sent_bytes
    result = await contestant.train(second, lease)
    assert node.sent_bytes == before
    program = tmp_path / "program.py"
    program.write_text("def main(arguments, descriptors): pass")
    artefact = os.open(result.artefact, os.O_RDONLY)
    served = Program(program, second.workspace, descriptors=(artefact,))
    async with contestant.serve(served, lease) as running:
        await running.ended()
    assert node.sent_bytes - before == program.stat().st_size


@on_ray
async def test_cancelling_ends_the_process_on_the_node(
    contestant: ClusterExecutor, lease: Lease, tmp_path: Path
):
    """When a cancelled train has returned, nothing of it runs there any more."""
    marked = TREE.replace("in run.steps()", "in iter(int, 1)")
    task = asyncio.create_task(contestant.train(make_job(tmp_path, marked), lease))
    running = await sandboxes()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not running & processes_in_a_namespace()


@on_ray
async def test_a_lost_node_interrupts_and_its_slot_goes_on_elsewhere(
    contestant: ClusterExecutor, cluster: Any, tmp_path: Path
):
    """What ran there is nobody's fault; another node serves the slot, in turns with its own."""
    names = contestant.pool.names
    name = next(each for each in names if not is_ours(contestant.node_of(each).name))
    lost = contestant.node_of(name)
    endless = make_job(tmp_path / "a", TREE.replace("in run.steps()", "in iter(int, 1)"))
    async with contestant.pool.lease(name=name) as lease:
        task = asyncio.create_task(contestant.train(endless, lease))
        await sandboxes()
        kill_node(cluster, lost.name)
        result = await task
    assert (result.outcome, result.reason, result.artefact) == ("interrupted", "lost", None)
    assert lost.name in result.detail
    assert not processes_in_a_namespace()
    async with contestant.pool.lease(name=name) as lease:
        assert lease.slot.node != lost.name
        host = next(other for other in contestant.slots if other.node == lease.slot.node)
        assert (await contestant.train(make_job(tmp_path / "b"), lease)).outcome == "ok"
        with pytest.raises(TimeoutError):
            async with contestant.pool.lease(0.05, name=host.name):
                pass


@pytest.mark.slow
@on_ray
async def test_a_node_that_joins_serves_what_was_shared(
    contestant: ClusterExecutor, cluster: Any, tmp_path: Path
):
    """After a node was lost, another takes its place: no slot waits for another any more."""
    names = contestant.pool.names
    name = next(each for each in names if not is_ours(contestant.node_of(each).name))
    first, last = (each for each in names if each != name)
    kill_node(cluster, contestant.node_of(name).name)
    add_nodes(cluster, 1)
    async with contestant.pool.lease(name=first), contestant.pool.lease(name=last):
        while True:
            with contextlib.suppress(TimeoutError):
                async with contestant.pool.lease(1, name=name) as lease:
                    assert (await contestant.train(make_job(tmp_path / "c"), lease)).outcome == "ok"
                    break
