"""A program that runs in a sandbox beside its caller: its clock, its limits, whether it lives.

The executor's side of `Executor.serve`; the sandbox's side is `trainer.hosting`.
"""

from __future__ import annotations

import asyncio
from typing import Final

from trainer.errors import ExecutorError
from trainer.executor import Program
from trainer.experiment import Isolation
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
            if (
                self.cpu_s() > self._program.cpu_s
                or self._loop.time() - begin_s > self._program.wall_s
                or usage.resident_bytes > self._program.memory_bytes * MEMORY_SLACK
                or usage.threads > THREADS
            ):
                self._process.kill()
            await self._process.wait(_TICK_S)
