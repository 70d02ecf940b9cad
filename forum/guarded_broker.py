"""amqtt's broker with its doors shut: who may come in, write and read.

Runs only in the broker's own process (`forum.broker_process`); the rights are those of
`forum.topics`. Everything here mends amqtt 0.12.1, pinned exactly because private methods of it are
overridden:

- **State before authentication.** Stock amqtt drops the session of a client id, and installs the
  newcomer in its place, before it has looked at the password. Here nothing is touched before
  `_refusal` has passed, and the client id must be the user's name, or begin with it and a colon.
- **Unchecked wills.** A will goes past the publication rights. Here a connection whose will its
  user could not publish is refused.
- **Retained messages.** They are sent at connect to clients that never subscribed, and past the
  right to read. Here nothing is retained: the message is delivered and forgotten.
- **Persistent sessions** lose and reorder what they queue. Here they are refused.
- **Lost messages.** Permission plugins suspend in the middle of loops over the live lists of
  subscribers; who leaves meanwhile shifts them, and the next reader of a notice is skipped. Here
  the check never suspends, which is why it is an override and not a plugin.
- **Unbounded packets.** A packet may announce 256 MB. Here reads are capped.
- **Slow routing.** Each message is tried against every subscription of everybody, which keeps a
  broker of a hundred clients busy at a hundred posts a second. Here filters are looked up.

Not mended: a client that never reads makes the broker's memory grow.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import Action
from amqtt.errors import MQTTError
from amqtt.mqtt.connack import NOT_AUTHORIZED, ConnackPacket
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import Session

from forum.topics import Topics, matching_filters

MAX_PACKET_BYTES: Final = 1024 * 1024
"""Twice the cap of a post; a connection that announces more is closed."""
CLIENT_ID_SEPARATOR: Final = ":"
"""Between user name and the rest of a client id; not a character of names, so that ``ada`` cannot
take the client id of ``ada-1``."""
_CONNECT_S = 10.0  # a connection that has not said CONNECT by then is closed


class _BoundedReader(ReaderAdapter):  # type: ignore[misc]
    """A connection's input that refuses to read large packets."""

    def __init__(self, inner: ReaderAdapter) -> None:
        self._inner = inner

    async def read(self, n: int = -1) -> bytes:
        if not 0 <= n <= MAX_PACKET_BYTES:
            # Not an MQTTError: amqtt would skip those and read the packet's inside as packets.
            raise ValueError(f"a packet of {n} bytes is too large")
        data: bytes = await self._inner.read(n)
        return data

    def feed_eof(self) -> None:
        self._inner.feed_eof()


class GuardedBroker(Broker):  # type: ignore[misc]
    """A broker for one run, in which each participant has a login and its own topics."""

    def __init__(self, host: str, port: int, topics: Topics, passwords: Mapping[str, str]) -> None:
        """Prepare to listen on `host` and `port` (0: the kernel chooses)."""
        bind = f"{host}:{port}"
        # plugins={} matters: the default list lets anonymous clients in.
        super().__init__({"listeners": {"default": {"type": "tcp", "bind": bind}}, "plugins": {}})
        self._topics = topics
        self._passwords = {user: word.encode() for user, word in passwords.items()}

    @property
    def port(self) -> int:
        """The port it listens on, once started."""
        port: int = self._servers["default"].instance.sockets[0].getsockname()[1]
        return port

    def _refusal(self, session: Session) -> str:
        """Say why a connection may not come in; empty if it may."""
        user = session.username or ""
        password = self._passwords.get(user, b"")
        given = (session.password or "").encode(errors="replace")
        if not (password and hmac.compare_digest(password, given)):
            return "wrong user or password"
        client_id = session.client_id or ""
        if client_id != user and not client_id.startswith(user + CLIENT_ID_SEPARATOR):
            return "the client id belongs to another user"
        if not session.clean_session:
            return "only clean sessions are served"
        if session.will_flag and not self._topics.may_publish(user, session.will_topic or ""):
            return "the will's topic belongs to another user"
        return ""

    async def _initialize_client_session(
        self, reader: ReaderAdapter, writer: WriterAdapter, remote_address: str, remote_port: int
    ) -> tuple[BrokerProtocolHandler, Session]:
        """Read CONNECT and judge it before any state is touched (replaces amqtt's own)."""
        try:
            async with asyncio.timeout(_CONNECT_S):
                handler, session = await BrokerProtocolHandler.init_from_connect(
                    _BoundedReader(reader), writer, self.plugins_manager
                )
        except Exception as error:  # hostile bytes raise whatever amqtt's parser stumbles over
            await writer.close()
            raise MQTTError(f"no valid CONNECT: {error!r}") from error
        refusal = self._refusal(session)
        if refusal:
            await ConnackPacket.build(0, NOT_AUTHORIZED).to_stream(writer)
            await writer.close()
            raise MQTTError(refusal)
        # The user's own older connection under the same id ends now (MQTT 3.1.1, 3.1.4-2).
        await self._cleanup_session(session.client_id)
        session.parent = 0
        return handler, session

    async def _handle_client_session(
        self, reader: ReaderAdapter, writer: WriterAdapter, *arguments: Any
    ) -> None:
        await super()._handle_client_session(_BoundedReader(reader), writer, *arguments)

    async def _authenticate(self, session: Session, _: Any) -> bool:
        return not self._refusal(session)

    async def _topic_filtering(self, session: Session, topic: str, action: Action) -> bool:
        """Judge one publication, subscription or delivery, without ever suspending."""
        user = session.username or ""
        if action == Action.PUBLISH:
            return self._topics.may_publish(user, topic)
        return self._topics.may_subscribe(user, topic)

    async def _run_broadcast(self, running_tasks: deque[asyncio.Task[Any]]) -> None:
        """Route one message to whoever subscribed to it (replaces amqtt's own)."""
        message = await self._broadcast_queue.get()
        topic = message["topic"]
        for topic_filter in matching_filters(topic):
            for session, granted_qos in tuple(self._subscriptions.get(topic_filter, ())):
                if session.transitions.state != "connected":
                    continue
                handler = self._get_handler(session)
                if handler is None or not self._topics.may_subscribe(session.username or "", topic):
                    continue
                qos = message.get("qos", granted_qos)
                sending = handler.mqtt_publish(topic, message["data"], qos, retain=False)
                running_tasks.append(asyncio.create_task(sending))

    async def retain_message(self, *_: Any) -> None:
        """Retain nothing."""
