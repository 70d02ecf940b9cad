"""The link against a scripted server: what is not acknowledged is published again."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from forum.errors import LoginRefusedError
from forum.mqtt_link import MqttLink
from forum.outbox import Outbox, Outgoing

CONNECT, PUBLISH, SUBSCRIBE = 1, 3, 8
CONNACK_OK = b"\x20\x02\x00\x00"


async def packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read one MQTT packet of fewer than 128 bytes: its type and its inside."""
    first, length = await reader.readexactly(2)
    return first >> 4, await reader.readexactly(length)


class ScriptedServer:
    """Answers CONNECT, then hangs up on the first publications and acknowledges the later ones."""

    def __init__(self, hang_ups: int) -> None:
        self.hang_ups = hang_ups
        self.published: list[bytes] = []
        self.acknowledged = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            assert (await packet(reader))[0] == CONNECT
            writer.write(CONNACK_OK)
            while True:
                kind, inside = await packet(reader)
                if kind != PUBLISH:
                    break
                topic_end = 2 + int.from_bytes(inside[:2], "big")
                self.published.append(inside[topic_end + 2 :])
                if self.hang_ups:
                    self.hang_ups -= 1
                    break
                writer.write(b"\x40\x02" + inside[topic_end : topic_end + 2])
                self.acknowledged.set()
        writer.close()


async def test_an_unacknowledged_publication_is_repeated_before_the_next() -> None:
    """Connections that break before the PUBACK cost nothing: same order, none lost."""
    script = ScriptedServer(hang_ups=2)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(30):
        async with MqttLink(("127.0.0.1", port), "clerk", None, (), lambda *_: None) as link:
            await link.send("t", b"one")
            await link.send("t", b"two")
            await script.acknowledged.wait()
            assert link.connections == 3
        # Leaving flushes the outbox.
        assert script.published == [b"one", b"one", b"one", b"two"]
        server.close()
        await server.wait_closed()


async def test_a_refused_subscription_is_an_error() -> None:
    """A seat that cannot hear its feed is not opened."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await packet(reader)
            writer.write(CONNACK_OK)
            kind, inside = await packet(reader)
            assert kind == SUBSCRIBE
            writer.write(b"\x90\x04" + inside[:2] + b"\x01\x80")
            await packet(reader)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    filters = ("rc/r1/inbox/ada", "rc/r1/feed/ada")
    async with asyncio.timeout(30):
        with pytest.raises(LoginRefusedError, match="'ada' to read rc/r1/feed/ada"):
            async with MqttLink(("127.0.0.1", port), "ada", None, filters, lambda *_: None):
                pass
        server.close()
        await server.wait_closed()


async def test_a_full_outbox_makes_its_user_wait() -> None:
    """It is bounded: adding goes on once something has left."""
    outbox = Outbox(capacity=2)
    items = [Outgoing("t", bytes([number])) for number in range(3)]
    async with asyncio.timeout(10):
        await outbox.add(items[0])
        await outbox.add(items[1])
        third = asyncio.create_task(outbox.add(items[2]))
        assert await outbox.head() == items[0]
        assert not third.done()
        await outbox.drop_head()
        await third
        assert await outbox.head() == items[1]
        await outbox.drop_head()
        await outbox.drop_head()
        await outbox.emptied()
