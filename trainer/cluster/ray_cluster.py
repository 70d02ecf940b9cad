"""The home of Ray: joining a cluster, and an actor for each of its nodes.

An actor holds, as Ray resources, what all slots of its node take: GPUs, processors, memory. Ray
reserves and reaches; what is done there is `trainer.cluster.node`'s. Ray is imported here alone and
only when a scenario asks for it.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from trainer.cluster.cluster_executor import ClusterExecutor, weakest
from trainer.cluster.node import Node, code_hash
from trainer.cluster.records import Fault, NodeFacts, NodeWish
from trainer.cluster.remote_node import LEASE_S, Call, RemoteNode
from trainer.errors import DeviceError, ExecutorError, NodeLostError
from trainer.experiment import Isolation
from trainer.script_table import ScriptTable

START_S: Final = 120.0
"""How long a node may take until it is ready: an import of torch from a cold disk."""
WARM_BYTES: Final = 1 << 30
"""What our own processes on a node take beside its jobs."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one slot takes of a node, as Ray resources."""

    gpus: float
    """0 for a processor slot; below 1, several slots share a GPU."""
    cpus: int
    job_bytes: int
    """Memory of one job."""

    def slots_of(self, free: Mapping[str, float]) -> int:
        """Return how many fit into these free resources."""
        room_bytes = free.get("memory", 0.0) - WARM_BYTES
        fits = [free.get("CPU", 0.0) / self.cpus, room_bytes / self.job_bytes]
        if self.gpus:
            fits.append(free.get("GPU", 0.0) // 1 / self.gpus)
        return max(0, math.floor(min(fits) + 1e-9))

    def needs(self, count: int) -> dict[str, float]:
        """Return what an actor with so many slots asks Ray for."""
        return {
            "num_cpus": self.cpus * count,
            "num_gpus": math.ceil(self.gpus * count - 1e-9),
            "memory": self.job_bytes * count + WARM_BYTES,
        }


@dataclass(frozen=True, slots=True)
class Terms:
    """What nodes are opened for."""

    share: Share
    hidden: tuple[str, ...]
    allow: tuple[Isolation, ...]
    script: ScriptTable | None = None
    metric: str = ""
    lease_s: float = LEASE_S


class RayCluster:
    """A connection to a Ray cluster; implements `trainer.cluster.cluster_executor.Cluster`.

    Args:
        address: ``auto`` or ``host:port``; on loopback, everything stays there.

    Raises:
        DeviceError: Ray is not installed, or there is no cluster.
    """

    def __init__(self, address: str = "auto") -> None:
        self._ray = _import_ray(address)
        self._is_ours = not self._ray.is_initialized()
        self._opened: dict[str, tuple[RemoteNode, str, int]] = {}
        self._refused: dict[str, str] = {}
        self._actors: dict[str, Any] = {}
        self._terms: Terms | None = None
        if self._is_ours:
            self._join(address)

    @property
    def has_gpus(self) -> bool:
        """Whether any node has one."""
        return any(node["Resources"].get("GPU", 0) >= 1 for node in self._alive())

    async def open(
        self, terms: Terms, slots: Literal["auto"] | int, names: Sequence[str] = ()
    ) -> ClusterExecutor:
        """Open nodes and return an executor over their slots.

        Args:
            terms: What they are opened for.
            slots: How many, or as many as there are.
            names: Of the slots of a run that goes on; then as many, or fewer that share them.

        Raises:
            DeviceError: there are not that many; why each node is refused.
        """
        self._terms = terms
        wanted = len(names) or (slots if slots != "auto" else 1 << 20)
        nodes = await self.more(wanted)
        found = sum(len(node.facts.slots) for node in nodes)
        if not found or (slots != "auto" and not names and found < slots):
            for node in nodes:
                await node.aclose()
            raise DeviceError(self._too_few(found, slots))
        # who joins later is held to what the run says of itself
        self._terms = replace(terms, allow=(weakest(nodes),))
        return ClusterExecutor(self, nodes, names)

    async def more(self, count: int) -> list[RemoteNode]:
        """Open nodes that are not in use, with up to `count` slots together."""
        assert self._terms is not None
        for ray_id in [key for key, (node, _, _) in self._opened.items() if node.is_lost]:
            self._forget(ray_id)
        opening: list[tuple[str, NodeWish]] = []
        firsts: dict[str, int] = {}
        for _, machine, held in self._opened.values():
            firsts[machine] = firsts.get(machine, 0) + held
        free = self._ray._private.state.available_resources_per_node()
        for each in self._alive():
            ray_id, machine = each["NodeID"], each["NodeManagerHostname"]
            fits = min(self._terms.share.slots_of(free.get(ray_id, {})), count)
            if ray_id in self._opened or ray_id in self._refused or fits < 1:
                continue
            opening.append((ray_id, self._wish(each, fits, firsts.get(machine, 0))))
            firsts[machine] = firsts.get(machine, 0) + fits
            count -= fits
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._open_node(ray_id, wish)) for ray_id, wish in opening]
        opened = [node for task in tasks if (node := task.result()) is not None]
        for node in opened:
            ray_id = next(key for key, wish in opening if wish.name == node.name)
            host = next(n["NodeManagerHostname"] for n in self._alive() if n["NodeID"] == ray_id)
            self._opened[ray_id] = node, host, len(node.facts.slots)
        return opened

    async def aclose(self) -> None:
        """Let the actors go, and leave the cluster; it goes on."""
        for ray_id in tuple(self._actors):
            self._forget(ray_id)
        if self._is_ours:
            await asyncio.to_thread(self._ray.shutdown)

    def _wish(self, node: Mapping[str, Any], count: int, first: int) -> NodeWish:
        terms = self._terms
        assert terms is not None
        share = terms.share
        return NodeWish(
            name=f"{node['NodeManagerAddress']} {node['NodeID'][:8]}",
            count=count,
            device="cuda" if share.gpus else "cpu",
            slots_per_gpu=max(1, round(1 / share.gpus)) if share.gpus else 1,
            first=first,
            job_bytes=share.job_bytes,
            lease_s=terms.lease_s,
            hidden=terms.hidden,
            allow=terms.allow,
            code=code_hash(),
            script=terms.script,
            metric=terms.metric,
        )

    async def _open_node(self, ray_id: str, wish: NodeWish) -> RemoteNode | None:
        """Start the actor of one node; None if it cannot be used, with the reason in `_refused`."""
        assert self._terms is not None
        affinity = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        actor = (
            self._ray.remote(Node)
            .options(
                max_concurrency=1000,
                scheduling_strategy=affinity(ray_id, soft=False),
                **self._terms.share.needs(wish.count),
            )
            .remote(wish)
        )
        self._actors[ray_id] = actor
        call = self._caller(actor, wish.name)
        try:
            async with asyncio.timeout(START_S):
                facts: NodeFacts | Fault = await call("open")
        except (ExecutorError, TimeoutError) as error:
            self._refused[ray_id] = str(error) or f"not ready within {START_S:.0f} s"
            self._forget(ray_id)
            return None
        if isinstance(facts, Fault):
            self._refused[ray_id] = f"{wish.name}: {facts.text}"
            self._forget(ray_id)
            return None
        return RemoteNode(wish.name, call, facts, wish.lease_s)

    def _caller(self, actor: Any, name: str) -> Call:
        """Return what calls methods of an actor."""
        gone = self._ray.exceptions.RayError

        async def call(method: str, *arguments: object) -> Any:
            try:
                return await getattr(actor, method).remote(*arguments)
            except self._ray.exceptions.RayTaskError as error:
                raise ExecutorError(f"node {name} failed in {method}: {error}") from error
            except gone as error:
                raise NodeLostError(name, _first_line(error)) from error

        return call

    def _forget(self, ray_id: str) -> None:
        self._opened.pop(ray_id, None)
        if (actor := self._actors.pop(ray_id, None)) is not None:
            self._ray.kill(actor)

    def _alive(self) -> list[dict[str, Any]]:
        return [node for node in self._ray.nodes() if node["Alive"]]

    def _join(self, address: str) -> None:
        """Connect this process, quietly, and without Ray's own handling of SIGTERM."""
        is_main = threading.current_thread() is threading.main_thread()
        before = signal.getsignal(signal.SIGTERM)
        try:
            self._ray.init(
                address=address,
                log_to_driver=False,
                configure_logging=False,
                namespace="research-community",
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise DeviceError(
                f"no Ray cluster at {address!r} ({_first_line(error)}): start one with `ray start "
                "--head` (deploy/ has files for sixteen GPUs), or set address in [pool]"
            ) from error
        finally:
            if is_main and before is not None:
                signal.signal(signal.SIGTERM, before)

    def _too_few(self, found: int, slots: Literal["auto"] | int) -> str:
        assert self._terms is not None
        share = self._terms.share
        asked = "any" if slots == "auto" else str(slots)
        text = (
            f"the cluster has {found} usable slots, not {asked}, of {share.gpus:g} GPU, "
            f"{share.cpus} processors and {share.job_bytes >> 20} MiB each, "
            f"on {len(self._alive())} nodes"
        )
        why = "; ".join(self._refused.values())
        return f"{text}; refused: {why}" if why else f"{text}; `ray status` shows what is free"


def _import_ray(address: str) -> Any:
    """Import Ray, without its usage report; on a loopback address for loopback alone."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address.rpartition(":")[0] in ("127.0.0.1", "localhost"):
        # else Ray takes the machine's outward address instead, and does not find the cluster
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
        import ray.exceptions
        import ray.util.scheduling_strategies
    except ImportError as error:
        raise DeviceError(
            "backend = \"ray\" needs Ray: pip install 'research-community[ray]'"
        ) from error
    return ray


def _first_line(error: BaseException) -> str:
    """Return what an error says first: Ray's go on for pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
