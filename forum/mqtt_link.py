"""One participant's connection to a broker, which comes back by itself.

It knows topics and bytes, not messages. MQTT 3.1.1, QoS 1, clean sessions: while the connection is
away, what others publish is missed (`MqttLink.connections` tells), what we publish waits in the
outbox. `forum.mqtt_board` builds seats and the desk on it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import random
import secrets
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.reasoncodes import ReasonCode

from forum.credentials import Login
from forum.errors import BoardUnreachableError, ForumError, LoginRefusedError
from forum.outbox import Outbox, Outgoing

FIRST_CONNECT_S: Final = 15.0
"""How long opening a link tries to reach the broker, seconds of loop time."""
AWAY_WARNING_S: Final = 5.0
"""A connection that was lost for longer is told of: a broker's restart takes less than that."""
_SETTLED_S = 3.0
"""A connection that lasted this long is one, although nothing went through it."""
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 5.0
_CALL_S = 10.0  # each call to the broker; loopback answers in milliseconds
_FLUSH_S = 2.0  # what is still in the outbox when a link closes gets this long to leave
_KEEPALIVE_S = 20
_WINDOW = 50
"""Publications that may be unacknowledged. One at a time would wait for the broker each time; this
many keep both sides at work, and no more are repeated after a lost connection."""
_MAX_QUEUED_MESSAGES = 10_000  # aiomqtt's own queue, which we empty at once
_SUBACK_FAILURE = 0x80
# CONNACK answers for which trying again is useless, in MQTT 5 numbers as paho translates them:
# unsupported protocol, client id not valid, bad user name or password, not authorised.
_FINAL_REFUSALS = frozenset({0x84, 0x85, 0x86, 0x87})

# aiomqtt sets this logger's level itself and warns of every eleventh concurrent publication; paho
# writes a line to it for each reset of a connection, of which the link tells in its own words.
logging.getLogger("mqtt").setLevel(logging.CRITICAL)
_log = logging.getLogger(__name__)


def _is_worth_telling(record: logging.LogRecord) -> bool:
    """Drop asyncio's tracebacks of aiomqtt watching a socket that broke the moment before."""
    error = record.exc_info[1] if record.exc_info else None
    is_closed_socket = isinstance(error, OSError) and error.errno == errno.EBADF
    watches = ("add_reader(", "add_writer(")
    return not (is_closed_socket and any(name in record.getMessage() for name in watches))


logging.getLogger("asyncio").addFilter(_is_worth_telling)


class MqttLink:
    """A connection as one participant; an async context manager."""

    def __init__(
        self,
        address: tuple[str, int],
        participant: str,
        login: Login | None,
        filters: Sequence[str],
        receive: Callable[[str, bytes], None],
        *,
        tls: ssl.SSLContext | None = None,
        patience_s: float = math.inf,
    ) -> None:
        """Prepare to connect to `address` (host, port).

        Args:
            address: Host and port.
            participant: Name of an agent or person, ``clerk`` or ``observer``; for messages and
                the client id.
            login: User and password, or None to connect without.
            filters: What to subscribe to after each connect.
            receive: Called with topic and payload of each message; must not block.
            tls: What verifies the broker; None: plain text.
            patience_s: How long a lost connection is sought before the link ends. A link with an
                end to its patience warns of long absences.
        """
        self._address = address
        self._participant = participant
        self._login = login
        self._tls = tls
        self._filters = list(filters)
        self._receive = receive
        self._patience_s = patience_s
        self._outbox = Outbox()
        self._loop = asyncio.get_running_loop()
        self._next_connection: asyncio.Future[None] = self._loop.create_future()
        self._task: asyncio.Task[None] | None = None
        self._trouble = "no answer"
        # Jitter only has to differ between participants, so their names are seed enough.
        self._chance = random.Random(participant)  # noqa: S311
        self._is_connected = False
        self._is_settled = False
        self._lost_at = 0.0
        self._is_missed = False
        # One outage is told of once: by the desk, without which there is no run.
        self._level = logging.WARNING if math.isfinite(patience_s) else logging.DEBUG
        self.connections = 0
        """How often the link has connected; 1 unless it was interrupted."""

    @property
    def is_connected(self) -> bool:
        """Whether the connection is there now, as far as is known."""
        return self._is_connected

    @property
    def next_connection(self) -> asyncio.Future[None]:
        """Done when the link connects the next time; do not cancel it."""
        return self._next_connection

    @property
    def ended(self) -> asyncio.Task[None]:
        """The link's task; done when it is closed, or with an error when it has given up."""
        if self._task is None:
            raise RuntimeError("the link has not been opened")
        return self._task

    async def send(self, topic: str, payload: bytes) -> None:
        """Put a publication into the outbox; waits only if that is full.

        Raises:
            BoardClosedError: the link has given up.
        """
        await self._outbox.add(Outgoing(topic, payload))

    async def __aenter__(self) -> Self:
        """Connect and subscribe.

        Raises:
            BoardUnreachableError: nobody answered for `FIRST_CONNECT_S` seconds.
            LoginRefusedError: the broker refused the credential or a topic.

        Cancellation: the connection is closed.
        """
        connected = self._next_connection
        self._task = self._loop.create_task(self._run(), name=f"mqtt link of {self._participant}")
        try:
            await asyncio.wait(
                (connected, self._task),
                timeout=FIRST_CONNECT_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
        except asyncio.CancelledError:
            await self._stop()
            raise
        if connected.done():
            return self
        if not self._task.done():
            await self._stop()
            host, port = self._address
            raise BoardUnreachableError(
                f"no MQTT broker at {host}:{port} after {FIRST_CONNECT_S:.0f} s "
                f"({self._trouble}); start it or correct the address"
            )
        self._task.result()
        raise BoardUnreachableError("the link ended before it connected")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Flush the outbox for at most `_FLUSH_S` seconds and disconnect."""
        try:
            if self._is_connected:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._outbox.emptied(), _FLUSH_S)
        finally:
            await self._stop()

    async def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,), timeout=3 * _CALL_S)
            if self._task.done() and not self._task.cancelled():
                self._task.exception()  # whoever watches `ended` has seen it

    async def _run(self) -> None:
        """Keep connected; whatever ends that also ends the waiting for room in the outbox."""
        try:
            await self._keep_connected()
        except Exception as error:
            self._outbox.close(in_words(error))
            raise

    async def _keep_connected(self) -> None:
        """Connect again and again, with growing pauses.

        A connection that settles ends the absence and the growth; a broker that lets us in and then
        hangs up, on one publication for instance, does not.

        Raises:
            LoginRefusedError: the broker refuses us; trying again is useless.
            BoardUnreachableError: the connection was lost for longer than `patience_s`.
        """
        pause_s = _FIRST_PAUSE_S
        while True:
            self._is_settled = False
            try:
                await self._connected_spell()
            except aiomqtt.MqttError as error:
                self._trouble = str(error)
            if self._is_settled:
                pause_s = _FIRST_PAUSE_S
                self._lost_at = self._loop.time()
            if self.connections:  # before that `__aenter__` watches
                self._consider_absence()
            # Half to whole of the pause, so that a broker's return is not met by all at once.
            await asyncio.sleep(pause_s * (0.5 + 0.5 * self._chance.random()))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _consider_absence(self) -> None:
        """Tell of a long absence once, and end the link after one that is too long."""
        away_s = self._loop.time() - self._lost_at
        host, port = self._address
        if away_s > self._patience_s:
            raise BoardUnreachableError(
                f"no MQTT broker at {host}:{port} for {away_s:.0f} s ({self._trouble}), "
                f"{self._participant!r} waits no longer; start the broker again, then go on with "
                "`community run --resume`"
            )
        if away_s > AWAY_WARNING_S and not self._is_missed:
            self._is_missed = True
            _log.log(
                self._level,
                "%s has no connection to the broker at %s:%d (%s); is it running? Trying on",
                *(self._participant, host, port, self._trouble),
            )

    async def _connected_spell(self) -> None:
        """Connect, subscribe and carry messages both ways until the connection breaks."""
        client = self._client()
        await self._enter(client)
        try:
            await self._subscribe(client)
            self._note_connection()
            settling = self._loop.call_later(_SETTLED_S, self._settle)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._take_in(client), name="mqtt in")
                    tasks.create_task(self._give_out(client), name="mqtt out")
            except* aiomqtt.MqttError as errors:
                self._trouble = in_words(errors)
            finally:
                settling.cancel()
        finally:
            self._is_connected = False
            await _abandon(client)

    async def _enter(self, client: aiomqtt.Client) -> None:
        """Connect `client`; when cancelled, see the attempt through first, lest a socket leak."""
        entering = self._loop.create_task(client.__aenter__(), name="mqtt connect")
        try:
            await asyncio.shield(entering)
        except asyncio.CancelledError:
            with suppress(aiomqtt.MqttError):
                await entering
            await _abandon(client)
            raise
        except MqttConnectError as error:
            if isinstance(error.rc, ReasonCode) and error.rc.value in _FINAL_REFUSALS:
                raise LoginRefusedError(
                    f"the broker refuses {self._participant!r}: {error.rc}; check its credential"
                ) from None
            raise
        except aiomqtt.MqttError as error:
            await _abandon(client)
            if isinstance(error.__cause__ or error.__context__, ssl.SSLCertVerificationError):
                raise LoginRefusedError(
                    f"the broker is not the one that {self._participant!r} knows: {error}"
                ) from None
            raise

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        if not self._filters:
            return
        answers = await client.subscribe([(topic, 1) for topic in self._filters])
        for topic, answer in zip(self._filters, answers, strict=True):
            if _reason_number(answer) >= _SUBACK_FAILURE:
                raise LoginRefusedError(f"the broker refuses {self._participant!r} to read {topic}")

    def _note_connection(self) -> None:
        self._is_connected = True
        if not self.connections:
            self._lost_at = self._loop.time()  # should it never settle
        self.connections += 1
        connected, self._next_connection = self._next_connection, self._loop.create_future()
        connected.set_result(None)

    def _settle(self) -> None:
        """Something went through the connection, or it has lasted: it counts as one."""
        self._is_settled = True
        if self._is_missed:
            self._is_missed = False
            _log.log(
                self._level,
                "%s is connected again to the broker at %s:%d",
                *(self._participant, *self._address),
            )

    async def _take_in(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            self._settle()
            if isinstance(message.payload, bytes | bytearray):
                self._receive(message.topic.value, bytes(message.payload))

    async def _give_out(self, client: aiomqtt.Client) -> None:
        """Publish what is in the outbox, in order, with at most `_WINDOW` unacknowledged."""
        under_way: asyncio.Queue[asyncio.Task[None]] = asyncio.Queue()
        room = asyncio.Semaphore(_WINDOW)
        self._outbox.rewind()

        async def settle() -> None:
            """Take out of the outbox what was acknowledged, oldest first."""
            while True:
                await (await under_way.get())
                self._outbox.drop_head()
                self._settle()
                room.release()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(settle(), name="mqtt acknowledged")
            while True:
                await room.acquire()
                item = await self._outbox.take()
                publishing = client.publish(item.topic, item.payload, qos=1)
                under_way.put_nowait(tasks.create_task(publishing))

    def _client(self) -> aiomqtt.Client:
        host, port = self._address
        login = self._login
        # The embedded broker insists on a client id that begins with the user's name; the rest is
        # new each time, so that a returning client never meets its own forgotten session.
        prefix = self._participant if login is None else login.user
        return aiomqtt.Client(
            host,
            port,
            username=None if login is None else login.user,
            password=None if login is None else login.password,
            tls_context=self._tls,
            identifier=f"{prefix}:{secrets.token_hex(8)}",
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=True,
            timeout=_CALL_S,
            keepalive=_KEEPALIVE_S,
            max_queued_incoming_messages=_MAX_QUEUED_MESSAGES,
            max_inflight_messages=_WINDOW,
            # Without it the kernel holds small packets back and a round trip takes 44 ms, not 0.5.
            socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
        )


def in_words(error: BaseException) -> str:
    """Return what a person is told of the error that ended a link."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) if isinstance(error, ForumError) else repr(error)


def _reason_number(answer: Any) -> int:
    """Return the number of a ReasonCode, which is what MQTT 3.1.1 subscriptions are answered by."""
    return int(getattr(answer, "value", answer))


async def _abandon(client: aiomqtt.Client) -> None:
    """Disconnect whatever state `client` is in; aiomqtt leaves the socket of a failed attempt."""
    with suppress(aiomqtt.MqttError):
        await client.__aexit__(None, None, None)
