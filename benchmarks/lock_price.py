"""The price of the lock: what an experiment costs beyond training and scoring without any lock.

    python benchmarks/lock_price.py [--repeats N] [--write]

Run by hand on a quiet machine. Two trees (the start, and one tuned) are trained for a few steps and
scored, in turns, on one processor, by the lab and by a plain process: forked, without walls, from
one that has torch warm, it trains and then computes the loss of the same blocks itself. What the
lab needs beyond that is the price. It does not depend on how long one trains, so it is measured
once and told as a share of each budget.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from sysconfig import get_paths

import numpy as np
from plain_lab import STEPS, Part, Plain, PlainLab
from trained_nanolm import TUNED

from agents.knobs import load_knobs, turn
from community.opening import open_bench
from community.run_folder import RunFolder
from community.scenario import Scenario
from community.scheduler import Bench
from community.world import open_ledger
from scoring.block_draw import draw, generator
from scoring.verdict import Split
from trainer.executor import Executor, Program, RunningProgram
from trainer.experiment import Budget, Job
from trainer.gpu_pool import Lease
from trainer.task import Task
from trainer.workspace import write_workspace

RESULT = Path(__file__).parent / "results/lock_price.md"
BUDGETS_S = (10, 20, 300)


@dataclass(frozen=True, slots=True)
class Locked:
    """One experiment in the lab, training left out."""

    start_s: float
    """Wall seconds from asking for the sandbox until candidate code begins."""
    gate: Part
    """The seed gate, once per new tree."""
    scoring: Part
    """The sandbox that answers blocks, with its start, and the scorer's own work."""
    probes: Part
    """The sandbox that answers blindly."""
    bits: float


class Watched:
    """An executor that notes what the programs it serves cost; otherwise the one it wraps."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.served: list[Part] = []

    def serve(self, program: Program, lease: Lease) -> AbstractAsyncContextManager[RunningProgram]:
        """Serve, and note wall and processor time in the end."""
        return self._noted(program, lease)

    @asynccontextmanager
    async def _noted(self, program: Program, lease: Lease) -> AsyncIterator[RunningProgram]:
        begin = time.monotonic()
        ended_s = 0.0

        async def until_ended() -> None:
            nonlocal ended_s
            await running.ended()
            ended_s = time.monotonic()

        async with self._executor.serve(program, lease) as running:
            ending = asyncio.create_task(until_ended())
            try:
                yield running
            finally:
                ending.cancel()
        self.served.append(Part((ended_s or time.monotonic()) - begin, running.cpu_s()))


async def run_locked(
    bench: Bench, watched: Watched, tree: Path, seed: int, lease: Lease, split: Split
) -> Locked:
    """One experiment behind the lock; training is left out of every part."""
    folder = bench.folder.job(f"price-{seed}-{split}")
    budget = Budget("steps", STEPS)
    job = Job("price", 1, tree, bench.folder.data, folder, seed, budget, has_seed_gate=True)
    begin = time.monotonic()
    trained = await bench.executor.train(job, lease)
    gate_wall_s = time.monotonic() - begin - trained.start_s - trained.wall_s
    if trained.artefact is None:
        sys.exit(f"the tree did not train: {trained}")
    watched.served.clear()
    begin = time.monotonic()
    scored = await bench.score_phase.score(trained.artefact, tree, split, lease, seed)
    wall_s = time.monotonic() - begin
    if scored.score.outcome != "ok":
        sys.exit(f"the tree was not scored: {scored}")
    blind, _ = watched.served  # the last to start is the first to be closed
    return Locked(
        start_s=trained.start_s,
        gate=Part(gate_wall_s, trained.gate_cpu_s),
        scoring=Part(wall_s - blind.wall_s, scored.cpu_s - blind.cpu_s),
        probes=blind,
        bits=scored.score.value or 0.0,
    )


@dataclass(frozen=True, slots=True)
class Pair:
    """One tree under one seed, behind the lock and without."""

    dev: Locked
    vault: Locked
    plain: Plain

    def prices(self, split: Split) -> dict[str, float]:
        """Wall seconds that the lock costs, by part."""
        locked = self.dev if split == "dev" else self.vault
        parts = {
            "start-up": locked.start_s - self.plain.start_s,
            "scoring": locked.scoring.wall_s - self.plain.scoring.wall_s,
            "probes": locked.probes.wall_s,
        }
        if split == "dev":
            parts["seed gate"] = locked.gate.wall_s
        return {**parts, "all": sum(parts.values())}


async def measure_pairs(
    bench: Bench, plain: PlainLab, tree: Path, repeats: int, base: int
) -> list[Pair]:
    """Run `repeats` pairs, the order of the two sides changing from one to the next."""
    watched = Watched(bench.executor)
    bench.score_phase._executor = watched  # type: ignore[attr-defined]
    pairs = []
    async with bench.pool.lease() as lease:
        cpus = sorted(lease.slot.cpus)
        for seed in range(base, base + repeats):
            first = seed % 2 == 0
            without = await asyncio.to_thread(plain.run, tree, seed, cpus) if first else None
            dev = await run_locked(bench, watched, tree, seed, lease, "dev")
            vault = await run_locked(bench, watched, tree, seed, lease, "vault")
            if without is None:
                without = await asyncio.to_thread(plain.run, tree, seed, cpus)
            if abs(dev.bits - without.bits) > 1e-5:
                sys.exit(f"locked {dev.bits} and plain {without.bits} differ: other blocks?")
            pairs.append(Pair(dev, vault, without))
            told = f"{dev.scoring} {dev.probes} {dev.gate} plain {without.scoring}"
            print(f"pair {len(pairs)} of {repeats}: {told}", file=sys.stderr)
    return pairs


def quantile(values: Sequence[float], share: float) -> float:
    """The empirical quantile, interpolated."""
    return float(np.quantile(np.array(values), share))


def table(name: str, split: Split, pairs: Sequence[Pair]) -> list[str]:
    """Rows of one tree on one split: each part in milliseconds, the whole as share of budgets."""
    prices = [pair.prices(split) for pair in pairs]
    lines = []
    for part in prices[0]:
        values = [price[part] for price in prices]
        middle, high = statistics.median(values), quantile(values, 0.95)
        cells = [f"{1e3 * middle:.0f}", f"{1e3 * high:.0f}"]
        cells += [f"{middle / each:.1%} / {high / each:.1%}" for each in BUDGETS_S]
        strong = "**" if part == "all" else ""
        lines.append(f"| {name}, {split} | {strong}{part}{strong} | {' | '.join(cells)} |")
    return lines


def write_blocks(task: Task, secret: bytes, folder: Path) -> Path:
    """Draw what a run of this secret is asked on dev, for the plain process."""
    spec = importlib.util.spec_from_file_location("locked_grade", task.locked / "grade.py")
    assert spec is not None
    assert spec.loader is not None
    grade = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(grade)
    files = grade.prepare(Path(get_paths()["stdlib"])).heldout["dev"]
    texts = [files[path] for path in sorted(files, key=lambda path: path.split("/"))]
    rules = grade.GRADER
    chance = generator(secret, "blocks/dev")
    requests = draw(texts, rules.blocks, rules.block, rules.rows, chance)
    path = folder / "blocks.npy"
    np.save(path, np.concatenate([request.blocks for request in requests]))
    return path


async def measure(folder: RunFolder, options: argparse.Namespace) -> str:
    """The whole result as Markdown."""
    scenario = Scenario.model_validate(
        {
            "run": {"task": "nanolm"},
            "pool": {"slots": 1},
            "budget": {"kind": "cpu_seconds", "amount": 10.0},
            "agents": [{"name": "ada", "role": "explorer", "mind": "policy:random"}],
        }
    )
    ledger, _ = open_ledger(folder, is_resumed=False)
    try:
        async with open_bench(scenario, "", folder, None) as opening:
            bench = opening.bench
            blocks = write_blocks(bench.task, opening.secret, folder.path)
            plain = PlainLab(blocks, folder.data / "train.bin", options.rows)
            try:
                found = {
                    name: await measure_pairs(
                        bench,
                        plain,
                        write_workspace(tree, folder.path / f"tree-{number}"),
                        options.repeats,
                        1000 * number,
                    )
                    for number, (name, tree) in enumerate(_trees(bench.task).items(), start=1)
                }
            finally:
                plain.close()
    finally:
        ledger.close()
    return _page(found, options)


def _trees(task: Task) -> dict[str, dict[str, bytes]]:
    """The start tree and a tuned one."""
    start = task.start["train.py"].decode()
    knobs = load_knobs(task.knobs_toml or "", start)
    turned = turn(start, TUNED, knobs)
    if turned.skipped:
        sys.exit(f"the tuned tree: {turned.skipped}")
    return {"start": dict(task.start), "tuned": {**task.start, "train.py": turned.text.encode()}}


def _page(found: Mapping[str, Sequence[Pair]], options: argparse.Namespace) -> str:
    heads = " | ".join(f"of {budget_s} s" for budget_s in BUDGETS_S)
    lines = [
        f"| tree, split | part | median ms | p95 ms | {heads} |",
        "|---|---|---|---|" + "---|" * len(BUDGETS_S),
    ]
    for name, pairs in found.items():
        for split in ("dev", "vault"):
            lines += table(name, split, pairs)
    plain = {
        name: statistics.median(pair.plain.scoring.wall_s for pair in pairs)
        for name, pairs in found.items()
    }
    scores = ", ".join(f"{1e3 * wall_s:.0f} ms ({name})" for name, wall_s in plain.items())
    return "\n".join(
        [
            *lines,
            "",
            f"Wall milliseconds beyond the plain process, {options.repeats} pairs; shares are "
            f"median / p95 of a budget. The plain process scores the same 508 blocks in {scores}; "
            "that is no price. The seed gate is paid once per new tree, so it stands with `dev`.",
            "",
        ]
    )


def main() -> None:
    """Measure, print, and with --write keep the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20, help="pairs per tree")
    parser.add_argument("--rows", type=int, default=8, help="rows the plain process asks at once")
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rc-price-") as name:
        folder = RunFolder.create(Path(name), "price")
        page = asyncio.run(measure(folder, options))
    print(page)
    if options.write:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(f"# The price of the lock\n\n{page}")


if __name__ == "__main__":
    main()
