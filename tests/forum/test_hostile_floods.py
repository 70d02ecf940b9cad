"""Floods and silence: whoever fills, holds or starves a broker, the others are served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import aiomqtt
import pytest
import pytest_asyncio
from bystanders import TOPICS, bystanders
from fortress import Fortress, embedded, mosquitto, publish, subscribe

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["embedded", "mosquitto"])
async def fortress(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Fortress]:
    """Run each broker, once for the module."""
    folder = tmp_path_factory.mktemp("mosquitto")
    async with embedded() if request.param == "embedded" else mosquitto(folder) as running:
        yield running


async def test_half_open_connections_shut_nobody_out(fortress: Fortress) -> None:
    """Six hundred that never say who they are, some with half a CONNECT: others come in."""
    held = []
    for n in range(600):
        _, writer = await asyncio.open_connection("127.0.0.1", fortress.port)
        writer.write(fortress.connect_packet("bob")[: n % 12])
        held.append(writer)
    try:
        async with bystanders(fortress) as others:
            await others.unharmed()
    finally:
        for writer in held:
            writer.transport.abort()
    if fortress.kind == "embedded":
        await fortress.incident("(unknown)", "slow")


async def test_a_packet_that_never_ends_holds_up_nobody(fortress: Fortress) -> None:
    """Fifty that stop in the middle of a publication, having logged in."""
    half = publish(TOPICS.submit("ada"), b"x" * 1000)[:-1]
    held = []
    for _ in range(50):
        _, writer = await asyncio.open_connection("127.0.0.1", fortress.port)
        writer.write(fortress.connect_packet("ada") + half)
        held.append(writer)
    try:
        async with bystanders(fortress) as others:
            await others.unharmed()
    finally:
        for writer in held:
            writer.transport.abort()


async def test_a_flood_of_drafts_delays_the_others_and_loses_nothing_of_theirs(
    fortress: Fortress,
) -> None:
    """Ten megabytes of what ada may say, as fast as she can: everybody else gets through."""
    said = publish(TOPICS.submit("ada"), b"x" * 1000) * 1000
    async with bystanders(fortress) as others:

        async def flood() -> None:
            _, writer = await asyncio.open_connection("127.0.0.1", fortress.port)
            writer.write(fortress.connect_packet("ada"))
            try:
                with suppress(ConnectionError):
                    for _ in range(10):
                        writer.write(said)
                        await writer.drain()
            finally:
                writer.transport.abort()

        flooding = asyncio.create_task(flood())
        mine = (TOPICS.submit("ada"),)
        for _ in range(3):
            await others.unharmed(but_from=mine)
        flooding.cancel()
        await asyncio.wait((flooding,))


async def test_who_never_reads_does_not_make_the_broker_grow(fortress: Fortress) -> None:
    """A hundred megabytes for a client that takes in nothing: dropped, or its messages are."""
    reader, writer = await asyncio.open_connection("127.0.0.1", fortress.port)
    writer.write(fortress.connect_packet("ada") + subscribe(TOPICS.feed("ada")))
    await reader.read(9)  # CONNACK and SUBACK
    writer.transport.pause_reading()
    before = fortress.resident_bytes()
    async with bystanders(fortress) as others:
        clerk = others.everybody["clerk"].connected
        for _ in range(400):
            await clerk.publish(TOPICS.feed("ada"), b"x" * (MIB // 4), qos=1)
        await others.unharmed()
        assert fortress.resident_bytes() - before < 48 * MIB
    writer.transport.abort()
    if fortress.kind == "embedded":
        await fortress.incident("ada", "slow")


async def test_who_reads_no_answers_does_not_make_the_broker_grow(fortress: Fortress) -> None:
    """Asks for acknowledgements and pings without end, and takes in none."""
    _, writer = await asyncio.open_connection("127.0.0.1", fortress.port)
    writer.write(fortress.connect_packet("ada"))
    writer.transport.pause_reading()
    before = fortress.resident_bytes()
    async with bystanders(fortress) as others:
        asked = (publish(TOPICS.submit("bob"), b"forged", qos=1) + b"\xc0\x00" * 100) * 100
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(8):
                for _ in range(100):
                    writer.write(asked)
                    await writer.drain()
        await others.unharmed()
        assert fortress.resident_bytes() - before < 48 * MIB
    writer.transport.abort()


async def test_many_connections_of_one_user_shut_nobody_out(fortress: Fortress) -> None:
    """Three hundred of ada's: the others come in, and she herself again."""
    held = []
    for n in range(300):
        _, writer = await asyncio.open_connection("127.0.0.1", fortress.port)
        name = b"ada:%03d" % n
        hello = fortress.connect_packet("ada").replace(b"\x00\x03ada", b"\x00\x07" + name, 1)
        writer.write(bytes([hello[0], hello[1] + 4]) + hello[2:])
        held.append(writer)
    try:
        async with bystanders(fortress) as others:
            await others.unharmed()
            async with fortress.client("ada") as ada:
                await ada.publish(TOPICS.submit("ada"), b"here", qos=1)
            await others.unharmed(but_from=(TOPICS.submit("ada"),))
    finally:
        for writer in held:
            writer.transport.abort()


async def test_a_flood_over_many_connections_is_paced_as_one(fortress: Fortress) -> None:
    """Forty of ada's, nine megabytes on each: a user has one allowance, and others are served."""
    said = publish(TOPICS.submit("ada"), b"x" * 900_000)

    async def flood(n: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", fortress.port)
        name = b"ada:%03d" % n
        hello = fortress.connect_packet("ada").replace(b"\x00\x03ada", b"\x00\x07" + name, 1)
        writer.write(bytes([hello[0], hello[1] + 4]) + hello[2:])
        try:
            with suppress(ConnectionError):
                for _ in range(10):
                    writer.write(said)
                    await writer.drain()
        finally:
            writer.transport.abort()

    async with bystanders(fortress) as others:
        flooding = [asyncio.create_task(flood(n)) for n in range(40)]
        for _ in range(3):
            await others.unharmed(but_from=(TOPICS.submit("ada"),))
        for task in flooding:
            task.cancel()
        await asyncio.wait(flooding)


async def test_a_second_log_in_takes_only_ones_own_place(fortress: Fortress) -> None:
    """Under her own id ada ends her own connection, and nobody else's."""
    async with bystanders(fortress) as others, fortress.client("ada", identifier="ada") as old:
        async with fortress.client("ada", identifier="ada"):
            with pytest.raises(aiomqtt.MqttError):
                async with asyncio.timeout(30):
                    await anext(old.messages)
        # Ada's own words, of a flood before this test, may still be on their way.
        await others.unharmed(but_from=(TOPICS.submit("ada"),))
