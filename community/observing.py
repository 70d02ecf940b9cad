"""The ledger for those who watch from outside: its rows on request, and new ones as they come.

Observers may read everything, agents nothing of this: the broker and the counter tell them apart.
Nothing is sent before the first observer has asked for rows, so a run that nobody watches pays
nothing. A row travels as ``[seq, at_us, kind, body]``, its body as JSON text, which
`community.archive.codec.decode_event` reads.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from itertools import islice
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from community.archive.codec import encode_event
from community.chronicle import Chronicle
from community.counter import Asked
from community.events import Row
from forum.board import Desk
from forum.errors import BoardClosedError, RequestRefusedError
from forum.requests import PAGE_BYTES, JsonObject

ROW_TOPIC: Final = "row"
"""The observers' event with new rows: a JSON array of them, in order."""
OVER_TOPIC: Final = "over"
"""The observers' last event: why research ended, as text; the last rows are in the ledger alone."""
MOST_ROWS: Final = 2_000
"""Rows of one page."""
LAST_S: Final = 0.3
"""How long the last rows get to reach observers."""
GATHER_S: Final = 0.05
"""New rows are gathered for so long, so that a burst of them is one message."""

PackedRow = tuple[int, int, str, str]


class Rows(BaseModel):
    """The arguments of the request ``rows``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after_seq: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = MOST_ROWS


class Observing:
    """Serves observers and publishes new rows.

    Args:
        chronicle: The ledger.
        desk: Where rows are published.
    """

    def __init__(self, chronicle: Chronicle, desk: Desk) -> None:
        self._chronicle = chronicle
        self._desk = desk
        self._is_watched = asyncio.Event()

    async def serve(self, asked: Asked) -> JsonObject:
        """Answer ``rows``: ``{"rows": [...], "is_last": whether there are no more now}``."""
        if asked.op != "rows":
            raise RequestRefusedError("unknown_op", f"an observer cannot ask for {asked.op!r}")
        args = asked.read(Rows)
        self._is_watched.set()
        rows = page(islice(self._chronicle.ledger.rows(args.after_seq), args.limit))
        last_seq = rows[-1][0] if rows else args.after_seq
        return {"rows": rows, "is_last": last_seq >= self._chronicle.ledger.last_seq}

    async def publish(self) -> None:
        """Publish new rows, once somebody watches, until cancelled or the board is lost."""
        await self._is_watched.wait()
        ledger = self._chronicle.ledger
        sent_seq = ledger.last_seq
        while True:
            if ledger.last_seq == sent_seq:
                await self._chronicle.next_row()
            await asyncio.sleep(GATHER_S)
            rows = page(ledger.rows(sent_seq))
            sent_seq = rows[-1][0]
            try:
                await self._desk.observe(ROW_TOPIC, json.dumps(rows).encode())
            except BoardClosedError:
                return  # the clerk notices as well, and says so

    async def close(self, why: str) -> None:
        """Say that it is over, to those who watch, and give what was published time to arrive."""
        if self._is_watched.is_set():
            await asyncio.sleep(2 * GATHER_S)
            await self._desk.observe(OVER_TOPIC, why.encode())
            await asyncio.sleep(LAST_S)


def page(rows: Iterable[Row]) -> list[PackedRow]:
    """Return the first of `rows`, packed, up to `PAGE_BYTES`; at least one if there is any."""
    packed: list[PackedRow] = []
    size_bytes = 0
    for row in rows:
        body = ascii_json(encode_event(row.event))
        size_bytes += len(body) + 64
        if packed and (size_bytes > PAGE_BYTES or len(packed) >= MOST_ROWS):
            break
        packed.append((row.seq, row.at_us, row.event.kind, body))
    return packed


def ascii_json(text: str) -> str:
    """Return JSON text without any character that the board would strip on its way."""
    return text if text.isascii() else json.dumps(json.loads(text), separators=(",", ":"))
