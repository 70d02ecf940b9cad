"""The record of a run, as whoever plays it again looks things up in it.

What came from outside is taken from here: answers, training results, verdicts, readings of clocks,
and the order in which all of it came in. Everything else is done anew, and compared.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from community.archive.codec import ledger_hash
from community.archive.row_file import open_rows
from community.errors import RecordError
from community.events import (
    AttemptEnded,
    AttemptStarted,
    Event,
    ExperimentQueued,
    Posted,
    Proposed,
    Refused,
    ReproductionOpened,
    Row,
    RunOpened,
    RunResumed,
    RunStopped,
    TurnTaken,
    VerdictGiven,
)
from community.evidence_events import ArtefactGraded, DeviceUsed, ModelMeasured, SlotPlaced
from community.mind_events import Answered, MindEvent, MindsPrepared, SpendReserved, SpendSettled
from community.run_folder import RunFolder
from community.run_secret import kept_secret
from trainer.experiment import DeviceUse

Key = tuple[str, ...]
_MIND_KINDS = get_args(MindEvent)
_ON_CANCELLING = ("interrupted", "failed", "")
"""Why a record may end before its run did."""


@dataclass(frozen=True, slots=True)
class Look:
    """When an agent looked around at the beginning of a turn."""

    saw_seq: int
    """The last row there was."""
    at_us: int
    heard_posts: int | None = None
    """How many posts its feed had brought; None where that is not on record."""
    heard_seq: int = 0
    """The newest of them."""


class Record:
    """The rows of one life of a run.

    Args:
        name: Of the run, for messages.
        rows: All of its ledger.
        folder: Where its repository lies, if anywhere.
        secret: The run's, where its end does not reveal it.

    Raises:
        RecordError: it has no beginning.
    """

    def __init__(
        self, name: str, rows: Sequence[Row], folder: Path | None = None, secret: bytes = b""
    ) -> None:
        if not rows or not isinstance(rows[0].event, RunOpened):
            raise RecordError(f"{name} does not begin with how the run was opened; nothing to play")
        self.name = name
        self.folder = folder
        self.place = Path(name) if folder is None else folder / "ledger.db"
        """By what messages about its scenario name it."""
        self.opened: RunOpened = rows[0].event
        ends = (row.event for row in rows if isinstance(row.event, RunStopped))
        told = next((event.secret for event in ends if event.secret), "")
        self.secret = bytes.fromhex(told) or secret
        """By which held-out text and confirmations were drawn; empty where it is not known."""
        later = (n for n, row in enumerate(rows) if isinstance(row.event, RunResumed))
        self.rows = tuple(rows[: next(later, len(rows))])
        self.is_resumed = len(self.rows) < len(rows)
        last = self.rows[-1].event
        self.why = last.why if isinstance(last, RunStopped) else ""
        """The stop condition; empty where the run, or its first life, was killed."""
        self.is_whole = self.why not in _ON_CANCELLING and not self.is_resumed
        """Whether it ends as its run did, by itself."""
        self._places: dict[Key, list[int]] = defaultdict(list)
        for row in self.rows:
            for key in _keys(row.event):
                self._places[key].append(row.seq)

    @property
    def hash(self) -> str:
        """The hash of its ledger."""
        return ledger_hash(self.rows)

    @property
    def end(self) -> int:
        """How many rows can be played: what follows from an interruption cannot."""
        if self.is_whole:
            return len(self.rows)
        count = len(self.rows)
        while count > 1 and _follows_from_stop(self.rows[count - 1].event):
            count -= 1
        return count

    def event(self, seq: int) -> Event:
        """Return a row's event."""
        return self.rows[seq - 1].event

    def at_us(self, seq: int) -> int:
        """Return a row's run time."""
        return self.rows[seq - 1].at_us

    def begin(self, seq: int) -> int:
        """Return the first row of the transaction in which a row was recorded."""
        while seq > 1 and self.at_us(seq - 1) == self.at_us(seq):
            seq -= 1
        return seq

    def first(self, key: Key, after: int = 0, before: int | None = None) -> int | None:
        """Return the first row under `key` after row `after` and before row `before`."""
        places = self._places.get(key, ())
        at = bisect_right(places, after)
        if at == len(places) or (before is not None and places[at] >= before):
            return None
        return places[at]

    def turn(self, agent: str, turn: int) -> tuple[int, TurnTaken] | None:
        """Return the row that says how a turn was taken, with its number."""
        seq = self.first(("turn", agent, str(turn)))
        event = None if seq is None else self.event(seq)
        return (seq, event) if seq is not None and isinstance(event, TurnTaken) else None

    def thoughts(self, agent: str, turn: int) -> list[Row]:
        """Return what is on record of an agent's thinking in a turn, calls and answers, in order.

        With each, what a provider's fall or return was told by.
        """
        before, taken = self.turn(agent, turn - 1), self.turn(agent, turn)
        places = self._places.get(("thought", agent), [])
        begin = bisect_right(places, before[0]) if before is not None else 0
        end = bisect_left(places, taken[0]) if taken is not None else len(places)
        return [self.rows[seq - 1] for seq in places[begin:end]]

    def answers(self, agent: str, turn: int) -> list[Answered]:
        """Return the answers of a turn."""
        found = (row.event for row in self.thoughts(agent, turn))
        return [event for event in found if isinstance(event, Answered)]

    def look(self, agent: str, turn: int) -> Look | None:
        """Return when an agent looked around for a turn; None where it never did."""
        taken, thoughts = self.turn(agent, turn), self.thoughts(agent, turn)
        if taken is not None and taken[1].saw_seq:
            event = taken[1]
            return Look(event.saw_seq, event.looked_us, event.heard_posts, event.heard_seq)
        first = thoughts[0].seq if thoughts else (taken[0] if taken is not None else None)
        if first is None:
            return None
        first = self.begin(first)
        return Look(first - 1, self.at_us(first))

    def ended(self, experiment_id: str, attempt: int) -> tuple[int, AttemptEnded] | None:
        """Return what an attempt came to, with its row's number."""
        seq = self.first(("ended", experiment_id, str(attempt)))
        event = None if seq is None else self.event(seq)
        return (seq, event) if seq is not None and isinstance(event, AttemptEnded) else None

    def verdict(self, experiment_id: str) -> VerdictGiven | None:
        """Return the verdict on an experiment."""
        seq = self.first(("verdict", experiment_id))
        event = None if seq is None else self.event(seq)
        return event if isinstance(event, VerdictGiven) else None

    def device_use(self, experiment_id: str) -> DeviceUse | None:
        """Return what its training had of a card; None where it had none."""
        seq = self.first(("used", experiment_id))
        event = None if seq is None else self.event(seq)
        if not isinstance(event, DeviceUsed):
            return None
        return DeviceUse(event.peak_bytes, event.busy, event.looks)

    def measured(self, experiment_id: str) -> tuple[Mapping[str, float], str]:
        """Return what was measured beside a score, and the hash of data; empty where nothing is."""
        seq = self.first(("measured", experiment_id))
        event = None if seq is None else self.event(seq)
        if isinstance(event, ArtefactGraded):
            return event.measures, event.sha256
        return (event.measures, "") if isinstance(event, ModelMeasured) else ({}, "")

    def log(self, experiment_id: str) -> str:
        """Return what a post told of an experiment's log; nothing where none did."""
        verdict = self.verdict(experiment_id)
        seq = None if verdict is None else self.first(("result", verdict.verdict_id))
        event = None if seq is None else self.event(seq)
        return str(event.body.get("log_tail", "")) if isinstance(event, Posted) else ""

    def leaves(self, agent: str, why: str) -> bool:
        """Whether an agent left for that reason."""
        return self.first(("noticed", f"{agent} left: {why}"[:300])) is not None

    def prepared(self) -> MindsPrepared | None:
        """Return what minds that ask models were shown, and their prices."""
        seq = self.first(("prepared",))
        event = None if seq is None else self.event(seq)
        return event if isinstance(event, MindsPrepared) else None


def open_record(place: Path, name: str | None = None) -> Record:
    """Read the record of a run.

    Args:
        place: A run's folder, its ledger, or a file of rows (``.jsonl.gz``).
        name: What the run is called; by default by its place.

    Raises:
        LedgerError: it cannot be read.
        RecordError: it has no beginning.
        RunSecretError: its secret lies there and cannot be read.
    """
    folder = place if place.is_dir() else place.parent
    has_repository = (folder / "repo.git").is_dir()
    secret = kept_secret(RunFolder(folder)) if has_repository else None
    rows = [*open_rows(place)]
    return Record(name or place.name, rows, folder if has_repository else None, secret or b"")


def _keys(event: Event) -> Iterator[Key]:
    match event:
        case Posted():
            yield ("post", event.author, event.message_id)
            if "evidence" in event.body and event.body.get("log_tail"):
                yield ("result", str(event.body["evidence"]["verdict_id"]))
        case Refused(what="post"):
            yield ("post", event.who, event.message_id)
        case Refused(what="connection"):
            yield ("incident",)
        case Refused(what="proposal"):
            yield ("proposal", event.who)
        case Refused(what="request"):
            target = event.reason.partition(":")[0]
            yield ("screen", target, event.who)
            yield ("confirm", event.who)
        case Proposed():
            yield ("proposal", event.author)
        case ExperimentQueued(purpose="screen"):
            yield ("screen", event.hypothesis, event.requested_by)
        case ReproductionOpened():
            yield ("confirm", event.by)
        case AttemptStarted():
            yield ("started", event.slot)
        case AttemptEnded():
            yield ("ended", event.experiment_id, str(event.attempt))
        case VerdictGiven():
            yield ("verdict", event.experiment_id)
        case DeviceUsed():
            yield ("used", event.experiment_id)
        case ArtefactGraded() | ModelMeasured():
            yield ("measured", event.experiment_id)
        case SlotPlaced():
            yield ("placed", event.slot)
        case TurnTaken():
            yield ("turn", event.agent, str(event.turn))
        case MindsPrepared():
            yield ("prepared",)
        case _ if isinstance(event, _MIND_KINDS) and hasattr(event, "agent"):
            yield ("thought", event.agent)
        case _ if event.kind == "noticed":
            yield ("noticed", getattr(event, "text", ""))


def _follows_from_stop(event: Event) -> bool:
    """Whether a row can come of a run's being stopped."""
    match event:
        case AttemptEnded(reason="stopped") | SpendSettled(outcome="cut") | RunStopped():
            return True
        case SpendReserved():
            return False
        case _:
            return event.kind in ("noticed", "lead_released")


def same_but(recorded: Event, made: Event, readings: Iterable[str]) -> Event:
    """Return `made` with the fields `readings` as they were recorded."""
    return replace(made, **{name: getattr(recorded, name) for name in readings})
