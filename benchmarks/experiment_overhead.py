"""What an experiment costs beside training: start-up warm and cold, scoring, recording.

    python benchmarks/experiment_overhead.py [--write]

Run by hand on a quiet machine. It trains the nanolm start tree, which stamps its own beginning and
the end of its first optimiser step with the monotonic clock (which all processes of a machine
share) and its processor time. Cold is the same tree under a fresh interpreter, as `python train.py`
would run it. Whole experiments go through the real scheduler, sandboxes, scorer and ledger, one at
a time on one slot, and are read back from the ledger. Wall and processor time are never mixed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

from community.archive.state import BASELINE, ExperimentState
from community.chronicle import Chronicle
from community.opening import open_bench
from community.queueing import Queue
from community.run_folder import RunFolder
from community.scenario import Scenario
from community.scheduler import Bench, Request, Scheduler
from community.score_phase import Scored, ScorePhase
from community.world import open_ledger
from trainer.experiment import Budget, Job
from trainer.train_phase import LOG_NAME
from trainer.workspace import write_workspace

RESULT = Path(__file__).parent / "results/experiment_overhead.md"

MARKED = b"""
import time
def mark(what):
    print("marked", what, time.monotonic(), time.process_time(), flush=True)
mark("began")
from start_tree import build_model, train as train_start

class Marked:
    def __init__(self, run):
        self._run = run
    def __getattr__(self, name):
        return getattr(self._run, name)
    def steps(self):
        for index, progress in enumerate(self._run.steps()):
            if index == 1:
                mark("stepped")
            yield progress

def train(model, run):
    train_start(model, Marked(run))
"""

COLD = """
import sys
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


@dataclass(frozen=True, slots=True)
class Span:
    """Wall and processor seconds of one thing."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Whole:
    """One experiment, from its lease to the next one's, in parts that add up."""

    start: Span
    """Lease, workspace and sandbox, until candidate code begins."""
    training: Span
    """Until its artefact was complete; its processor time is what the budget counts."""
    scoring: Span
    """Two answering sandboxes, and waiting for the scorer's own work."""
    rest: Span
    """Burying the sandbox, recording the verdict, the next turn; the processor time of the scorer,
    the warm parent and the community's own process, none of which is in the parts above."""


class Clocked:
    """A score phase that remembers what each score took; the ledger rounds it."""

    def __init__(self, phase: ScorePhase) -> None:
        self._phase = phase
        self.cpu_s: list[float] = []

    async def score(self, *arguments: Any) -> Scored:
        """Score as the real one does."""
        scored = await self._phase.score(*arguments)
        self.cpu_s.append(scored.cpu_s)
        return scored


def marks(log: str) -> dict[str, Span]:
    """The stamps that a marked run printed: monotonic and processor time."""
    lines = [line.split() for line in log.splitlines() if line.startswith("marked ")]
    return {what: Span(float(wall), float(cpu)) for _, what, wall, cpu in lines}


def measure_cold(tree: Path, data: Path, count: int) -> list[Span]:
    """From starting a fresh interpreter to the end of its first step."""
    command = [sys.executable, "-c", COLD, str(tree), str(data / "train.bin")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    spans = []
    for _ in range(count):
        begin = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        stepped = marks(done.stdout)["stepped"]
        spans.append(Span(stepped.wall_s - begin, stepped.cpu_s))
    return spans


async def measure_warm(bench: Bench, tree: Path, count: int) -> list[Span]:
    """From the lease to the end of the first step."""
    spans = []
    for number in range(count):
        folder = bench.folder.job(f"warm{number}")
        job = Job("warm", 1, tree, bench.folder.data, folder, number, Budget("steps", 2))
        async with bench.pool.lease() as lease:
            begin = time.monotonic()
            result = await bench.executor.train(job, lease)
        if result.outcome != "ok":
            sys.exit(f"the start tree did not train: {result}")
        stepped = marks((folder / LOG_NAME).read_text())["stepped"]
        spans.append(Span(stepped.wall_s - begin, stepped.cpu_s))
    return spans


async def measure_whole(
    bench: Bench, chronicle: Chronicle, commit: str, tree_key: str, count: int
) -> list[Whole]:
    """Run `count` whole experiments, and one more that only marks the end of the last."""
    phase = Clocked(bench.score_phase)
    bench = replace(bench, score_phase=phase)
    scheduler = Scheduler(chronicle, Queue(lambda: 0.0, lambda _: 1.0), bench)
    request = Request(commit, tree_key, "", "baseline", "dev", BASELINE, BASELINE)
    names = [scheduler.admit(request) for _ in range(count + 1)]
    before_s = _own_cpu_s()
    serving = asyncio.create_task(scheduler.serve())
    try:
        for name in names[:-1]:
            verdict = await scheduler.verdict(name)
            if verdict.outcome != "ok":
                sys.exit(f"the start tree was not measured: {verdict}")
        rest_cpu_s = (_own_cpu_s() - before_s) / count
        experiments = chronicle.state.experiments
        await chronicle.wait_until(lambda _: bool(experiments[names[-1]].attempts))
    finally:
        serving.cancel()
        await asyncio.wait([serving])
    runs = [experiments[name] for name in names]
    return [
        _parts(bench, run, following.attempts[0].started_us, score_cpu_s, rest_cpu_s)
        for (run, following), score_cpu_s in zip(pairwise(runs), phase.cpu_s, strict=False)
    ]


def _own_cpu_s() -> float:
    """Processor seconds of this process, the scorer's worker and the warm parent so far."""
    own = psutil.Process()
    times = [process.cpu_times() for process in (own, *own.children())]
    return sum(each.user + each.system for each in times)


def _parts(
    bench: Bench, run: ExperimentState, next_us: int, score_cpu_s: float, rest_cpu_s: float
) -> Whole:
    """Take one experiment apart."""
    attempt, verdict = run.attempts[-1], run.verdict  # a void timing may come before
    ended = attempt.ended
    assert ended is not None
    assert verdict is not None
    log = bench.folder.job(f"{run.queued.experiment_id}-{attempt.attempt}") / LOG_NAME
    start_s = (ended.train_us[0] - ended.leased_us) / 1e6 + ended.start_s
    scoring = Span((ended.answer_us[1] - ended.answer_us[0]) / 1e6, score_cpu_s)
    known_s = start_s + verdict.train_wall_s + scoring.wall_s
    return Whole(
        start=Span(start_s, marks(log.read_text())["began"].cpu_s),
        training=Span(verdict.train_wall_s, ended.train_cpu_s),
        scoring=scoring,
        rest=Span((next_us - attempt.started_us) / 1e6 - known_s, rest_cpu_s),
    )


def middle(spans: Sequence[Span]) -> Span:
    """Median of each clock for itself."""
    return Span(
        statistics.median(span.wall_s for span in spans),
        statistics.median(span.cpu_s for span in spans),
    )


def row(name: str, span: Span, *more: str) -> str:
    """A table row, in milliseconds."""
    cells = (name, f"{span.wall_s * 1e3:.0f}", f"{span.cpu_s * 1e3:.0f}", *more)
    return f"| {' | '.join(cells)} |"


def start_table(warm: Sequence[Span], cold: Sequence[Span]) -> list[str]:
    """Lines on start-up, warm against cold."""
    quick, slow = middle(warm), middle(cold)
    ratio = f"{slow.wall_s / quick.wall_s:.1f} in wall, {slow.cpu_s / quick.cpu_s:.1f} in processor"
    return [
        "| to the end of the first training step | wall ms | processor ms | runs |",
        "|---|---|---|---|",
        row("warm, from the lease", quick, str(len(warm))),
        row("cold, from `python train.py`", slow, str(len(cold))),
        "",
        f"Cold over warm: {ratio} time. Medians; processor time of the process that trains.",
    ]


def whole_table(wholes: Sequence[Whole], budget_s: float) -> list[str]:
    """Lines on what the parts of a whole experiment cost."""
    parts = {
        "lease, workspace, sandbox, until candidate code begins": [w.start for w in wholes],
        "training, until the artefact is complete": [w.training for w in wholes],
        "two answering sandboxes, one score": [w.scoring for w in wholes],
        "all else: end, verdict, ledger, next turn; scorer and our own processes": [
            w.rest for w in wholes
        ],
    }
    medians = {name: middle(spans) for name, spans in parts.items()}
    whole = Span(sum(m.wall_s for m in medians.values()), sum(m.cpu_s for m in medians.values()))
    training = middle(parts["training, until the artefact is complete"])
    around = Span(whole.wall_s - training.wall_s, whole.cpu_s - training.cpu_s)
    lines = [
        f"| of an experiment of {budget_s:g} CPU-seconds | wall ms | processor ms "
        "| share of wall | share of processor |",
        "|---|---|---|---|---|",
    ]
    for name, span in {**medians, "**everything around training**": around}.items():
        shares = f"{span.wall_s / whole.wall_s:.1%}", f"{span.cpu_s / whole.cpu_s:.1%}"
        lines.append(row(name, span, *shares))
    return [
        *lines,
        "",
        f"Medians of {len(wholes)} experiments. Per budget of {budget_s:g} CPU-seconds everything "
        f"around training costs {around.cpu_s / budget_s:.1%} of it in processor time; a slot "
        f"trains {training.wall_s / whole.wall_s:.1%} of its wall time. Training ends a little "
        "before its budget: the harness keeps a margin. Not counted: minds, the forum and views, "
        "which run beside the slots.",
    ]


async def measure(folder: RunFolder, options: argparse.Namespace) -> str:
    """All tables as Markdown."""
    scenario = Scenario.model_validate(
        {
            "run": {"task": "nanolm"},
            "pool": {"slots": 1},
            "budget": {"kind": "cpu_seconds", "amount": options.budget},
            "agents": [{"name": "ada", "role": "explorer", "mind": "policy:random"}],
        }
    )
    ledger, clock = open_ledger(folder, is_resumed=False)
    try:
        async with open_bench(scenario, "", folder, None) as opening:
            chronicle, bench = Chronicle(ledger, clock), opening.bench
            chronicle.record(opening.opened)
            tree = {"train.py": MARKED, "start_tree.py": bench.task.start["train.py"]}
            commit = bench.repository.commit(tree, (), "lab <lab@community.invalid>", "marked\n", 0)
            workspace = write_workspace(tree, folder.path / "tree")
            warm = await measure_warm(bench, workspace, options.warm)
            key = opening.opened.baseline_tree_key
            wholes = await measure_whole(bench, chronicle, commit, key, options.full)
        isolation = {verdict.isolation for verdict in chronicle.state.verdicts.values()}
        cold = await asyncio.to_thread(measure_cold, workspace, folder.data, options.cold)
    finally:
        ledger.close()
    head = f"Isolation: {', '.join(isolation)}. One slot, one job at a time, nanolm's start tree."
    tables = [*start_table(warm, cold), "", *whole_table(wholes, options.budget)]
    return "\n".join([head, "", *tables, ""])


def main() -> None:
    """Measure, print, and with --write keep the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--warm", type=int, default=30, help="warm starts")
    parser.add_argument("--cold", type=int, default=8, help="cold starts")
    parser.add_argument("--full", type=int, default=7, help="experiments of a whole budget")
    parser.add_argument("--budget", type=float, default=10.0, help="CPU-seconds of those")
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rc-overhead-") as name:
        folder = RunFolder.create(Path(name), "overhead")
        table = asyncio.run(measure(folder, options))
    print(table)
    if options.write:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(f"# What an experiment costs beside training\n\n{table}")


if __name__ == "__main__":
    main()
