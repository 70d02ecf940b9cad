"""A hand-written run that several archive tests fold, export and show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.roles import Role
from community import events as ev
from community import evidence_events as evidence
from community import forum_events, mind_events
from community.assigning import Assigning
from community.scenario import ReviewsSection

BASE = "b" * 40
CHILD = "c" * 40
OTHER = "d" * 40
CRASH = "e" * 40
SECRET = bytes(32)
S = 1_000_000
"""Microseconds per second."""


def opened(**changes: Any) -> ev.RunOpened:
    """Return the first event, with `changes`."""
    fields: dict[str, Any] = {
        "run_id": "r1",
        "scenario": "run = {}\n",
        "task": "nanolm",
        "seed": 7,
        "version": "0.1.0",
        "metric": "val_bpb",
        "unit": "bits per byte",
        "direction": "lower",
        "budget_kind": "cpu_seconds",
        "budget_amount": 10.0,
        "slots": ("cpu0", "cpu1"),
        "device_class": "cpu",
        "lock_hash": "lock",
        "corpus_hash": "corpus",
        "baseline_commit": BASE,
        "baseline_tree_key": "t-base",
        "host": {"started": "2026-05-01T12:00:00+00:00"},
    }
    return ev.RunOpened(**{**fields, **changes})


def hypothesis(post_id: str, author: str, commit: str, gain: float, **readers: str) -> ev.Posted:
    """Return a posted hypothesis with title ``turn <post id>``."""
    body = {
        "kind": "hypothesis",
        "title": f"turn {post_id}",
        "rationale": "",
        "parents": [BASE],
        "knobs": {"LR": 0.01},
        "prediction": {"gain": gain, "confidence": 0.8},
        "commit": commit,
        "patch": "",
    }
    return ev.Posted(post_id, f"m-{post_id}", author, None, body, readers)


def proposed(commit: str, tree_key: str, author: str) -> ev.Proposed:
    """Return a proposal on the baseline."""
    return ev.Proposed(commit, (BASE,), tree_key, author, "title", {"LR": 0.01})


def queued(
    name: str, purpose: ev.Purpose, commit: str, tree_key: str, **changes: Any
) -> ev.ExperimentQueued:
    """Return an admission; vault for confirmations, charged to ``ada``."""
    fields: dict[str, Any] = {
        "hypothesis": "" if purpose == "baseline" else "p1",
        "charged_to": "lab" if purpose == "baseline" else "ada",
        "requested_by": "lab" if purpose == "baseline" else "ada",
        "split": "vault" if purpose.startswith("confirm") else "dev",
        "measurement": 1,
        "seed": 11,
    }
    return ev.ExperimentQueued(name, purpose, commit, tree_key, **{**fields, **changes})


def ended(
    name: str, slot: str, train: tuple[int, int], answer: tuple[int, int], **changes: Any
) -> ev.AttemptEnded:
    """Return the end of attempt 1; times in seconds, training CPU seconds equal the wall."""
    fields: dict[str, Any] = {
        "attempt": 1,
        "outcome": "ok",
        "reason": "",
        "leased_us": train[0] * S,
        "train_cpu_s": float(train[1] - train[0]),
        "score_cpu_s": float(answer[1] - answer[0]),
        "start_s": 0.02,
    }
    spans = {
        "train_us": (train[0] * S, train[1] * S),
        "answer_us": (answer[0] * S, answer[1] * S),
    }
    return ev.AttemptEnded(name, slot=slot, **{**fields, **spans, **changes})


def verdict(of: ev.ExperimentQueued, score: float | None) -> ev.VerdictGiven:
    """Return the verdict ``v-<experiment>``; invalid without a score."""
    return ev.VerdictGiven(
        verdict_id=f"v-{of.experiment_id}",
        experiment_id=of.experiment_id,
        commit=of.commit,
        tree_key=of.tree_key,
        split=of.split,
        seed=of.seed,
        outcome="invalid" if score is None else "ok",
        score=score,
        reason="crash" if score is None else "",
        lock_hash="lock",
        corpus_hash="corpus",
        device_class="cpu",
        isolation="full",
        measured_by="scorer",
        train_cpu_s=10.0,
        train_wall_s=10.5,
        score_cpu_s=2.0,
        score_wall_s=2.5,
    )


def run_whole(
    of: ev.ExperimentQueued, slot: str, at: int, score: float | None
) -> list[tuple[int, ev.Event]]:
    """Return an experiment from `at` to `at` + 10 s: 8 s of training, 2 s of answering."""
    train, answer = (at, at + 8), (at + 8, at + 10)
    end = ended(of.experiment_id, slot, train, answer, outcome="invalid" if score is None else "ok")
    return [
        (at, of),
        (at, ev.AttemptStarted(of.experiment_id, 1, slot)),
        (at + 10, end),
        (at + 10, verdict(of, score)),
    ]


def status(name: str, state: str, by: str, gain: float, *verdicts: str) -> ev.StatusChanged:
    """Return a change of the hypothesis `name`."""
    commit = {"p1": CHILD, "p2": OTHER, "p3": CRASH}[name]
    return ev.StatusChanged(name, commit, state, gain, 0.05, by, verdicts)


def story() -> list[tuple[int, ev.Event]]:
    """Return (second, event) of a run of 100 s: p1 reproduced, p2 lost once, p3 crashed."""
    base1 = queued("b0001", "baseline", BASE, "t-base", seed=1)
    base2 = queued("b0002", "baseline", BASE, "t-base", seed=2, measurement=2)
    screen = queued("e0001", "screen", CHILD, "t-child")
    parent = queued(
        "e0002", "confirm_parent", BASE, "t-base", charged_to="ben", requested_by="ben", pair=1
    )
    child = queued(
        "e0003", "confirm_child", CHILD, "t-child", charged_to="ben", requested_by="ben", pair=1
    )
    lost = queued("e0004", "screen", OTHER, "t-other", hypothesis="p2", charged_to="ben")
    crash = queued("e0005", "screen", CRASH, "t-crash", hypothesis="p3")
    review = {
        "kind": "review",
        "hypothesis": "p1",
        "opinion": "support",
        "forecast": {"reproduced": 0.6, "gain": [0.2, 0.7, 1.1]},
        "text": "",
    }
    return [
        (0, opened()),
        (0, ev.AgentJoined("ada", "explorer", "policy:random", ("ben",))),
        (0, ev.AgentJoined("ben", "reproducer", "policy:verify", ("ada",))),
        *run_whole(base1, "cpu0", 0, 3.0),
        *run_whole(base2, "cpu1", 10, 3.2),
        (20, ev.NoiseEstimated("cpu", 3.1, 0.1, (3.0, 3.2))),
        (20, ev.TurnTaken("ada", 0, ("run",), "first thoughts")),
        (20, proposed(CHILD, "t-child", "ada")),
        (20, hypothesis("p1", "ada", CHILD, 0.4, ben="diff", cyd="summary")),
        *run_whole(screen, "cpu0", 20, 2.6),
        (30, status("p1", "improved", "ada", 0.5, "v-e0001")),
        (30, ev.Posted("p4", "m-p4", "ben", "p1", review, {"ada": "everything"})),
        (30, ev.ReproductionOpened("p1", "ben")),
        *run_whole(parent, "cpu0", 30, 3.3),
        *run_whole(child, "cpu0", 40, 2.7),
        (50, status("p1", "reproduced", "ben", 0.6, "v-e0002", "v-e0003")),
        (50, ev.FrontierMoved(CHILD, "p1", 2.7)),
        (50, ev.Refused("cyd", "post", "too long", "m9")),
        (50, proposed(OTHER, "t-other", "ben")),
        (50, hypothesis("p2", "ben", OTHER, 0.1)),
        (50, lost),
        (50, ev.AttemptStarted("e0004", 1, "cpu1")),
        (57, ev.RunResumed(("e0004",), {"started": "2026-05-02T12:00:00+00:00"})),
        (60, ev.AttemptStarted("e0004", 2, "cpu1")),
        (70, ended("e0004", "cpu1", (60, 68), (68, 70), attempt=2)),
        (70, verdict(lost, 3.4)),
        (70, status("p2", "not_improved", "ben", -0.3, "v-e0004")),
        (70, proposed(CRASH, "t-crash", "ada")),
        (70, hypothesis("p3", "ada", CRASH, 0.2)),
        *run_whole(crash, "cpu0", 80, None),
        (100, ev.SealScored(CHILD, "p1", "e0003", "ok", 2.8, "", "b0002", 3.4, "", 2.0)),
        (100, ev.RunStopped("experiments")),
    ]


def rows(events: list[tuple[int, ev.Event]] | None = None) -> list[ev.Row]:
    """Return `events` (the story by default) as rows in order of time."""
    told = sorted(story() if events is None else events, key=lambda pair: pair[0])
    return [ev.Row(seq, at * S, event) for seq, (at, event) in enumerate(told, start=1)]


EVIDENCE: tuple[evidence.EvidenceEvent | forum_events.ForumEvent | mind_events.MindEvent, ...] = (
    evidence.ReviewerAssigned("p1", "ben"),
    evidence.ConfirmationDrawn("p1", 0.1),
    evidence.AlarmRaised("a1", "drift", "cpu", "cpu0", "three sentinels in a row"),
    evidence.AlarmCleared("a1", "fresh references"),
    evidence.VerdictRetracted("v-e0001", "a fault of the machine", "eve", ("hypothesis:p1",)),
    evidence.ClaimRetracted("p1", "two more pairs", "lab", ("hypothesis:p1",)),
    evidence.FinalsOpened((CHILD,)),
    evidence.NumbersTold("e0001", {"peak_vram_mb": 45060.2, "num_steps": 953.0}),
    evidence.MeasureChanged("candidate", "scorer", "ab", {"constants": "cd"}),
    evidence.ArtefactGraded("e0001", "ab" * 32, {"val": 1.5, "rare": 0.25}),
    evidence.SlotPlaced("node1.cpu0", "10.0.0.7 1f2e3d4c"),
    evidence.DeviceUsed("e0001", 3 << 30, 0.71, 9, 20.0, 48000.0, 0.12),
    evidence.ModelMeasured("e0001", {"parameters": 4096.0, "worst_class": 0.75}),
    forum_events.TopologySet(
        0, {"ada": {"ben": "diff"}, "ben": {}}, "drawn", {"density": 0.5}, {"ada": {"ben": 2 * S}}
    ),
    forum_events.Delivered("p1", ("ben",)),
    forum_events.LeadClaimed("p1", "ben", 90 * S),
    forum_events.LeadReleased("p1", "ben", "expired"),
    forum_events.PersonJoined("eve"),
    forum_events.PersonActed("eve", "boost", "p1", "it looks sound"),
    forum_events.SeatTaken("ada", "policy:social"),
    forum_events.SeatLeft("ada", "left"),
    mind_events.MindsPrepared({"system.md": "ab"}, {"anthropic:m": {"input": 2.0, "output": 10.0}}),
    mind_events.SpendReserved("c000001", "ada", "explorer", "anthropic:m", 0, 90_000, 9_000),
    mind_events.SpendSettled("c000001", "ada", "ok", 900, 100, 3_000, 0, 20, 3_100),
    mind_events.Answered(
        *("ada", 0, 0, "anthropic:m", "acted"),
        ({"call_id": "t1", "name": "wait", "arguments": '{"seconds": 5}'},),
        "I wait.",
        {"live": "0123"},
    ),
)
"""One event of each kind that the story has none of."""


def asking(roles: Mapping[str, Role], **reviews: Any) -> Assigning:
    """Return who may do what and is asked to review what, under a secret that tests know."""
    return Assigning(ReviewsSection(**reviews), roles, 1, SECRET)
