"""amqtt's broker with its doors shut: who may come in, write and read.

Runs only in the broker's own process (`forum.broker_process`); the rights are those of
`forum.topics`, one connection's bounds are in `forum.guarded_connection`. Everything here mends
amqtt 0.12.1, pinned exactly because private methods of it are overridden:

- **State before authentication.** Stock amqtt drops the session of a client id, and installs the
  newcomer in its place, before it has looked at the password. Here nothing is touched before
  `_refusal` has passed, and the client id must be the user's name, or begin with it and a colon.
- **Unchecked wills.** A will goes past the publication rights. Here a connection whose will its
  user could not publish is refused.
- **Retained messages.** They are sent at connect to clients that never subscribed, and past the
  right to read. Here a message that shall be retained is dropped.
- **Persistent sessions** lose and reorder what they queue. Here they are refused.
- **Lost messages.** Permission plugins suspend in the middle of loops over the live lists of
  subscribers; who leaves meanwhile shifts them, and the next reader of a notice is skipped. What
  was acknowledged waits in a queue that is forgotten when its author disconnects. Here a message is
  routed before it is acknowledged, without ever suspending.
- **Slow routing.** Each message is tried against every subscription of everybody, which keeps a
  broker of a hundred clients busy at a hundred posts a second. Here filters are looked up.
- **Half-open connections** wait in any number. Here the oldest gives way.

What is turned away is counted (`GuardedBroker.incidents`) and told to the parent.
"""

from __future__ import annotations

import asyncio
import hmac
import ssl
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from amqtt.broker import Broker
from amqtt.contexts import Action
from amqtt.errors import MQTTError, NoDataError
from amqtt.mqtt.connack import NOT_AUTHORIZED, ConnackPacket
from amqtt.session import Session

from forum.certificates import Certificate
from forum.guarded_connection import (
    MAX_UNSENT_BYTES,
    MAX_UNSENT_CLERK_BYTES,
    Allowance,
    GuardedConnection,
    PacketReader,
    PromptWriter,
)
from forum.incidents import IncidentKind, IncidentTally
from forum.topics import CLERK, Topics, matching_filters

CLIENT_ID_SEPARATOR: Final = ":"
"""Between user name and the rest of a client id; not a character of names, so that ``ada`` cannot
take the client id of ``ada-1``."""
MAX_HALF_OPEN: Final = 256
"""Connections that have not logged in; the oldest is closed for a new one."""
MAX_CONNECTIONS: Final = 64
"""Of one user; the oldest is closed for a new one."""
MAX_SUBSCRIPTIONS: Final = 32
"""Of one connection; ours need at most four."""
_CONNECT_S = 10.0  # a connection that has not said CONNECT by then is closed
_REFUSED = 0x80


class GuardedBroker(Broker):  # type: ignore[misc]
    """A broker for one run, in which each participant has a login and its own topics."""

    def __init__(
        self,
        address: str,
        topics: Topics,
        passwords: Mapping[str, str],
        secured: tuple[str, Certificate] | None = None,
    ) -> None:
        """Prepare to listen.

        Args:
            address: Where to listen in plain text, ``host:port``; port 0: the kernel chooses.
            topics: Who may write and read what.
            passwords: By user.
            secured: Where to listen with TLS as well, and what the broker proves itself by.
        """
        listeners: dict[str, dict[str, Any]] = {"default": {"type": "tcp", "bind": address}}
        if secured is not None:
            files = {"certfile": str(secured[1].chain), "keyfile": str(secured[1].key)}
            listeners["secured"] = {"type": "tcp", "bind": secured[0], "ssl": True, **files}
        # plugins={} matters: the default list lets anonymous clients in.
        super().__init__({"listeners": listeners, "plugins": {}})
        self._topics = topics
        self._passwords = {user: word.encode() for user, word in passwords.items()}
        self._half_open: dict[PromptWriter, None] = {}
        self._connections: dict[str, dict[GuardedConnection, None]] = defaultdict(dict)
        self._allowances: dict[str, Allowance] = defaultdict(Allowance)
        self.incidents = IncidentTally()
        """What was turned away and not told yet."""

    def port(self, listener: str = "default") -> int:
        """The port that a listener, ``default`` or ``secured``, has once the broker is started."""
        port: int = self._servers[listener].instance.sockets[0].getsockname()[1]
        return port

    def _refusal(self, session: Session) -> tuple[IncidentKind, str] | None:
        """Say why a connection may not come in; None if it may."""
        user = session.username or ""
        password = self._passwords.get(user, b"")
        given = (session.password or "").encode(errors="replace")
        if not (password and hmac.compare_digest(password, given)):
            return "login", f"wrong user or password, for {user[:40]!r}"
        client_id = session.client_id or ""
        if client_id != user and not client_id.startswith(user + CLIENT_ID_SEPARATOR):
            return "client_id", f"client id {client_id[:60]!r}, which is not his"
        if not session.clean_session:
            return "session", "asked for a session that outlives its connection"
        if session.will_flag:
            topic = session.will_topic or ""
            if not self._topics.may_publish(user, topic):
                return "will", f"a will on {topic!r}, which is not his"
            if session.will_retain:
                return "will", f"a will on {topic!r} that shall be retained"
        return None

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """Take a new connection in, for the oldest one that has not logged in if there are many."""
        output = PromptWriter(writer)
        self._half_open[output] = None
        if len(self._half_open) > MAX_HALF_OPEN:
            next(iter(self._half_open)).abort()
            self.incidents.note("", "slow", f"{MAX_HALF_OPEN} connections that do not log in")
        try:
            await self._client_connected(listener_name, PacketReader(reader), output)
        finally:
            self._half_open.pop(output, None)

    async def _initialize_client_session(
        self, reader: PacketReader, writer: PromptWriter, *_: Any
    ) -> tuple[GuardedConnection, Session]:
        """Read CONNECT and judge it before any state is touched (replaces amqtt's own)."""
        try:
            async with asyncio.timeout(_CONNECT_S):
                connection, session = await GuardedConnection.init_from_connect(
                    reader, writer, self.plugins_manager
                )
        except Exception as error:  # hostile bytes raise whatever amqtt's parser stumbles over
            if isinstance(error, TimeoutError):
                self.incidents.note("", "slow", f"said nothing for {_CONNECT_S:.0f} s")
            elif not isinstance(error, NoDataError):  # who hangs up has done nothing
                self.incidents.note("", "packet", reader.fault or "no valid CONNECT")
            writer.abort()
            raise MQTTError(f"no valid CONNECT: {error!r}") from error
        finally:
            self._half_open.pop(writer, None)
        refusal = self._refusal(session)
        if refusal is not None:
            what, why = refusal
            self.incidents.note("" if what == "login" else session.username, what, why)
            await ConnackPacket.build(0, NOT_AUTHORIZED).to_stream(writer)
            await writer.close()
            raise MQTTError(why)
        # The user's own older connection under the same id ends now (MQTT 3.1.1, 3.1.4-2).
        await self._cleanup_session(session.client_id)
        session.parent = 0
        is_clerk = session.username == CLERK
        limit_bytes = MAX_UNSENT_CLERK_BYTES if is_clerk else MAX_UNSENT_BYTES
        connection.guard(self._take, self.incidents.note, limit_bytes)
        reader.admit(None if is_clerk else self._allowances[session.username])
        return connection, session

    async def _handle_client_session(
        self,
        reader: PacketReader,
        writer: PromptWriter,
        session: Session,
        connection: GuardedConnection,
        *arguments: Any,
    ) -> None:
        """Serve a client that has logged in until it leaves."""
        others = self._connections[session.username]
        if len(others) >= MAX_CONNECTIONS:
            next(iter(others)).drop("slow", f"holds {MAX_CONNECTIONS} connections")
        others[connection] = None
        try:
            await super()._handle_client_session(reader, writer, session, connection, *arguments)
        finally:
            others.pop(connection, None)

    async def _authenticate(self, session: Session, _: Any) -> bool:
        return self._refusal(session) is None

    async def add_subscription(self, subscription: tuple[str, int], session: Session) -> int:
        """Let a client read what is its own to read, at QoS 0 or 1."""
        topic_filter, qos = subscription
        user = session.username or ""
        if not self._topics.may_subscribe(user, topic_filter):
            self.incidents.note(user, "subscribe", f"wanted to read {topic_filter!r}")
            return _REFUSED
        held = sum(session in map(_reader, known) for known in self._subscriptions.values())
        if held >= MAX_SUBSCRIPTIONS:
            self.incidents.note(user, "subscribe", f"wanted more than {held} subscriptions")
            return _REFUSED
        granted: int = await super().add_subscription((topic_filter, min(qos, 1)), session)
        return granted

    async def _topic_filtering(self, session: Session, topic: str, action: Action) -> bool:
        """Answer amqtt as `_take` and `add_subscription` judge, without ever suspending."""
        user = session.username or ""
        if action == Action.PUBLISH:
            return self._topics.may_publish(user, topic)
        return self._topics.may_subscribe(user, topic)

    def _take(self, session: Session, topic: str, data: bytes, *, is_retained: bool) -> None:
        """Pass on a message that its author may send; drop any other."""
        user = session.username or ""
        if not self._topics.may_publish(user, topic):
            self.incidents.note(user, "publish", f"wrote to {topic!r}, which is not his")
        elif is_retained:
            self.incidents.note(user, "retain", f"a message on {topic!r} that shall stay")
        else:
            self._route(topic, data)

    def _route(self, topic: str, data: bytes) -> None:
        """Hand a message to everybody who has subscribed to it; never waits for a client."""
        for topic_filter in matching_filters(topic):
            for session, qos in tuple(self._subscriptions.get(topic_filter, ())):
                connection = self._get_handler(session)
                if connection is not None and session.transitions.state == "connected":
                    connection.deliver(topic, data, qos)

    async def _broadcast_message(
        self, _: Any, topic: str | None, data: bytes | bytearray | None, *__: Any
    ) -> None:
        """Send a will, which `_refusal` has judged."""
        self._route(topic or "", bytes(data or b""))

    async def retain_message(self, *_: Any) -> None:
        """Retain nothing."""

    @staticmethod
    def _create_ssl_context(listener: Any) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(listener["certfile"], listener["keyfile"])
        return context

    async def _create_server_instance(
        self, name: str, _: Any, host: str | None, port: int, tls: ssl.SSLContext | None
    ) -> asyncio.Server:
        return await asyncio.start_server(
            partial(self.stream_connected, listener_name=name),
            *((host or "").strip("[]"), port),
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else _CONNECT_S,
        )


def _reader(subscription: tuple[Session, int]) -> Session:
    return subscription[0]
