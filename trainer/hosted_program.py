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
_MODEST_BYTES: Final = 512 << 20
_MODEST: Final = 0.5
"""A program that never held more than this, nor more than this share of its memory, is not
suspected of having provoked the kernel. Torch and a small model hold 300 MiB."""


class HostedProgram:
    """Implements `trainer.executor.RunningProgram`."""

    def __init__(self, program: Program, process: SandboxedProcess, isolation: Isolation) -> None:
        self._program = program
        self._process = process
        self._isolation: Isolation = isolation
        self._most_bytes = 0
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
        """Whether it went with its keeper, or was killed by neither us nor itself.

        Nothing inside may be able to bring this about, or a candidate could ask for reruns without
        end. In a PID namespace of its own a program cannot send itself SIGKILL, every other signal
        it can. The kernel kills for processor time and memory: so neither may be suspicious.
        """
        if not self._process.is_gone:
            return False
        ending = self._process.ending
        if ending is None:
            return True
        return (
            ending.code == -signal.SIGKILL
            and not self._process.was_killed
            and self._isolation == "full"
            and self.cpu_s() <= self._program.cpu_s
            and self._most_bytes <= min(_MODEST_BYTES, self._program.memory_bytes * _MODEST)
        )

    def overuse(self) -> Overuse | None:
        """What it exceeded: seen by `watch`, or told by the kernel's limits when it ended."""
        ending = self._process.ending
        if self._killed_for is not None or ending is None:
            return self._killed_for
        by_kernel: dict[int, Overuse] = {EXIT_MEMORY: "memory", -signal.SIGXCPU: "limit"}
        return by_kernel.get(ending.code)

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
            self._most_bytes = max(self._most_bytes, usage.resident_bytes)
            if usage.resident_bytes > self._program.memory_bytes * MEMORY_SLACK:
                self._killed_for = "memory"
            elif (
                self.cpu_s() > self._program.cpu_s
                or self._loop.time() - begin_s > self._program.wall_s
                or usage.threads > THREADS
            ):
                self._killed_for = "limit"
            if self._killed_for is not None:
                self._process.kill()
            await self._process.wait(_TICK_S)
