"""What becomes of a timing on a machine that slowed down, and the kernel that tells."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from trainer_trials import HONEST, RunTrial

from trainer.experiment import Budget, Job, TrainResult
from trainer.reference_kernel import TOLERANCE, ReferenceKernel, kernel_bin, machine_s, settled_s
from trainer.timed_run import timed

CPUS = frozenset({min(os.sched_getaffinity(0))})
FINE = TrainResult("ok", "", "", 9.9, 10.1, 9.9, 0.02, None, "full")


class Scripted:
    """A kernel that reads what it is told; usually 10 ms once there were three readings."""

    def __init__(self, readings_ms: Sequence[float]) -> None:
        self.readings_ms = list(readings_ms)
        self.count = 3

    async def read_s(self, cpus: Iterable[int]) -> float:
        """The next reading."""
        self.count += 1
        return self.readings_ms.pop(0) / 1e3

    def usual_s(self, cpus: Iterable[int]) -> float | None:
        """Ten milliseconds."""
        return 0.010 if self.count >= 3 else None


async def run(
    job: Job, readings_ms: Sequence[float], result: TrainResult = FINE, count: int = 3
) -> tuple[TrainResult, Scripted]:
    """Run a job whose training ends in `result` beside these readings."""
    kernel = Scripted(readings_ms)
    kernel.count = count

    async def train(_: Job) -> TrainResult:
        return result

    return await timed(job, train, kernel, CPUS), kernel


@pytest.fixture
def job(job: Job) -> Job:
    """A first try, whose timing may be void."""
    return replace(job, takes_slow=False)


def artefact_of(job: Job) -> Path:
    """A complete artefact in the job's folder."""
    job.folder.mkdir()
    artefact = job.folder / "artefact.safetensors"
    artefact.write_bytes(b"kept")
    return artefact


@pytest.mark.parametrize(
    ("readings_ms", "expected"),
    [
        ((10.0, 10.0), ("ok", "")),
        ((9.0, 9.0), ("ok", "")),
        ((10.9, 11.0), ("ok", "")),
        ((11.2, 11.2), ("interrupted", "slow")),
        ((10.0, 12.2), ("interrupted", "slow")),
        ((12.2, 10.0), ("interrupted", "slow")),
    ],
    ids=["usual", "faster", "a little slower", "slow", "slowed down", "recovered"],
)
async def test_a_slow_machine_voids_the_timing(
    job: Job, readings_ms: tuple[float, float], expected: tuple[str, str]
):
    """Beyond a tenth the attempt is nobody's fault, and its artefact is not kept."""
    artefact = artefact_of(job)
    result, _ = await run(job, readings_ms, replace(FINE, artefact=artefact))
    assert (result.outcome, result.reason) == expected
    assert result.slowdown == pytest.approx(sum(readings_ms) / 20)
    assert artefact.exists() == (expected[0] == "ok")
    assert result.artefact == (artefact if artefact.exists() else None)
    assert not result.is_slow
    assert result.cpu_s == 9.9
    assert result.charge_s == 9.9


async def test_the_second_try_is_taken_and_marked(job: Job):
    """A noisy machine ends no experiment: what was void before counts now, and says so."""
    artefact = artefact_of(job)
    slow = replace(FINE, artefact=artefact)
    result, _ = await run(replace(job, takes_slow=True), (13.0, 13.0), slow)
    assert (result.outcome, result.is_slow) == ("ok", True)
    assert artefact.exists()
    result, _ = await run(replace(job, takes_slow=True), (10.0, 10.0), slow)
    assert (result.outcome, result.is_slow) == ("ok", False)


@pytest.mark.parametrize(
    ("outcome", "reason", "expected"),
    [
        ("invalid", "limit", ("interrupted", "slow")),
        ("invalid", "crash", ("invalid", "crash")),
        ("invalid", "artefact", ("invalid", "artefact")),
        ("interrupted", "lost", ("interrupted", "lost")),
    ],
)
async def test_only_what_time_decides_is_void(
    job: Job, outcome: Any, reason: str, expected: tuple[str, str]
):
    """A crash is a crash on any machine; whoever was a little late may have been slowed down."""
    ended = replace(FINE, outcome=outcome, reason=reason)
    result, _ = await run(job, (15.0, 15.0), ended)
    assert (result.outcome, result.reason) == expected


async def test_budgets_in_steps_are_left_alone(job: Job):
    """They are not timed, so no kernel is run for them."""
    result, kernel = await run(replace(job, budget=Budget("steps", 3)), ())
    assert (result, kernel.count) == (FINE, 3)


async def test_what_is_usual_is_learnt_before_the_first_run(job: Job):
    """The first run on a slot has readings to be compared with."""
    result, kernel = await run(job, (10.0, 10.0, 10.0, 10.0), count=0)
    assert result.outcome == "ok"
    assert kernel.readings_ms == []


async def test_the_kernel_reads_on_the_slot_and_gives_the_thread_back():
    """Readings are CPU seconds of a few milliseconds; the median of at least three is usual."""
    kernel = ReferenceKernel()
    before = os.sched_getaffinity(0)
    readings = []
    for number in range(3):
        assert (kernel.usual_s(CPUS) is None) == (number < 3)
        readings.append(await kernel.read_s(CPUS))
    assert kernel.usual_s(CPUS) == sorted(readings)[1]
    assert all(1e-4 < reading < 1 for reading in readings)
    assert os.sched_getaffinity(0) == before
    assert await asyncio.to_thread(os.sched_getaffinity, 0) == before
    assert kernel.usual_s({*CPUS, 99}) is None


async def test_the_event_loop_goes_on_during_a_reading():
    """The work holds no interpreter lock, so other tasks have their turns meanwhile."""
    kernel = ReferenceKernel()
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    try:
        await kernel.read_s(CPUS)
    finally:
        task.cancel()
    assert turns > 20
    assert threading.active_count() < 40


@pytest.mark.asyncio(loop_scope="session")
async def test_a_real_run_tells_its_slowdown(run_trial: RunTrial):
    """The executor reads the kernel around runs in seconds, and not around those in steps."""
    timed_run = await run_trial(HONEST, budget=Budget("cpu_seconds", 0.5), takes_slow=True)
    assert timed_run.result.outcome == "ok"
    assert timed_run.result.slowdown is not None
    assert timed_run.result.is_slow == (timed_run.result.slowdown > TOLERANCE)
    in_steps = await run_trial(HONEST, budget=Budget("steps", 2))
    assert in_steps.result.slowdown is None


def test_a_bin_of_the_kernel_is_five_per_cent_wide():
    """A tenth apart is another bin; the same speed has one name, whatever the last digit."""
    assert kernel_bin(0.0100) == kernel_bin(0.01001) != kernel_bin(0.0110)
    assert kernel_bin(0.0100).startswith("kernel ")
    assert len({kernel_bin(0.010 * 1.05**n) for n in range(40)}) == 40


def test_a_machine_keeps_its_bin_within_five_per_cent_of_its_opening():
    """At the edge of two bins a reading a hair off does not change the class."""
    assert kernel_bin(settled_s(0.01045, 0.0100)) == kernel_bin(0.0100)
    assert settled_s(0.0096, 0.0100) == 0.0100
    assert settled_s(0.0106, 0.0100) == 0.0106
    assert settled_s(0.0106, None) == 0.0106


async def test_the_machine_is_read_on_its_slots():
    """A reading is what the work takes: more than nothing, less than a second."""
    affinity = os.sched_getaffinity(0)
    assert 0.0 < await machine_s([CPUS, CPUS]) < 1.0
    assert os.sched_getaffinity(0) == affinity
