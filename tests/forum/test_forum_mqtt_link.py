"""The link against a scripted server: what is not acknowledged is published again."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from forum.errors import BoardClosedError, BoardUnreachableError, LoginRefusedError
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
        self.writers: list[asyncio.StreamWriter] = []
        self.acknowledged = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection."""
        self.writers.append(writer)
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


def and_set(event: asyncio.Event, emit: Callable[[logging.LogRecord], None]) -> Any:
    """Return `emit` that sets `event` as well."""

    def emit_and_set(record: logging.LogRecord) -> None:
        emit(record)
        event.set()

    return emit_and_set


async def test_a_long_absence_is_told_once_and_so_is_the_return(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is away, from where and why; nothing of the library's own, and nothing twice.

    The links that wait without end say nothing: one outage is one warning, the desk's.
    """
    monkeypatch.setattr("forum.mqtt_link.AWAY_WARNING_S", 0.05)
    warned = asyncio.Event()
    monkeypatch.setattr(caplog.handler, "emit", and_set(warned, caplog.handler.emit))
    script = ScriptedServer(hang_ups=2)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(30):
        async with (
            MqttLink(("127.0.0.1", port), "ada", None, (), lambda *_: None) as seat,
            MqttLink(
                ("127.0.0.1", port), "clerk", None, (), lambda *_: None, patience_s=60
            ) as link,
        ):
            server.close()
            await seat.send("t", b"none")
            await link.send("t", b"one")
            lost = link.next_connection
            await warned.wait()
            again = await asyncio.start_server(script.serve, "127.0.0.1", port)
            await lost
            again.close()
    told = [(record.levelno, record.message) for record in caplog.records]
    assert [level for level, _ in told] == [logging.WARNING] * 2
    assert told[0][1].startswith(f"clerk has no connection to the broker at 127.0.0.1:{port} (")
    assert "refused" in told[0][1]
    assert told[1][1] == f"clerk is connected again to the broker at 127.0.0.1:{port}"


async def test_a_link_gives_up_after_its_patience() -> None:
    """Its task ends with where and why, and who waits for room in the outbox is not left there."""
    script = ScriptedServer(hang_ups=1)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    link = MqttLink(("127.0.0.1", port), "clerk", None, (), lambda *_: None, patience_s=0.1)
    link._outbox = Outbox(capacity=1)
    async with asyncio.timeout(30), link:
        server.close()
        await link.send("t", b"one")
        with pytest.raises(BoardClosedError, match="start the broker again"):
            await link.send("t", b"two")  # there is no room before "one" has left
        with pytest.raises(BoardUnreachableError, match=rf"127.0.0.1:{port} for .*'clerk' waits"):
            await link.ended


async def test_a_broker_that_hangs_up_on_a_publication_is_a_lost_one(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Being let in is not enough: the pauses grow, it is told of once, and patience ends."""
    monkeypatch.setattr("forum.mqtt_link.AWAY_WARNING_S", 0.5)
    script = ScriptedServer(hang_ups=10**9)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    link = MqttLink(("127.0.0.1", port), "clerk", None, (), lambda *_: None, patience_s=1.5)
    async with asyncio.timeout(20), link:
        await link.send("t", b"too large")
        with pytest.raises(BoardUnreachableError, match="'clerk' waits no longer"):
            await link.ended
    assert link.connections < 10
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    server.close()
    await server.wait_closed()


async def test_a_connection_that_lasts_settles_without_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where nobody says anything, time tells that the broker is there: patience begins anew."""
    monkeypatch.setattr("forum.mqtt_link._SETTLED_S", 0.05)
    script = ScriptedServer(hang_ups=0)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    link = MqttLink(("127.0.0.1", port), "clerk", None, (), lambda *_: None, patience_s=60)
    async with asyncio.timeout(20), link:
        first = link._lost_at
        while not link._is_settled:  # noqa: ASYNC110 - a flag has no event
            await asyncio.sleep(0.01)
        again = link.next_connection
        for writer in script.writers:
            writer.close()
        await again
        assert link._lost_at > first
    server.close()
    await server.wait_closed()


async def test_watching_a_socket_that_just_broke_is_no_news(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The library may register a closed socket; of that asyncio is silent, of other errors not."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    with socket.socket() as broken:
        number = broken.fileno()
    loop.call_soon(loop.add_writer, number, done.set)
    loop.call_soon(loop.add_reader, number, done.set)
    loop.call_soon(lambda: 1 // 0)
    loop.call_soon(done.set)
    await done.wait()
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [
        ZeroDivisionError
    ]


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
        assert await outbox.take() == items[0]
        assert await outbox.take() == items[1]
        assert not third.done()
        outbox.drop_head()
        await third
        assert await outbox.take() == items[2]
        outbox.rewind()
        assert await outbox.take() == items[1]
        outbox.drop_head()
        assert await outbox.take() == items[2]
        outbox.drop_head()
        await outbox.emptied()
