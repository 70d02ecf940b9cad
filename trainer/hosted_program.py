"""A program that runs in a sandbox beside its caller: its clock, its limits, whether it lives.

The executor's side of `Executor.serve`; the sandbox's side is `trainer.hosting`.
"""

from __future__ import annotations

import asyncio
import signal
from typing import Final

from trainer.errors import ExecutorError
from trainer.executor import Overuse, Program
from trainer.experiment import Isolation
from trainer.launch import EXIT_MEMORY
from trainer.limits import THREADS
from trainer.sandboxed_process import SandboxedProcess
from trainer.train_phase import MEMORY_SLACK

_START_S: Final = 30.0
_TICK_S: Final = 0.05


class HostedProgram:
    """Implements `trainer.executor.RunningProgram`."""

    def __init__(self, program: Program, process: SandboxedProcess, isolation: Isolation) -> None:
        self._program = program
        self._process = process
        self._isolation: Isolation = isolation
        self._killed_for: Overuse | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def isolation(self) -> Isolation:
        """How well it is isolated."""
        return self._isolation

    def cpu_s(self) -> float:
        """CPU seconds since the program began, read from outside."""
        begin = self._process.hand_over
        return max(0.0, self._process.cpu_s() - begin.cpu_s) if begin is not None else 0.0

    def is_alive(self) -> bool:
        """Whether its process still runs."""
        return not self._process.is_gone

    def is_lost(self) -> bool:
        """Whether it ended by nobody's fault, as `SandboxedProcess.is_lost` has it."""
        is_lost = self._process.is_lost(self._program.memory_bytes, self._isolation)
        return is_lost and not self._is_overdrawn()

    def overuse(self) -> Overuse | None:
        """What it exceeded: seen by `watch`, or told by keeper or kernel when it ended."""
        if self._killed_for is not None:
            return self._killed_for
        if self._process.refusal:
            return "protocol"
        if self._process.ending is None:
            return None
        by_kernel: dict[int, Overuse] = {EXIT_MEMORY: "memory", -signal.SIGXCPU: "limit"}
        return by_kernel.get(self._process.ending.code)

    async def locked(self) -> bool:
        """Wait until it is locked in; False if it ended before that, or has no lockdown."""
        while self._program.lockdown is not None and self.is_alive():
            if self._process.locked_cpu_s is not None:
                return True
            await self._process.wait(_TICK_S)
        return False

    async def ended(self) -> None:
        """Wait until its process has ended. Cancellation leaves it as it is."""
        while self.is_alive():
            await self._process.wait(_TICK_S)

    async def started(self) -> None:
        """Wait until the program has begun.

        Raises:
            ExecutorError: the sandbox could not be set up, was lost, or took too long.
        """
        deadline = self._loop.time() + _START_S
        while self._process.hand_over is None:
            self._process.check()
            if self._process.is_gone or self._loop.time() > deadline:
                raise ExecutorError(
                    f"the sandbox of {self._program.path.name} did not start; run it again"
                )
            await self._process.wait(_TICK_S)

    async def watch(self) -> None:
        """Kill it when it exceeds what it may use; ends with the process.

        Cancellation: stops watching; the process lives on.
        """
        begin_s = self._loop.time()
        while self.is_alive():
            usage = self._process.usage()
            if usage.resident_bytes > self._program.memory_bytes * MEMORY_SLACK:
                self._killed_for = "memory"
            elif (
                self._is_overdrawn()
                or self._loop.time() - begin_s > self._wall_s()
                or usage.threads > THREADS
                or usage.is_headless
            ):
                self._killed_for = "limit"
            if self._killed_for is not None:
                self._process.kill()
            await self._process.wait(_TICK_S)

    def _is_overdrawn(self) -> bool:
        """Whether it has used more processor time than it may: until it was locked in, or since."""
        lockdown, begin = self._program.lockdown, self._process.hand_over
        if lockdown is None or begin is None:
            return self.cpu_s() > self._program.cpu_s
        locked_cpu_s = self._process.locked_cpu_s
        if locked_cpu_s is None:
            return self.cpu_s() > lockdown.cpu_s
        loading_s = locked_cpu_s - begin.cpu_s
        return loading_s > lockdown.cpu_s or self.cpu_s() - loading_s > self._program.cpu_s

    def _wall_s(self) -> float:
        """How long it may live from here on, as far as is known."""
        lockdown = self._program.lockdown
        if lockdown is None or self._process.locked_cpu_s is not None:
            return self._program.wall_s
        return min(lockdown.wall_s, self._program.wall_s)
