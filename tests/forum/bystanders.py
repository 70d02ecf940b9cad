"""Those a hostile client would harm: beside it, they must neither lose nor gain anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import aiomqtt
from fortress import RUN, Fortress

from forum.topics import Topics

TOPICS = Topics(RUN)
Message = tuple[str, bytes]
_WAIT_S = 60.0  # for a message that must come; a busy machine is slow, not wrong


@dataclass
class Bystander:
    """One connection and all that arrived on it."""

    connected: aiomqtt.Client
    got: list[Message] = field(default_factory=list)
    error: BaseException | None = None

    async def listen(self) -> None:
        """Note whatever arrives, and whether the connection breaks."""
        try:
            async for message in self.connected.messages:
                self.got.append((message.topic.value, bytes(message.payload)))
        except aiomqtt.MqttError as error:
            self.error = error


class Bystanders:
    """The clerk, bob, carl, a person and an observer, each subscribed to all that is its own."""

    def __init__(self, everybody: dict[str, Bystander]) -> None:
        self.everybody = everybody
        self._fences = 0

    async def unharmed(self, *, but_from: tuple[str, ...] = ()) -> None:
        """Send one message along every way there is: all arrive, and nothing else has.

        Args:
            but_from: Topics on which something may have arrived: what its author may say.
        """
        self._fences += 1
        fence = b"fence %d" % self._fences
        expected: dict[str, list[Message]] = {name: [] for name in self.everybody}
        for author, reader, topic in ways():
            await self.everybody[author].connected.publish(topic, fence, qos=1)
            for name in self.everybody if reader is None else (reader,):
                if reader is not None or name not in ("clerk", "observer"):
                    expected[name].append((topic, fence))
        for name, messages in expected.items():
            await self._await(name, messages, but_from)

    async def _await(self, name: str, messages: list[Message], but_from: tuple[str, ...]) -> None:
        one = self.everybody[name]
        fences = {payload for _, payload in messages}
        try:
            async with asyncio.timeout(_WAIT_S):
                while not set(messages) <= set(one.got):
                    assert one.error is None, f"{name} lost its connection: {one.error}"
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{name} misses {set(messages) - set(one.got)}") from None
        strange = [
            (topic, payload)
            for topic, payload in one.got
            if not payload.startswith(b"fence ") and topic not in but_from
        ]
        assert strange == [], f"{name} got what nobody may send it"
        now = [message for message in one.got if message[1] in fences]
        assert sorted(now) == sorted(messages), f"{name} got a message twice"
        assert one.error is None


def ways() -> list[tuple[str, str | None, str]]:
    """Return (author, reader, topic) of each way on the board; None: all participants."""
    found: list[tuple[str, str | None, str]] = [("clerk", None, TOPICS.notice())]
    for name in ("bob", "carl", "~anna"):
        found += [
            (name, "clerk", TOPICS.submit(name)),
            (name, "clerk", TOPICS.lab_request(name)),
            (name, "clerk", TOPICS.presence(name)),
            ("clerk", name, TOPICS.feed(name)),
            ("clerk", name, TOPICS.inbox(name)),
            ("clerk", name, TOPICS.lab_reply(name)),
        ]
    found += [
        ("clerk", "observer", TOPICS.event("post/p1")),
        ("observer", "clerk", TOPICS.lab_request("observer")),
        ("clerk", "observer", TOPICS.lab_reply("observer")),
    ]
    return found


@asynccontextmanager
async def bystanders(fortress: Fortress) -> AsyncIterator[Bystanders]:
    """Connect everybody but ada, who is hostile."""
    async with AsyncExitStack() as stack:
        everybody = {}
        for name in ("clerk", "bob", "carl", "~anna", "observer"):
            connected = await stack.enter_async_context(fortress.client(name, identifier=name))
            for allowed in TOPICS.readable(name):
                await connected.subscribe(allowed, qos=1)
            everybody[name] = Bystander(connected)
        tasks = [asyncio.create_task(one.listen()) for one in everybody.values()]
        try:
            yield Bystanders(everybody)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
