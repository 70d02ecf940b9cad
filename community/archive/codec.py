"""Events as JSON text and back, strictly; and the hash of a ledger.

A stored body holds exactly the fields of its kind: a missing, unknown or wrongly typed one is an
error, never a guess. Not the wire format of the board (`forum.codec`). Next: `ledger` stores it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from community.errors import LedgerEventError
from community.events import Event, Row

HOST_FIELDS = frozenset({"host", "run_id"})
"""Fields that say where a run was made and how its folder is called, not what happened in it;
`ledger_hash` leaves them out."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """One kind's adapter and field names."""

    adapter: TypeAdapter[Event]
    names: frozenset[str]
    required: frozenset[str]


def _shape(event_type: type[Event]) -> _Shape:
    present = fields(event_type)
    required = (f.name for f in present if f.default is MISSING and f.default_factory is MISSING)
    names = frozenset(f.name for f in present)
    return _Shape(TypeAdapter(event_type), names, frozenset(required))


_SHAPES: dict[str, _Shape] = {t.kind: _shape(t) for t in get_args(Event)}

KINDS: tuple[str, ...] = tuple(_SHAPES)
"""Every kind of event, in the order of `community.events`."""


def encode_event(event: Event) -> str:
    """Return the body of `event` as canonical JSON: sorted keys, no spaces, no NaN.

    Raises:
        LedgerEventError: it holds something that JSON cannot.
    """
    return _canonical(event.kind, {f.name: getattr(event, f.name) for f in fields(event)})


def decode_event(kind: str, text: str) -> Event:
    """Return the event that `encode_event` wrote.

    Raises:
        LedgerEventError: the kind is unknown or the body does not have its shape.
    """
    shape = _SHAPES.get(kind)
    if shape is None:
        raise LedgerEventError(
            f"unknown kind of event '{kind}'; the ledger was written by another program or a "
            "newer version: use that one"
        )
    try:
        body = json.loads(text)
        names = set(body) if isinstance(body, dict) else set()
        if odd := sorted(names - shape.names):
            raise LedgerEventError(f"event '{kind}' has unknown field(s) {', '.join(odd)}")
        if absent := sorted(shape.required - names):
            raise LedgerEventError(f"event '{kind}' lacks field(s) {', '.join(absent)}")
    except ValueError as error:
        raise LedgerEventError(f"event '{kind}' is not JSON: {error}") from error
    return _validated(kind, text)


def _validated(kind: str, text: str) -> Event:
    try:
        return _SHAPES[kind].adapter.validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise LedgerEventError(f"event '{kind}', field {where}: {first['msg']}") from error


def settle(event: Event) -> tuple[str, Event]:
    """Return the stored text of `event` and the event as a later reader will get it.

    Live listeners get the second, so that a live fold and a replayed one cannot differ (10 and
    10.0, tuples and lists within a post's body).

    Raises:
        LedgerEventError: it does not have the shape of its kind.
    """
    settled = _validated(event.kind, encode_event(event))  # with the names of its kind, surely
    return encode_event(settled), settled


def ledger_hash(rows: Iterable[Row], *, with_time: bool = True, with_host: bool = False) -> str:
    """Return the SHA-256 (hex) over canonical JSON of `rows`.

    Args:
        rows: Rows as a ledger returns them.
        with_time: Whether ``at_us`` counts: yes for virtual runs, where time is seeded; no to
            compare what happened in real ones.
        with_host: Whether host facts and wall stamps count.
    """
    digest = hashlib.sha256()
    for row in rows:
        skipped = frozenset() if with_host else HOST_FIELDS
        body = {f.name: getattr(row.event, f.name) for f in fields(row.event)}
        kept = {name: value for name, value in body.items() if name not in skipped}
        entry = [row.seq, row.at_us if with_time else None, row.event.kind, kept]
        digest.update(_canonical(row.event.kind, entry).encode() + b"\n")
    return digest.hexdigest()


def _canonical(kind: str, value: Any) -> str:
    try:
        return json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
    except (TypeError, ValueError) as error:
        raise LedgerEventError(
            f"event '{kind}' cannot be recorded: {error}; give plain finite JSON values"
        ) from error
