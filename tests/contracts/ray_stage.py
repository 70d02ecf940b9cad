"""A Ray cluster of three nodes on this machine: loopback only, small, ended by its own handles."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # else Ray listens on outward addresses

import psutil
import ray
from ray.cluster_utils import Cluster

from trainer.cluster.ray_cluster import Share

SHARE = Share(gpus=0, cpus=1, job_bytes=2 << 30)
_NODE = {
    "num_cpus": 1,
    "node_ip_address": "127.0.0.1",
    "include_dashboard": False,
    "object_store_memory": 80 << 20,
    "memory": 4 << 30,
}


@contextmanager
def three_nodes() -> Iterator[Any]:
    """Start a cluster of three nodes with one slot each; end exactly these processes."""
    cluster = Cluster(initialize_head=True, head_node_args=dict(_NODE))
    try:
        add_nodes(cluster, 2)
        yield cluster
    finally:
        cluster.shutdown()


def add_nodes(cluster: Any, count: int) -> list[Any]:
    """Add nodes with one slot each."""
    nodes = [cluster.add_node(wait=False, **_NODE) for _ in range(count)]
    cluster.wait_for_nodes()
    return nodes


def is_ours(name: str) -> bool:
    """Whether this process is connected by way of that node, which is then its own end."""
    return name.endswith(ray.get_runtime_context().get_node_id()[:8])


def kill_node(cluster: Any, name: str) -> None:
    """Kill the node that the institution calls `name`, as a power cut would."""
    (node,) = [each for each in cluster.list_all_nodes() if name.endswith(each.node_id[:8])]
    cluster.remove_node(node, allow_graceful=False)


async def sandboxes() -> set[int]:
    """Wait until there is a sandbox on one of the nodes; return its processes."""
    while True:  # other processes tell nobody
        if found := processes_in_a_namespace():
            return found
        await asyncio.sleep(0.05)


def processes_in_a_namespace() -> set[int]:
    """Return the sandboxed processes on this machine that descend from nodes of ours.

    What a warm parent has forked has children in PID namespaces of their own.
    """
    found = set()
    for process in psutil.process_iter(["pid", "name"]):
        if not str(process.info["name"]).startswith("ray::Node"):
            continue
        with suppress(psutil.Error):
            for child in process.children(recursive=True):
                with suppress(OSError):
                    status = Path(f"/proc/{child.pid}/status").read_text()
                    line = next(row for row in status.splitlines() if row.startswith("NSpid"))
                    found |= {child.pid} if len(line.split()) > 2 else set()
    return found
