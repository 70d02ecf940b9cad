"""A run in the middle of its life, for pictures of every screen: nothing in it depends on a clock.

The scripted run with evidence, and what that one lacks: a drawn graph, patches, a lead, a person
and what he did, an experiment that runs and others that wait.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from archive_script import S
from evidence_script import PEOPLE, commit_of, whole

from community import events as ev
from community import forum_events as forum
from community.tui.feed import News, RowsRead

PATCH = """diff --git a/train.py b/train.py
index 3f1c2aa..9d0b7e1 100644
--- a/train.py
+++ b/train.py
@@ -21,9 +21,10 @@ from torch import nn
 # How long the learning rate rises, as a share of the run.
-WARMUP = 0.0
+WARMUP = 0.05
 # Which optimiser moves the matrices.
-OPTIMIZER = "adamw"
+OPTIMIZER = "muon"
@@ -88,4 +89,6 @@ def train(model: nn.Module, run: Run) -> None:
     for step in range(steps):
-        loss = model.loss(next(batches))
+        inputs, targets = next(batches)  # int64 (batch, time)
+        loss = functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
         loss.backward()
"""


class Told:
    """A source that hands over rows once: the run is live, and its clock stands still."""

    def __init__(self, rows: list[ev.Row]) -> None:
        self._rows = tuple(rows)

    def follow(self, post: Callable[[News], object]) -> None:
        """Hand them over."""
        post(RowsRead(self._rows, is_live=True, at_us=self._rows[-1].at_us + 7 * S))

    def close(self) -> None:
        """Nothing goes on."""


def scene_rows() -> list[ev.Row]:
    """Return the run's rows."""
    rows = [(row.at_us, _with_patch(row.event)) for row in whole(until="research")]
    ring = {name: {PEOPLE[(n + 1) % 4]: "everything"} for n, name in enumerate(PEOPLE)}
    ring["eve"]["ben"] = "summary"
    ring["ben"]["eve"] = "summary"
    measures = {"density": 0.5, "clustering": 0.25, "path_length": 1.6, "is_connected": None}
    joined = next(n for n, (_, event) in enumerate(rows) if isinstance(event, ev.NoiseEstimated))
    rows.insert(joined, (rows[joined][0], forum.TopologySet(0, ring, "drawn", measures)))
    last = rows[-1][0]
    rows += [(last + at * S, event) for at, event in _present()]
    return [ev.Row(seq, at_us, event) for seq, (at_us, event) in enumerate(rows, start=1)]


def _with_patch(event: ev.Event) -> ev.Event:
    if isinstance(event, ev.Posted) and event.body["kind"] == "hypothesis":
        readers = dict.fromkeys(PEOPLE, "everything")
        why = "Small batches leave the matrices badly conditioned; orthogonal steps should help."
        body = {**event.body, "patch": PATCH, "rationale": why}
        return dataclasses.replace(event, body=body, readers=readers)
    return event


def _present() -> list[tuple[int, ev.Event]]:
    """What goes on at the moment: seconds after the rows before."""
    parents = [commit_of("p7"), commit_of("p4")]
    body = {
        "kind": "hypothesis", "title": "merge the wider embedding into Muon", "rationale": "",
        "parents": parents, "knobs": {"DIM": 96}, "commit": commit_of("p30"), "patch": PATCH,
        "prediction": {"gain": 0.04, "confidence": 0.7},
    }  # fmt: skip
    other = {**body, "title": "no warm-up", "commit": commit_of("p31"), "parents": parents[:1]}
    lead = {"kind": "lead", "title": "nobody has tried a longer context", "text": "", "knobs": {}}
    said = {"kind": "comment", "text": "This looks sound; does it hold with half the batch?"}
    return [
        (5, ev.Proposed(commit_of("p30"), tuple(parents), "t-p30", "cyd", "merge", {"DIM": 96})),
        (5, ev.Posted("p30", "m-p30", "cyd", None, body, dict.fromkeys(PEOPLE, "everything"))),
        (6, _queued("e0900", "screen", "p30", "cyd")),
        (6, ev.AttemptStarted("e0900", 1, "cpu0")),
        (8, ev.Proposed(commit_of("p31"), (parents[0],), "t-p31", "ada", "no warm-up", {})),
        (8, ev.Posted("p31", "m-p31", "ada", None, other, dict.fromkeys(PEOPLE, "everything"))),
        (9, _queued("e0901", "screen", "p31", "ada")),
        (9, _queued("e0902", "confirm_child", "p4", "ben")),
        (10, ev.Posted("p32", "m-p32", "eve", None, lead, dict.fromkeys(PEOPLE, "everything"))),
        (11, forum.PersonJoined("~kim")),
        (12, forum.LeadClaimed("p32", "ben", 10**12)),
        (13, ev.Posted("p33", "m-p33", "~kim", "p30", said, dict.fromkeys(PEOPLE, "everything"))),
        (14, forum.PersonActed("~kim", "boost", "p31", "cheap to try")),
        (15, forum.PersonActed("~kim", "pause", "eve")),
    ]


def _queued(name: str, purpose: ev.Purpose, post_id: str, by: str) -> ev.ExperimentQueued:
    split = "vault" if purpose == "confirm_child" else "dev"
    return ev.ExperimentQueued(
        name, purpose, commit_of(post_id), f"t-{post_id}", post_id, by, by, split, 1, 1
    )  # type: ignore[arg-type]
