"""A hostile client, ada or nobody at all, against the embedded broker and a real Mosquitto.

Refused means by effect: whatever the broker answers, nobody gets what he should not, and everybody
else stays connected, misses nothing and gets nothing twice. On the embedded broker each attempt is
an incident too; of Mosquitto's, those that its log tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import aiomqtt
import pytest
import pytest_asyncio
from bystanders import TOPICS, bystanders
from fortress import Fortress, embedded, mosquitto, packet, publish, subscribe, text

from forum.incidents import UNKNOWN, IncidentKind

pytestmark = pytest.mark.asyncio(loop_scope="module")

Attack = Callable[[Fortress], Awaitable[None]]

OTHERS = (
    *("#", "+/#", "rc/#", "rc/+/feed/+", "rc/r1/#", "rc/r1/+", "+/+/+/+", "rc/r1/+/bob"),
    *("rc/r1/feed/+", "rc/r1/feed/#", "rc/r1/inbox/+", "rc/r1/lab/+/reply", "rc/r1/lab/#"),
    *("rc/r1/submit/+", "rc/r1/presence/+", "rc/r1/event/#", "rc/r1/event/post/p1"),
    *(topic for name in ("bob", "~anna") for topic in TOPICS.readable(name) if name in topic),
    *TOPICS.readable("clerk"),
    *("$SYS/#", "$SYS/broker/clients/total", "$share/g/rc/r1/feed/bob", "$share/g/#"),
)
"""What ada has no business reading."""
NOT_HERS = (
    *(topic for name in ("bob", "carl", "~anna") for topic in TOPICS.writable(name)),
    *(topic for name in ("bob", "~anna") for topic in TOPICS.readable(name)),
    *(TOPICS.feed("ada"), TOPICS.inbox("ada"), TOPICS.notice(), TOPICS.event("post/p1")),
    *(TOPICS.lab_request("observer"), TOPICS.lab_reply("observer"), TOPICS.lab_reply("ada")),
)
"""Where ada has no business writing."""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["embedded", "mosquitto"])
async def fortress(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Fortress]:
    """Run each broker, once for the module."""
    folder = tmp_path_factory.mktemp("mosquitto")
    async with embedded() if request.param == "embedded" else mosquitto(folder) as running:
        yield running


async def turned_away(fortress: Fortress, user: str, **how: object) -> None:
    """Expect that this log-in fails."""
    with pytest.raises(aiomqtt.MqttError):
        async with fortress.client(user, **how):  # type: ignore[arg-type]
            pass


async def nobody(fortress: Fortress) -> None:
    """Come in without a user, a password, or with a name that is nobody's."""
    for user, word in ((None, None), ("ada", None), ("ada", ""), ("mallory", "x"), ("", "")):
        with pytest.raises(aiomqtt.MqttError):
            async with aiomqtt.Client(
                *("127.0.0.1", fortress.port), username=user, password=word, timeout=10
            ):
                pass


async def wrong_passwords(fortress: Fortress) -> None:
    """Guess, or come under another's name with one's own password."""
    for user in ("bob", "~anna", "clerk", "observer"):
        for word in ("guess", fortress.passwords["ada"], fortress.passwords[user] + " "):
            await turned_away(fortress, user, password=word)


async def listening(fortress: Fortress) -> None:
    """Subscribe to everything there is, at once and one by one."""
    with suppress(aiomqtt.MqttError):
        async with fortress.client("ada") as ada:
            for topic_filter in OTHERS:
                await ada.subscribe(topic_filter, qos=1)
    await fortress.raw(
        fortress.connect_packet("ada"), subscribe(*OTHERS), subscribe("#"), answers_s=0.5
    )


async def speaking(fortress: Fortress) -> None:
    """Write under another's name, to others' feeds, as the clerk, to observers."""
    for qos in (0, 1):
        for topic in NOT_HERS:
            with suppress(aiomqtt.MqttError):
                async with fortress.client("ada") as ada:
                    await ada.publish(topic, b"forged", qos=qos)


async def retaining(fortress: Fortress) -> None:
    """Leave messages behind for whoever comes, on others' topics and on one's own."""
    mine = (TOPICS.submit("ada"), TOPICS.presence("ada"))
    said = [publish(t, b"retained", qos=1, retain=True) for t in (*NOT_HERS, *mine)]
    said += [publish(t, b"", retain=True) for t in (*NOT_HERS, *mine)]
    for one in said:
        await fortress.raw(fortress.connect_packet("ada"), one, answers_s=0.1)


def with_will(
    fortress: Fortress, topic: str, said: str, *, qos: int = 1, is_retained: bool = False
) -> bytes:
    """Return ada's CONNECT with a will."""
    flags = 0xC6 | qos << 3 | is_retained << 5  # clean session, user, password, a will
    body = text("MQTT") + bytes([4, flags, 0, 60]) + text("ada") + text(topic) + text(said)
    return packet(0x10, body + text("ada") + text(fortress.passwords["ada"]))


async def dying(fortress: Fortress) -> None:
    """Have a will say after death what one could not say alive; then break off."""
    topics = (TOPICS.submit("bob"), TOPICS.feed("bob"), TOPICS.notice(), TOPICS.event("post/p1"))
    wills = [(topic, qos, False) for topic in (*topics, "#", "$SYS/x") for qos in (0, 1, 2)]
    wills += [(TOPICS.submit("ada"), 1, True), (TOPICS.submit("bob"), 1, True)]
    for topic, qos, is_retained in wills:
        hello = with_will(fortress, topic, "forged", qos=qos, is_retained=is_retained)
        await fortress.raw(hello, answers_s=0.1)


async def stealing_connections(fortress: Fortress) -> None:
    """Connect under the client id of the clerk, of an agent, of an observer."""
    for victim in ("clerk", "bob", "~anna", "observer"):
        for identifier in (victim, f"{victim}:test"):
            for is_clean in (True, False):
                for word in (None, "wrong"):
                    with suppress(aiomqtt.MqttError):
                        async with fortress.client(
                            *("ada",), identifier=identifier, clean_session=is_clean, password=word
                        ) as ada:
                            await ada.subscribe(TOPICS.feed("bob"), qos=1)


async def stealing_sessions(fortress: Fortress) -> None:
    """Have the broker keep what one has missed, under one's own id or another's."""
    for identifier in ("ada", "bob", "clerk", "someone"):
        with suppress(aiomqtt.MqttError):
            async with fortress.client("ada", identifier=identifier, clean_session=False) as ada:
                for topic_filter in ("#", *TOPICS.readable("bob")):
                    await ada.subscribe(topic_filter, qos=1)


async def large_packets(fortress: Fortress) -> None:
    """Announce, or send, more than a post can have; before logging in as well."""
    hello = fortress.connect_packet("ada")
    for much in (b"\xff\xff\xff\x7f", b"\x81\x80\x80\x01"):
        for head in (b"\x10", b"\x30", b"\x82", b"\xc0", b"\xe0"):
            await fortress.raw(head + much + b"x" * 5000, answers_s=0.2)
            await fortress.raw(hello, head + much + b"x" * 5000, answers_s=0.2)
    large = publish(TOPICS.submit("bob"), b"x" * (2 * 1024 * 1024))
    await fortress.raw(hello, large, answers_s=1)


async def malformed_packets(fortress: Fortress) -> None:
    """Send what no client sends."""
    hello = fortress.connect_packet("ada")
    first = (b"\x00" * 64, b"\xff" * 4096, b"GET / HTTP/1.1\r\n\r\n", b"\x10\x00", hello[:-3])
    for data in (*first, b"\x10\x04\x00\x04MQ", publish("x", b"y"), subscribe("#")):
        await fortress.raw(data, answers_s=0.1)
    for data in (
        *(b"\xf0\x00", b"\x00\x00", hello, b"\x82\x02\x00\x01", b"\x30\x00", b"\x82\x00"),
        *(b"\x30\xff\xff\xff\xff\xff", b"\x40\x00", b"\x62\x01\x00", b"\x20\x02\x00\x00"),
        b"\x30\x05\x00\xff\xc3\x28\x00",
    ):
        await fortress.raw(hello + data, answers_s=0.1)


async def tricks_with_topics(fortress: Fortress) -> None:
    """Write to topics that look like others' to somebody who looks less closely."""
    bob = TOPICS.submit("bob")
    for topic in (
        *(bob.encode() + b"\x00", b"\x00" + bob.encode(), b"rc/r1/submit/bo\x00b"),
        *(b"rc/r1/submit/b\xc3\x28", b"rc/r1/submit/\xed\xa0\x80bob", b"rc/r1/submit/bob\n"),
        *(
            b"rc/r1/submit/ada/../bob",
            b"/rc/r1/submit/bob",
            b"rc/r1/submit/bob/",
            b"rc//submit/bob",
        ),
        *("rc/r1/submit/b\u03bfb".encode(), "rc/r1/submit/bob\u200b".encode(), b"rc/r1/submit/BOB"),
        *(
            b"rc/r1/submit/+",
            b"rc/r1/submit/#",
            b"#",
            b"",
            b"$SYS/broker",
            b"$share/g/" + bob.encode(),
        ),
        *(b"rc/r2/submit/bob", b"rc/r1/event/post", b"x" * 65_535),
        b"x'\n2026-01-01T00:00:00: Denied PUBLISH from bob (d0, q1, r0, m1, 'x', ... (",
    ):
        for qos in (0, 1):
            said = publish(topic, b"forged", qos=qos)
            await fortress.raw(fortress.connect_packet("ada"), said, answers_s=0.1)


async def misusing_qos_2(fortress: Fortress) -> None:
    """Open exchanges that are never ended, end some that were never opened, invent QoS 3."""
    hello = fortress.connect_packet("ada")
    mine = TOPICS.submit("bob")
    for data in (
        *(publish(mine, b"forged", qos=2) * 50, b"\x62\x02\x00\x07" * 50, b"\x70\x02\x00\x07"),
        *(b"\x50\x02\x00\x07", publish(mine, b"forged", qos=3), b"\x40\x02\x00\x09" * 50),
    ):
        await fortress.raw(hello + data, answers_s=0.2)


async def many_log_ins(fortress: Fortress) -> None:
    """Guess passwords as fast as one can."""
    for _ in range(10):
        async with asyncio.TaskGroup() as group:
            for user in ("bob", "clerk", "ada") * 10:
                guess = fortress.connect_packet(user, password="guess")
                group.create_task(fortress.raw(guess, answers_s=5))


async def subscribing_without_end(fortress: Fortress) -> None:
    """Fill the broker's tables: thousands of filters, in one packet and in many."""
    wide = [f"rc/r1/event/x{n}/#" for n in range(2000)]
    await fortress.raw(fortress.connect_packet("ada"), subscribe(*wide), answers_s=0.5)
    each = [subscribe(one) for one in wide[:300]]
    await fortress.raw(fortress.connect_packet("ada"), *each, answers_s=0.5)


async def watching_too_much(fortress: Fortress) -> None:
    """As an observer: write events, posts and drafts, read feeds and drafts."""
    # On Mosquitto another log-in as `observer` would end the bystander's, by right.
    user = "observer" if fortress.kind == "embedded" else "observer.2"
    async with fortress.client(user) as observer:
        for topic_filter in ("#", *TOPICS.readable("bob")[:2], *TOPICS.readable("clerk")):
            await observer.subscribe(topic_filter, qos=1)
        for topic in (TOPICS.event("post/p1"), TOPICS.feed("bob"), TOPICS.submit("bob")):
            await observer.publish(topic, b"forged", qos=1)


ATTACKS: list[tuple[Attack, str, tuple[IncidentKind, ...], bool]] = [
    (nobody, UNKNOWN, ("login",), True),
    (wrong_passwords, UNKNOWN, ("login",), True),
    (listening, "ada", ("subscribe",), True),
    (speaking, "ada", ("publish",), True),
    (retaining, "ada", ("retain", "packet"), True),
    (dying, "ada", ("will",), True),
    (stealing_connections, "ada", ("client_id",), False),
    (stealing_sessions, "ada", ("session",), False),
    (large_packets, "ada", ("packet",), True),
    (malformed_packets, "ada", ("packet",), True),
    (tricks_with_topics, "ada", ("publish",), True),
    (misusing_qos_2, "ada", ("packet",), True),
    (many_log_ins, UNKNOWN, ("login",), True),
    (subscribing_without_end, "ada", ("subscribe", "packet"), True),
    (watching_too_much, "observer", ("publish",), True),
]
"""Attack, who is told of, for which of these kinds, and whether Mosquitto's log tells of it too.

Mosquitto replaces a client id by the user's name, and drops a session that nobody can reach: there
is nothing to tell of."""


async def _is_quiet(fortress: Fortress) -> None:
    """Wait until nothing more is told of the attack before: a Mosquitto's log is read in turns."""
    if fortress.kind == "mosquitto":
        known = -1
        while known != len(fortress.told):
            known = len(fortress.told)
            await asyncio.sleep(0.8)


@pytest.mark.parametrize(
    ("attack", "who", "kinds", "is_logged"), ATTACKS, ids=[case[0].__name__ for case in ATTACKS]
)
async def test_an_attack_has_no_effect_on_anybody_and_is_told(
    fortress: Fortress,
    attack: Attack,
    who: str,
    kinds: tuple[IncidentKind, ...],
    is_logged: bool,
) -> None:
    """Before, beside and after it everybody gets what is his, once, on the same connection."""
    await _is_quiet(fortress)
    fortress.told.clear()
    async with bystanders(fortress) as others:
        await others.unharmed()
        async with asyncio.TaskGroup() as group:
            group.create_task(attack(fortress))
            group.create_task(others.unharmed())
        await others.unharmed()
    if fortress.kind == "embedded":
        await fortress.incident(who, *kinds)
    elif is_logged:
        await fortress.incident("observer.2" if who == "observer" else who, *kinds)
    blamed = {one.user for one in fortress.told}
    assert blamed <= {who, "observer.2", UNKNOWN}, "somebody is blamed who did nothing"
    assert "forged" not in str(fortress.told)


async def test_what_ada_may_not_read_never_reaches_her(fortress: Fortress) -> None:
    """Whatever she has subscribed to, and however the broker answered."""
    got: list[str] = []
    async with bystanders(fortress) as others, fortress.client("ada") as ada:
        for topic_filter in OTHERS:
            await ada.subscribe(topic_filter, qos=1)
        await ada.subscribe(TOPICS.inbox("ada"), qos=1)
        await others.unharmed()
        await others.everybody["clerk"].connected.publish(TOPICS.inbox("ada"), b"end", qos=1)
        async with asyncio.timeout(30):
            async for message in ada.messages:
                got.append(message.topic.value)
                if message.topic.value == TOPICS.inbox("ada"):
                    break
    assert set(got) <= set(TOPICS.readable("ada"))


async def test_nobody_finds_what_was_left_behind(fortress: Fortress) -> None:
    """Retained messages, wills and stolen sessions give nothing to whoever comes later."""
    await retaining(fortress)
    await dying(fortress)
    await stealing_sessions(fortress)
    async with bystanders(fortress) as others:
        await others.unharmed()


async def test_own_things_still_work(fortress: Fortress) -> None:
    """The walls have doors: after all of it ada can do what she may."""
    async with bystanders(fortress) as others, fortress.client("ada") as ada:
        for topic in TOPICS.readable("ada"):
            await ada.subscribe(topic, qos=1)
        mine = TOPICS.writable("ada")
        for topic in mine:
            await ada.publish(topic, b"mine", qos=1)
        await others.unharmed(but_from=mine)
        assert {topic for topic, said in others.everybody["clerk"].got if said == b"mine"} == set(
            mine
        )
        clerk = others.everybody["clerk"].connected
        hers = (TOPICS.feed("ada"), TOPICS.inbox("ada"), TOPICS.lab_reply("ada"))
        for topic in hers:
            await clerk.publish(topic, b"yours", qos=1)
        read: list[str] = []
        async with asyncio.timeout(30):
            async for message in ada.messages:
                if message.payload == b"yours":
                    read.append(message.topic.value)
                if len(read) == len(hers):
                    break
        assert sorted(read) == sorted(hers)


async def test_a_will_of_ones_own_is_heard(fortress: Fortress) -> None:
    """The same way that forged ones are sent: it is the right that they lack."""
    async with bystanders(fortress) as others:
        await fortress.raw(with_will(fortress, TOPICS.presence("ada"), "gone"), answers_s=0.3)
        heard = others.everybody["clerk"].got
        async with asyncio.timeout(30):
            while (TOPICS.presence("ada"), b"gone") not in heard:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
