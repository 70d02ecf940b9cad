"""The Executor protocol: run a job's train phase, or any program, in a sandbox on a leased slot.

Executors know nothing of scores. `Program` is how the score phase is run by a package that does not
know what it computes: a file, arguments, descriptors. Implementations: `trainer.local_executor`
(warm parent and sandbox). One contract suite tests each.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from trainer.experiment import Isolation, Job, TrainResult
from trainer.gpu_pool import Lease

Overuse = Literal["limit", "memory", "protocol"]
"""What a program exceeded: a limit of processor time, wall time or threads, its memory, or what may
be open when it locks itself in."""


@dataclass(frozen=True, slots=True)
class Lockdown:
    """How far a program may go before it locks itself in; its `main` gets a third argument for it.

    From then on it can read, write, compute and end; every other system call fails.
    """

    stays: tuple[int, ...]
    """Positions, among the program's descriptors, of those that are open then, and no others."""
    cpu_s: float
    """CPU seconds from its beginning until then, beyond which it is killed."""
    wall_s: float


@dataclass(frozen=True, slots=True)
class Program:
    """A Python file with a function ``main(arguments, descriptors)`` to run in a sandbox."""

    path: Path
    """Read by the child after the fork, never by the warm parent."""
    workspace: Path
    """The candidate's tree, mounted read-only; also the working folder and on `sys.path`."""
    arguments: Mapping[str, str | int | float] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()
    """Open descriptors, passed in this order. Entering the context that `Executor.serve` returned
    makes them the executor's, which closes them, also if entering fails."""
    memory_bytes: int = 2 << 30
    cpu_s: float = 60.0
    """CPU seconds after which it is killed, counted from the lockdown if there is one."""
    wall_s: float = 120.0
    """Wall seconds, from its beginning, after which it is killed."""
    lockdown: Lockdown | None = None


class RunningProgram(Protocol):
    """A program that runs in a sandbox until its context ends."""

    @property
    def isolation(self) -> Isolation:
        """How well it is isolated."""
        ...

    def cpu_s(self) -> float:
        """CPU seconds used so far, taken from outside."""
        ...

    def is_alive(self) -> bool:
        """Whether its process still runs."""
        ...

    async def locked(self) -> bool:
        """Wait until it is locked in; False if it ended before that, or has no lockdown.

        Cancellation leaves it as it is.
        """
        ...

    async def ended(self) -> None:
        """Wait until its process has ended, by itself or not. Cancellation leaves it as it is."""
        ...

    def overuse(self) -> Overuse | None:
        """What it exceeded, if it was ended for that. To be asked after the block, as `is_lost`."""
        ...

    def is_lost(self) -> bool:
        """Whether it ended by nobody's fault: with the warm parent, or killed from outside.

        False while it runs, if it ended by itself, and if we killed it; also if a kill could be
        its own doing. To be asked after the block, when its end is known.
        """
        ...


class Executor(Protocol):
    """Runs candidate code; never inside our own process."""

    async def train(self, job: Job, lease: Lease) -> TrainResult:
        """Run the train phase of `job` on the slot of `lease`, after its seed gate if it has one.

        Never raises for what candidate code does: that is `outcome="invalid"`.

        Raises:
            ExecutorError: the executor itself is broken (no warm parent can be started).

        Cancellation: the sandbox and all its processes are killed before it returns.
        """
        ...

    def serve(self, program: Program, lease: Lease) -> AbstractAsyncContextManager[RunningProgram]:
        """Run `program` beside the caller until the block exits; then kill it.

        Raises:
            ExecutorError: the executor itself is broken.
        """
        ...

    async def aclose(self) -> None:
        """End the warm parent and everything it started, within two seconds."""
        ...
