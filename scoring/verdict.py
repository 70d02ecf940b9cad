"""What the scorer says of one run: a number with everything that is needed to believe it.

A `Score` is the grader's number; a `Verdict` adds who measured what, where, at which cost. Records
only; `scoring.evidence` says what verdicts mean together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Split = Literal["dev", "vault", "seal"]
Direction = Literal["lower", "higher"]
Outcome = Literal["ok", "invalid", "interrupted", "scorer_failed"]
Isolation = Literal["full", "partial", "none"]
DEGREES: tuple[Isolation, ...] = ("full", "partial", "none")
"""Of isolation, strongest first."""
Status = Literal[
    "measured",
    "not_improved",
    "undecided",
    "improved",
    "reproduced",
    "contested",
    "retracted",
]


@dataclass(frozen=True, slots=True)
class Score:
    """The answer of one score phase."""

    outcome: Outcome
    """ok, invalid (the candidate's answers were refused) or scorer_failed (ours)."""
    value: float | None
    """The metric (nanolm: bits per byte, lower is better); None unless ok."""
    reason: str
    """Empty when ok; else one fixed word: short, late, not_finite, range, probe, protocol (see
    `scoring.errors.Refusal`), limit or memory (of the sandbox), or scorer; of data form, refused,
    grader, constraint or guard (`scoring.data_grading`), limit, memory or late."""
    positions: int
    """How many held-out targets were scored."""
    probes: int
    """How many blind answers were compared."""
    wall_s: float
    asked: int = 0
    """How many tokens were sent to the two sandboxes, together."""
    cpu_s: float = 0.0
    """Of grading data, all looks together; what answering takes is measured outside."""
    sha256: str = ""
    """Of the data that were graded."""
    measures: Mapping[str, float] = field(default_factory=dict)
    """All that their grader said, the metric included; not for researchers."""
    told: str = ""
    """Why data were refused, in words, for researchers."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run consumed."""

    train_cpu_s: float
    train_wall_s: float
    score_cpu_s: float
    """CPU of both answering sandboxes."""
    score_wall_s: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """One run of one tree under one seed on one split."""

    verdict_id: str
    experiment_id: str
    commit: str
    tree_key: str
    split: Split
    seed: int
    outcome: Outcome
    score: float | None
    reason: str
    lock_hash: str
    corpus_hash: str
    device_class: str
    isolation: Isolation
    measured_by: Literal["scorer", "model", "candidate"]
    cost: Cost
