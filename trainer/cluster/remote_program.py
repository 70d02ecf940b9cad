"""A program that runs on a node, as its caller sees it: descriptors here, the process there.

The caller's ends of its pipes are ordinary pipes on this machine. What is written to one is sent to
the node, what the program writes there comes out of the other; nobody looks into it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from trainer.cluster.parcels import Packer, Parcel
from trainer.cluster.records import Blob, ServeAsk, Told
from trainer.cluster.remote_node import RemoteNode
from trainer.cluster.served import write_all
from trainer.errors import ExecutorError, NodeLostError
from trainer.executor import Overuse, Program
from trainer.experiment import Isolation

_CHUNK_BYTES: Final = 1 << 20


class RemoteProgram:
    """Implements `trainer.executor.RunningProgram`.

    Args:
        node: Where it runs.
        key: Its name there.
        ends: What each of its descriptors is; see `sort_ends`.
        descriptors: Those descriptors, here; owned from here on.
        begun: What the node said when it began.
    """

    def __init__(
        self,
        node: RemoteNode,
        key: str,
        ends: Sequence[Blob | str],
        descriptors: Sequence[int],
        begun: Told,
    ) -> None:
        self._node = node
        self._key = key
        self._told = begun
        self._changed = asyncio.Condition()
        self._over = asyncio.Event()
        self._fds = dict(enumerate(descriptors))
        self._ends = ends

    @property
    def isolation(self) -> Isolation:
        """How well it is isolated."""
        return self._told.isolation

    def cpu_s(self) -> float:
        """CPU seconds it had used when what it wrote last was sent, taken from outside it."""
        return self._told.cpu_s

    def is_alive(self) -> bool:
        """Whether its process still ran when the node last spoke."""
        return self._told.is_alive

    async def locked(self) -> bool:
        """Wait until it is locked in; False if it ended before that."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._told.is_locked or not self._told.is_alive)
        return self._told.is_locked

    async def ended(self) -> None:
        """Wait until its process has ended."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._told.is_alive)

    def overuse(self) -> Overuse | None:
        """What it exceeded; known after the block."""
        return self._told.overuse

    def is_lost(self) -> bool:
        """Whether it ended by nobody's fault, its node's end included; known after the block."""
        return self._told.is_lost

    async def converse(self) -> None:
        """Pass on what is written on either side, until the program and its pipes have ended."""
        async with asyncio.TaskGroup() as group:
            for position, end in enumerate(self._ends):
                if end == "in":
                    group.create_task(self._send(position), name=f"to {self._key}")
            try:
                await self._receive()
            except NodeLostError:
                await self._take(Told(cpu_s=self.cpu_s(), is_alive=False, is_lost=True))
                self._close_outputs()

    async def finish(self) -> None:
        """Have it killed, and take its last words."""
        self._over.set()
        try:
            last: Told = await self._node.ask("end", self._key)
        except ExecutorError:
            last = Told(cpu_s=self.cpu_s(), is_alive=False, is_lost=True)
        await self._take(last)

    def close(self) -> None:
        """Close all descriptors."""
        self._over.set()
        for descriptor in self._fds.values():
            os.close(descriptor)
        self._fds.clear()

    async def _receive(self) -> None:
        """Take what the node tells, and write it where it belongs."""
        waiting = {position for position, end in enumerate(self._ends) if end == "out"}
        while self._told.is_alive or waiting:
            told: Told = await self._node.ask("told", self._key)
            await self._take(told)  # first: who has the last byte may ask what it has cost
            for position, data in told.written.items():
                if position in self._fds and not await write_all(
                    self._fds[position], data, self._over
                ):
                    self._close(position)  # the caller listens no more
                    await self._node.ask("hear", self._key, position, b"", True)
                    waiting.discard(position)
            for position in told.ended:
                self._close(position)
                waiting.discard(position)
            if told.is_lost:  # it is not there any more
                break
        self._close_outputs()

    async def _send(self, position: int) -> None:
        """Send what the caller writes, until it closes its end or nobody reads."""
        is_heard = True
        while is_heard:
            data = await self._read(self._fds[position])
            try:
                is_heard = await self._node.ask("hear", self._key, position, data, not data)
            except ExecutorError:
                is_heard = False
            is_heard = is_heard and bool(data)
        self._close(position)

    async def _read(self, descriptor: int) -> bytes:
        """Read what has come; empty at the end."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(descriptor)
        with suppress(BlockingIOError):
            return os.read(descriptor, _CHUNK_BYTES)
        return await self._read(descriptor)

    async def _take(self, told: Told) -> None:
        async with self._changed:
            self._told = told
            self._changed.notify_all()

    def _close(self, position: int) -> None:
        if (descriptor := self._fds.pop(position, None)) is not None:
            os.close(descriptor)

    def _close_outputs(self) -> None:
        for position, end in enumerate(self._ends):
            if end == "out":
                self._close(position)


def sort_ends(
    descriptors: Sequence[int], packer: Packer
) -> tuple[tuple[Blob | str, ...], list[Parcel]]:
    """Return what each descriptor of a program is, and the contents of those that are files.

    Raises:
        ExecutorError: one is neither a file that is read nor a pipe.
    """
    ends: list[Blob | str] = []
    parcels: list[Parcel] = []
    for descriptor in descriptors:
        mode = os.fstat(descriptor).st_mode
        access = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
        if stat.S_ISREG(mode) and access == os.O_RDONLY:
            parcels.append(packer.file(Path(f"/proc/self/fd/{descriptor}").resolve()))
            ends.append(parcels[-1].contents[0])
        elif stat.S_ISFIFO(mode) and access in (os.O_RDONLY, os.O_WRONLY):
            os.set_blocking(descriptor, False)
            ends.append("in" if access == os.O_RDONLY else "out")
        else:
            raise ExecutorError("a program on a node gets files that it reads, and pipes")
    return tuple(ends), parcels


@asynccontextmanager
async def served_there(
    node: RemoteNode, slot: str, key: str, program: Program, packer: Packer
) -> AsyncIterator[RemoteProgram]:
    """Run `program` on `slot` of `node` until the block exits; as `trainer.executor` has it.

    Raises:
        ExecutorError: the node is lost, or cannot build a sandbox.
    """
    running: RemoteProgram | None = None
    try:
        file = await asyncio.to_thread(packer.file, program.path)
        tree = await asyncio.to_thread(packer.folder, program.workspace)
        ends, parcels = sort_ends(program.descriptors, packer)
        await node.provide([file, tree, *parcels])
        ask = ServeAsk(
            key=key,
            slot=slot,
            program=file.contents[0],
            workspace=tree.contents,
            arguments=dict(program.arguments),
            ends=ends,
            memory_bytes=program.memory_bytes,
            cpu_s=program.cpu_s,
            wall_s=program.wall_s,
            lockdown=program.lockdown,
        )
        try:
            begun: Told = await node.ask("serve", ask)
        except asyncio.CancelledError:
            await node.cancel(key)
            raise
        running = RemoteProgram(node, key, ends, program.descriptors, begun)
    finally:
        if running is None:
            for descriptor in program.descriptors:
                os.close(descriptor)
    talk = asyncio.create_task(running.converse(), name=f"talk with {key}")
    try:
        yield running
    finally:
        ending = asyncio.create_task(_ended(running, talk), name=f"end {key}")
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await asyncio.wait([ending])  # it is dead before we return
            raise
        finally:
            running.close()


async def _ended(running: RemoteProgram, talk: asyncio.Task[None]) -> None:
    """Kill it and let the conversation end; a fault of ours in it is not swallowed."""
    await running.finish()
    talk.cancel()
    await asyncio.wait([talk])
    if not talk.cancelled():
        talk.result()
