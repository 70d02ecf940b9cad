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
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from forum.errors import TopicError
from forum.ids import AgentName

CLERK: Final = "clerk"
"""User name of the institution."""
OBSERVER: Final = "observer"
"""User name of those who only watch (the TUI)."""
RESERVED: Final = frozenset({CLERK, OBSERVER, "lab"})
"""Names that no agent may bear; ``lab`` signs what the institution does by itself."""

TopicKind = Literal[
    "submit", "feed", "inbox", "notice", "lab_request", "lab_reply", "presence", "event"
]

_AGENT = re.compile(r"[a-z0-9_-]{1,32}")
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_EVENT = re.compile(r"[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,3}")
_OWNED: Final[dict[str, TopicKind]] = {
    "submit": "submit",
    "feed": "feed",
    "inbox": "inbox",
    "presence": "presence",
}
_LAB: Final[dict[str, TopicKind]] = {"request": "lab_request", "reply": "lab_reply"}
_AGENT_WRITES: Final[frozenset[TopicKind]] = frozenset({"submit", "presence", "lab_request"})
_CLERK_WRITES: Final[frozenset[TopicKind]] = frozenset(
    {"feed", "inbox", "notice", "lab_reply", "event"}
)


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


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic taken apart."""

    kind: TopicKind
    owner: str
    """The agent it belongs to; for events what follows ``event/``; empty for notices."""


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
        return self._of("submit", agent_name(author))

    def feed(self, reader: str) -> str:
        """Return the topic on which `reader` gets posts."""
        return self._of("feed", agent_name(reader))

    def inbox(self, agent: str) -> str:
        """Return the topic on which `agent` gets receipts."""
        return self._of("inbox", agent_name(agent))

    def presence(self, agent: str) -> str:
        """Return the topic on which `agent` says that it is there."""
        return self._of("presence", agent_name(agent))

    def lab_request(self, agent: str) -> str:
        """Return the topic on which `agent` asks the lab."""
        return self._of("lab", agent_name(agent), "request")

    def lab_reply(self, agent: str) -> str:
        """Return the topic on which the lab answers `agent`."""
        return self._of("lab", agent_name(agent), "reply")

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
        """Say whether `user` (an agent, ``clerk`` or ``observer``) may write to `topic`."""
        found = self._parsed(topic)
        if found is None:
            return False
        if user == CLERK:
            return found.kind in _CLERK_WRITES
        return found.kind in _AGENT_WRITES and found.owner == user

    def may_subscribe(self, user: str, topic_filter: str) -> bool:
        """Say whether `user` may read all that `topic_filter` matches.

        A plain topic is a filter too, so this also answers whether one message may be delivered.
        """
        return any(_covers(allowed, topic_filter) for allowed in self._readable(user))

    def _readable(self, user: str) -> tuple[str, ...]:
        if user == CLERK:
            lab_requests, presences = self._of("lab", "+", "request"), self._of("presence", "+")
            return (self.all_submits(), lab_requests, presences)
        if user == OBSERVER:
            return (self.all_events(),)
        if user in RESERVED or not _AGENT.fullmatch(user):
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
            case [place, owner] if place in _OWNED and _is_agent(owner):
                return Topic(_OWNED[place], owner)
            case ["lab", owner, way] if way in _LAB and _is_agent(owner):
                return Topic(_LAB[way], owner)
        return None

    def _of(self, *levels: str) -> str:
        return "/".join(("rc", self.run_id, *levels))


def _is_agent(name: str) -> bool:
    return name not in RESERVED and _AGENT.fullmatch(name) is not None


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
