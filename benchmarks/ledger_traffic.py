"""Ledger rows without end, in the mix of a real run: one quick start, over and over, renamed.

For benchmarks of what reads ledgers. Every id of a cycle is new (posts, messages, experiments,
verdicts, commits, trees), so that the fold grows as it would in a run of that length.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

from community.archive.codec import decode_event, encode_event
from community.archive.row_file import read_rows
from community.events import (
    Event,
    ExperimentQueued,
    FrontierMoved,
    Posted,
    Proposed,
    Row,
    TurnTaken,
    VerdictGiven,
)
from community.evidence_events import FinalsOpened

RECORDED = Path(__file__).parent / "results" / "community_60.jsonl.gz"
"""A real run of 60 experiments by six researchers, patches and rationales left out."""
PATCH = (
    "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -35,7 +35,7 @@\n"
    " # Standard deviation of the token embeddings at the start.\n-EMBED_INIT = 1.0\n"
    "+EMBED_INIT = 2.0\n # Rows per optimiser step.\n BATCH = 8\n"
)
"""What a hypothesis' patch looks like; the recorded run has them left out."""
_TURNS = 10_000


def traffic(recorded: Path = RECORDED) -> Iterator[Event]:
    """Yield the recorded run's beginning once, then its research for ever."""
    rows = list(read_rows(recorded))
    begin = next(i for i, row in enumerate(rows) if row.event.kind == "noise_estimated") + 1
    end = next(i for i, row in enumerate(rows) if isinstance(row.event, FinalsOpened))
    yield from (row.event for row in rows[:begin])
    research = [row.event for row in rows[begin:end]]
    # what a run did last is not undone by the next cycle's beginning
    research = [event for event in research if not _is_open(event, research)]
    names = _ids(research)
    cycle = 0
    while True:
        for event in research:
            yield _renamed(event, names, cycle)
        cycle += 1


def rows_of(count: int, rate: float) -> Iterator[Row]:
    """Yield the first `count` rows at `rate` rows a second of run time."""
    for seq, event in zip(range(1, count + 1), traffic(), strict=False):
        yield Row(seq, round(1e6 * seq / rate), event)


def _is_open(event: Event, research: list[Event]) -> bool:
    """Whether it is about an experiment that the recorded research left without a verdict."""
    name = getattr(event, "experiment_id", None)
    if name is None:
        return False
    return not any(isinstance(e, VerdictGiven) and e.experiment_id == name for e in research)


def _ids(events: list[Event]) -> frozenset[str]:
    found: set[str] = set()
    for event in events:
        if isinstance(event, Posted):
            found |= {event.post_id, event.message_id}
        elif isinstance(event, ExperimentQueued):
            found.add(event.experiment_id)
        elif isinstance(event, VerdictGiven):
            found.add(event.verdict_id)
        elif isinstance(event, Proposed):
            found |= {event.commit, event.tree_key}
        elif isinstance(event, FrontierMoved):
            found.add(event.commit)
    return frozenset(found)


def _renamed(event: Event, names: frozenset[str], cycle: int) -> Event:
    """Return the event as the `cycle`-th repetition has it."""

    def change(value: object) -> object:
        if isinstance(value, str):
            return f"{cycle}-{value}" if value in names else value
        if isinstance(value, list):
            return [change(one) for one in value]
        if isinstance(value, dict):
            return {str(change(key)): change(one) for key, one in value.items()}
        return value

    body = change(json.loads(encode_event(event)))
    changed = decode_event(event.kind, json.dumps(body))
    if isinstance(changed, TurnTaken):
        return dataclasses.replace(changed, turn=changed.turn + cycle * _TURNS)
    if isinstance(changed, Posted) and changed.body.get("kind") == "hypothesis":
        return dataclasses.replace(changed, body={**changed.body, "patch": PATCH})
    return changed
