"""Runs scripts on this machine: a keeper for each attempt, a sandbox around the user's command.

Another implementation of `trainer.executor.Executor`. There is no warm parent, since the user's own
interpreter runs; no seed gate, since a script may bring its seed (`COMMUNITY_SEED` offers the
lab's); and nothing is served, since nothing of it is asked afterwards.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from trainer.errors import ExecutorError, SandboxUnavailableError
from trainer.executor import Program, RunningProgram
from trainer.experiment import GRACE, Isolation, Job, TrainResult
from trainer.gpu_pool import Lease
from trainer.reference_kernel import ReferenceKernel
from trainer.sandbox.cuda import device_nodes
from trainer.sandbox.probe import probe
from trainer.sandboxed_process import SandboxedProcess
from trainer.script.final_block import BlockReader
from trainer.script.interpreter import Interpreter, find_interpreter
from trainer.script.order import ScriptOrder
from trainer.script.root import HOME, SCRATCH, TREE
from trainer.script.script_phase import ScriptPhase
from trainer.script_table import ScriptTable
from trainer.timed_run import timed
from trainer.train_phase import END_S

_BOOTSTRAP: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    " from trainer.script.keeper import main; main(sys.argv[2:])"
)
_BACKSTOP: Final = 1.5
_BACKSTOP_S: Final = 5.0
"""The kernel's own CPU limit lies this far beyond the budget: it holds if the executor is gone."""
SEED: Final = "COMMUNITY_SEED"
"""Environment variable with the seed that the lab drew."""


class ScriptExecutor:
    """Implements `trainer.executor.Executor` for the command of a script task.

    Args:
        script: the task's own table.
        metric: name of the number, where the table does not say what stands before it.

    Raises:
        ExecutorError: its interpreter is not here.
    """

    def __init__(self, script: ScriptTable, metric: str) -> None:
        self._script = script
        self._text = script.line or f"{metric}:"
        self._kernel = ReferenceKernel()
        self._is_ready = False
        self._is_closed = False
        try:
            self._python: Interpreter = find_interpreter(script.python)
        except ValueError as error:
            raise ExecutorError(str(error)) from error

    async def __aenter__(self) -> Self:
        """See whether this machine can isolate a script."""
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

    async def warm_up(self) -> Isolation:
        """Return the isolation that scripts get: full, since a PID namespace ends all they start.

        Raises:
            SandboxUnavailableError: this machine does not give it.
        """
        if not self._is_ready:
            report = await asyncio.to_thread(probe)
            if not report.allows("full"):
                raise SandboxUnavailableError(("full",), report.advice())
            self._is_ready = True
        return "full"

    async def train(self, job: Job, lease: Lease) -> TrainResult:
        """Run the command on the tree of `job`, on the slot of `lease`; no seed gate.

        The result's artefact is a JSON file with what the script reported.

        Raises:
            ExecutorError: a sandbox that cannot be set up.

        Cancellation: the script and all that it started are killed before it returns.
        """
        if job.budget.kind != "device_seconds":
            raise ExecutorError("a script's budget is in device_seconds; change [budget]")
        if self._is_closed:
            raise ExecutorError("this executor is closed; make a new one")
        train = partial(self._train, lease=lease)
        return await timed(job, train, self._kernel, lease.slot.cpus)

    async def _train(self, job: Job, lease: Lease) -> TrainResult:
        requested_s = asyncio.get_running_loop().time()
        isolation = await self.warm_up()
        job.folder.mkdir(parents=True, exist_ok=True)
        reader = BlockReader(self._text, self._script.reports, anywhere=self._script.anywhere)
        with ExitStack() as stack:
            pipes = [_pipe(stack) for _ in range(4)]
            order = self._order(job, lease).to_descriptor()
            stack.callback(os.close, order)
            given = (order, *(writing for _, writing in pipes))
            keeper = _start(given)
            status, mark, output, left = (os.dup(reading) for reading, _ in pipes)
        process = SandboxedProcess(status, mark)
        artefact = left if self._script.leaves else None
        if artefact is None:
            os.close(left)
        try:
            phase = ScriptPhase(job, process, output, reader, requested_s, artefact)
            return await phase.run(isolation)
        finally:
            await process.end(END_S)
            keeper.kill()  # it has ended, or hangs and takes its child along
            await asyncio.to_thread(keeper.wait)
            process.close()

    def serve(self, program: Program, lease: Lease) -> AbstractAsyncContextManager[RunningProgram]:
        """Refuse: nothing of a script is asked once it has ended.

        Raises:
            ExecutorError: always.
        """
        raise ExecutorError(f"a script task runs its command alone, not {program.path.name}")

    async def aclose(self) -> None:
        """Take no more jobs; each attempt ends its own."""
        self._is_closed = True

    def _order(self, job: Job, lease: Lease) -> ScriptOrder:
        slot, script = lease.slot, self._script
        is_cuda = slot.cuda_index is not None
        devices: tuple[str, ...] = ()
        if slot.cuda_index is not None:
            devices = device_nodes(slot.cuda_index, slot.cuda_uuid)
        return ScriptOrder(
            command=(_program(script.command[0], self._python), *script.command[1:]),
            environment=self._environment(job, lease),
            code=self._python.visible(cuda=is_cuda),
            tree=os.path.realpath(job.workspace),
            data=tuple((each.place, each.inside(TREE, HOME)) for each in script.data),
            devices=devices,
            cpus=tuple(sorted(slot.cpus)),
            scratch_bytes=script.scratch_bytes,
            memory_bytes=job.memory_bytes,
            cpu_s=job.budget.amount * len(slot.cpus) * GRACE * _BACKSTOP + _BACKSTOP_S,
            leaves=script.leaves,
            leaves_bytes=job.artefact_bytes,
        )

    def _environment(self, job: Job, lease: Lease) -> dict[str, str]:
        """An environment that tells nothing of ours, with the one card that may be used."""
        python = self._python
        folders = [os.path.dirname(python.path), "/usr/local/bin", "/usr/bin", "/bin"]
        own = {
            "PATH": ":".join(folders),
            "HOME": HOME,
            "USER": "candidate",
            "LOGNAME": "candidate",
            "TMPDIR": SCRATCH[2],
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": str(len(lease.slot.cpus)),
            "CUDA_VISIBLE_DEVICES": lease.slot.cuda_uuid,
            SEED: str(job.seed),
        }
        if python.environment:
            own["VIRTUAL_ENV"] = python.environment
        return {**own, **self._script.environment}


def _program(name: str, python: Interpreter) -> str:
    """Return the absolute path of a command's first word."""
    if name in ("python", "python3"):
        return python.path
    beside = Path(python.path).with_name(name)
    if "/" not in name and beside.exists():
        return str(beside)
    if "/" not in name:
        found = [f"{folder}/{name}" for folder in ("/usr/local/bin", "/usr/bin", "/bin")]
        return next((path for path in found if os.access(path, os.X_OK)), found[-1])
    return name if name.startswith("/") else f"{TREE}/{name}"


def _start(descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
    """Start a keeper, which gets these descriptors and nothing else of ours."""
    root = str(Path(__file__).resolve().parents[2])
    words = [str(descriptor) for descriptor in descriptors]
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _BOOTSTRAP, root, *words, str(os.getpid())],
            env={},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=tuple(descriptors),
        )
    except OSError as error:
        raise ExecutorError(f"no keeper could be started: {error.strerror}") from error


def _pipe(stack: ExitStack) -> tuple[int, int]:
    """A pipe whose ends are closed with `stack`."""
    reading, writing = os.pipe()
    stack.callback(os.close, reading)
    stack.callback(os.close, writing)
    return reading, writing
