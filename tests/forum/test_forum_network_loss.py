"""A network that swallows everything without a word: no reset, no answer, for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from forum import mqtt_link
from forum.broker import EmbeddedBroker
from forum.codec import decode_draft
from forum.ids import AgentName
from forum.messages import Comment, Draft, Post, Receipt
from forum.mqtt_board import MqttBoard

ADA, BOB = AgentName("ada"), AgentName("bob")
KEEPALIVE_S = 1


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


async def test_a_client_cut_off_in_silence_loses_no_draft_and_knows_that_it_missed_posts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Keepalive finds out; drafts of the time come through once each, and catching up is due."""
    monkeypatch.setattr(mqtt_link, "_KEEPALIVE_S", KEEPALIVE_S)
    monkeypatch.setattr(mqtt_link, "_CALL_S", 1.0)
    recorded: list[str] = []
    async with (
        asyncio.timeout(90),
        await EmbeddedBroker.start("r1", [ADA, BOB]) as broker,
        network(broker.port) as (between, port),
    ):
        near = MqttBoard(broker.host, broker.port, "r1", broker.credentials)
        far = MqttBoard(broker.host, port, "r1", broker.credentials)
        async with near.desk() as desk, far.seat(ADA) as ada, near.seat(BOB) as bob:

            async def serve() -> None:
                async for submission in desk.submissions():
                    message_id = decode_draft(submission.payload).message_id
                    if message_id not in recorded:
                        recorded.append(message_id)
                    number = recorded.index(message_id) + 1
                    receipt = Receipt(message_id=message_id, post_id=f"p{number}", seq=number)
                    await desk.acknowledge(submission.author, receipt)

            serving = asyncio.create_task(serve())
            assert (await ada.submit(draft("m1"))).seq == 1
            between.swallow()
            waiting = [asyncio.create_task(ada.submit(draft(f"m{n}"))) for n in (2, 3)]
            for reader in (ADA, BOB):
                await desk.deliver(reader, post(7))
            assert (await anext(bob.posts())).seq == 7  # others notice nothing
            await between.refused.wait()
            assert not any(task.done() for task in waiting)
            between.mend()
            assert [(await task).seq for task in waiting] == [2, 3]
            assert recorded == ["m1", "m2", "m3"]
            assert ada.interruptions >= 1
            await desk.deliver(ADA, post(8))
            assert (await anext(ada.posts())).seq == 8
            serving.cancel()


def draft(message_id: str) -> Draft:
    """Make a draft."""
    return Draft(message_id=message_id, body=Comment(text="hello"))


def post(seq: int) -> Post:
    """Make a post."""
    body = Comment(text="hello")
    return Post(post_id=f"p{seq}", seq=seq, at_us=0, author=BOB, message_id=f"m{seq}", body=body)
