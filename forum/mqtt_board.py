"""The board over MQTT: any 3.1.1 broker, one connection per seat.

It moves messages and decides nothing; on the embedded broker each participant has a credential of
its own, so topics are walls, on a shared login they are only an agreement. What an absent reader
misses it gets from the ledger, not from here.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from forum.board import Desk, Observed, Requested, Seat, Submission, Watch
from forum.certificates import is_loopback
from forum.codec import decode_notice, decode_post, decode_receipt, decode_reply, encode
from forum.credentials import BrokerAddress, Credential, Credentials, Login
from forum.errors import BoardClosedError, MessageRefusedError, SeatTakenError, TopicError
from forum.ids import AgentName
from forum.mailbox import Mailbox
from forum.messages import Draft, Notice, Post, Receipt
from forum.mqtt_exchange import MqttExchange
from forum.mqtt_link import MqttLink, in_words
from forum.pending import accepted, draft_bytes, request_bytes
from forum.requests import JsonObject, Reply, granted
from forum.topics import CLERK, OBSERVER, Topics, is_observer

_PLAIN_TEXT: Final = "plain text off loopback is refused; write mqtts://"
DESK_PATIENCE_S: Final = 120.0
"""How long the desk seeks a lost broker: a machine's reboot, but no night in which nobody is heard.
Seats wait for ever; what ends them is the end of the run."""


class MqttBoard:
    """Seats and one desk on an MQTT broker; see `forum.board.Board`."""

    def __init__(
        self,
        host: str,
        port: int,
        run_id: str,
        credentials: Credentials,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Describe the board; nothing is connected yet.

        Args:
            host: Where the broker listens.
            port: Likewise.
            run_id: Part of every topic.
            credentials: Whoever takes a place logs in with his.
            tls: What verifies the broker; None: plain text.

        Raises:
            TopicError: `run_id` cannot be part of a topic.
        """
        self._address = (host, port)
        self._tls = tls
        self._topics = Topics(run_id)
        self._credentials = credentials
        self._taken: set[str] = set()
        self._observers: Counter[str] = Counter()

    @classmethod
    def at(cls, url: str, run_id: str, password: str | None = None) -> MqttBoard:
        """Use the broker at ``mqtt[s]://[user:password@]host[:port]``, with one login for all.

        Args:
            url: Where it is, perhaps with a user.
            run_id: Part of every topic.
            password: Of that user, in place of one in `url`.

        Raises:
            TopicError: `url` or `run_id` is malformed, or it is plain text off loopback.
        """
        address = BrokerAddress.parse(url)
        if not address.is_tls and not is_loopback(address.host):
            raise TopicError(_PLAIN_TEXT)
        login = address.login
        if login is not None and password is not None:
            login = Login(login.user, password)
        credentials = Credentials.of_broker(login)
        return cls(address.host, address.port, run_id, credentials, address.tls())

    @classmethod
    def joining(cls, url: str | None, credential: Credential) -> MqttBoard:
        """Use the broker as the one participant that `credential` makes of its holder.

        Args:
            url: Where it is, ``mqtt[s]://host[:port][/run]``; None: where the credential says.
            credential: Opens that participant's place and no other.

        Raises:
            TopicError: `url` is malformed, holds a login, or names another run.
            CredentialError: the credential's certificates are none.
        """
        address = BrokerAddress.parse(url or credential.url)
        if address.login is not None:
            raise TopicError("the credential says who you are; leave user and password out")
        if address.run not in ("", credential.run):
            raise TopicError(
                f"the credential is for run {credential.run!r}, the URL names {address.run!r}"
            )
        if not address.is_tls:
            if BrokerAddress.parse(credential.url).is_tls:
                raise TopicError("this broker speaks TLS; write mqtts://, lest passwords be read")
            if not is_loopback(address.host):
                raise TopicError(_PLAIN_TEXT)
        credentials = Credentials(logins={credential.user: credential.login})
        tls = address.tls(credential.ca)
        return cls(address.host, address.port, credential.run, credentials, tls)

    @asynccontextmanager
    async def seat(self, agent: AgentName) -> AsyncIterator[Seat]:
        """Connect as `agent`.

        Raises:
            SeatTakenError: this board object has given that seat away already.
            BoardUnreachableError: nobody answers at the address.
            LoginRefusedError: `agent` has no credential, or the broker refuses it.
            TopicError: `agent` is not a name an agent may bear.

        Cancellation: the connection is closed.
        """
        seat = _MqttSeat(agent, self._topics)
        with self._taking(agent):
            filters = (
                self._topics.feed(agent),
                self._topics.inbox(agent),
                self._topics.notice(),
                self._topics.lab_reply(agent),
            )
            link = self._link(agent, filters, seat)
            async with link:
                seat.connect(link)
                link.ended.add_done_callback(lambda ended: seat.leave(_cause(ended)))
                try:
                    yield seat
                finally:
                    seat.leave()

    @asynccontextmanager
    async def desk(self) -> AsyncIterator[Desk]:
        """Connect as the clerk.

        Raises:
            SeatTakenError: this board object has given the desk away already.
            BoardUnreachableError: nobody answers at the address.
            LoginRefusedError: the broker refuses the clerk's credential.

        Cancellation: the connection is closed.
        """
        desk = _MqttDesk(self._topics)
        with self._taking(CLERK):
            filters = (self._topics.all_submits(), self._topics.all_lab_requests())
            async with self._link(CLERK, filters, desk, DESK_PATIENCE_S) as link:
                desk.link = link
                link.ended.add_done_callback(lambda ended: desk.leave(_cause(ended)))
                try:
                    yield desk
                finally:
                    desk.leave()

    @asynccontextmanager
    async def observe(self) -> AsyncIterator[Watch]:
        """Connect as an observer and watch the events from now on; several may.

        Where there are several logins of observers, one that is free is taken.

        Raises:
            BoardUnreachableError: nobody answers at the address.
            LoginRefusedError: the broker refuses the observer's credential.

        Cancellation: the connection is closed.
        """
        with self._observing() as user:
            watch = _MqttWatch(user, self._topics)
            filters = (self._topics.all_events(), self._topics.lab_reply(user))
            async with self._link(user, filters, watch) as link:
                watch.connect(link)
                link.ended.add_done_callback(lambda ended: watch.leave(_cause(ended)))
                try:
                    yield watch
                finally:
                    watch.leave()

    def _link(
        self,
        participant: str,
        filters: tuple[str, ...],
        user: _MqttSeat | _MqttDesk | _MqttWatch,
        patience_s: float = math.inf,
    ) -> MqttLink:
        login = self._credentials.of(participant)
        return MqttLink(
            *(self._address, participant, login, filters, user.receive),
            tls=self._tls,
            patience_s=patience_s,
        )

    @contextmanager
    def _taking(self, participant: str) -> Iterator[None]:
        if participant in self._taken:
            raise SeatTakenError(f"{participant!r} is connected already; leave that place first")
        self._taken.add(participant)
        try:
            yield
        finally:
            self._taken.discard(participant)

    @contextmanager
    def _observing(self) -> Iterator[str]:
        """Give a login of an observer, one that is not in use if there is such."""
        logins = sorted(filter(is_observer, self._credentials.logins)) or [OBSERVER]
        user = min(logins, key=self._observers.__getitem__)
        self._observers[user] += 1
        try:
            yield user
        finally:
            self._observers[user] -= 1


class _MqttAsking:
    """Somebody who asks the institution."""

    def __init__(self, who: str, topics: Topics) -> None:
        self._replies = topics.lab_reply(who)
        self._asked: MqttExchange[Reply] = MqttExchange(topics.lab_request(who))

    async def request(self, op: str, args: Mapping[str, Any], request_id: str) -> JsonObject:
        payload = request_bytes(op, args, request_id)
        return granted(await self._asked.ask(request_id, payload))

    def connect(self, link: MqttLink) -> None:
        """Use `link` from now on."""
        self._asked.link = link

    def _take_reply(self, payload: bytes) -> None:
        reply = decode_reply(payload)
        self._asked.settle(reply.request_id, reply)


class _MqttSeat(_MqttAsking):
    link: MqttLink

    def __init__(self, agent: AgentName, topics: Topics) -> None:
        super().__init__(agent, topics)
        self._agent = agent
        self._feed = topics.feed(agent)
        self._inbox = topics.inbox(agent)
        self._posts: Mailbox[Post] = Mailbox()
        self._notices: Mailbox[Notice] = Mailbox()
        self._seen: set[int] = set()
        self._overflows = 0
        self._drafts: MqttExchange[Receipt] = MqttExchange(topics.submit(agent))

    def connect(self, link: MqttLink) -> None:
        super().connect(link)
        self.link = self._drafts.link = link

    @property
    def interruptions(self) -> int:
        return self.link.connections - 1 + self._overflows

    async def submit(self, draft: Draft) -> Receipt:
        payload = draft_bytes(draft)
        return accepted(await self._drafts.ask(draft.message_id, payload))

    def posts(self) -> AsyncIterator[Post]:
        return self._posts

    def notices(self) -> AsyncIterator[Notice]:
        return self._notices

    def receive(self, topic: str, payload: bytes) -> None:
        """Sort one message in; what is not a message of the clerk's is dropped."""
        try:
            if topic == self._feed:
                self._show(decode_post(payload))
            elif topic == self._inbox:
                receipt = decode_receipt(payload)
                self._drafts.settle(receipt.message_id, receipt)
            elif topic == self._replies:
                self._take_reply(payload)
            else:
                self._notices.put(decode_notice(payload))
        except MessageRefusedError:
            # Only the clerk writes here, and only what it encoded: on a broker without
            # permissions this is a stranger's noise, and no answer is due.
            return

    def leave(self, cause: BaseException | None = None) -> None:
        """End what waits and reads here; a `cause` means that the seat was lost, and is told."""
        how = "left its seat" if cause is None else f"lost its seat: {in_words(cause)}"
        error = BoardClosedError(f"agent {self._agent!r} {how}")
        error.__cause__ = cause
        self._drafts.close(error)
        self._asked.close(error)
        for mailbox in (self._posts, self._notices):
            mailbox.close(error if cause is not None else None)

    def _show(self, post: Post) -> None:
        if post.seq in self._seen:
            return
        if self._posts.put(post):
            self._seen.add(post.seq)
        else:
            self._overflows += 1


class _MqttDesk:
    link: MqttLink

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._submitted: Mailbox[Submission] = Mailbox()
        self._requested: Mailbox[Requested] = Mailbox()
        self._copy: tuple[Post | None, bytes] = (None, b"")
        """The last delivered copy and its bytes."""

    def submissions(self) -> AsyncIterator[Submission]:
        return self._submitted

    def requests(self) -> AsyncIterator[Requested]:
        return self._requested

    async def reply(self, who: str, reply: Reply) -> None:
        await self.link.send(self._topics.lab_reply(who), encode(reply))

    async def acknowledge(self, author: AgentName, receipt: Receipt) -> None:
        await self.link.send(self._topics.inbox(author), encode(receipt))

    async def deliver(self, reader: AgentName, post: Post) -> None:
        if post is not self._copy[0]:  # one copy mostly goes to several readers
            self._copy = (post, encode(post))
        await self.link.send(self._topics.feed(reader), self._copy[1])

    async def notify(self, notice: Notice) -> None:
        await self.link.send(self._topics.notice(), encode(notice))

    async def observe(self, topic: str, payload: bytes) -> None:
        await self.link.send(self._topics.event(topic), payload)

    def receive(self, topic: str, payload: bytes) -> None:
        """Take a draft or request in; when the clerk is far behind, drop it: it is repeated."""
        try:
            parsed = self._topics.parse(topic)
        except TopicError:
            return
        if parsed.kind == "lab_request":
            self._requested.put(Requested(parsed.owner, payload))
        else:
            self._submitted.put(Submission(AgentName(parsed.owner), payload))

    def leave(self, cause: BaseException | None = None) -> None:
        """End what comes in, with what took the desk away if it was not left."""
        self._submitted.close(cause)
        self._requested.close(cause)


class _MqttWatch(_MqttAsking):
    def __init__(self, user: str, topics: Topics) -> None:
        super().__init__(user, topics)
        self._topics = topics
        self._events: Mailbox[Observed] = Mailbox()

    def __aiter__(self) -> AsyncIterator[Observed]:
        return self._events

    async def __anext__(self) -> Observed:
        return await anext(self._events)

    def receive(self, topic: str, payload: bytes) -> None:
        """Take an event or a reply in; what is neither came from a stranger."""
        try:
            if topic == self._replies:
                self._take_reply(payload)
            else:
                self._events.put(Observed(self._topics.parse(topic).owner, payload))
        except (MessageRefusedError, TopicError):
            return

    def leave(self, cause: BaseException | None = None) -> None:
        """End what waits and reads here, with what took the place away if it was not left."""
        how = "left" if cause is None else f"lost its place: {in_words(cause)}"
        self._asked.close(BoardClosedError(f"the observer {how}"))
        self._events.close(cause)


def _cause(ended: asyncio.Task[None]) -> BaseException | None:
    """Return what ended a link other than its owner."""
    return None if ended.cancelled() else ended.exception()
