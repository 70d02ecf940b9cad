"""What has reached whom: posts along their edges, commits with them, reviews when they are opened.

A review is recorded at once, with the readers that its author's edges lead to, and is sealed: it
has reached nobody but its author until the first attempt of its hypothesis' screen begins, so that
no reviewer learns what another one thinks, and no author what is thought of him, while it could
still change anything. `community.archive.state` holds one of these; nothing here decides.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from community.archive.shelf import Kept, Shelved
from community.events import Posted

if TYPE_CHECKING:
    from community.archive.state_records import PostRecord

T = TypeVar("T")
OWN: Final = 2**32 - 2
"""In place of a sequence number, which is smaller: a commit is the reader's own."""
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


class Arrivals:
    """When commits reached one reader: 4 bytes for each commit of the run.

    Args:
        commits: Numbers the commits; shared by all readers.
    """

    def __init__(self, commits: Shelved[str, None]) -> None:
        self._commits = commits
        self._seqs = array("I")
        """By the commit's number, one more than the sequence number of a row; 0 for none."""

    def get(self, commit: str, default: T, /) -> int | T:
        """Return when a commit arrived."""
        number = self._commits.number(commit)
        if number is None or number >= len(self._seqs) or not self._seqs[number]:
            return default
        return self._seqs[number] - 1

    def __contains__(self, commit: object) -> bool:
        return self.get(str(commit), None) is not None

    def __setitem__(self, commit: str, seq: int) -> None:
        self._commits.setdefault(commit, None)
        number = self._commits.number(commit)
        assert number is not None
        if number >= len(self._seqs):
            self._seqs.extend([0] * (number + 1 - len(self._seqs)))
        self._seqs[number] = seq + 1

    def items(self) -> Iterator[tuple[str, int]]:
        """Yield commits and when they arrived."""
        for number, seq in enumerate(self._seqs):
            if seq:
                yield self._commits.at(number)[0], seq - 1

    def __iter__(self) -> Iterator[str]:
        return (commit for commit, _ in self.items())


@dataclass(slots=True)
class Reach:
    """Posts and commits by reader."""

    delivered: dict[str, dict[str, str]] = field(default_factory=dict)
    """Reader -> post id -> what the edge carried, in the order of arrival."""
    leads: dict[str, dict[str, None]] = field(default_factory=dict)
    """Reader -> leads (post ids) that have reached him, in the order of arrival."""
    heard: dict[str, set[str]] = field(default_factory=dict)
    """Reader -> hypotheses of which a result has reached him."""
    readable: dict[str, dict[str, int] | Arrivals] = field(default_factory=dict)
    """Reader -> commit -> number of the row with which a post first carried it to him, else `OWN`.
    """
    new_reader: Callable[[], dict[str, int] | Arrivals] = dict
    """Makes the second level of `readable`."""
    reviews: Kept[str, dict[str, str]] = field(default_factory=dict)
    """Hypothesis -> author -> post id of the first review, sealed ones included."""
    begun: Kept[str, None] = field(default_factory=dict)
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

    def _send(
        self,
        seq: int,
        event: Posted,
        readers: dict[str, str],
        late: set[str],
        arrival: int | None = None,
    ) -> None:
        """Let a post reach `readers`, those of them who are `late` when they are due.

        The others it reaches with row `arrival`, or with its own, `seq`.
        """
        awaited = {who: carries for who, carries in readers.items() if who in late}
        if awaited:
            self.awaited[event.post_id] = awaited
            self._late[event.post_id] = event
            self.delayed += (
                OnWay(event.due_us[who], seq, event.post_id, who) for who in sorted(awaited)
            )
        self._deliver(
            arrival or seq, event, {who: c for who, c in readers.items() if who not in awaited}
        )

    def arrive(self, post_id: str, readers: tuple[str, ...], seq: int) -> str:
        """Let a late post reach `readers` with row `seq`; returns what is wrong with that."""
        awaited = self.awaited.get(post_id, {})
        if strangers := set(readers) - set(awaited):
            return f"post {post_id} was not on its way to {min(strangers)}"
        for reader in readers:
            self.arrivals[reader, post_id] = seq
        news = {reader: awaited.pop(reader) for reader in readers}
        self._deliver(seq, self._late[post_id], news)
        if not awaited:
            del self.awaited[post_id], self._late[post_id]
        return ""

    def begin(self, hypothesis: str, seq: int, at_us: int) -> None:
        """Open what is sealed about `hypothesis`: with row `seq` an attempt of its screen began.

        A reader at the end of a slow edge waits longer, if his copy is not due yet.
        """
        self.begun[hypothesis] = None
        for posted, event in self._sealed.pop(hypothesis, ()):
            self.opened[event.post_id] = seq
            others = {who: carries for who, carries in event.readers.items() if who != event.author}
            late = {who for who, due_us in event.due_us.items() if due_us > at_us}
            self._send(posted, event, others, late, seq)

    def arrival(self, reader: str, post: PostRecord) -> int:
        """Return the number of the row with which a delivered post arrived, often its own."""
        posted = post.posted
        if reader == posted.author:
            return post.seq
        usual = self.opened.get(posted.post_id, post.seq)
        return self.arrivals.get((reader, posted.post_id), usual)

    def own(self, author: str, commit: str) -> None:
        """Let an author read what he committed."""
        self._carry(author, commit, OWN)

    def _carry(self, reader: str, commit: str, seq: int) -> None:
        if (known := self.readable.get(reader)) is None:
            known = self.readable[reader] = self.new_reader()
        if seq < known.get(commit, OWN + 1):
            known[commit] = seq

    def _deliver(self, seq: int, event: Posted, readers: dict[str, str]) -> None:
        commit, kind = event.body.get("commit"), event.body.get("kind")
        is_result, is_lead = kind in _RESULTS, kind == "lead"
        for reader, carries in readers.items():
            self.delivered.setdefault(reader, {})[event.post_id] = carries
            if is_lead:
                self.leads.setdefault(reader, {})[event.post_id] = None
            if is_result:
                self.heard.setdefault(reader, set()).add(event.body["hypothesis"])
            if commit and carries in _WITH_COMMIT:
                self._carry(reader, commit, seq)
