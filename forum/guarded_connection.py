"""One client's connection at the embedded broker, bounded in each direction.

What amqtt 0.12.1 leaves open, closed here (private methods are overridden; it is pinned exactly):

- **Input.** A packet may announce 256 MB, and who floods is read as fast as he writes. Here a
  packet has a cap, and beyond a burst each user is read at a steady pace: the flood stays in the
  flooder's own socket, and the others are served meanwhile.
- **Output.** A client that never reads, or never acknowledges, makes the broker's memory grow. Here
  what waits for one client is bounded in bytes and in time; then its connection is dropped. It
  comes back, and catches up from the ledger.
- **QoS 2** keeps state for as long as the client likes. Here it is not served.
- **Keep-alive** is not enforced. Here a client that falls silent is dropped.
- **Closing** waits until the client has read what was sent to it. Here for a moment only.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

from amqtt.adapters import ReaderAdapter, StreamWriterAdapter
from amqtt.errors import MQTTError
from amqtt.mqtt.connect import ConnectPacket
from amqtt.mqtt.packet import CONNECT, PUBLISH
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.mqtt.puback import PubackPacket
from amqtt.mqtt.publish import PublishPacket

from forum.incidents import IncidentKind, Note

MAX_PACKET_BYTES: Final = 1024 * 1024
"""Twice the cap of a post; a connection that announces more is closed."""
MAX_CONNECT_BYTES: Final = 64 * 1024
"""Cap of the first packet, which anybody may send."""
MAX_OTHER_BYTES: Final = 16 * 1024
"""Cap of all others: a client subscribes to a handful of topics."""
PACKET_S: Final = 30.0
"""How long a packet that has begun may take to arrive, pauses of ours for its pace included."""
MAX_UNSENT_BYTES: Final = 8 * 1024 * 1024
"""What may wait for one client, acknowledgements included: some 2,000 short messages."""
MAX_UNSENT_CLERK_BYTES: Final = 64 * 1024 * 1024
"""Likewise for the clerk, whom everybody writes to."""
UNSENT_S: Final = 60.0
"""How long one packet may wait for its client to read."""
PACE_BYTES_S: Final = 1024 * 1024
"""At this rate a user is read who has used up his burst: some 300 short messages a second."""
BURST_BYTES: Final = 8 * 1024 * 1024
"""What a user may send at once, over however many connections: some 2,500 short messages."""
_PACKET_BYTES = 3072  # what one that waits costs us, beside its payload
_OTHERS = frozenset(range(1, 15)) - {PUBLISH}  # 0 and 15 are reserved
_LONGEST_HEADER = 5
_KEEP_ALIVE_FACTOR = 1.5  # MQTT 3.1.1, 3.1.2-24
_FAREWELL_S = 1.0


class Take(Protocol):
    """Whoever takes in what a client publishes; must not wait."""

    def __call__(self, session: Any, topic: str, data: bytes, *, is_retained: bool) -> None:
        """Take in one message."""
        ...


class Allowance:
    """What one user may send, on all his connections together: who reconnects gets none anew."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._credit = float(BURST_BYTES)
        self._counted_at = self._loop.time()
        self._turn = asyncio.Lock()

    async def pay(self, cost_bytes: int) -> None:
        """Wait for as long as it takes the user to earn a packet; his connections take turns."""
        async with self._turn:
            now = self._loop.time()
            earned = (now - self._counted_at) * PACE_BYTES_S
            self._credit = min(BURST_BYTES, self._credit + earned) - cost_bytes
            self._counted_at = now
            if self._credit < 0:
                await asyncio.sleep(-self._credit / PACE_BYTES_S)


class PacketReader(ReaderAdapter):  # type: ignore[misc]
    """A connection's input, packet by packet: each whole, of bounded size, at a bounded pace."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._packet, self._read_bytes = b"", 0
        self._max_bytes = {CONNECT: MAX_CONNECT_BYTES}
        self._allowance: Allowance | None = None
        self.fault = ""
        """What is wrong with the packet at which reading ended."""

    def admit(self, allowance: Allowance | None) -> None:
        """Let in packets of all kinds, from a client that has logged in; without pace if None."""
        self._max_bytes = {PUBLISH: MAX_PACKET_BYTES} | dict.fromkeys(_OTHERS, MAX_OTHER_BYTES)
        self._allowance = allowance

    async def read(self, n: int = -1) -> bytes:
        """Return `n` bytes of the present packet, or of the next where that is used up.

        Raises:
            ValueError: the packet is not one that may come now. Not an MQTTError: amqtt would skip
                those and read the packet's inside as packets.
        """
        if n == 0:
            return b""
        if self._read_bytes == len(self._packet):
            self._packet, self._read_bytes = await self._next(), 0
        end = len(self._packet) if n < 0 else self._read_bytes + n
        if end > len(self._packet) > 0:
            raise self._faulty("a packet that is shorter than what it announces")
        data = self._packet[self._read_bytes : end]
        self._read_bytes += len(data)
        return data

    def feed_eof(self) -> None:
        """See nothing more."""
        self._reader.feed_eof()

    async def _next(self) -> bytes:
        """Return the next packet with its header; nothing at the connection's end."""
        try:
            header = await self._reader.readexactly(2)
            async with asyncio.timeout(PACKET_S):
                while header[-1] & 0x80 and len(header) < _LONGEST_HEADER:
                    header += await self._reader.readexactly(1)
                body_bytes = sum((byte & 0x7F) << 7 * i for i, byte in enumerate(header[1:]))
                if body_bytes > self._max_bytes.get(header[0] >> 4, -1):
                    kind = f"of kind {header[0] >> 4}"
                    raise self._faulty(f"a packet {kind} that announces {body_bytes} bytes")
                if self._allowance is not None:
                    await self._allowance.pay(body_bytes + _PACKET_BYTES)
                return header + await self._reader.readexactly(body_bytes)
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        except TimeoutError:
            raise self._faulty(f"half a packet for {PACKET_S:.0f} s") from None

    def _faulty(self, what: str) -> ValueError:
        self.fault = f"sent {what}"
        return ValueError(self.fault)


class PromptWriter(StreamWriterAdapter):  # type: ignore[misc]
    """A connection's output that never holds up whoever closes it."""

    is_closed: bool

    async def close(self) -> None:
        """Send what is there, for a moment, and close."""
        if self.is_closed:
            return
        self.is_closed = True
        self._writer.close()
        asyncio.get_running_loop().call_later(_FAREWELL_S, self.abort)

    def abort(self) -> None:
        """Close at once; what was not read yet is lost."""
        self.is_closed = True
        self._writer.transport.abort()


class GuardedConnection(BrokerProtocolHandler):  # type: ignore[misc]
    """amqtt's side of one connection, with what waits for the client bounded."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._take: Take | None = None
        self._note: Note | None = None
        self._max_unsent_bytes = MAX_UNSENT_BYTES
        self._unsent_bytes = 0
        self._is_dropped = False
        self._deliveries: set[asyncio.Task[Any]] = set()

    def guard(self, take: Take, note: Note, max_unsent_bytes: int) -> None:
        """Say who takes in messages, whom incidents are told, and what may wait for the client."""
        self._take, self._note, self._max_unsent_bytes = take, note, max_unsent_bytes

    def attach(self, session: Any, reader: PacketReader, writer: PromptWriter) -> None:
        """Take on a session, with half as much patience again as its client asks for."""
        session.keep_alive = int(session.keep_alive * _KEEP_ALIVE_FACTOR)
        super().attach(session, reader, writer)

    def drop(self, what: IncidentKind, detail: str) -> None:
        """End the connection now, and say why."""
        if self._is_dropped:
            return
        self._is_dropped = True
        if self._note is not None and self.session is not None:
            self._note(self.session.username, what, detail)
        if self.writer is not None:
            self.writer.abort()

    def deliver(self, topic: str, data: bytes, qos: int) -> None:
        """Send one message as soon as the client takes it in; never waits."""
        if self._is_dropped:
            return
        cost = _PACKET_BYTES + len(data)
        if self._unsent_bytes + cost > self._max_unsent_bytes:
            self.drop("slow", f"left {self._unsent_bytes >> 20} MiB unread")
            return
        self._unsent_bytes += cost
        sending = asyncio.get_running_loop().create_task(
            self.mqtt_publish(topic, data, qos, retain=False)
        )
        self._deliveries.add(sending)
        sending.add_done_callback(lambda done: self._delivered(done, cost))

    def _delivered(self, sending: asyncio.Task[Any], cost: int) -> None:
        self._unsent_bytes -= cost
        self._deliveries.discard(sending)
        if not sending.cancelled():
            sending.exception()  # a client that leaves, or does not acknowledge, is no news

    async def _send_packet(self, packet: Any) -> None:
        """Write one packet; acknowledgements that pile up count like messages."""
        cost = 0 if isinstance(packet, PublishPacket) else _PACKET_BYTES
        if self._is_dropped or self._unsent_bytes + cost > self._max_unsent_bytes:
            self.drop("slow", "does not read what it is answered")
            raise MQTTError("the connection was dropped")
        self._unsent_bytes += cost
        timer = self._loop.call_later(
            UNSENT_S, self.drop, "slow", f"read nothing for {UNSENT_S:.0f} s"
        )
        try:
            await super()._send_packet(packet)
        finally:
            timer.cancel()
            self._unsent_bytes -= cost

    async def handle_publish(self, publish_packet: PublishPacket) -> None:
        """Have a message at QoS 0 or 1 passed on, then acknowledge it."""
        qos, topic, data = publish_packet.qos, publish_packet.topic_name, publish_packet.data
        if qos not in (0, 1) or not topic or data is None or self._take is None:
            self.drop("packet", f"published at QoS {qos} or without a topic, which is not served")
            return
        retain = bool(publish_packet.retain_flag)
        self._take(self.session, topic, bytes(data), is_retained=retain)
        if qos == 1:
            await self._send_packet(PubackPacket.build(publish_packet.packet_id))

    async def handle_connect(self, connect: ConnectPacket) -> None:
        """Drop who introduces himself twice."""
        self.drop("packet", "said CONNECT twice on one connection")

    def handle_read_timeout(self) -> None:
        """Drop who is silent for longer than he said."""
        self.drop("slow", f"was silent for {self.session.keep_alive} s")

    async def handle_connection_closed(self) -> None:
        """Tell of a packet that ended the connection."""
        if self.reader is not None and self.reader.fault:
            self.drop("packet", self.reader.fault)
        await super().handle_connection_closed()
