"""What has reached whom: posts along their edges, commits with them, reviews when they are opened.

A review is recorded at once, with the readers that its author's edges lead to, and is sealed: it
has reached nobody but its author until the first attempt of its hypothesis' screen begins, so that
no reviewer learns what another one thinks, and no author what is thought of him, while it could
still change anything. `community.archive.state` holds one of these; nothing here decides.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from community.events import Posted

_WITH_COMMIT = frozenset({"diff", "everything"})
"""What an edge has to carry for the reader to be given the commit."""


@dataclass(slots=True)
class Reach:
    """Posts and commits by reader."""

    delivered: dict[str, dict[str, str]] = field(default_factory=dict)
    """Reader -> post id -> what the edge carried, in the order of arrival."""
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
    _sealed: dict[str, list[Posted]] = field(default_factory=dict)
    """By hypothesis."""
    _late: dict[str, Posted] = field(default_factory=dict)
    _arrivals: dict[tuple[str, str], int] = field(default_factory=dict)
    """(reader, late post) -> sequence number of the row with which it arrived."""

    def post(self, event: Posted) -> None:
        """Take in a post: it reaches its readers now, a review that is in time its author alone."""
        body = event.body
        readers = event.readers
        if body.get("kind") == "review":
            hypothesis = str(body["hypothesis"])
            self.reviews.setdefault(hypothesis, {}).setdefault(event.author, event.post_id)
            if hypothesis not in self.begun:
                self._sealed.setdefault(hypothesis, []).append(event)
                readers = {who: carries for who, carries in readers.items() if who == event.author}
        late = {who: carries for who, carries in readers.items() if who in event.due_us}
        if late:
            self.awaited[event.post_id] = late
            self._late[event.post_id] = event
        self._deliver(event, {who: c for who, c in readers.items() if who not in late})

    def arrive(self, post_id: str, readers: tuple[str, ...], seq: int) -> str:
        """Let a late post reach `readers` with row `seq`; returns what is wrong with that."""
        awaited = self.awaited.get(post_id, {})
        if strangers := set(readers) - set(awaited):
            return f"post {post_id} was not on its way to {min(strangers)}"
        for reader in readers:
            self._arrivals[reader, post_id] = seq
        self._deliver(self._late[post_id], {reader: awaited.pop(reader) for reader in readers})
        if not awaited:
            del self.awaited[post_id], self._late[post_id]
        return ""

    def begin(self, hypothesis: str, seq: int) -> None:
        """Open what is sealed about `hypothesis`: with row `seq` an attempt of its screen began."""
        self.begun.add(hypothesis)
        for event in self._sealed.pop(hypothesis, ()):
            self.opened[event.post_id] = seq
            others = {who: carries for who, carries in event.readers.items() if who != event.author}
            self._deliver(event, others)  # opened when its experiment begins, however far away

    def arrival(self, reader: str, post_id: str, author: str, seq: int) -> int:
        """Return the number of the row with which a delivered post, itself row `seq`, arrived."""
        if reader == author:
            return seq
        return self._arrivals.get((reader, post_id), self.opened.get(post_id, seq))

    def _deliver(self, event: Posted, readers: dict[str, str]) -> None:
        commit = event.body.get("commit")
        for reader, carries in readers.items():
            self.delivered.setdefault(reader, {})[event.post_id] = carries
            if commit and carries in _WITH_COMMIT:
                self.readable[reader].add(commit)
