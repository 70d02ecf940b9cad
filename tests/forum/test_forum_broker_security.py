"""The embedded broker's walls, each attacked with a plain MQTT client or a raw socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import aiomqtt
import pytest

from forum.broker import EmbeddedBroker
from forum.guarded_broker import GuardedBroker
from forum.guarded_connection import MAX_PACKET_BYTES
from forum.topics import Topics

TOPICS = Topics("r1")
REFUSED = 0x80
pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def client(
    broker: EmbeddedBroker,
    user: str,
    *,
    identifier: str | None = None,
    password: str | None = None,
    will: aiomqtt.Will | None = None,
    clean_session: bool = True,
) -> AsyncIterator[aiomqtt.Client]:
    """Log in as `user`, with its true password unless another is given."""
    secret = broker.credentials.logins[user].password if password is None else password
    async with aiomqtt.Client(
        broker.host,
        broker.port,
        username=user,
        password=secret,
        identifier=f"{user}:test" if identifier is None else identifier,
        will=will,
        clean_session=clean_session,
    ) as connected:
        yield connected


async def granted(connected: aiomqtt.Client, topic_filter: str) -> bool:
    """Subscribe and say whether the broker agreed."""
    [answer] = await connected.subscribe(topic_filter, qos=1)
    return getattr(answer, "value", answer) < REFUSED


async def first(connected: aiomqtt.Client) -> tuple[str, bytes]:
    """Return the first message that arrives."""
    async with asyncio.timeout(10):
        message = await anext(connected.messages)
    return message.topic.value, message.payload


async def refused(broker: EmbeddedBroker, user: str, **options: object) -> None:
    """Expect that this log-in is turned away."""
    with pytest.raises(aiomqtt.MqttError, match="Not authorized"):
        async with client(broker, user, **options):  # type: ignore[arg-type]
            pass


async def test_own_topics_work(broker: EmbeddedBroker) -> None:
    """The walls have doors: what a participant may do, it can do."""
    async with client(broker, "ada") as ada, client(broker, "clerk") as clerk:
        assert await granted(clerk, TOPICS.all_submits())
        await ada.publish(TOPICS.submit("ada"), b"draft", qos=1)
        assert await first(clerk) == (TOPICS.submit("ada"), b"draft")
        assert await granted(ada, TOPICS.feed("ada"))
        await clerk.publish(TOPICS.feed("ada"), b"post", qos=1)
        assert await first(ada) == (TOPICS.feed("ada"), b"post")


@pytest.mark.parametrize(
    "topic_filter",
    [
        "#",
        "rc/#",
        "rc/r1/#",
        "rc/r1/feed/+",
        "rc/r1/feed/#",
        "rc/r1/+/ada",
        "+/+/+/+",
        "rc/r1/feed/bob",
        "rc/r1/inbox/bob",
        "rc/r1/submit/bob",
        "rc/r1/submit/+",
        "rc/r1/lab/bob/reply",
        "rc/r1/event/#",
        "$SYS/#",
        "$share/g/rc/r1/feed/bob",
    ],
)
async def test_an_agent_cannot_subscribe_to_others(
    broker: EmbeddedBroker, topic_filter: str
) -> None:
    """Neither another's topics nor a wildcard over them is granted."""
    async with client(broker, "ada") as ada:
        assert not await granted(ada, topic_filter)


async def test_a_refused_subscription_delivers_nothing(broker: EmbeddedBroker) -> None:
    """After trying for everything, an agent still gets only what is its own."""
    async with client(broker, "ada") as ada, client(broker, "clerk") as clerk:
        for topic_filter in ("#", "rc/r1/feed/bob", "rc/r1/event/#"):
            await ada.subscribe(topic_filter, qos=1)
        await ada.subscribe(TOPICS.inbox("ada"), qos=1)
        await clerk.publish(TOPICS.feed("bob"), b"secret", qos=1)
        await clerk.publish(TOPICS.event("post"), b"secret", qos=1)
        await clerk.publish(TOPICS.inbox("ada"), b"fence", qos=1)
        assert await first(ada) == (TOPICS.inbox("ada"), b"fence")


async def test_an_agent_cannot_publish_as_others(broker: EmbeddedBroker) -> None:
    """Another's drafts, feeds, receipts, notices and events: nothing arrives."""
    async with (
        client(broker, "bob") as bob,
        client(broker, "clerk") as clerk,
        client(broker, "observer") as observer,
        client(broker, "ada") as ada,
    ):
        await clerk.subscribe(TOPICS.all_submits(), qos=1)
        await observer.subscribe(TOPICS.all_events(), qos=1)
        for topic in (TOPICS.feed("bob"), TOPICS.inbox("bob"), TOPICS.notice()):
            assert await granted(bob, topic)
        for topic in (
            TOPICS.submit("bob"),
            TOPICS.feed("bob"),
            TOPICS.inbox("bob"),
            TOPICS.notice(),
            TOPICS.event("post"),
            TOPICS.presence("bob"),
        ):
            await ada.publish(topic, b"forged", qos=1)
            await ada.publish(topic, b"forged", qos=0)
        await ada.publish(TOPICS.submit("ada"), b"fence", qos=1)
        assert await first(clerk) == (TOPICS.submit("ada"), b"fence")
        await clerk.publish(TOPICS.feed("bob"), b"fence", qos=1)
        assert await first(bob) == (TOPICS.feed("bob"), b"fence")
        await clerk.publish(TOPICS.event("post"), b"fence", qos=1)
        assert await first(observer) == (TOPICS.event("post"), b"fence")


async def test_observers_cannot_publish_or_read_feeds(broker: EmbeddedBroker) -> None:
    """The observer's credential opens events and nothing else."""
    async with client(broker, "observer") as observer, client(broker, "clerk") as clerk:
        for topic_filter in ("#", "rc/r1/feed/ada", "rc/r1/submit/+"):
            assert not await granted(observer, topic_filter)
        await clerk.subscribe(TOPICS.all_submits(), qos=1)
        await observer.publish(TOPICS.submit("ada"), b"forged", qos=1)
        async with client(broker, "ada") as ada:
            await ada.publish(TOPICS.submit("ada"), b"fence", qos=1)
        assert await first(clerk) == (TOPICS.submit("ada"), b"fence")


@pytest.mark.parametrize("user", ["ada", "clerk", "observer"])
async def test_a_wrong_password_is_refused(broker: EmbeddedBroker, user: str) -> None:
    """Also an empty one, and another's."""
    for wrong in ("", "guess", broker.credentials.logins["bob"].password):
        await refused(broker, user, password=wrong)


async def test_strangers_and_anonymous_clients_are_refused(broker: EmbeddedBroker) -> None:
    """No user, an unknown user: no entry."""
    await refused(broker, "ada", identifier="")  # an empty id is replaced by a random one
    for user in (None, "mallory", ""):
        with pytest.raises(aiomqtt.MqttError, match=r"Not authorized|Bad user name"):
            async with aiomqtt.Client(broker.host, broker.port, username=user, password=None):
                pass


@pytest.mark.parametrize("topic", ["rc/r1/submit/bob", "rc/r1/feed/bob", "rc/r1/notice", "#"])
async def test_a_forged_will_is_refused(broker: EmbeddedBroker, topic: str) -> None:
    """A will may not say after death what its author could not say alive."""
    await refused(broker, "ada", will=aiomqtt.Will(topic, b"forged", qos=1, retain=True))


async def test_a_will_on_an_own_topic_is_heard(broker: EmbeddedBroker) -> None:
    """Presence may end by a will."""
    will = aiomqtt.Will(TOPICS.presence("ada"), b"gone", qos=1)
    async with client(broker, "clerk") as clerk:
        await clerk.subscribe("rc/r1/presence/+", qos=1)
        async with (
            client(broker, "ada", identifier="ada:mortal", will=will),
            # The same id again ends the first connection, without a farewell.
            client(broker, "ada", identifier="ada:mortal"),
        ):
            assert await first(clerk) == (TOPICS.presence("ada"), b"gone")


async def test_retained_messages_are_never_stored(broker: EmbeddedBroker) -> None:
    """Nobody finds old messages, neither strangers at connect nor readers at subscription."""
    async with client(broker, "clerk") as clerk:
        for topic in (TOPICS.feed("ada"), TOPICS.inbox("bob"), TOPICS.notice()):
            await clerk.publish(topic, b"secret", qos=1, retain=True)
        async with client(broker, "ada") as ada, client(broker, "bob") as bob:
            await ada.subscribe(TOPICS.feed("ada"), qos=1)
            await bob.subscribe(TOPICS.inbox("bob"), qos=1)
            await clerk.publish(TOPICS.feed("ada"), b"fence", qos=1)
            await clerk.publish(TOPICS.inbox("bob"), b"fence", qos=1)
            assert (await first(ada))[1] == b"fence"
            assert (await first(bob))[1] == b"fence"


async def test_another_users_client_id_is_refused_and_harms_nobody(
    broker: EmbeddedBroker,
) -> None:
    """Neither a stranger, nor a neighbour, nor a similar name can take over a connection."""
    async with client(broker, "ada", identifier="ada") as ada, client(broker, "clerk") as clerk:
        await ada.subscribe(TOPICS.feed("ada"), qos=1)
        for is_clean in (True, False):
            await refused(broker, "ada", identifier="ada", password="no", clean_session=is_clean)
            await refused(broker, "bob", identifier="ada", clean_session=is_clean)
        await clerk.publish(TOPICS.feed("ada"), b"still here", qos=1)
        assert await first(ada) == (TOPICS.feed("ada"), b"still here")
    await refused(broker, "ada", identifier="ada-1")
    await refused(broker, "ada-1", identifier="ada:1")
    await refused(broker, "bob", identifier="clerk")


async def test_persistent_sessions_are_refused(broker: EmbeddedBroker) -> None:
    """The broker queues nothing for the absent."""
    await refused(broker, "ada", clean_session=False)


async def raw(broker: EmbeddedBroker, data: bytes) -> bytes:
    """Send bytes on a fresh socket and return all that comes back until the broker hangs up."""
    reader, writer = await asyncio.open_connection(broker.host, broker.port)
    try:
        async with asyncio.timeout(5):
            writer.write(data)
            writer.write_eof()
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def connect_packet(broker: EmbeddedBroker, user: str) -> bytes:
    """Make a valid CONNECT by hand."""

    def text(value: str) -> bytes:
        return len(value).to_bytes(2, "big") + value.encode()

    login = broker.credentials.logins[user]
    body = text("MQTT") + b"\x04\xc2\x00\x3c" + text(user) + text(user) + text(login.password)
    return bytes([0x10, len(body)]) + body


async def test_garbage_does_not_stop_the_broker(broker: EmbeddedBroker) -> None:
    """Malformed, truncated and foreign bytes are hung up on; the others are served."""
    valid = connect_packet(broker, "ada")
    for data in (
        b"",
        b"\x00" * 64,
        b"\xff" * 4096,
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x10\xff\xff\xff\xff\x7f",
        valid[:-3],
        valid + b"\xf0\x00",
        valid + valid,
        valid + b"\x82\x02\x00\x01",
        valid + b"\x30\x05\x00\xff\xc3\x28\x00",
    ):
        await raw(broker, data)
    async with client(broker, "ada") as ada:
        assert await granted(ada, TOPICS.feed("ada"))


async def test_an_oversized_packet_closes_its_connection_only(broker: EmbeddedBroker) -> None:
    """Announcing more than the cap ends the sender; a post of half the cap passes."""
    async with client(broker, "clerk") as clerk, client(broker, "bob") as bob:
        await bob.subscribe(TOPICS.feed("bob"), qos=1)
        async with client(broker, "ada") as ada:
            await ada.publish(TOPICS.submit("ada"), b"x" * (MAX_PACKET_BYTES + 1), qos=0)
            with pytest.raises(aiomqtt.MqttError, match="Disconnected"):
                await first(ada)
        large = b"y" * (MAX_PACKET_BYTES // 2)
        await clerk.publish(TOPICS.feed("bob"), large, qos=1)
        assert await first(bob) == (TOPICS.feed("bob"), large)


async def test_routing_never_suspends() -> None:
    """It goes over live lists of subscribers, which would shift while it waits."""
    broker = GuardedBroker("127.0.0.1:0", TOPICS, {})
    told: list[tuple[str, bytes, int]] = []
    session = SimpleNamespace(client_id="ada", transitions=SimpleNamespace(state="connected"))
    connection = SimpleNamespace(deliver=lambda *message: told.append(message))
    broker._sessions["ada"] = (session, connection)
    broker._subscriptions[TOPICS.notice()] = [(session, 1)]
    for author, expected in (("ada", []), ("clerk", [(TOPICS.notice(), b"x", 1)])):
        sender = SimpleNamespace(username=author)
        broker._take(sender, TOPICS.notice(), b"x", is_retained=False)
        assert told == expected


async def test_what_was_acknowledged_is_delivered_though_its_author_leaves_at_once(
    broker: EmbeddedBroker,
) -> None:
    """Ten messages and a farewell in one breath: all ten arrive."""
    async with client(broker, "clerk") as clerk:
        await clerk.subscribe(TOPICS.all_submits(), qos=1)
        topic = TOPICS.submit("ada").encode()
        head = len(topic).to_bytes(2, "big") + topic
        packets = [head + n.to_bytes(2, "big") + b"%d" % n for n in range(1, 11)]
        said = b"".join(bytes([0x32, len(packet)]) + packet for packet in packets)
        await raw(broker, connect_packet(broker, "ada") + said + b"\xe0\x00")
        for n in range(1, 11):
            assert await first(clerk) == (topic.decode(), b"%d" % n)
