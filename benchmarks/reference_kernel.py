"""How often does the reference kernel call an honest run's timing void, and does it see slowness?

Two slots train the start tree of nanolm at once, each run between two readings. Printed: how far
readings and training speed (steps per CPU second) scatter, and how many timings would be void if
the mean of both readings, or the worse of them, were held against what is usual.

    python benchmarks/reference_kernel.py [--runs 40] [--amount 3]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.devices import Slot
from trainer.experiment import Budget, Job
from trainer.gpu_pool import Lease
from trainer.local_executor import LocalExecutor
from trainer.reference_kernel import TOLERANCE, ReferenceKernel

ROOT = Path(__file__).resolve().parents[1]
START = ROOT / "scenarios" / "tasks" / "nanolm" / "start"


@dataclass(frozen=True)
class Run:
    """One honest run between two readings."""

    before_s: float
    after_s: float
    usual_s: float
    speed: float
    """Optimiser steps per CPU second."""

    @property
    def mean(self) -> float:
        """The mean of both readings over what is usual, which is what voids."""
        return (self.before_s + self.after_s) / 2 / self.usual_s

    @property
    def worse(self) -> float:
        """The worse of both over what is usual."""
        return max(self.before_s, self.after_s) / self.usual_s


async def occupy(
    slot: Slot, here: Path, executor: LocalExecutor, runs: int, amount: float
) -> list[Run]:
    """Train one run after the other on `slot`."""
    kernel, lease, found = ReferenceKernel(), Lease(slot), []
    for _ in range(3):
        await kernel.read_s(slot.cpus)
    for number in range(runs):
        before_s = await kernel.read_s(slot.cpus)
        usual_s = kernel.usual_s(slot.cpus)
        job = Job(
            f"e{number}",
            1,
            here / "tree",
            here / "data",
            here / slot.name,
            number,
            Budget("cpu_seconds", amount),
            takes_slow=True,
        )
        result = await executor.train(job, lease)
        after_s = await kernel.read_s(slot.cpus)
        steps = re.findall(r"step +(\d+)", (job.folder / "log.txt").read_text())
        if result.outcome == "ok" and usual_s is not None and steps:
            found.append(Run(before_s, after_s, usual_s, int(steps[-1]) / result.cpu_s))
    return found


async def measure(runs: int, amount: float) -> list[Run]:
    """Keep two slots busy."""
    cpus = sorted(os.sched_getaffinity(0))[:2]
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "data").mkdir()
        text = b"".join(path.read_bytes() for path in sorted(ROOT.rglob("trainer/*.py")))
        (here / "data" / "train.bin").write_bytes(text * 20)
        shutil.copytree(START, here / "tree")
        async with LocalExecutor() as executor, asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(
                    occupy(Slot(f"cpu{cpu}", "cpu", frozenset({cpu})), here, executor, runs, amount)
                )
                for cpu in cpus
            ]
    return [run for task in tasks for run in task.result()]


def scatter(values: Sequence[float]) -> str:
    """Standard deviation over mean, and the largest over the median."""
    share = statistics.stdev(values) / statistics.fmean(values)
    return f"{share:.1%} | {max(values) / statistics.median(values):.2f}"


def table(runs: Sequence[Run], amount: float) -> str:
    """The results as Markdown."""
    readings = [reading for run in runs for reading in (run.before_s, run.after_s)]
    slowness = [1 / run.speed for run in runs]
    mean, worse = [run.mean for run in runs], [run.worse for run in runs]
    median_ms = statistics.median(readings) * 1e3
    lines = [
        f"{len(runs)} honest runs of {amount:g} CPU seconds, two slots busy; a reading is "
        f"{median_ms:.2f} ms of work, the fastest of five.",
        "",
        "| | scatter | largest / median |",
        "|---|---|---|",
        f"| readings | {scatter(readings)} |",
        f"| CPU time of a training step | {scatter(slowness)} |",
        "",
        f"| held against {TOLERANCE} x usual | void | correlation with a step's CPU time |",
        "|---|---|---|",
    ]
    for name, values in (("mean of both readings (in use)", mean), ("worse of both", worse)):
        void = sum(value > TOLERANCE for value in values)
        related = statistics.correlation(values, slowness)
        lines.append(f"| {name} | {void} ({void / len(runs):.1%}) | {related:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40, help="runs per slot")
    parser.add_argument("--amount", type=float, default=3.0, help="CPU seconds per run")
    given = parser.parse_args()
    print(table(asyncio.run(measure(given.runs, given.amount)), given.amount))


if __name__ == "__main__":
    main()
