"""Runs experiments on this machine: a warm parent forks sandboxed processes, this watches them.

The asyncio side. Not the place where walls are built (`trainer.sandbox`) nor where candidate code
is called (`trainer.harness`): here are requests, descriptors, leases' processors, and the ends.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Final, Self, get_args

from trainer.device_watch import watched
from trainer.devices import Slot
from trainer.errors import ExecutorError, SandboxUnavailableError
from trainer.executor import Program, RunningProgram
from trainer.experiment import GRACE, Isolation, Job, TrainResult
from trainer.gpu_pool import Lease
from trainer.hosted_program import HostedProgram
from trainer.launch import Launch, ServeOrder, TrainOrder, to_descriptor
from trainer.limits import Limits
from trainer.reference_kernel import ReferenceKernel
from trainer.residency import EVERY_S, read_through
from trainer.sandbox.cuda import device_nodes, driver_files
from trainer.sandbox.entry import Part, Walls
from trainer.sandbox.probe import probe
from trainer.sandbox.view import module_names, visible_code
from trainer.sandboxed_process import SandboxedProcess
from trainer.seed_gate import gated
from trainer.timed_run import timed
from trainer.train_phase import END_S, TrainPhase
from trainer.warm_parent import WarmParent

_BACKSTOP: Final = 1.5
_BACKSTOP_S: Final = 5.0
"""The kernel's own CPU limit lies this far beyond the budget: it holds if the executor is gone."""


class LocalExecutor:
    """Implements `trainer.executor.Executor` on this machine.

    Args:
        hidden: held-out parts of the standard library, as paths relative to it; no sandbox shows
            them.
        allow: acceptable kinds of isolation, best first; the first that this machine gives is
            used for everything. ``none`` is for trusted code and must be asked for.
        without: parts of the sandbox to leave out, for the attack suite alone; all results then
            say ``none``, whatever is left.
    """

    phase = TrainPhase
    """What watches an attempt; the attack suite puts weaker ones here."""
    forks_from = WarmParent
    """What forks the sandboxes; likewise."""

    def __init__(
        self,
        hidden: Iterable[str] = (),
        allow: Sequence[Isolation] = ("full", "partial"),
        without: Iterable[Part] = (),
    ) -> None:
        self._hidden = tuple(hidden)
        self._allow = tuple(allow)
        self._without = tuple(without)
        if unknown := set(self._without) - set(get_args(Part)):
            raise ValueError(f"a sandbox has no part {', '.join(sorted(unknown))}")
        self._isolation: Isolation | None = None
        self._locks_down = True
        self._code: dict[bool, tuple[str, ...]] = {}
        self._parent: WarmParent | None = None
        self._kernel = ReferenceKernel()
        self._starting = asyncio.Lock()
        self._is_closed = False
        self._reading: asyncio.Task[int] | None = None
        self._read_at_s = 0.0

    async def __aenter__(self) -> Self:
        """Warm up."""
        await self.warm_up()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        await self.aclose()

    @property
    def warm_parent_pid(self) -> int | None:
        """Process id of the warm parent, None while there is none."""
        return self._parent.pid if self._parent is not None else None

    async def warm_up(self) -> Isolation:
        """Start the warm parent now instead of at the first job; the isolation all jobs will get.

        Raises:
            SandboxUnavailableError: this machine gives no acceptable isolation.
            ExecutorError: the warm parent cannot be started, or this executor is closed.
        """
        isolation, _ = await self._ready()
        return self._reported(isolation)

    async def train(self, job: Job, lease: Lease) -> TrainResult:
        """Run the train phase of `job` on the slot of `lease`, after its seed gate if it has one.

        Raises:
            ExecutorError: no warm parent, or a sandbox that cannot be set up.

        Cancellation: the sandbox and all its processes are killed before it returns.
        """
        train = partial(self._train, lease=lease)
        return await gated(
            job, partial(timed, train=train, kernel=self._kernel, cpus=lease.slot.cpus)
        )

    async def _train(self, job: Job, lease: Lease) -> TrainResult:
        requested_s = asyncio.get_running_loop().time()
        isolation, _ = await self._ready()
        budget = job.budget
        limit_s = budget.wall_cap_s * len(lease.slot.cpus)
        if budget.clock.kind == "cpu_seconds":
            limit_s = budget.clock.amount
        order = TrainOrder(
            seed=job.seed,
            device=lease.slot.device,
            budget_kind=budget.kind,
            budget_amount=budget.amount,
            leaves=job.leaves,
            token_bytes=job.token_bytes,
            untimed_s=budget.untimed_s,
        )
        limits = Limits(job.memory_bytes, limit_s * GRACE * _BACKSTOP + _BACKSTOP_S)
        walls = self._walls(isolation, lease.slot, str(job.workspace), str(job.data), limits)
        job.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            artefact_in, artefact_out = _pipe(stack)
            log_in, log_out = _pipe(stack)
            process = await self._launch(walls, lease.slot, order, (artefact_out, log_out), stack)
            try:
                # duplicates: the stack closes the originals, the streams own theirs
                ends = os.dup(artefact_in), os.dup(log_in)
                stack.close()
                phase = self.phase(job, process, *ends, requested_s)
                async with watched(lease.slot.cuda_uuid) as used:
                    result = await phase.run(self._reported(isolation))
                return replace(result, device_use=used.so_far())
            finally:
                await self._finish(process)

    def serve(self, program: Program, lease: Lease) -> AbstractAsyncContextManager[RunningProgram]:
        """Run `program` beside the caller until the block exits; then kill it.

        Raises:
            ExecutorError: no warm parent, or a sandbox that cannot be set up.

        Cancellation: the program is killed before it returns.
        """
        return self._serve(program, lease)

    async def aclose(self) -> None:
        """End the warm parent and everything it started, within two seconds."""
        self._is_closed = True
        parent, self._parent = self._parent, None
        if self._reading is not None:
            self._reading.cancel()
        if parent is not None:
            await parent.close()

    @asynccontextmanager
    async def _serve(self, program: Program, lease: Lease) -> AsyncIterator[RunningProgram]:
        with ExitStack() as stack:
            for descriptor in program.descriptors:
                stack.callback(os.close, descriptor)
            isolation, _ = await self._ready()
            lockdown = program.lockdown
            loading_s = lockdown.cpu_s if lockdown is not None else 0.0
            cpu_s = (program.cpu_s + loading_s) * _BACKSTOP + _BACKSTOP_S
            limits = Limits(program.memory_bytes, cpu_s)
            walls = self._walls(isolation, lease.slot, str(program.workspace), None, limits)
            await self._read_code()  # or one program tells another by what it reads first
            stays = lockdown.stays if lockdown is not None else None
            order = ServeOrder(str(program.path.resolve()), dict(program.arguments), stays)
            process = await self._launch(walls, lease.slot, order, program.descriptors, stack)
        hosted = HostedProgram(program, process, self._reported(isolation))
        try:
            await hosted.started()
            watch = asyncio.create_task(hosted.watch(), name=f"watch {program.path.name}")
            try:
                yield hosted
            finally:
                watch.cancel()
                await asyncio.wait([watch])
                if not watch.cancelled():
                    watch.result()  # a fault of ours while watching is not swallowed
        finally:
            await self._finish(process)

    def _read_code(self) -> asyncio.Task[int]:
        """Read all that sandboxes may see, beside whatever goes on, unless that was just done."""
        now_s = asyncio.get_running_loop().time()
        if self._reading is None or (self._reading.done() and now_s > self._read_at_s + EVERY_S):
            self._read_at_s = now_s
            reading = asyncio.to_thread(read_through, self._visible(cuda=False), self._has_closed)
            self._reading = asyncio.create_task(reading, name="read visible code")
        return self._reading

    def _has_closed(self) -> bool:
        return self._is_closed

    async def _ready(self) -> tuple[Isolation, WarmParent]:
        """The isolation in use and a living warm parent, started if there is none."""
        async with self._starting:
            if self._is_closed:
                raise ExecutorError("this executor is closed; make a new one")
            if self._isolation is None:
                self._isolation = await self._choose()
            if self._parent is None or not self._parent.is_alive():
                if self._parent is not None:
                    await self._parent.close(grace_s=0.0)
                    self._parent = None
                self._parent = await self.forks_from.start()
                self._read_code()  # from a cold disk it takes a while: training has begun by then
            return self._isolation, self._parent

    async def _choose(self) -> Isolation:
        """The first acceptable isolation that works here."""
        report = await asyncio.to_thread(probe)
        self._locks_down = report.locks_down
        for isolation in self._allow:
            if report.allows(isolation):
                return isolation
        raise SandboxUnavailableError(self._allow, report.advice())

    def _walls(
        self, isolation: Isolation, slot: Slot, workspace: str, data: str | None, limits: Limits
    ) -> Walls:
        cuda = slot.cuda_index is not None
        devices: tuple[str, ...] = ()
        if slot.cuda_index is not None:
            devices = device_nodes(slot.cuda_index, slot.cuda_uuid)
        workspace = os.path.realpath(workspace)
        data = os.path.realpath(data) if data is not None else None
        without = self._without
        if not self._locks_down:  # isolation is partial then, and says so
            without = (*without, "lockdown")
        return Walls(isolation, self._visible(cuda=cuda), workspace, data, devices, limits, without)

    def _visible(self, *, cuda: bool) -> tuple[str, ...]:
        """The code that sandboxes see."""
        if cuda not in self._code:
            extra = driver_files() if cuda else ()
            self._code[cuda] = (*visible_code(self._hidden, cuda=cuda), *extra)
        return self._code[cuda]

    def _reported(self, isolation: Isolation) -> Isolation:
        """What results say: a sandbox with a part left out counts as none at all."""
        return "none" if self._without else isolation

    async def _launch(
        self,
        walls: Walls,
        slot: Slot,
        order: TrainOrder | ServeOrder,
        own: Sequence[int],
        stack: ExitStack,
    ) -> SandboxedProcess:
        """Ask for a process; the child's ends of all pipes are closed with `stack`."""
        launch = Launch(
            walls, tuple(sorted(slot.cpus)), slot.cuda_uuid, module_names(self._hidden), order
        )
        status_in, status_out = _pipe(stack)
        mark_in, mark_out = _pipe(stack)
        record = to_descriptor(launch)
        stack.callback(os.close, record)
        for _ in range(2):  # a warm parent that died since the last job is replaced once
            _, parent = await self._ready()
            if await parent.request((record, status_out, mark_out, *own)):
                return SandboxedProcess(os.dup(status_in), os.dup(mark_in))
        raise ExecutorError("the warm parent dies as soon as it is started")

    async def _finish(self, process: SandboxedProcess) -> None:
        """Kill, wait, close; if it will not go, the warm parent goes and takes it along."""
        try:
            if not await process.end(END_S) and self._parent is not None:
                self._parent.kill()
        finally:
            process.close()


def _pipe(stack: ExitStack) -> tuple[int, int]:
    """A pipe whose ends are closed with `stack`."""
    reading, writing = os.pipe()
    stack.callback(os.close, reading)
    stack.callback(os.close, writing)
    return reading, writing
