"""The seed gate: before a new tree is measured, two short trainings show whether its seed matters.

A tree that brings a seed of its own is the best of many that were tried, and its runs are one run
told several times. Two steps under two seeds of the lab end in the same bytes then. So do those of
an honest tree that draws nothing by chance (a table of counts), and nothing outside the process
tells the two apart: what follows from the mark is `scoring.evidence.sequential`'s business. Next:
the experiment itself, by `trainer.local_executor`.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from trainer.experiment import Budget, Job, TrainResult
from trainer.train_phase import LOG_NAME

GATE_STEPS: Final = 2
"""One step may have a learning rate of 0; the second tells."""

Train = Callable[[Job], Awaitable[TrainResult]]


@dataclass(frozen=True, slots=True)
class Passage:
    """What the gate came to."""

    refusal: TrainResult | None
    """Why the tree is not measured: a gate's training that did not end ok."""
    is_deterministic: bool
    cpu_s: float
    charge_s: float


async def gated(job: Job, train: Train) -> TrainResult:
    """Train `job`, after the gate if it asks for that; the gate's cost is part of the result.

    A training that fails in the gate is the result, for it would have failed later too: the gate
    may use as much processor time as the experiment.

    Args:
        job: what is run.
        train: runs the train phase of one job on the leased slot.

    Cancellation: as that of `train`; what the gate left behind is removed.
    """
    if not job.has_seed_gate:
        return await train(job)
    folder = job.folder / "gate"
    try:
        passage = await _pass(job, train, folder)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    result = passage.refusal
    if result is None:
        result = await train(job)
    return replace(
        result,
        charge_s=passage.charge_s + (result.charge_s if passage.refusal is None else 0.0),
        gate_cpu_s=passage.cpu_s,
        is_deterministic=passage.is_deterministic,
    )


async def _pass(job: Job, train: Train, folder: Path) -> Passage:
    """Run both trainings, one after the other on the one slot, and compare what they leave."""
    budget = Budget("steps", GATE_STEPS, within=job.budget)
    cpu_s = charge_s = 0.0
    left: list[Path] = []
    for number in (1, 2):
        short = replace(
            job,
            seed=_seed(job.seed, number),
            budget=budget,
            folder=folder / str(number),
            has_seed_gate=False,
        )
        result = await train(short)
        cpu_s += result.cpu_s
        charge_s += job.budget.charge_s(result.cpu_s, result.wall_s)
        if result.artefact is None:
            shutil.move(short.folder / LOG_NAME, job.folder / LOG_NAME)
            detail = f"in the first {GATE_STEPS} steps, trained to see that the seed matters: "
            refusal = replace(result, detail=detail + result.detail)
            return Passage(refusal, False, cpu_s, charge_s)
        left.append(result.artefact)
    first, second = [await asyncio.to_thread(_digest, artefact) for artefact in left]
    return Passage(None, first == second, cpu_s, charge_s)


def _digest(path: Path) -> bytes:
    """The SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _seed(seed: int, number: int) -> int:
    """A seed for one of the gate's trainings; nothing about it tells that it is one."""
    digest = hashlib.sha256(f"seed gate {seed} {number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
