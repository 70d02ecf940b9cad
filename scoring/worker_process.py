"""The client's end of one worker process: start it, talk to it, notice its death, end it.

One object is one process with its private copy of the code; `scoring.scorer` replaces it when it
dies. The worker's life hangs on the control socket: when this end closes, for whatever reason, the
worker exits. The files the copy was made of are checked here, before and after each score.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from scoring import control, lock, own_user
from scoring.control import (
    Ask,
    Blind,
    Broken,
    Grade,
    Message,
    Prepare,
    Ready,
    Refused,
    Scored,
    TooSmall,
)
from scoring.errors import (
    CorpusTooSmallError,
    LockBrokenError,
    ScorerStartError,
    WorkerLostError,
)
from scoring.judging import Judging
from scoring.private_copy import PrivateCopy
from scoring.verdict import Score, Split

_START_S = 60.0
"""Splitting and reading takes about a second; a minute covers a cold disk on a busy machine."""
_OVERDUE_S = 20.0
"""A worker that is this late with an answer beyond its deadline is stuck and gets killed."""
_END_S = 1.0
"""An idle worker exits within milliseconds of the socket's end; after this it is killed."""
_COMPLAINT_BYTES = 2000

_LAUNCH = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from scoring.worker import main; main(int(sys.argv[2]))"
)
"""-I hides the working folder and PYTHONPATH, so the copy's place is told by argument; -B leaves
the copy as it is."""
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Nothing else: no key, no path, no locale of ours."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker's files are, and where its training data goes."""

    locked: Path
    """The task's locked folder."""
    source: Path
    """The folder whose text is split."""
    public: Path
    """Folder that gets ``train.bin``; made if it is missing."""
    beside: Mapping[str, Path]
    """Further files that decide scores, by their name in the manifest; checked, not copied."""
    judging: Judging | None = None
    """Of a task whose artefacts are data."""

    @classmethod
    def of(
        cls,
        locked: Path,
        source: Path,
        public: Path,
        beside: Mapping[str, Path],
        judging: Judging | None = None,
    ) -> Place:
        """Name all of it by absolute paths: a worker has no working folder to rely on."""
        return cls(locked.absolute(), source.absolute(), public.absolute(), dict(beside), judging)


class WorkerProcess:
    """A running worker; made by `WorkerProcess.start`."""

    def __init__(
        self, process: Process, link: socket.socket, stderr: IO[bytes], copy: PrivateCopy
    ) -> None:
        self._process = process
        self._copy = copy
        self._link = link
        self._stderr = stderr
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Scored | Broken | None]] = {}
        self._first: asyncio.Future[Message | None] = asyncio.get_running_loop().create_future()
        self._is_lost = False
        self._is_ended = False
        self._place: Place
        self.ready: Ready
        """What it said when it was ready."""
        self.manifest: dict[str, str]
        """What decides its scores, entry by entry."""
        asyncio.get_running_loop().add_reader(link, self._read)

    @classmethod
    async def start(cls, place: Place, run_secret: bytes) -> WorkerProcess:
        """Start a worker on a private copy of the code and wait until it is ready.

        Raises:
            CorpusTooSmallError: the source does not suffice.
            LockBrokenError: a file changed while it was copied.
            ScorerStartError: it cannot get ready; the message ends with what it said last.

        Cancellation: the worker is killed.
        """
        try:
            copy = PrivateCopy.make(place.locked)
        except OSError as error:
            raise ScorerStartError(f"the scorer's code cannot be copied: {error}") from error
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        with theirs:
            try:
                where = (str(copy.folder), str(theirs.fileno()))
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-B", "-c", _LAUNCH, *where),
                    pass_fds=(theirs.fileno(),),
                    env=_ENVIRONMENT,
                    stdin=DEVNULL,
                    stdout=DEVNULL,
                    stderr=stderr,
                )
            except BaseException:
                ours.close()
                stderr.close()
                copy.remove()
                raise
        worker = cls(process, ours, stderr, copy)
        try:
            await worker._begin(place, run_secret)
        except BaseException:
            await worker.aclose()
            raise
        return worker

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def has_own_user(self) -> bool:
        """Whether it runs as a user of its own, who owns nothing."""
        with suppress(OSError):
            return own_user.is_own_user(self.pid)
        return False

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return not self._is_lost

    async def ask(
        self,
        split: Split,
        deadline_s: float,
        descriptors: tuple[int, int],
        blind: Awaitable[tuple[int, int]],
    ) -> Score:
        """Have one artefact scored; the descriptors stay the caller's to close.

        Args:
            split: Which held-out split.
            deadline_s: Seconds until waiting for answers ends.
            descriptors: Request and reply end of the sandbox that is asked blocks.
            blind: The same of the one that is asked prefixes, as soon as it may be.

        Raises:
            WorkerLostError: the worker died, or is stuck and was killed.
            LockBrokenError: a file that decides scores is not what it was when the worker started,
                before or after the score.

        Cancellation: the answer is dropped when it comes.
        """
        number = next(self._numbers)
        asked = Ask(number, split, deadline_s)
        return await self._scored(asked, descriptors, self._handing_over(number, blind))

    async def grade(self, split: Split, deadline_s: float, artefact: int) -> Score:
        """Have data graded; the descriptor stays the caller's to close.

        Raises, and on cancellation does, what `ask` does.
        """
        asked = Grade(next(self._numbers), split, deadline_s)
        return await self._scored(asked, (artefact,), nullcontext())

    async def _scored(
        self,
        asked: Ask | Grade,
        descriptors: tuple[int, ...],
        meanwhile: AbstractAsyncContextManager[None],
    ) -> Score:
        """Send what is asked and wait for the answer, within `meanwhile`."""
        self._verify()
        number = asked.number
        answer: asyncio.Future[Scored | Broken | None]
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(asked.deadline_s + _OVERDUE_S):
                await self._send(asked, descriptors)
                async with meanwhile:
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
        self._verify()
        return message.score

    @asynccontextmanager
    async def _handing_over(
        self, number: int, blind: Awaitable[tuple[int, int]]
    ) -> AsyncIterator[None]:
        """Send the blind sandbox's ends when they are there; at the latest, say that none come."""

        async def hand_over() -> None:
            await self._send(Blind(number), await blind)

        task = asyncio.create_task(hand_over(), name=f"blind {number}")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            if task.cancelled():
                with suppress(OSError):  # the worker is gone, or notices by its deadline
                    control.send(self._link, Blind(number))
            else:
                task.exception()  # the worker is lost, which whoever waits is told otherwise

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
            self._copy.remove()

    async def _begin(self, place: Place, run_secret: bytes) -> None:
        """Have it prepare the data; check what it runs, and write the training text."""
        self._place = place
        judging = place.judging.as_dict() if place.judging is not None else None
        prepare = Prepare(str(self._copy.locked), str(place.source), run_secret.hex(), judging)
        train = os.memfd_create("train", os.MFD_CLOEXEC)
        try:
            self.ready = await self._get_ready(prepare, train)
            beside = lock.hashes_of(place.beside)
            self.manifest = dict(sorted({**self.ready.manifest, **beside}.items()))
            copied = {name: self.ready.manifest.get(name, "") for name in self._copy.hashes}
            lock.compare(self._copy.hashes, copied)
            self._verify()
            _publish(train, place.public)
        finally:
            os.close(train)

    def _verify(self) -> None:
        lock.verify(self.manifest, self._place.locked, self._place.beside)

    async def _get_ready(self, prepare: Prepare, train: int) -> Ready:
        try:
            async with asyncio.timeout(_START_S):
                await self._send(prepare, (train,))
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
                    f"{self._place.locked}/grade.py cannot be used: {message.message}"
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


def _publish(train: int, public: Path) -> None:
    """Write ``train.bin`` from a memory file; one that is already there and the same stays."""
    with os.fdopen(os.dup(train), "rb") as memory:
        memory.seek(0)
        text = memory.read()
    public.mkdir(parents=True, exist_ok=True)
    target = public / "train.bin"
    if target.is_file() and target.read_bytes() == text:
        return
    fresh = target.with_suffix(".new")
    fresh.write_bytes(text)
    fresh.replace(target)
