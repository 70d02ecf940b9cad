"""The names of the board's channels, and who may use which.

Not the routing of posts (the clerk does that). The embedded broker asks this module about each
connection, publication and subscription; the MQTT board builds its topics here.

::

    rc/<run>/submit/<author>       author -> clerk     drafts
    rc/<run>/feed/<reader>         clerk  -> reader    thinned copies of posts
    rc/<run>/inbox/<agent>         clerk  -> agent     receipts
    rc/<run>/notice                clerk  -> all       start, stop, pause, budget
    rc/<run>/lab/<agent>/request   agent  -> clerk     rc/<run>/lab/<agent>/reply  clerk -> agent
    rc/<run>/presence/<agent>      agent  -> clerk
    rc/<run>/event/...             clerk  -> observers

An ``<agent>`` is an agent, ``ada``, or a person, ``~ada``, who have the same topics. An observer
has events, and requests and replies of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from forum.errors import TopicError
from forum.ids import AgentName

CLERK: Final = "clerk"
"""User name of the institution."""
OBSERVER: Final = "observer"
"""User name of those who only watch (the TUI). There may be more logins of that kind, for brokers
that let each in once: ``observer.2``, ``observer.3``."""
PERSON_MARK: Final = "~"
"""What a person's name begins with and an agent's cannot, so that no agent passes for a person."""
RESERVED: Final = frozenset({CLERK, OBSERVER, "lab"})
"""Names that no agent may bear; ``lab`` signs what the institution does by itself."""

TopicKind = Literal[
    "submit", "feed", "inbox", "notice", "lab_request", "lab_reply", "presence", "event"
]

_AGENT = re.compile(r"[a-z0-9_-]{1,32}")
_PERSON = re.compile(r"~[a-z0-9_-]{1,32}")
_OBSERVER = re.compile(r"observer(\.[1-9][0-9]?)?")
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_EVENT = re.compile(r"[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,3}")
_OWNED: Final[dict[str, TopicKind]] = {
    "submit": "submit",
    "feed": "feed",
    "inbox": "inbox",
    "presence": "presence",
}
_LAB: Final[dict[str, TopicKind]] = {"request": "lab_request", "reply": "lab_reply"}
_REMEMBERED = 4096  # participants whose rights are kept at hand: they are asked for per message


def agent_name(name: str) -> AgentName:
    """Return `name` as an agent's name.

    Raises:
        TopicError: it is reserved, or not 1-32 characters of ``a-z 0-9 - _``.
    """
    if name in RESERVED:
        raise TopicError(f"agent name {name!r} is reserved for the institution; choose another")
    if not _AGENT.fullmatch(name):
        raise TopicError(f"agent name {name!r} must be 1-32 characters of a-z, 0-9, '-' and '_'")
    return AgentName(name)


def person_name(known_as: str) -> AgentName:
    """Return what a person is called on the board, made from any name, a login for instance.

    Example:
        >>> person_name("Ada.Lovelace")
        '~ada-lovelace'
    """
    letters = re.sub(r"[^a-z0-9_-]+", "-", known_as.lower()).strip("-")[:32]
    return AgentName(PERSON_MARK + (letters or "somebody"))


def is_person(name: str) -> bool:
    """Whether `name` is a person's, not an agent's."""
    return _PERSON.fullmatch(name) is not None


def is_observer(user: str) -> bool:
    """Whether `user` is a login of those who only watch."""
    return _OBSERVER.fullmatch(user) is not None


def participant_name(name: str) -> AgentName:
    """Return `name` as that of an agent or a person.

    Raises:
        TopicError: it is neither.
    """
    return AgentName(name) if is_person(name) else agent_name(name)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic taken apart."""

    kind: TopicKind
    owner: str
    """Whom it belongs to; for events what follows ``event/``; empty for notices."""


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of one run."""

    run_id: str
    """1-64 letters, digits, ``.``, ``_`` and ``-``."""

    def __post_init__(self) -> None:
        if not _RUN.fullmatch(self.run_id):
            raise TopicError(
                f"run id {self.run_id!r} must be 1-64 letters, digits, '.', '_' or '-', "
                "and begin with a letter or digit"
            )

    def submit(self, author: str) -> str:
        """Return the topic on which `author` hands in drafts."""
        return self._of("submit", participant_name(author))

    def feed(self, reader: str) -> str:
        """Return the topic on which `reader` gets posts."""
        return self._of("feed", participant_name(reader))

    def inbox(self, agent: str) -> str:
        """Return the topic on which `agent` gets receipts."""
        return self._of("inbox", participant_name(agent))

    def presence(self, agent: str) -> str:
        """Return the topic on which `agent` says that it is there."""
        return self._of("presence", participant_name(agent))

    def lab_request(self, agent: str) -> str:
        """Return the topic on which `agent`, or an observer, asks the lab."""
        return self._of("lab", _asking(agent), "request")

    def lab_reply(self, agent: str) -> str:
        """Return the topic on which the lab answers `agent`, or an observer."""
        return self._of("lab", _asking(agent), "reply")

    def notice(self) -> str:
        """Return the topic of public notices."""
        return self._of("notice")

    def event(self, name: str) -> str:
        """Return the topic of the observers' event `name`, one to four levels.

        Raises:
            TopicError: `name` is not made of levels of letters, digits, ``_`` and ``-``.
        """
        if not _EVENT.fullmatch(name):
            raise TopicError(
                f"event topic {name!r} must be 1-4 levels of letters, digits, '_', '-'"
            )
        return self._of("event", name)

    def all_submits(self) -> str:
        """Return the clerk's filter for drafts of everybody."""
        return self._of("submit", "+")

    def all_lab_requests(self) -> str:
        """Return the clerk's filter for requests of everybody."""
        return self._of("lab", "+", "request")

    def all_events(self) -> str:
        """Return the observers' filter."""
        return self._of("event", "#")

    def parse(self, topic: str) -> Topic:
        """Take a topic of this run apart.

        Raises:
            TopicError: it is not one of this run's topics; wildcards never are.
        """
        found = self._parsed(topic)
        if found is None:
            raise TopicError(f"{topic[:120]!r} is not a topic of run {self.run_id!r}")
        return found

    def may_publish(self, user: str, topic: str) -> bool:
        """Say whether `user` (agent, person, ``clerk`` or observer) may write to `topic`."""
        if self._parsed(topic) is None:
            return False
        return any(_covers(allowed, topic) for allowed in self.writable(user))

    def may_subscribe(self, user: str, topic_filter: str) -> bool:
        """Say whether `user` may read all that `topic_filter` matches.

        A plain topic is a filter too, so this also answers whether one message may be delivered.
        """
        return any(_covers(allowed, topic_filter) for allowed in self.readable(user))

    @lru_cache(_REMEMBERED)  # noqa: B019 - a run has one of these
    def writable(self, user: str) -> tuple[str, ...]:
        """Return filters of all that `user` may write to."""
        if user == CLERK:
            own = (self._of("feed", "+"), self._of("inbox", "+"), self._of("lab", "+", "reply"))
            return (*own, self.notice(), self.all_events())
        if is_observer(user):
            return (self.lab_request(user),)
        if not _is_participant(user):
            return ()
        return (self.submit(user), self.presence(user), self.lab_request(user))

    @lru_cache(_REMEMBERED)  # noqa: B019
    def readable(self, user: str) -> tuple[str, ...]:
        """Return filters of all that `user` may read."""
        if user == CLERK:
            return (self.all_submits(), self.all_lab_requests(), self._of("presence", "+"))
        if is_observer(user):
            return (self.all_events(), self.lab_reply(user))
        if not _is_participant(user):
            return ()
        return (self.feed(user), self.inbox(user), self.notice(), self.lab_reply(user))

    def _parsed(self, topic: str) -> Topic | None:
        prefix = self._of("")
        if not topic.startswith(prefix):
            return None
        match topic[len(prefix) :].split("/"):
            case ["notice"]:
                return Topic("notice", "")
            case ["event", *name] if _EVENT.fullmatch("/".join(name)):
                return Topic("event", "/".join(name))
            case [place, owner] if place in _OWNED and _is_participant(owner):
                return Topic(_OWNED[place], owner)
            case ["lab", owner, way] if way in _LAB and (
                _is_participant(owner) or is_observer(owner)
            ):
                return Topic(_LAB[way], owner)
        return None

    def _of(self, *levels: str) -> str:
        return "/".join(("rc", self.run_id, *levels))


def _is_participant(name: str) -> bool:
    return is_person(name) or (name not in RESERVED and _AGENT.fullmatch(name) is not None)


def _asking(name: str) -> str:
    return name if is_observer(name) else participant_name(name)


def _covers(allowed: str, requested: str) -> bool:
    """Whether every topic that the filter `requested` matches is also matched by `allowed`."""
    wide, narrow = allowed.split("/"), requested.split("/")
    for place, level in enumerate(wide):
        if level == "#":
            return place < len(narrow)
        if place >= len(narrow) or narrow[place] == "#":
            return False
        if level not in ("+", narrow[place]):
            return False
    return len(wide) == len(narrow)


@lru_cache(maxsize=4096)
def matching_filters(topic: str) -> tuple[str, ...]:
    """Return every MQTT filter that matches `topic`: each level as it is or ``+``, ends of ``#``.

    Thirty-one for a topic of four levels: looking them up is faster than trying each subscription
    of a broker, and does not slow down as clients come. Topics are short (`Topics` has seven levels
    at most), and a client cannot make them longer: who may publish is asked first.
    """
    found: list[tuple[str, ...]] = [()]
    ends: list[str] = ["#"]
    for level in topic.split("/"):
        found = [(*before, way) for before in found for way in (level, "+")]
        ends += ["/".join((*filter_, "#")) for filter_ in found]
    return tuple("/".join(filter_) for filter_ in found) + tuple(ends)
