"""A program that runs on a node while somebody elsewhere talks with it: its pipes, its end.

The node's side; `trainer.cluster.remote_program` is the other. Bytes are passed on as they come, in
order, a bounded amount at a time. What they say, neither side knows.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from trainer.cluster.records import Blob, ServeAsk, Told
from trainer.errors import ExecutorError
from trainer.executor import Executor, Program, RunningProgram
from trainer.gpu_pool import Lease
from trainer.streams import enlarge

MOST_HELD_BYTES: Final = 8 << 20
"""So much of what a program has written waits here; then it has to wait itself."""
_CHUNK_BYTES: Final = 1 << 20
_NEWS_S: Final = 0.5
"""Without news, an answer is given after so long, with the processor time of that moment."""


class Served:
    """One program, from its start until it is ended.

    Args:
        ask: What is to be run.
        path: Its file here.
        workspace: The candidate's tree here.
        files: Where the contents among its descriptors lie here.
    """

    def __init__(self, ask: ServeAsk, path: Path, workspace: Path, files: dict[str, Path]) -> None:
        self._ask = ask
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._over = asyncio.Event()
        self._begun: asyncio.Future[None] = self._loop.create_future()
        self._inputs: dict[int, int] = {}
        self._outputs: dict[int, int] = {}
        self._held: dict[int, bytearray] = {}
        self._closed: list[int] = []
        self._last = Told()
        self._program = self._opened(path, workspace, files)
        self._running: RunningProgram | None = None

    def _opened(self, path: Path, workspace: Path, files: dict[str, Path]) -> Program:
        """Open the program's descriptors; our ends of its pipes are kept."""
        given: list[int] = []
        with ExitStack() as stack:
            for position, end in enumerate(self._ask.ends):
                if isinstance(end, Blob):
                    given.append(os.open(files[end.digest], os.O_RDONLY | os.O_CLOEXEC))
                else:
                    reading, writing = os.pipe2(os.O_CLOEXEC)
                    theirs, ours = (reading, writing) if end == "in" else (writing, reading)
                    os.set_blocking(ours, False)
                    enlarge(ours, _CHUNK_BYTES)
                    (self._inputs if end == "in" else self._outputs)[position] = ours
                    given.append(theirs)
                    stack.callback(os.close, ours)
                stack.callback(os.close, given[-1])
            stack.pop_all()
        for position, reading in self._outputs.items():
            self._held[position] = bytearray()
            self._loop.add_reader(reading, self._read, position)
        ask = self._ask
        return Program(
            path=path,
            workspace=workspace,
            arguments=ask.arguments,
            descriptors=tuple(given),
            memory_bytes=ask.memory_bytes,
            cpu_s=ask.cpu_s,
            wall_s=ask.wall_s,
            lockdown=ask.lockdown,
        )

    async def run(self, executor: Executor, lease: Lease) -> None:
        """Run the program until `end`; what starting it raises, `begun` raises as well."""
        try:
            async with executor.serve(self._program, lease) as running:
                self._running = running
                self._last = Told(isolation=running.isolation)
                self._begun.set_result(None)
                async with asyncio.TaskGroup() as group:
                    watch = group.create_task(self._watch(running))
                    await self._over.wait()
                    watch.cancel()
            self._last = self._told(running)
            self._last = replace(
                self._last, is_alive=False, overuse=running.overuse(), is_lost=running.is_lost()
            )
        except BaseException as error:
            if not self._begun.done():
                self._begun.set_exception(
                    error if isinstance(error, ExecutorError) else ExecutorError(repr(error))
                )
                self._begun.exception()  # whoever began it may be gone
            raise
        finally:
            self._close()

    async def begun(self) -> Told:
        """Wait until the program has begun; return how well it is isolated.

        Raises:
            ExecutorError: it cannot be run here.
        """
        await asyncio.shield(self._begun)
        return self._last

    async def told(self) -> Told:
        """Return what it has written since the last time, and how it is; waits a little."""
        if self._running is None:
            return self._last
        with suppress(TimeoutError):
            async with asyncio.timeout(_NEWS_S):
                await self._news.wait()
        self._news.clear()
        if self._over.is_set():
            return self._last
        return self._told(self._running)

    async def hear(self, position: int, data: bytes, *, is_last: bool) -> bool:
        """Write to a pipe that the program reads; False if nobody reads it any more.

        The last word to a pipe that it writes: nobody reads that any more.
        """
        if position in self._outputs:
            self._hang_up(position)
            return False
        descriptor = self._inputs.get(position)
        if descriptor is None:
            return False
        is_heard = await write_all(descriptor, data, self._over)
        if (is_last or not is_heard) and self._inputs.pop(position, None) is not None:
            os.close(descriptor)
        return is_heard

    def end(self) -> None:
        """Let `run` kill the program and return."""
        self._over.set()
        self._news.set()

    def last_words(self) -> Told:
        """Return how it ended, once `run` has returned."""
        return self._last

    def _told(self, running: RunningProgram) -> Told:
        written = {position: bytes(held) for position, held in self._held.items() if held}
        for position in written:
            self._held[position].clear()
            if position in self._outputs:
                self._loop.add_reader(self._outputs[position], self._read, position)
        ended, self._closed = tuple(self._closed), []
        return Told(
            written=written,
            ended=ended,
            isolation=running.isolation,
            cpu_s=running.cpu_s(),
            is_alive=running.is_alive(),
            is_locked=self._last.is_locked,
        )

    async def _watch(self, running: RunningProgram) -> None:
        """Notice when it is locked in, and when it has ended."""
        if await running.locked():
            self._last = replace(self._last, is_locked=True)
            self._news.set()
        await running.ended()
        self._news.set()

    def _read(self, position: int) -> None:
        """The program has written."""
        try:
            data = os.read(self._outputs[position], _CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up(position)
            self._closed.append(position)
        else:
            held = self._held[position]
            held += data
            if len(held) >= MOST_HELD_BYTES:
                self._loop.remove_reader(self._outputs[position])
        self._news.set()

    def _hang_up(self, position: int) -> None:
        descriptor = self._outputs.pop(position)
        self._loop.remove_reader(descriptor)
        os.close(descriptor)

    def _close(self) -> None:
        for position in tuple(self._outputs):
            self._hang_up(position)
        for descriptor in self._inputs.values():
            os.close(descriptor)
        self._inputs.clear()


async def write_all(descriptor: int, data: bytes, over: asyncio.Event) -> bool:
    """Write to a pipe that does not block, as fast as it is read; False if it is read no more.

    Args:
        descriptor: Our end.
        data: What is written.
        over: Set when writing is to be left off.
    """
    loop, rest = asyncio.get_running_loop(), memoryview(data)
    while rest and not over.is_set():
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            await _writable(loop, descriptor, over)
        except OSError:
            return False
    return not over.is_set()


async def _writable(loop: asyncio.AbstractEventLoop, descriptor: int, over: asyncio.Event) -> None:
    """Wait until a pipe takes more, or it is over."""
    ready = asyncio.Event()
    loop.add_writer(descriptor, ready.set)
    waits = [asyncio.create_task(event.wait()) for event in (ready, over)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        loop.remove_writer(descriptor)
        for wait in waits:
            wait.cancel()
