"""What an experiment costs more on a node of a Ray cluster than in the local executor.

    python benchmarks/ray_overhead.py [--count 12] [--write]

Run by hand on a quiet machine. A cluster of one head without slots and one node with one slot runs
on loopback, beside the local executor, in one tree of processes. Both do the same experiments of
nanolm's start tree in turn, one at a time, on the same processor: lay out the tree, train 10 steps,
score on ``dev`` through both answering sandboxes. What differs between the two is Ray: calls, the
ways of contents, and pipes that go through them. Paired differences by wall time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # everything on loopback

import ray
from ray.cluster_utils import Cluster

from community.opening import open_bench
from community.run_folder import RunFolder
from community.scenario import Scenario
from community.scheduler import Bench
from trainer.experiment import Job

RESULT = Path(__file__).parent / "results/ray_overhead.md"
PARTS = ("until candidate code begins", "training", "its end, log and artefact back", "scoring")
_NODE = {
    "node_ip_address": "127.0.0.1",
    "include_dashboard": False,
    "object_store_memory": 160 << 20,
    "memory": 4 << 30,
}


@dataclass(frozen=True, slots=True)
class Taken:
    """Wall seconds of one experiment, by part."""

    parts: tuple[float, ...]

    @property
    def whole_s(self) -> float:
        """All of it."""
        return sum(self.parts)


@contextmanager
def small_cluster() -> Iterator[str]:
    """Start a head without slots and one node; yields the address."""
    cluster = Cluster(initialize_head=True, head_node_args={**_NODE, "num_cpus": 0})
    try:
        cluster.add_node(**_NODE, num_cpus=1)
        cluster.wait_for_nodes()
        yield cluster.address
    finally:
        cluster.shutdown()


def scenario(pool: dict[str, Any]) -> Scenario:
    """Return a run of ten steps on one slot."""
    data = {
        "run": {"task": "nanolm", "seed": 1},
        "budget": {"kind": "steps", "amount": 10},
        "pool": {"slots": 1, **pool},
        "board": {"broker": "memory"},
        "agents": [{"name": "ada", "role": "explorer", "mind": "policy:random"}],
    }
    return Scenario.model_validate(data)


async def once(bench: Bench, number: int) -> Taken:
    """Do one whole experiment as the scheduler does it."""
    folder = bench.folder.job(f"e{number}-1")
    commit = bench.repository.refs()["refs/heads/best"]
    async with bench.pool.lease() as lease:
        begun_s = time.monotonic()
        tree = bench.workspaces.lay_out(folder, bench.repository.read(commit))
        job = Job(
            f"e{number}",
            1,
            tree,
            bench.folder.data,
            folder,
            number,
            bench.budget,
            memory_bytes=bench.task.memory_bytes,
            artefact_bytes=bench.task.artefact_bytes,
        )
        asked_s = time.monotonic()
        result = await bench.executor.train(job, lease)
        trained_s = time.monotonic()
        assert result.artefact is not None, result
        scored = await bench.score_phase.score(result.artefact, tree, "dev", lease, number)
        scored_s = time.monotonic()
    assert scored.score.outcome == "ok", scored
    started_s = asked_s - begun_s + result.start_s
    ended_s = trained_s - asked_s - result.start_s - result.wall_s
    shutil.rmtree(folder)
    return Taken((started_s, result.wall_s, ended_s, scored_s - trained_s))


async def measure(address: str, count: int) -> dict[str, list[Taken]]:
    """Do `count` experiments on either side, in turn; the first of each is not counted."""
    pools: dict[str, dict[str, Any]] = {
        "local": {},
        "Ray": {"backend": "ray", "address": address},
    }
    taken: dict[str, list[Taken]] = {name: [] for name in pools}
    with tempfile.TemporaryDirectory() as place:
        async with AsyncExitStack() as stack:
            benches = {}
            for name, pool in pools.items():
                folder = RunFolder(Path(place) / name)
                folder.path.mkdir()
                opening = open_bench(scenario(pool), "", folder, None)
                benches[name] = (await stack.enter_async_context(opening)).bench
            for number in range(count + 1):
                for name in sorted(benches, reverse=bool(number % 2)):
                    taken[name].append(await once(benches[name], number))
    return {name: runs[1:] for name, runs in taken.items()}


def page(taken: dict[str, list[Taken]]) -> str:
    """Write the table."""
    local, remote = taken["local"], taken["Ray"]
    rows = []
    for place, what in enumerate(PARTS):
        sides = [[1e3 * run.parts[place] for run in side] for side in (local, remote)]
        rows.append(_row(what, *sides))
    rows.append(
        _row("**whole experiment**", *([1e3 * r.whole_s for r in s] for s in (local, remote)))
    )
    more_s = statistics.median(r.whole_s - n.whole_s for n, r in zip(local, remote, strict=True))
    shares = ", ".join(f"{100 * more_s / s:.1f} % of {s} s" for s in (10, 60, 300))
    lines = [
        "# What Ray adds to an experiment",
        "",
        "nanolm's start tree, 10 steps, scored on `dev` through both answering sandboxes; one slot "
        "on one processor, by the local executor and on the one node of a Ray cluster on the same "
        f"machine (Ray {ray.__version__}, loopback), in turn, {len(local)} each. Medians of wall "
        "milliseconds; `more` is the median of the paired differences, with their quartiles. Load "
        f"average at the end {os.getloadavg()[0]:.0f} on {os.cpu_count()} processors: where that "
        "is above 2, other work ran beside it and both columns are long; compare them with one "
        "another.",
        "",
        "| part | local | Ray | more |",
        "|---|---|---|---|",
        *rows,
        "",
        f"Per experiment Ray adds {1e3 * more_s:.0f} ms: {shares} of training. Over calls to the "
        "node go, in scoring, requests and logits; a network between the machines "
        "adds its own time. Tree and data are sent once, an artefact comes back and is not sent "
        "again.",
        "",
    ]
    return "\n".join(lines)


def _row(what: str, local: list[float], remote: list[float]) -> str:
    more = [after - before for before, after in zip(local, remote, strict=True)]
    low, middle, high = statistics.quantiles(more, n=4)
    medians = f"{statistics.median(local):.0f} | {statistics.median(remote):.0f}"
    return f"| {what} | {medians} | {middle:.0f} ({low:.0f} to {high:.0f}) |"


def main() -> None:
    """Measure, print, and write where that is asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with small_cluster() as address:
        text = page(asyncio.run(measure(address, options.count)))
    print(text)
    if options.write:
        RESULT.write_text(text)


if __name__ == "__main__":
    main()
