"""Over standard input and output: one client, which started this process and ends it by closing.

The SDK's transport with an input that can be given up at once: its own waits in a thread for the
next line, which would keep a terminated server alive until its client says something.
"""

from __future__ import annotations

import asyncio
import io
import os
import stat
import sys
from collections.abc import AsyncIterator
from typing import Any, Final, cast

import anyio
from mcp.server import Server
from mcp.server.stdio import stdio_server

LINE_BYTES: Final = 4 * 1024 * 1024
"""Of one message; a longer one ends the session."""


async def over_stdio(server: Server[Any]) -> None:
    """Serve the client at the other end of standard input and output until it closes."""
    lines = await _lines()
    async with stdio_server(stdin=lines) as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


async def _lines() -> anyio.AsyncFile[str] | None:
    """Return standard input as lines; None for a file, whose end a thread soon reads."""
    mode = os.fstat(sys.stdin.fileno()).st_mode
    if stat.S_ISREG(mode):
        return None
    # a descriptor of its own: nothing else of this process reads what the client says
    pipe = io.FileIO(os.dup(sys.stdin.fileno()), "rb")
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return cast("anyio.AsyncFile[str]", _Lines(reader))


class _Lines:
    """Lines of text as the SDK iterates them."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def __aiter__(self) -> AsyncIterator[str]:
        while line := await self._next():
            yield line.decode("utf-8", "replace")

    async def _next(self) -> bytes:
        try:
            return await self._reader.readline()
        except ValueError:  # longer than is read: nothing after it can be trusted
            return b""
