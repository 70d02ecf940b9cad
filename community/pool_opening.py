"""Where the experiments of a run are run: on this machine, or on the nodes of a cluster.

`ThisMachine` and `OnRay` answer the same questions, so that whoever opens a run
(`community.opening`, `community.script_opening`) does not ask which it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from community.events import RunOpened
from community.fetching_ahead import Prefetch
from community.pool_section import PoolSection
from community.scenario import Scenario
from trainer.devices import Slot, check_memory, find_gpus
from trainer.errors import DeviceError
from trainer.executor import Executor
from trainer.experiment import Budget, Isolation
from trainer.gpu_pool import GpuPool
from trainer.local_executor import LocalExecutor
from trainer.reference_kernel import machine_s
from trainer.script.script_executor import ScriptExecutor
from trainer.task import Task
from trainer.task_slots import slots_for


@dataclass(frozen=True, slots=True)
class Devices:
    """What experiments run on, ready to be used."""

    slots: tuple[Slot, ...]
    pool: GpuPool
    executor: Executor
    isolation: Isolation
    machine_s: Callable[[], Awaitable[float]]
    """How fast they are, by the reference kernel."""
    prefetch: Prefetch | None = None


class Place(Protocol):
    """Where experiments are run."""

    @property
    def has_gpus(self) -> bool:
        """Whether there are GPUs that torch can use."""
        ...

    def check(self, task: Task, budget: Budget) -> None:
        """Find out what can be found out at once.

        Raises:
            DeviceError: experiments of `task` cannot be run there.
        """
        ...

    def open(
        self, task: Task, budget: Budget, known: RunOpened | None, hidden: Sequence[str] = ()
    ) -> AbstractAsyncContextManager[Devices]:
        """Open the devices, and close them in the end.

        Args:
            task: Whose experiments they are for.
            budget: Of each.
            known: First row of a run that goes on: its slots keep their names.
            hidden: Held-out parts of the standard library, which no sandbox shows.

        Raises:
            DeviceError, ExecutorError: they cannot be used.
        """
        ...


def accepted(weakest: Isolation) -> tuple[Isolation, ...]:
    """Return the degrees of isolation that are at least as strong as `weakest`."""
    degrees: tuple[Isolation, ...] = ("full", "partial", "none")
    return degrees[: degrees.index(weakest) + 1]


def place_of(scenario: Scenario) -> Place:
    """Return where `scenario` runs its experiments; of a cluster, once it is reached.

    Raises:
        DeviceError: there is no such cluster.
    """
    allow = accepted(scenario.lab.isolation)
    if scenario.pool.backend == "ray":
        return OnRay(scenario.pool, allow)
    return ThisMachine(scenario.pool, allow)


class ThisMachine:
    """Experiments run here."""

    def __init__(self, section: PoolSection, allow: Sequence[Isolation]) -> None:
        self._section = section
        self._allow = allow

    @property
    def has_gpus(self) -> bool:
        """Whether there are GPUs here that torch can use."""
        return bool(find_gpus())

    def check(self, task: Task, budget: Budget) -> None:
        """Look for the slots, and whether memory lasts for all of them."""
        check_memory(self._slots(task, budget), task.memory_bytes)

    @asynccontextmanager
    async def open(
        self, task: Task, budget: Budget, known: RunOpened | None, hidden: Sequence[str] = ()
    ) -> AsyncIterator[Devices]:
        """Start the warm parent, or look whether scripts can be isolated."""
        slots = self._slots(task, budget)
        made: LocalExecutor | ScriptExecutor
        if task.script is not None:
            made = ScriptExecutor(task.script, task.metric)
        else:
            made = LocalExecutor(hidden=hidden, allow=self._allow)
        async with made as executor:
            isolation = await executor.warm_up()
            read = partial(machine_s, [slot.cpus for slot in slots])
            yield Devices(slots, GpuPool(slots), executor, isolation, read)

    def _slots(self, task: Task, budget: Budget) -> tuple[Slot, ...]:
        return slots_for(task, budget.kind, self._section.slots)


class OnRay:
    """Experiments run on the nodes of a Ray cluster.

    Raises:
        DeviceError: Ray is not installed, or the cluster is not there.
    """

    def __init__(self, section: PoolSection, allow: Sequence[Isolation]) -> None:
        from trainer.cluster.ray_cluster import RayCluster

        self._section = section
        self._allow = tuple(allow)
        self._cluster = RayCluster(section.address)

    @property
    def has_gpus(self) -> bool:
        """Whether any node has one."""
        return self._cluster.has_gpus

    def check(self, task: Task, budget: Budget) -> None:
        """See that a task for cards meets cards; the rest only the nodes can tell."""
        if self._gpus(task, budget) and not self._cluster.has_gpus:
            raise DeviceError(
                f"task {task.name} runs on GPUs here, and no node of the Ray cluster has one: see "
                "`ray status`, or set gpus = 0 in [pool]"
            )

    @asynccontextmanager
    async def open(
        self, task: Task, budget: Budget, known: RunOpened | None, hidden: Sequence[str] = ()
    ) -> AsyncIterator[Devices]:
        """Put an actor on each node."""
        from trainer.cluster.ray_cluster import Share, Terms

        share = Share(self._gpus(task, budget), self._section.cpus, task.memory_bytes)
        terms = Terms(share, tuple(hidden), self._allow, task.script, task.metric)
        try:
            executor = await self._cluster.open(
                terms, self._section.slots, () if known is None else known.slots
            )
        except BaseException:
            await self._cluster.aclose()
            raise
        try:
            yield Devices(
                executor.slots,
                executor.pool,
                executor,
                executor.isolation,
                executor.machine_s,
                executor.prefetch,
            )
        finally:
            await executor.aclose()

    def _gpus(self, task: Task, budget: Budget) -> float:
        """Return how much of a GPU each slot takes."""
        if self._section.gpus is not None:
            return self._section.gpus
        is_timed = budget.kind == "device_seconds" and self._cluster.has_gpus
        return 1.0 if is_timed or task.device == "cuda" else 0.0
