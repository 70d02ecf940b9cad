"""What has reached whom: posts along their edges, commits with them, reviews when they are opened.

A review is recorded at once, with the readers that its author's edges lead to, and is sealed: it
has reached nobody but its author until the first attempt of its hypothesis' screen begins, so that
no reviewer learns what another one thinks, and no author what is thought of him, while it could
still change anything. `community.archive.state` holds one of these; nothing here decides.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from community.events import Posted

if TYPE_CHECKING:
    from community.archive.state_records import PostRecord

_RESULTS = frozenset({"finding", "failure"})
"""Kinds of posts that tell what came of a hypothesis."""
_WITH_COMMIT = frozenset({"diff", "everything"})
"""What an edge has to carry for the reader to be given the commit."""


class OnWay(NamedTuple):
    """A copy of a post that an edge delays."""

    due_us: int
    """Run time from which it may be delivered."""
    seq: int
    """Of the post."""
    post_id: str
    reader: str


@dataclass(slots=True)
class Reach:
    """Posts and commits by reader."""

    delivered: dict[str, dict[str, str]] = field(default_factory=dict)
    """Reader -> post id -> what the edge carried, in the order of arrival."""
    leads: dict[str, dict[str, None]] = field(default_factory=dict)
    """Reader -> leads (post ids) that have reached him, in the order of arrival."""
    heard: dict[str, set[str]] = field(default_factory=dict)
    """Reader -> hypotheses of which a result has reached him."""
    readable: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Reader -> commits that a post carried, or that are the reader's own."""
    reviews: dict[str, dict[str, str]] = field(default_factory=dict)
    """Hypothesis -> author -> post id of the first review, sealed ones included."""
    begun: set[str] = field(default_factory=set)
    """Hypotheses of whose screen an attempt has begun: reviews come too late."""
    opened: dict[str, int] = field(default_factory=dict)
    """Reviews that were sealed -> sequence number of the row with which they reached others."""
    awaited: dict[str, dict[str, str]] = field(default_factory=dict)
    """Post id -> reader -> what the edge carries, of posts that are still on their way."""
    delayed: list[OnWay] = field(default_factory=list)
    """Every copy that was ever on its way, in the order in which it began to be."""
    arrivals: dict[tuple[str, str], int] = field(default_factory=dict)
    """(reader, late post) -> sequence number of the row with which it arrived, in that order."""
    _sealed: dict[str, list[tuple[int, Posted]]] = field(default_factory=dict)
    """By hypothesis."""
    _late: dict[str, Posted] = field(default_factory=dict)

    def post(self, seq: int, event: Posted) -> None:
        """Take in a post: it reaches its readers now, a review that is in time its author alone."""
        body = event.body
        readers = event.readers
        if body.get("kind") == "review":
            hypothesis = str(body["hypothesis"])
            self.reviews.setdefault(hypothesis, {}).setdefault(event.author, event.post_id)
            if hypothesis not in self.begun:
                self._sealed.setdefault(hypothesis, []).append((seq, event))
                readers = {who: carries for who, carries in readers.items() if who == event.author}
        self._send(seq, event, readers, set(event.due_us))

    def _send(self, seq: int, event: Posted, readers: dict[str, str], late: set[str]) -> None:
        """Let a post reach `readers`, those of them who are `late` when they are due."""
        awaited = {who: carries for who, carries in readers.items() if who in late}
        if awaited:
            self.awaited[event.post_id] = awaited
            self._late[event.post_id] = event
            self.delayed += (
                OnWay(event.due_us[who], seq, event.post_id, who) for who in sorted(awaited)
            )
        self._deliver(event, {who: c for who, c in readers.items() if who not in awaited})

    def arrive(self, post_id: str, readers: tuple[str, ...], seq: int) -> str:
        """Let a late post reach `readers` with row `seq`; returns what is wrong with that."""
        awaited = self.awaited.get(post_id, {})
        if strangers := set(readers) - set(awaited):
            return f"post {post_id} was not on its way to {min(strangers)}"
        for reader in readers:
            self.arrivals[reader, post_id] = seq
        self._deliver(self._late[post_id], {reader: awaited.pop(reader) for reader in readers})
        if not awaited:
            del self.awaited[post_id], self._late[post_id]
        return ""

    def begin(self, hypothesis: str, seq: int, at_us: int) -> None:
        """Open what is sealed about `hypothesis`: with row `seq` an attempt of its screen began.

        A reader at the end of a slow edge waits longer, if his copy is not due yet.
        """
        self.begun.add(hypothesis)
        for posted, event in self._sealed.pop(hypothesis, ()):
            self.opened[event.post_id] = seq
            others = {who: carries for who, carries in event.readers.items() if who != event.author}
            late = {who for who, due_us in event.due_us.items() if due_us > at_us}
            self._send(posted, event, others, late)

    def arrival(self, reader: str, post: PostRecord) -> int:
        """Return the number of the row with which a delivered post arrived, often its own."""
        posted = post.posted
        if reader == posted.author:
            return post.seq
        usual = self.opened.get(posted.post_id, post.seq)
        return self.arrivals.get((reader, posted.post_id), usual)

    def _deliver(self, event: Posted, readers: dict[str, str]) -> None:
        commit, kind = event.body.get("commit"), event.body.get("kind")
        is_result, is_lead = kind in _RESULTS, kind == "lead"
        for reader, carries in readers.items():
            self.delivered.setdefault(reader, {})[event.post_id] = carries
            if is_lead:
                self.leads.setdefault(reader, {})[event.post_id] = None
            if is_result:
                self.heard.setdefault(reader, set()).add(event.body["hypothesis"])
            if commit and carries in _WITH_COMMIT:
                self.readable[reader].add(commit)
