"""Leaves out of a row what no screen shows: sketches that verdicts hold, the words of models.

They are most of what such a row says, and a watcher writes down what he reads once more
(`community.archive.shelf`). The ledger has everything. Next: `community.tui.fold` folds the rest.
"""

from __future__ import annotations

from dataclasses import replace

from community.events import Row, VerdictGiven
from community.mind_events import Answered


def lean(row: Row) -> Row:
    """Return a row that says the same to whoever looks on."""
    event = row.event
    if isinstance(event, VerdictGiven) and event.sketch:
        return replace(row, event=replace(event, sketch=""))
    if isinstance(event, Answered):
        return replace(row, event=replace(event, calls=(), text="", seen={}))
    return row
