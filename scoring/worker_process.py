"""The client's end of one worker process: start it, talk to it, notice its death, end it.

One object is one process; `scoring.scorer` replaces it when it dies. The worker's life hangs on the
control socket: when this end closes, for whatever reason, the worker exits.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path
from typing import IO

from scoring import control
from scoring.control import Ask, Broken, Message, Prepare, Ready, Refused, Scored, TooSmall
from scoring.errors import (
    CorpusTooSmallError,
    LockBrokenError,
    ScorerStartError,
    WorkerLostError,
)
from scoring.verdict import Score, Split

_START_S = 60.0
"""Splitting and reading takes about a second; a minute covers a cold disk on a busy machine."""
_OVERDUE_S = 20.0
"""A worker that is this late with an answer beyond its deadline is stuck and gets killed."""
_END_S = 1.0
"""An idle worker exits within milliseconds of the socket's end; after this it is killed."""
_COMPLAINT_BYTES = 2000

_ROOT = str(Path(__file__).parents[1])
_LAUNCH = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from scoring.worker import main; main(int(sys.argv[2]))"
)
"""-I hides the working folder and PYTHONPATH, so the package's place is told by argument."""
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Nothing else: no key, no path, no locale of ours."""


class WorkerProcess:
    """A running worker; made by `WorkerProcess.start`."""

    def __init__(self, process: Process, link: socket.socket, stderr: IO[bytes]) -> None:
        self._process = process
        self._link = link
        self._stderr = stderr
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Scored | Broken | None]] = {}
        self._first: asyncio.Future[Message | None] = asyncio.get_running_loop().create_future()
        self._is_lost = False
        self._is_ended = False
        self.ready: Ready
        """What it said when it was ready."""
        asyncio.get_running_loop().add_reader(link, self._read)

    @classmethod
    async def start(cls, prepare: Prepare) -> WorkerProcess:
        """Start a worker and wait until it is ready.

        Raises:
            CorpusTooSmallError: the source does not suffice.
            ScorerStartError: it cannot get ready; the message ends with what it said last.

        Cancellation: the worker is killed.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-c", _LAUNCH, _ROOT, str(theirs.fileno())),
                    pass_fds=(theirs.fileno(),),
                    env=_ENVIRONMENT,
                    stdin=DEVNULL,
                    stdout=DEVNULL,
                    stderr=stderr,
                )
            except BaseException:
                ours.close()
                stderr.close()
                raise
        worker = cls(process, ours, stderr)
        try:
            worker.ready = await worker._get_ready(prepare)
        except BaseException:
            await worker.aclose()
            raise
        return worker

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return not self._is_lost

    async def ask(self, split: Split, deadline_s: float, descriptors: tuple[int, ...]) -> Score:
        """Have one artefact scored; the descriptors stay the caller's to close.

        Raises:
            WorkerLostError: the worker died, or is stuck and was killed.
            LockBrokenError: the lock is broken.

        Cancellation: the answer is dropped when it comes.
        """
        number = next(self._numbers)
        answer: asyncio.Future[Scored | Broken | None]
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(deadline_s + _OVERDUE_S):
                await self._send(Ask(number, split, deadline_s), descriptors)
                message = await answer
        except TimeoutError:
            self._lose()
            raise WorkerLostError(f"worker {self.pid} is stuck and was killed") from None
        finally:
            self._waiting.pop(number, None)
        if message is None:
            raise WorkerLostError(f"worker {self.pid} died")
        if isinstance(message, Broken):
            raise LockBrokenError(message.name, message.change)
        return message.score

    def complaints(self) -> str:
        """Return the end of its stderr."""
        if self._stderr.closed:
            return ""
        size = self._stderr.seek(0, os.SEEK_END)
        start = max(0, size - _COMPLAINT_BYTES)
        return os.pread(self._stderr.fileno(), _COMPLAINT_BYTES, start).decode(errors="replace")

    async def aclose(self) -> None:
        """End the process and reap it, within two seconds.

        Cancellation: it is killed.
        """
        if self._is_ended:
            return
        self._is_ended = True
        self._hang_up()
        try:
            async with asyncio.timeout(_END_S):
                await self._process.wait()
        except TimeoutError:
            self._kill()
            await self._process.wait()
        finally:
            self._kill()
            self._stderr.close()

    async def _get_ready(self, prepare: Prepare) -> Ready:
        try:
            async with asyncio.timeout(_START_S):
                await self._send(prepare, ())
                message = await self._first
        except (TimeoutError, WorkerLostError):
            message = None
        if message is None:
            why = f"the scorer's worker did not get ready within {_START_S:.0f} s, or died"
            raise ScorerStartError(f"{why}; it said: {self.complaints() or 'nothing'}")
        match message:
            case Ready():
                return message
            case TooSmall():
                raise CorpusTooSmallError(
                    message.part, message.size_bytes, message.least_bytes, message.source
                )
            case Refused():
                raise ScorerStartError(
                    f"{prepare.locked}/grade.py cannot be used: {message.message}"
                )
        raise ScorerStartError(f"the scorer's worker began with {type(message).__name__}")

    async def _send(self, message: Message, descriptors: tuple[int, ...]) -> None:
        """Send when the socket has room; bounded by the caller's timeout."""
        while not self._is_lost:
            try:
                control.send(self._link, message, descriptors)
            except BlockingIOError:
                await asyncio.sleep(0.005)
            except OSError:
                self._lose()
            else:
                return
        raise WorkerLostError(f"worker {self.pid} died")

    def _read(self) -> None:
        """Take what the worker says (called by the event loop)."""
        try:
            received = control.receive(self._link)
        except BlockingIOError:
            return
        except (OSError, ValueError, KeyError, TypeError):
            received = None
        if received is None:
            self._lose()
            return
        message = received[0]
        if isinstance(message, Scored | Broken):
            answer = self._waiting.get(message.number)
            if answer is not None and not answer.done():
                answer.set_result(message)
        elif not self._first.done():
            self._first.set_result(message)

    def _lose(self) -> None:
        """Give the worker up: whoever waits is told, and it is killed if it still lives."""
        self._hang_up()
        self._kill()

    def _hang_up(self) -> None:
        if self._is_lost:
            return
        self._is_lost = True
        asyncio.get_running_loop().remove_reader(self._link)
        self._link.close()
        if not self._first.done():
            self._first.set_result(None)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_result(None)

    def _kill(self) -> None:
        if self._process.returncode is None:
            try:
                self._process.kill()
            except ProcessLookupError:
                return
