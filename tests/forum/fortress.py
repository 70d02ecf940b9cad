"""Two brokers with the same walls, for tests that attack them: the embedded one and Mosquitto."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt
import psutil
import pytest

from forum.broker import EmbeddedBroker
from forum.credentials import BrokerAddress, load_credentials
from forum.incidents import Incident, IncidentKind
from forum.mosquitto_files import CREDENTIALS_NAME, LOG_NAME, MosquittoPlan, write_mosquitto
from forum.mosquitto_log import follow_log
from forum.topics import Topics

RUN = "r1"
PARTICIPANTS = ("ada", "bob", "carl", "~anna")
NEEDS_MOSQUITTO = "COMMUNITY_NEEDS_MOSQUITTO"
"""Set where a missing Mosquitto is a fault, as in CI."""


@dataclass
class Fortress:
    """A broker under attack."""

    kind: str
    port: int
    pid: int
    passwords: dict[str, str]
    told: list[Incident] = field(default_factory=list)
    """Incidents so far."""
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with each."""

    def resident_bytes(self) -> int:
        """Return the memory of the broker's process."""
        return psutil.Process(self.pid).memory_info().rss

    @asynccontextmanager
    async def client(
        self,
        user: str,
        *,
        identifier: str | None = None,
        password: str | None = None,
        will: aiomqtt.Will | None = None,
        clean_session: bool = True,
    ) -> AsyncIterator[aiomqtt.Client]:
        """Log in as `user`, with its own password unless another is given."""
        async with aiomqtt.Client(
            *("127.0.0.1", self.port),
            username=user,
            password=self.passwords[user] if password is None else password,
            identifier=f"{user}:test" if identifier is None else identifier,
            will=will,
            clean_session=clean_session,
            protocol=aiomqtt.ProtocolVersion.V311,
            timeout=60,
        ) as connected:
            yield connected

    async def raw(self, *parts: bytes, answers_s: float = 5.0) -> bytes:
        """Send bytes on a fresh socket; return what comes back until it closes or falls silent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        back = b""
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            async with asyncio.timeout(answers_s):
                while chunk := await reader.read(65_536):
                    back += chunk
        except (ConnectionError, TimeoutError):
            pass
        finally:
            writer.transport.abort()
        return back

    def connect_packet(self, user: str, *, password: str | None = None) -> bytes:
        """Make a valid CONNECT by hand."""
        word = self.passwords[user] if password is None else password
        return packet(
            0x10, text("MQTT") + b"\x04\xc2\x00\x3c" + text(user) + text(user) + text(word)
        )

    async def incident(self, user: str, *kinds: IncidentKind) -> None:
        """Wait until `user` is told of for one of `kinds`."""
        async with asyncio.timeout(20):
            while not any(one.user == user and one.what in kinds for one in self.told):
                self.heard.clear()
                await self.heard.wait()


def text(value: str | bytes) -> bytes:
    """Return a string as MQTT writes it."""
    data = value.encode() if isinstance(value, str) else value
    return len(data).to_bytes(2, "big") + data


def packet(head: int, body: bytes) -> bytes:
    """Return a packet with its length in front."""
    length, rest = bytearray(), len(body)
    while True:
        rest, digit = divmod(rest, 128)[0], rest % 128
        length.append(digit | (0x80 if rest else 0))
        if not rest:
            return bytes([head]) + bytes(length) + body


def publish(topic: str | bytes, payload: bytes, *, qos: int = 0, retain: bool = False) -> bytes:
    """Return a PUBLISH; its packet id, where it needs one, is 1."""
    identifier = b"\x00\x01" if qos else b""
    return packet(0x30 | qos << 1 | retain, text(topic) + identifier + payload)


def subscribe(*filters: str) -> bytes:
    """Return a SUBSCRIBE."""
    return packet(0x82, b"\x00\x02" + b"".join(text(one) + b"\x01" for one in filters))


@asynccontextmanager
async def embedded() -> AsyncIterator[Fortress]:
    """Run the embedded broker."""
    async with await EmbeddedBroker.start(RUN, PARTICIPANTS) as broker:
        words = {user: login.password for user, login in broker.credentials.logins.items()}
        fortress = Fortress("embedded", broker.port, broker.pid, words)
        async with hearing(fortress, broker.incidents()):
            yield fortress


@asynccontextmanager
async def mosquitto(folder: Path) -> AsyncIterator[Fortress]:
    """Run a real Mosquitto with the files that `community broker config` writes."""
    plan = MosquittoPlan(RUN, PARTICIPANTS, BrokerAddress("127.0.0.1", free_port()))
    conf = write_mosquitto(folder, plan)
    async with mosquitto_with(conf, plan.address.port) as process:
        held = load_credentials(folder / CREDENTIALS_NAME)
        words = {user: one.password for user, one in held.items()}
        fortress = Fortress("mosquitto", plan.address.port, process.pid, words)
        async with hearing(fortress, follow_log(folder / LOG_NAME, Topics(RUN))):
            yield fortress


@asynccontextmanager
async def mosquitto_with(conf: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run Mosquitto with a configuration until it listens on `port`, and end it."""
    process = await asyncio.create_subprocess_exec(
        *(mosquitto_program(), "-c", str(conf)), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except ConnectionError:
                    assert process.returncode is None, f"mosquitto ended: {process.returncode}"
                    await asyncio.sleep(0.05)
                else:
                    writer.transport.abort()
                    break
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@asynccontextmanager
async def hearing(fortress: Fortress, incidents: AsyncIterator[Incident]) -> AsyncIterator[None]:
    """Collect what a broker tells of."""

    async def hear() -> None:
        async for incident in incidents:
            fortress.told.append(incident)
            fortress.heard.set()

    task = asyncio.create_task(hear())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


def mosquitto_program() -> str:
    """Return where Mosquitto is; without it a test is skipped, or fails where it is needed."""
    found = shutil.which(
        "mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    )
    if found is None:
        why = "mosquitto is not installed: apt-get install mosquitto (.ci/run does it)"
        if os.environ.get(NEEDS_MOSQUITTO):
            pytest.fail(why)
        pytest.skip(why)
    return found


def free_port() -> int:
    """Return a port of loopback that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
