"""Runs experiments on the nodes of a cluster: implements `trainer.executor.Executor`.

Every slot of the pool is served by a slot of some node. When a node is lost, what ran there comes
back as interrupted, and its slots are served by those nodes that are left, in turns with their own,
until the cluster has a node to put in its place. Where nodes come from, `Cluster` knows.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import statistics
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from trainer.cluster.parcels import Packer, pack_files
from trainer.cluster.records import TrainAnswer, TrainAsk
from trainer.cluster.remote_node import RemoteNode
from trainer.cluster.remote_program import served_there
from trainer.devices import Slot
from trainer.errors import ExecutorError, NodeLostError
from trainer.executor import Program, RunningProgram
from trainer.experiment import Isolation, Job, TrainResult
from trainer.gpu_pool import GpuPool, Lease
from trainer.left_data import artefact_name
from trainer.train_phase import LOG_NAME

LOOK_S: Final = 2.0
"""How often the cluster is asked for nodes in place of those that are lost."""
ALONE_S: Final = 900.0
"""How long a run waits for a node when there is none left."""
_CLOSE_S: Final = 10.0

_log = logging.getLogger(__name__)


class Cluster(Protocol):
    """Where nodes come from."""

    async def more(self, count: int) -> list[RemoteNode]:
        """Open nodes that are not in use, with up to `count` slots together, if there are any."""
        ...

    async def aclose(self) -> None:
        """Leave the cluster."""
        ...


class ClusterExecutor:
    """Implements `trainer.executor.Executor`; made by `trainer.cluster.ray_cluster.open_nodes`.

    Args:
        cluster: Where further nodes come from.
        nodes: Those that are open.
        names: Of the slots, for a run that has given them names before; none for new ones.
    """

    def __init__(
        self, cluster: Cluster, nodes: Sequence[RemoteNode], names: Sequence[str] = ()
    ) -> None:
        self._cluster = cluster
        self._nodes = list(nodes)
        self._served: dict[str, tuple[RemoteNode, Slot]] = {}
        self._alone_since_s: float | None = None
        self._packer = Packer()
        self._keys = itertools.count(1)
        there = [
            (f"node{number}.{slot.name}", node, slot)
            for number, node in enumerate(nodes, start=1)
            for slot in node.facts.slots
        ]
        given = list(names) or [name for name, _, _ in there]
        slots = []
        for name, (_, node, slot) in zip(given, there, strict=False):
            self._served[name] = node, slot
            slots.append(_as_seen(slot, name, node))
        lacking = [replace(slots[0], name=name, node="") for name in given[len(slots) :]]
        self.pool = GpuPool([*slots, *lacking])
        """The slots, by the names that the ledger has."""
        self.slots = (*slots, *lacking)
        for slot in lacking:
            self._share(slot.name)
        self.isolation: Isolation = weakest(nodes)
        """What all nodes give at least."""
        self._watching = [self._watch_for_end(node) for node in nodes]
        self._mending = asyncio.create_task(self._mend(), name="nodes of the cluster")

    async def machine_s(self) -> float:
        """How fast the nodes are, as `trainer.reference_kernel.machine_s`: the median of them."""
        readings: list[float] = [
            await node.ask("machine_s") for node in self._nodes if not node.is_lost
        ]
        return statistics.median(readings)

    def node_of(self, name: str) -> RemoteNode:
        """Return the node that serves a slot at present.

        Raises:
            KeyError: none does.
        """
        return self._served[name][0]

    async def train(self, job: Job, lease: Lease) -> TrainResult:
        """Run the train phase of `job` on the node that serves the slot of `lease`.

        A node that is lost meanwhile makes it interrupted.

        Raises:
            ExecutorError: the node is broken.

        Cancellation: what runs there is killed before it returns, or by the end of its lease.
        """
        began_s = asyncio.get_running_loop().time()
        node, slot = self._place(lease)
        try:
            return await self._train(job, node, slot)
        except NodeLostError as error:
            if node.is_lost:  # else its lease ran out, and it goes on
                self._bury(node, error.why)
            wall_s = asyncio.get_running_loop().time() - began_s
            budget = job.budget.clock
            most_s = wall_s if budget.kind == "steps" else budget.limit
            return TrainResult(
                outcome="interrupted",
                reason="lost",
                detail=f"node {error.node} is lost: {error.why}",
                cpu_s=0.0,
                wall_s=wall_s,
                charge_s=min(wall_s, most_s),
                start_s=0.0,
                artefact=None,
                isolation=self.isolation,
            )

    async def prefetch(self, files: Mapping[str, bytes], name: str) -> None:
        """Send a tree that may be run next on a slot to the node that serves it; may fail."""
        if name in self._served:
            with suppress(ExecutorError):
                await self._served[name][0].provide([pack_files(files)])

    def serve(self, program: Program, lease: Lease) -> AbstractAsyncContextManager[RunningProgram]:
        """Run `program` on that node beside the caller until the block exits; then kill it.

        Raises:
            ExecutorError: the node is lost or broken.
        """
        node, slot = self._place(lease)
        return served_there(node, slot.name, self._key(program.path.stem), program, self._packer)

    async def aclose(self) -> None:
        """Let all nodes end what they run, and leave the cluster."""
        for task in (self._mending, *self._watching):
            task.cancel()
        async with asyncio.TaskGroup() as group:
            for node in self._nodes:
                group.create_task(node.aclose())
        await self._cluster.aclose()

    async def _train(self, job: Job, node: RemoteNode, slot: Slot) -> TrainResult:
        requested_s = asyncio.get_running_loop().time()
        tree = await asyncio.to_thread(self._packer.folder, job.workspace)
        data = await asyncio.to_thread(self._packer.folder, job.data)
        await node.provide([tree, data])
        key = self._key(job.job_id)
        ask = TrainAsk(key, slot.name, tree.contents, data.contents, job)
        asked_s = asyncio.get_running_loop().time()
        try:
            answer: TrainAnswer | None = await node.ask("train", ask)
        except asyncio.CancelledError:
            await node.cancel(key)
            raise
        if answer is None:
            raise NodeLostError(node.name, "its lease ran out")
        artefact = await asyncio.to_thread(_write, job, answer)
        start_s = answer.result.start_s + asked_s - requested_s
        return replace(answer.result, artefact=artefact, start_s=start_s)

    def _place(self, lease: Lease) -> tuple[RemoteNode, Slot]:
        if lease.slot.name not in self._served:
            raise ExecutorError(f"no node serves slot {lease.slot.name}")
        return self._served[lease.slot.name]

    def _key(self, what: str) -> str:
        return f"{what}-{next(self._keys)}"

    def _watch_for_end(self, node: RemoteNode) -> asyncio.Task[None]:
        return asyncio.create_task(self._end_of(node), name=f"end of {node.name}")

    async def _end_of(self, node: RemoteNode) -> None:
        """Wait until `node` is lost; have its slots served by others."""
        self._bury(node, await node.lost())

    def _bury(self, node: RemoteNode, why: str) -> None:
        """Have the slots of a lost node served by others, unless that is done."""
        if node not in self._nodes:
            return
        _log.warning("node %s is lost (%s); its slots are served elsewhere", node.name, why)
        self._nodes.remove(node)
        orphans = [name for name, (at, _) in self._served.items() if at is node]
        for name in orphans:
            del self._served[name]
        for name in orphans:
            self._share(name)

    def _share(self, name: str) -> None:
        """Have a slot served by one that has a node, in turns with it: one that few share."""
        hosts: dict[tuple[str, str], list[str]] = {}
        for other, (node, slot) in self._served.items():
            if not node.is_lost:
                hosts.setdefault((node.name, slot.name), []).append(other)
        if not hosts:
            self.pool.withdraw(name)
            return
        host = min(hosts.values(), key=len)[0]
        node, slot = self._served[host]
        self._served[name] = node, slot
        self.pool.move(_as_seen(slot, name, node), onto=host)

    async def _mend(self) -> None:
        """Look for nodes in place of those that are lost, for as long as any slot has none."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_S)
            lacking = self._lacking()
            if not lacking:
                continue
            for node in await self._more(len(lacking)):
                self._nodes.append(node)
                self._watching.append(self._watch_for_end(node))
                for slot, name in zip(node.facts.slots, lacking, strict=False):
                    self._served[name] = node, slot
                    self.pool.move(_as_seen(slot, name, node))
                lacking = lacking[len(node.facts.slots) :]
                _log.warning("node %s has joined", node.name)
            if self._served:
                self._alone_since_s = None
                for name in self.pool.names:
                    if name not in self._served:
                        self._share(name)
            elif self._alone_since_s is None:
                self._alone_since_s = loop.time()
            elif loop.time() - self._alone_since_s > ALONE_S:
                text = f"no node of the cluster is left, for {ALONE_S / 60:.0f} minutes now"
                self.pool.fail(
                    ExecutorError(f"{text}; start some, and go on with `community run --resume`")
                )

    async def _more(self, count: int) -> list[RemoteNode]:
        """Ask the cluster; one that cannot answer now is asked again."""
        try:
            return await self._cluster.more(count)
        except Exception:  # whatever Ray raises: what is left goes on meanwhile
            _log.warning("the cluster does not say what nodes it has", exc_info=True)
            return []

    def _lacking(self) -> list[str]:
        """Return the slots that no node serves, or that share one with another."""
        taken: set[tuple[str, str]] = set()
        lacking = []
        for name in self.pool.names:
            place = self._served.get(name)
            if place is None or (place[0].name, place[1].name) in taken:
                lacking.append(name)
            else:
                taken.add((place[0].name, place[1].name))
        return lacking


def weakest(nodes: Sequence[RemoteNode]) -> Isolation:
    """Return the isolation that all of these nodes give at least."""
    degrees: tuple[Isolation, ...] = ("none", "partial", "full")
    found = {node.facts.isolation for node in nodes}
    return next(degree for degree in degrees if degree in found)


def _as_seen(slot: Slot, name: str, node: RemoteNode) -> Slot:
    """Return a node's slot as the ledger and people call it."""
    return replace(slot, name=name, node=node.name, machine=node.facts.machine)


def _write(job: Job, answer: TrainAnswer) -> Path | None:
    """Put what an attempt left where a local one would have left it."""
    job.folder.mkdir(parents=True, exist_ok=True)
    try:
        (job.folder / LOG_NAME).write_bytes(answer.log)
        if answer.artefact is None:
            return None
        path = job.folder / artefact_name(job.leaves)
        part = path.with_name(f"{path.name}.part")
        part.unlink(missing_ok=True)
        part.write_bytes(answer.artefact)
        part.chmod(0o400)
        part.rename(path)
    except OSError as error:
        raise ExecutorError(
            f"cannot write below {job.folder}: {error.strerror}; make room on that disk, then go "
            "on with `community run --resume`"
        ) from error
    return path
