"""The relay: a command's one way to a network, which carries it to the hosts that were named.

An HTTP proxy outside, on a socket that listens inside. Names are looked up out here, so the command
needs no DNS; this machine itself and private addresses are reached only where they were named.
What is inside a connection it does not look at.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

_HEAD_BYTES: Final = 32 * 1024
_HEAD_S: Final = 30.0
_CONNECT_S: Final = 20.0
_MOST: Final = 128
"""Connections at once."""
_TOLD: Final = 32
_EMBEDDED: Final = tuple(
    ipaddress.ip_network(net) for net in ("64:ff9b::/96", "2002::/16", "2001::/32")
)
"""IPv6 addresses that hold an IPv4 one, which might be private."""


class RefusedError(Exception):
    """A connection that may not be made."""


class Relay:
    """Carries connections of one command.

    Args:
        hosts: as in `trainer.commands.records.Command`.
    """

    def __init__(self, hosts: Iterable[str]) -> None:
        self._hosts = tuple(hosts)
        self._tasks: set[asyncio.Task[None]] = set()
        self.turned_down: dict[str, None] = {}
        """Where it wanted to connect and may not, in order."""

    async def serve(self, door: socket.socket) -> asyncio.Server:
        """Accept at `door`, which is owned from here on."""
        return await asyncio.start_server(self._accept, sock=door, limit=_HEAD_BYTES)

    async def aclose(self) -> None:
        """Break off every connection."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def allows(self, host: str, port: int) -> bool:
        """Whether `host` may be connected to at all; see `_addresses` for where a name leads."""
        return self._is_named(host, port) or self._is_public_name(host, port)

    def _is_named(self, host: str, port: int) -> bool:
        return f"{host}:{port}" in self._hosts or (host in self._hosts and port in (80, 443))

    def _is_public_name(self, host: str, port: int) -> bool:
        if port not in (80, 443):
            return False
        ends = [each[1:] for each in self._hosts if each.startswith("*.")]
        return "*" in self._hosts or any(host.endswith(end) for end in ends)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if len(self._tasks) <= _MOST:
                await self._carry(reader, writer)
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError,
                asyncio.LimitOverrunError):  # fmt: skip
            return  # whatever a client does, only its own connection ends
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_HEAD_S):
            head = await reader.readuntil(b"\r\n\r\n")
        line, _, rest = head.partition(b"\r\n")
        method, target, version = line.decode("ascii").split(" ")
        try:
            if method == "CONNECT":
                host, port, first = *_authority(target, 443), b""
            else:
                url = urlsplit(target)
                if url.scheme != "http":
                    raise RefusedError(target)
                host, port = _authority(url.netloc.rpartition("@")[2], 80)
                path = (url.path or "/") + (f"?{url.query}" if url.query else "")
                first = f"{method} {path} {version}\r\n".encode() + _closing(rest)
            upstream = await self._connect(host, port)
        except (RefusedError, UnicodeError) as error:
            if len(self.turned_down) < _TOLD:
                self.turned_down[str(error)[:100]] = None
            writer.write(
                b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            await writer.drain()
            return
        except (OSError, TimeoutError):
            writer.write(
                b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            await writer.drain()
            return
        there, back = upstream
        try:
            if first:
                back.write(first)
            else:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, back))
                group.create_task(_pump(there, writer))
        finally:
            back.close()

    async def _connect(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if not self.allows(host, port):
            raise RefusedError(f"{host}:{port}")
        async with asyncio.timeout(_CONNECT_S):
            addresses = await self._addresses(host, port)
            return await asyncio.open_connection(addresses[0], port, limit=_HEAD_BYTES)

    async def _addresses(self, host: str, port: int) -> list[str]:
        """Look a name up; what was not named itself must lead into the public internet."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(each[4][0]) for each in found]
        if not self._is_named(host, port):
            addresses = [each for each in addresses if _is_public(each)]
        if not addresses:
            raise RefusedError(f"{host}:{port}, which is no public address")
        return addresses


def _authority(text: str, usual: int) -> tuple[str, int]:
    """Return host and port of ``host:port``, the host in small letters."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.username is not None:
        raise RefusedError(text)
    return parts.hostname.rstrip("."), parts.port or usual


def _is_public(address: str) -> bool:
    at = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(at, ipaddress.IPv6Address):
        if at.ipv4_mapped is not None:
            return at.ipv4_mapped.is_global
        if any(at in net for net in _EMBEDDED):
            return False
    return at.is_global and not at.is_multicast


def _closing(headers: bytes) -> bytes:
    """Return a request's headers for one request only: no second one to another host follows."""
    kept = [
        line
        for line in headers.split(b"\r\n")
        if line and line.split(b":")[0].strip().lower() not in (b"connection", b"proxy-connection")
    ]
    return b"\r\n".join([*kept, b"Connection: close", b"", b""])


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Carry bytes one way until they end."""
    with suppress(OSError):
        while chunk := await source.read(65536):
            sink.write(chunk)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()
