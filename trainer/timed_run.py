"""A run against the clock on a machine that may have slowed down meanwhile.

The reference kernel is read before and after. Where the two readings tell that the run got less
than its budget is worth, its timing is void: the attempt is interrupted, by nobody's fault, and
whoever asked runs it again. The second time it is taken as it is, marked, so that a noisy machine
ends no experiment. Budgets in steps have no timing to void.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Protocol

from trainer.experiment import Job, TrainResult
from trainer.reference_kernel import TOLERANCE


class Readings(Protocol):
    """What is asked of a reference kernel."""

    async def read_s(self, cpus: Iterable[int]) -> float:
        """Time the work on these processors."""
        ...

    def usual_s(self, cpus: Iterable[int]) -> float | None:
        """What is usual there; None while there are too few readings."""
        ...


async def timed(
    job: Job,
    train: Callable[[Job], Awaitable[TrainResult]],
    kernel: Readings,
    cpus: frozenset[int],
) -> TrainResult:
    """Train `job` and say how slow the machine was; void it if that was too slow.

    Args:
        job: what is run.
        train: runs the train phase of one job on the leased slot.
        kernel: the reference kernel of this machine.
        cpus: the slot's processors.
    """
    if job.budget.kind == "steps":
        return await train(job)
    before_s = await kernel.read_s(cpus)
    while (usual_s := kernel.usual_s(cpus)) is None:
        before_s = await kernel.read_s(cpus)
    result = await train(job)
    slowdown = (before_s + await kernel.read_s(cpus)) / 2 / usual_s
    result = replace(result, slowdown=slowdown)
    if slowdown <= TOLERANCE or not _depends_on_speed(result):
        return result
    if job.takes_slow:
        return replace(result, is_slow=True)
    if result.artefact is not None:
        result.artefact.unlink(missing_ok=True)
    return replace(
        result,
        outcome="interrupted",
        reason="slow",
        detail=f"the machine was {slowdown - 1:.0%} slower than usual",
        artefact=None,
    )


def _depends_on_speed(result: TrainResult) -> bool:
    """Whether a faster machine could have made another end of it."""
    return result.outcome == "ok" or (result.outcome, result.reason) == ("invalid", "limit")
