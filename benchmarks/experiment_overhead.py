"""What an experiment costs beside training: start-up warm and cold, and the share of a 10 s budget.

Run by hand on a quiet machine: `python -m benchmarks.experiment_overhead [--write]`. It trains the
nanolm start tree and stamps the end of its first optimiser step with the monotonic clock, which all
processes of a machine share. Cold is the same tree under a fresh interpreter, as `python train.py`
would run it. The score phase is counted by its sandboxes only; grading is not the trainer's.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from trainer.devices import Slot
from trainer.executor import Program
from trainer.experiment import Budget, Job
from trainer.gpu_pool import GpuPool
from trainer.local_executor import LocalExecutor

START = Path(__file__).resolve().parents[1] / "scenarios/tasks/nanolm/start/train.py"
RESULT = Path(__file__).parent / "results/experiment_overhead.md"

MARKED = """
import time
from start_tree import build_model, train as train_start

class Marked:
    def __init__(self, run):
        self._run = run
    def __getattr__(self, name):
        return getattr(self._run, name)
    def steps(self):
        for index, progress in enumerate(self._run.steps()):
            if index == 1:
                print("first step ended at", time.monotonic(), flush=True)
            yield progress

def train(model, run):
    train_start(model, Marked(run))
"""

COLD = """
import os, sys
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
torch.manual_seed(1)
from train import build_model, train

class Run:
    tokens = torch.frombuffer(bytearray(open(sys.argv[2], "rb").read()), dtype=torch.uint8)
    seed, device = 1, "cpu"
    def remaining(self): return 1.0
    def progress(self): return 0.5
    def steps(self): yield from (0.0, 0.5)

train(build_model(), Run())
"""

SLEEPER = "import time\ndef main(arguments, descriptors): time.sleep(60)\n"


def stamp(log: str) -> float:
    """The monotonic time that a marked run printed."""
    line = next(line for line in log.splitlines() if line.startswith("first step ended at"))
    return float(line.rsplit(maxsplit=1)[1])


def prepare(folder: Path) -> None:
    """Tree, data and programs in `folder`."""
    for name in ("tree", "data", "jobs"):
        (folder / name).mkdir()
    shutil.copyfile(START, folder / "tree" / "start_tree.py")
    (folder / "tree" / "train.py").write_text(MARKED)
    (folder / "data" / "train.bin").write_bytes(START.read_bytes() * 200)
    (folder / "cold.py").write_text(COLD)
    (folder / "sleeper.py").write_text(SLEEPER)


def measure_cold(folder: Path, count: int) -> list[float]:
    """Seconds from starting a fresh interpreter to the end of its first step."""
    command = [sys.executable, folder / "cold.py", folder / "tree", folder / "data" / "train.bin"]
    seconds = []
    for _ in range(count):
        begin = time.monotonic()
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        seconds.append(stamp(done.stdout) - begin)
    return seconds


async def measure_warm(
    executor: LocalExecutor, pool: GpuPool, folder: Path, budget: Budget, count: int
) -> list[tuple[float, float, float, float]]:
    """(to hand-over, to first step, whole lease, training) in seconds, per experiment."""
    rows = []
    for number in range(count):
        job_folder = folder / "jobs" / f"{budget.kind}{number}"
        job = Job("e1", 1, folder / "tree", folder / "data", job_folder, number, budget)
        async with pool.lease() as lease:
            begin = time.monotonic()
            result = await executor.train(job, lease)
            whole = time.monotonic() - begin
        if result.outcome != "ok":
            sys.exit(f"the start tree did not train: {result}")
        first = stamp((job_folder / "log.txt").read_text()) - begin
        used = result.cpu_s if budget.kind == "cpu_seconds" else result.wall_s
        rows.append((result.start_s, first, whole, used))
    return rows


async def measure_serving(
    executor: LocalExecutor, pool: GpuPool, folder: Path, count: int
) -> list[float]:
    """Seconds to start and end the two sandboxes of a score phase, one after the other."""
    seconds = []
    program = Program(folder / "sleeper.py", folder / "tree")
    for _ in range(count):
        async with pool.lease() as lease:
            begin = time.monotonic()
            async with executor.serve(program, lease), executor.serve(program, lease):
                pass
            seconds.append(time.monotonic() - begin)
    return seconds


def row(name: str, seconds: list[float]) -> str:
    """A table row: median and 95th percentile in milliseconds."""
    ordered = sorted(seconds)
    high = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    return (
        f"| {name} | {len(seconds)} | {statistics.median(seconds) * 1e3:.0f} | {high * 1e3:.0f} |"
    )


async def measure(folder: Path, warm: int, cold: int, full: int, budget_s: float) -> str:
    """All tables as Markdown."""
    pool = GpuPool([Slot("cpu0", "cpu", frozenset({min(os.sched_getaffinity(0))}))])
    async with LocalExecutor() as executor:
        isolation = await executor.warm_up()
        short = await measure_warm(executor, pool, folder, Budget("steps", 2), warm)
        serving = await measure_serving(executor, pool, folder, warm)
        long = await measure_warm(executor, pool, folder, Budget("cpu_seconds", budget_s), full)
    fresh = await asyncio.to_thread(measure_cold, folder, cold)
    start = statistics.median(first[0] for first in short)
    around = [whole - used for _, _, whole, used in long]
    share = statistics.median(around) / budget_s
    scoring = statistics.median(serving)
    return "\n".join(
        [
            f"Isolation: {isolation}. One slot, one job at a time, nanolm's start tree.",
            "",
            "| from the lease to | runs | median ms | p95 ms |",
            "|---|---|---|---|",
            row("hand-over (sandbox ready, candidate code begins), warm", [r[0] for r in short]),
            row("end of the first training step, warm", [r[1] for r in short]),
            row("end of the first training step, cold `python train.py`", fresh),
            row("two answering sandboxes started and ended", serving),
            "",
            f"Of a budget of {budget_s:g} CPU-seconds ({full} runs): everything around training "
            f"takes {statistics.median(around) * 1e3:.0f} ms of the lease in the median, "
            f"{share:.1%} of the budget (waiting for the processor included); the sandboxes of "
            f"the score phase add {scoring / budget_s:.1%}. Start-up alone is "
            f"{start / budget_s:.2%}; cold it would be {statistics.median(fresh) / budget_s:.0%}.",
            "",
        ]
    )


def main() -> None:
    """Measure, print, and with --write keep the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--warm", type=int, default=30, help="warm starts")
    parser.add_argument("--cold", type=int, default=8, help="cold starts")
    parser.add_argument("--full", type=int, default=3, help="experiments of a whole budget")
    parser.add_argument("--budget", type=float, default=10.0, help="CPU-seconds of those")
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rc-overhead-") as name:
        folder = Path(name)
        prepare(folder)
        table = asyncio.run(
            measure(folder, options.warm, options.cold, options.full, options.budget)
        )
    print(table)
    if options.write:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(f"# What an experiment costs beside training\n\n{table}")


if __name__ == "__main__":
    main()
