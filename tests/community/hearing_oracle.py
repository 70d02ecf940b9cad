"""Who ought to have received what, worked out from a ledger's rows and the documents alone.

Written from ``scenarios/README.md`` and from the table in `forum.visibility`, not from the code
that routes: it reads who posted what, which graph held then and when experiments began, and looks
at none of the readers, due times and arrivals that the clerk recorded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from community.events import AttemptStarted, ExperimentQueued, Posted, Proposed, Row
from community.evidence_events import ReviewerAssigned
from community.forum_events import Delivered, TopologySet

LEVELS = ("score", "summary", "diff", "everything")
RESULT = {
    "hypothesis": "score",
    "evidence": "score",
    "text": "summary",
    "knob_names": "summary",
    "parents": "diff",
    "knobs": "diff",
    "commit": "diff",
    "patch": "diff",
    "log_tail": "everything",
}
CARRIED_FROM: dict[str, tuple[str, dict[str, str]]] = {
    "hypothesis": (
        "summary",
        {
            **dict.fromkeys(("title", "rationale", "knob_names", "prediction"), "summary"),
            **dict.fromkeys(("parents", "knobs", "commit", "patch"), "diff"),
        },
    ),
    "finding": ("score", RESULT),
    "failure": ("score", {**RESULT, "conditions": "diff"}),
    "lead": (
        "summary",
        {"title": "summary", "text": "summary", "knob_names": "summary", "knobs": "diff"},
    ),
    "comment": ("summary", {"text": "summary"}),
    "claim": ("score", {"target": "score", "text": "summary"}),
    "review": (
        "everything",
        dict.fromkeys(("hypothesis", "opinion", "forecast", "text"), "everything"),
    ),
}
"""Kind -> the least an edge has to carry for a post of it, and for each of its fields."""


def at_least(carries: str, level: str) -> bool:
    """Whether an edge that carries `carries` lets through what needs `level`."""
    return LEVELS.index(carries) >= LEVELS.index(level)


@dataclass(frozen=True)
class Wire:
    """One edge as it was when a post was recorded."""

    carries: str
    delay_us: int
    loss: float


@dataclass
class Told:
    """One post."""

    seq: int
    at_us: int
    posted: Posted
    along: str
    """Whose edges it goes along."""
    wires: dict[str, Wire]
    """By reader."""

    @property
    def kind(self) -> str:
        """Of its body."""
        return str(self.posted.body["kind"])


@dataclass
class Oracle:
    """The ledger so far, as far as it says who should hear what."""

    seed: int
    along: Mapping[str, str]
    """Message id of a post of the lab's -> along whose edges it goes."""
    baseline: str
    graph: dict[str, dict[str, Wire]] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    """By post id."""
    begun: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Hypothesis -> (row, run time) with which its experiment began."""
    asked: dict[str, list[str]] = field(default_factory=dict)
    arrived: dict[tuple[str, str], int] = field(default_factory=dict)
    """(post, reader) -> row that says it arrived late; used for row numbers alone."""
    proposals: dict[str, str] = field(default_factory=dict)
    """Commit -> author."""
    _serves: dict[str, str] = field(default_factory=dict)

    def read(self, rows: Iterable[Row]) -> None:
        """Take in the next rows."""
        for row in rows:
            event = row.event
            if isinstance(event, TopologySet):
                self.graph = {
                    author: {
                        reader: Wire(
                            carries,
                            event.delay_us.get(author, {}).get(reader, 0),
                            event.loss.get(author, {}).get(reader, 0.0),
                        )
                        for reader, carries in readers.items()
                    }
                    for author, readers in event.edges.items()
                }
            elif isinstance(event, Posted):
                along = self.along.get(event.message_id, event.author)
                wires = self.graph.get(along, {})
                self.told[event.post_id] = Told(row.seq, row.at_us, event, along, wires)
            elif isinstance(event, ExperimentQueued):
                self._serves[event.experiment_id] = event.hypothesis
            elif isinstance(event, AttemptStarted):
                hypothesis = self._serves[event.experiment_id]
                self.begun.setdefault(hypothesis, (row.seq, row.at_us))
            elif isinstance(event, ReviewerAssigned):
                self.asked.setdefault(event.hypothesis, []).append(event.reviewer)
            elif isinstance(event, Proposed):
                self.proposals[event.commit] = event.author
            elif isinstance(event, Delivered):
                self.arrived |= dict.fromkeys(
                    ((event.post_id, reader) for reader in event.readers), row.seq
                )

    def carries(self, post_id: str, reader: str) -> str | None:
        """What `reader` gets of a post sooner or later; None for nothing."""
        told = self.told[post_id]
        if reader in (told.posted.author, told.along):
            return "everything"
        wire = told.wires.get(reader)
        if wire is None or not at_least(wire.carries, CARRIED_FROM[told.kind][0]):
            return None
        name = f"{self.seed}/loss/{post_id}/{told.along}/{reader}"
        drawn = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
        return None if drawn < wire.loss else wire.carries

    def due_us(self, post_id: str, reader: str) -> int | None:
        """Run time at which a post that `reader` gets is there; None while a seal holds it."""
        told = self.told[post_id]
        if reader in (told.posted.author, told.along):
            return told.at_us
        due_us = told.at_us + told.wires[reader].delay_us
        if told.kind != "review":
            return due_us
        begun = self.begun.get(str(told.posted.body["hypothesis"]))
        return None if begun is None else max(due_us, begun[1])

    def reached(self, reader: str, now_us: int) -> dict[str, str]:
        """Return what has reached `reader` by now: post id -> what of it."""
        found = {}
        for post_id in self.told:
            carries = self.carries(post_id, reader)
            if carries is None:
                continue
            due_us = self.due_us(post_id, reader)
            if due_us is not None and due_us <= now_us:
                found[post_id] = carries
        return found

    def row_of_arrival(self, post_id: str, reader: str) -> int:
        """Return the row with which a post that has reached `reader` did."""
        told = self.told[post_id]
        if told.posted.author == reader:
            return told.seq
        opened = self.begun[str(told.posted.body["hypothesis"])][0] if told.kind == "review" else 0
        return max(told.seq, opened, self.arrived.get((post_id, reader), 0))

    def copy(self, post_id: str, carries: str) -> dict[str, Any]:
        """Return the body that arrives over an edge: fields it does not carry are empty."""
        body = self.told[post_id].posted.body
        whole = {**body, "knob_names": list(body.get("knobs", {}))}
        fields = CARRIED_FROM[body["kind"]][1]
        copy: dict[str, Any] = {"kind": body["kind"]}
        for name, level in fields.items():
            if at_least(carries, level):
                copy[name] = whole[name]
            else:
                copy[name] = None if name == "conditions" else type(whole[name])()
        return copy

    def readable(self, reader: str, now_us: int) -> set[str]:
        """Return the commits that `reader` may read: the start's, his own, those carried to him."""
        carried = {
            str(self.told[post_id].posted.body.get("commit", ""))
            for post_id, carries in self.reached(reader, now_us).items()
            if at_least(carries, "diff")
        }
        own = {commit for commit, author in self.proposals.items() if author == reader}
        return {self.baseline} | own | (carried - {""})

    def open_assignments(self, reader: str, now_us: int) -> set[str]:
        """Return the hypotheses that `reader` is asked to review, knows of, and still can."""
        reached = self.reached(reader, now_us)
        reviewed = {
            str(told.posted.body["hypothesis"])
            for told in self.told.values()
            if told.kind == "review" and told.posted.author == reader
        }
        return {
            hypothesis
            for hypothesis, asked in self.asked.items()
            if reader in asked
            and hypothesis in reached
            and hypothesis not in self.begun
            and hypothesis not in reviewed
        }
