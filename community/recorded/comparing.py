"""Comparing what is made again with what was recorded, row by row, and saying how it differs.

Fields that are readings of a clock, or facts of the machine, come from outside like answers and
verdicts do: they are taken from the record. All others have to be the same.
"""

from __future__ import annotations

import json
from dataclasses import fields, replace
from difflib import unified_diff
from typing import Final

from community.archive.codec import decode_event, encode_event
from community.errors import LedgerEventError
from community.events import AttemptEnded, Event, Posted, Row, RunOpened, TurnTaken, VerdictGiven
from community.evidence_events import DeviceUsed
from community.forum_events import LeadClaimed
from community.mind_events import MindsPrepared
from community.recorded.record import Record, same_but

READINGS: Final[dict[type, tuple[str, ...]]] = {
    AttemptEnded: ("leased_us", "train_us", "answer_us"),
    VerdictGiven: ("score_wall_s",),
    TurnTaken: ("saw_seq", "looked_us", "heard_posts", "heard_seq"),
    LeadClaimed: ("until_us",),
    MindsPrepared: ("prices",),
    DeviceUsed: ("untimed_s", "tokens_per_s", "flop_share"),
}
"""Kind of event -> fields that are taken from the record."""
_OWN: Final = ("host", "run_id")
"""Fields that no hash of a ledger covers (`community.archive.codec.HOST_FIELDS`)."""
VALUE_CHARACTERS: Final = 160
"""Of each side of a difference."""


def as_recorded(recorded: Event, made: Event) -> Event | None:
    """Return `made` with its readings as recorded; None where it is something else."""
    if type(made) is not type(recorded):
        return None
    settled = same_but(recorded, made, READINGS.get(type(made), ()))
    if isinstance(settled, Posted) and isinstance(recorded, Posted):
        if settled.due_us.keys() != recorded.due_us.keys():
            return None
        settled = replace(settled, due_us=recorded.due_us)
    if isinstance(settled, AttemptEnded) and settled.outcome == "interrupted":
        settled = same_but(recorded, settled, ("train_cpu_s", "charge_s"))
    bare = settled
    if isinstance(bare, RunOpened):
        bare = bare if not isinstance(recorded, RunOpened) else same_but(recorded, bare, _OWN)
    try:
        text = encode_event(decode_event(bare.kind, encode_event(bare)))
    except LedgerEventError:
        return None
    return settled if text == encode_event(recorded) else None


def difference(record: Record, row: Row, made: Event) -> str:
    """Say in words how what was made differs from the row in its place."""
    place = f"row {row.seq} of {record.name}, recorded at {row.at_us / 1e6:.3f} s"
    if type(made) is not type(row.event):
        return (
            f"{place}, is {row.event.kind} ({_who(row.event)}), and {made.kind} ({_who(made)}) was "
            "made in its place"
        )
    skipped = READINGS.get(type(made), ())
    for field in fields(made):
        if field.name in skipped:
            continue
        then, now = getattr(row.event, field.name), getattr(made, field.name)
        if _plain(then) != _plain(now):
            lines = first_difference(_plain(then), _plain(now))
            return f"{place}, {made.kind} ({_who(made)}), differs in {field.name}: {lines}"
    return f"{place}, {made.kind}, cannot be recorded as it was"


def first_difference(then: str, now: str) -> str:
    """Return the first lines in which two texts differ."""
    changed = [
        line
        for line in unified_diff(then.splitlines(), now.splitlines(), lineterm="", n=0)
        if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]
    old = next((line[1:] for line in changed if line[0] == "-"), "(nothing)")
    new = next((line[1:] for line in changed if line[0] == "+"), "(nothing)")
    at = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
    begin = max(0, at - VALUE_CHARACTERS // 2)
    shown = [text[begin : begin + VALUE_CHARACTERS] for text in (old, new)]
    return f"{shown[0]!r} then, {shown[1]!r} now"


def _plain(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)


def _who(event: Event) -> str:
    """Return what tells an event from others of its kind."""
    names = ("post_id", "experiment_id", "hypothesis", "agent", "author", "who", "call_id", "turn")
    found = ((name, getattr(event, name, None)) for name in names)
    told = [f"{name} {value}" for name, value in found if value is not None]
    return ", ".join(told[:3]) or "no name"
