"""Playing a run again: the same community, row for row, with nothing from outside.

What is compared is every row of the ledger: its number, kind and body. Readings of clocks in
bodies, and the run time of each row, are the record's own (`community.recorded.comparing`), so that
the hash of the whole, times included, is the same when, and only when, all else was made again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from threadpoolctl import threadpool_limits

from community.archive.codec import ledger_hash
from community.archive.ledger import LedgerReader
from community.errors import ReplayDiffersError
from community.events import Row
from community.recorded.comparing import as_recorded, difference
from community.recorded.opening import RecordedWorld, must_be_playable
from community.recorded.order import Order, RecordedLoop
from community.recorded.record import Record
from community.run import run_community
from community.run_folder import RunFolder
from community.scenario import Scenario
from community.virtual.run import virtual_runner


@dataclass(frozen=True, slots=True)
class Replayed:
    """What playing a record came to; where it differs there is an error instead."""

    ledger_hash: str
    rows: int
    """How many were made again."""
    is_whole: bool
    """Whether these are all rows of the run; it was cut off otherwise."""


def play_again(
    record: Record, folder: RunFolder, on_row: Callable[[Row], None] | None = None
) -> Replayed:
    """Play a record to its end; there must be no running loop.

    Args:
        record: What is played.
        folder: The replay's own folder, new.
        on_row: Told of every row.

    Raises:
        RecordError: it cannot be played; the message says why.
        ReplayDiffersError: something was made that is not on record; the message says what.
    """
    scenario = must_be_playable(record)
    if scenario.run.time == "virtual":
        return _in_virtual_time(scenario, record, folder, on_row)
    order = Order(record)

    def new_loop() -> RecordedLoop:
        return RecordedLoop(order)

    with threadpool_limits(limits=1), asyncio.Runner(loop_factory=new_loop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, RecordedLoop)
        loop.set_exception_handler(_silent)
        world = RecordedWorld(record, order, loop)
        runner.run(_until_end(scenario, record, folder, on_row, world, order))
    with LedgerReader(folder.ledger) as reader:
        rows = list(reader.rows())
    if record.is_whole and ledger_hash(rows) != record.hash:
        raise ReplayDiffersError(f"{record.name}: {len(rows)} of {len(record.rows)} rows were made")
    return Replayed(ledger_hash(rows), len(rows), record.is_whole)


def _in_virtual_time(
    scenario: Scenario,
    record: Record,
    folder: RunFolder,
    on_row: Callable[[Row], None] | None,
) -> Replayed:
    """Run the scenario once more: everything in virtual time follows from it."""
    with virtual_runner() as runner:
        runner.run(run_community(scenario, record.opened.scenario, folder, on_row=on_row))
    with LedgerReader(folder.ledger) as reader:
        rows = list(reader.rows())
    for then, now in zip(record.rows[: record.end], rows, strict=False):
        if then.at_us != now.at_us or as_recorded(then.event, now.event) is None:
            raise ReplayDiffersError(difference(record, then, now.event))
    return Replayed(ledger_hash(rows), min(len(rows), record.end), record.is_whole)


async def _until_end(
    scenario: Scenario,
    record: Record,
    folder: RunFolder,
    on_row: Callable[[Row], None] | None,
    world: RecordedWorld,
    order: Order,
) -> None:
    """Run until the record ends: by itself, or where the run was cut off."""
    text = record.opened.scenario
    running = asyncio.create_task(
        run_community(scenario, text, folder, on_row=on_row, world=world), name="the run"
    )
    if not record.is_whole:
        end = record.end
        await order.until(end, record.at_us(end))
        order.is_over = True
        running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def _silent(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Keep quiet about tasks that end because the replay has ended."""
