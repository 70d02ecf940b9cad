"""Events as JSON and back, and the hash over them."""

from __future__ import annotations

import dataclasses
import json
from typing import get_args

import pytest
from archive_script import EVIDENCE, opened, queued, rows, verdict

from community import events as ev
from community.archive.codec import KINDS, decode_event, encode_event
from community.archive.ledger import ledger_hash
from community.errors import LedgerEventError


def test_script_covers_every_kind_but_notices() -> None:
    """The round trip above means something only if the script has all kinds."""
    others = {event.kind for event in EVIDENCE} | {"noticed"}
    assert {row.event.kind for row in rows()} | others == set(KINDS)
    assert len(KINDS) == len(get_args(ev.Event))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_survives_the_codec_and_refuses_odd_bodies(kind: str) -> None:
    """A body comes back equal; an unknown, missing or mistyped field is an error."""
    notice = ev.Noticed("start", "bell \x07 and ünïcode")
    event = next((e for e in (*(r.event for r in rows()), *EVIDENCE) if e.kind == kind), notice)
    text = encode_event(event)
    assert decode_event(kind, text) == event
    body = json.loads(text)
    first = dataclasses.fields(event)[0].name
    wrong = [
        {**body, "odd": 1},
        {k: v for k, v in body.items() if k != first},
        {**body, first: 1.5},
        [],
    ]
    for bad in wrong:
        with pytest.raises(LedgerEventError, match=kind):
            decode_event(kind, json.dumps(bad))
    with pytest.raises(LedgerEventError, match=kind):
        decode_event(kind, text[:-1])


def test_types_are_not_guessed() -> None:
    """A number in quotes is no number, and a number is no text."""
    body = json.loads(encode_event(opened()))
    for name, value in (("seed", "7"), ("seed", 7.0), ("budget_amount", "10"), ("slots", "cpu0")):
        with pytest.raises(LedgerEventError, match=name):
            decode_event("run_opened", json.dumps({**body, name: value}))


def test_unknown_kind_is_refused() -> None:
    """A kind that this program does not know is not skipped."""
    with pytest.raises(LedgerEventError, match="unknown kind of event 'praised'"):
        decode_event("praised", "{}")


def test_hash_leaves_out_what_the_machine_adds() -> None:
    """Host facts never count, time only if asked, content always."""
    told = rows()
    moved = [dataclasses.replace(row, at_us=row.at_us + 1) for row in told]
    elsewhere = [
        dataclasses.replace(row, event=dataclasses.replace(row.event, host={"started": "later"}))
        if hasattr(row.event, "host")
        else row
        for row in told
    ]
    assert ledger_hash(told) == ledger_hash(elsewhere)
    assert ledger_hash(told, with_host=True) != ledger_hash(elsewhere, with_host=True)
    assert ledger_hash(told) != ledger_hash(moved)
    assert ledger_hash(told, with_time=False) == ledger_hash(moved, with_time=False)
    assert ledger_hash(told) != ledger_hash(told[:-1])
    other = verdict(queued("e0001", "screen", "c" * 40, "t-child"), 2.7)
    assert ledger_hash([ev.Row(1, 0, other)]) != ledger_hash(
        [ev.Row(1, 0, dataclasses.replace(other, score=2.8))]
    )


def test_a_restart_that_older_programs_recorded_still_loads() -> None:
    """Before limits were recorded there was no such field: nothing but the scenario's holds."""
    event = decode_event("run_resumed", '{"host":{},"lost_attempts":["e0001"]}')
    assert event == ev.RunResumed(("e0001",), {}, None)
