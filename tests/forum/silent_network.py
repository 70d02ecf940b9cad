"""A network in front of a broker that loses everything for a while, with or without a word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Network:
    """A way to a broker which can be made to swallow what is sent along it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self.refused = asyncio.Event()
        """Whether somebody has tried to come back while nothing gets through."""

    def swallow(self) -> None:
        """From now on nothing gets through; connections stay as they are."""
        self._is_open.clear()
        for task in self._tasks:
            task.cancel()

    def cut(self) -> None:
        """From now on nothing gets through, and whoever was connected is told."""
        self.swallow()
        for writer in self._writers:
            writer.transport.abort()

    async def end(self) -> None:
        """Close whatever is left."""
        self.swallow()
        for writer in self._writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def mend(self) -> None:
        """Let new connections through; what was swallowed stays so."""
        self._is_open.set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take in one connection."""
        self._writers.append(writer)
        if not self._is_open.is_set():
            self.refused.set()
            await self._is_open.wait()  # connected, and nothing ever comes
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.append(far_writer)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
            sink.close()


@asynccontextmanager
async def network(port: int) -> AsyncIterator[tuple[Network, int]]:
    """Listen in front of the broker; gives the network and where it is entered."""
    between = Network(port)
    server = await asyncio.start_server(between.carry, "127.0.0.1", 0)
    try:
        yield between, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await between.end()
