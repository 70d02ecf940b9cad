"""The events a run's ledger consists of: one frozen record per kind, and nothing else.

Everything that is known about a run is these rows in order; resume and every view fold them. Host
facts and wall stamps live in `RunOpened.host` and `RunResumed.host` alone: the rest can be hashed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from community.evidence_events import EvidenceEvent
from community.forum_events import ForumEvent
from community.mind_events import MindEvent
from community.mind_events import TurnTaken as TurnTaken  # one of the first kinds
from trainer.experiment import BudgetKind

Purpose = Literal[
    "baseline", "screen", "parent", "sentinel", "confirm_child", "confirm_parent", "credit", "seal",
    "transfer"]  # fmt: skip
"""parent: a fresh run of a declared parent, beside which a screen is judged; sentinel: one of the
frontier every so often, which shows drift; credit: of the frontier without some of its changes;
seal: the last ones, on the third split; transfer: of a run in which nobody takes part."""
APART: frozenset[Purpose] = frozenset({"baseline", "credit", "seal", "transfer"})
"""Runs that count against no limit of experiments: they come before the research or after it."""
FINAL: frozenset[Purpose] = frozenset({"credit", "seal"})
"""Those that come after it."""


@dataclass(frozen=True, slots=True)
class RunOpened:
    """The first event of every ledger."""

    kind: ClassVar[str] = "run_opened"
    run_id: str
    scenario: str
    """The scenario file's whole text."""
    task: str
    seed: int
    version: str
    metric: str
    unit: str
    direction: Literal["lower", "higher"]
    budget_kind: BudgetKind
    budget_amount: float
    slots: tuple[str, ...]
    device_class: str
    lock_hash: str
    corpus_hash: str
    baseline_commit: str
    baseline_tree_key: str
    host: dict[str, str] = field(default_factory=dict)
    trainer_hash: str = ""
    """Of the trainer's files that decide a score beside the lock; empty in older ledgers."""
    isolation: Literal["full", "partial", "none", ""] = ""
    """Of every process that runs candidate code in this run; empty in older ledgers."""
    secret_hash: str = ""
    """SHA-256 of the run's secret, which draws held-out text; older ledgers' was the seed's."""
    manifest: dict[str, str] = field(default_factory=dict)
    """What scores rest on; `lock_hash` is over all of it but ``secret``. Empty in older ledgers."""
    measured_by: Literal["scorer", "model", "candidate"] = "scorer"
    """model: outcomes are computed, nothing is carried out; candidate: it says its score itself."""

    @property
    def budget_s(self) -> float | None:
        """Seconds that an experiment may spend; None for a budget of steps."""
        return None if self.budget_kind == "steps" else self.budget_amount


@dataclass(frozen=True, slots=True)
class RunResumed:
    """The run goes on after a stop or a kill."""

    kind: ClassVar[str] = "run_resumed"
    lost_attempts: tuple[str, ...]
    """Experiment ids whose running attempt was lost."""
    host: dict[str, str] = field(default_factory=dict)
    experiments: int | None = None
    """The limit of experiments from here on; None where nothing but the scenario's is known."""
    device_class: str = ""
    """Of this life; empty where it is the first one's."""


@dataclass(frozen=True, slots=True)
class RunStopped:
    """The run ended in order; a killed run has none."""

    kind: ClassVar[str] = "run_stopped"
    why: str
    """experiments, device_seconds, wall_s, target, interrupted, failed, or why in words."""
    secret: str = ""
    """The run's secret in hexadecimal, revealed by a run that ended by itself; else empty."""


@dataclass(frozen=True, slots=True)
class AgentJoined:
    """A participant, and its neighbours when the run began; `TopologySet` has those of later."""

    kind: ClassVar[str] = "agent_joined"
    agent: str
    role: str
    mind: str
    hears: tuple[str, ...]
    """Whose posts reach it, to begin with."""


@dataclass(frozen=True, slots=True)
class Posted:
    """The clerk recorded a post; its ledger sequence number is the post's `seq`."""

    kind: ClassVar[str] = "posted"
    post_id: str
    message_id: str
    author: str
    thread: str | None
    body: dict[str, Any]
    """The body of `forum.messages.Post`, evidence filled in by the clerk."""
    readers: dict[str, str]
    """Who it was routed to: reader -> what the edge carried (score, summary, diff, everything)."""
    due_us: dict[str, int] = field(default_factory=dict)
    """Of those readers whom it reaches later: run time from which it may be delivered."""
    lost: dict[str, str] = field(default_factory=dict)
    """Readers whose edge would have carried it and lost it; it never reaches them along it."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A draft, proposal or request that was turned down; also security incidents."""

    kind: ClassVar[str] = "refused"
    who: str
    what: Literal["post", "proposal", "request", "connection"]
    reason: str
    message_id: str = ""
    """Of a draft or request; of a connection the kind of incident (`forum.incidents`)."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """A hypothesis became a commit; nothing has run yet."""

    kind: ClassVar[str] = "proposed"
    commit: str
    parents: tuple[str, ...]
    tree_key: str
    author: str
    title: str
    knobs: dict[str, Any]
    hunks: tuple[str, ...] = ()
    """Ids of the changes that its tree holds against the start tree; credit follows these."""
    request: str = ""
    """The name of the request over the board that it answers: made once, however often asked."""


@dataclass(frozen=True, slots=True)
class ExperimentQueued:
    """One run of one tree under one seed and split was admitted; counts as one experiment."""

    kind: ClassVar[str] = "experiment_queued"
    experiment_id: str
    """``e0001`` and so on, in order of admission; ``b0001`` for baseline calibration."""
    purpose: Purpose
    commit: str
    tree_key: str
    hypothesis: str
    """Post id of the hypothesis it serves; empty for baseline runs."""
    charged_to: str
    """Agent whose budget it counts against; ``lab`` for baseline runs."""
    requested_by: str
    """Agent that asked: proposer, reproducer, or ``lab``."""
    split: Literal["dev", "vault", "seal"]
    measurement: int
    """n of (run seed, tree key, n), from which the seed derives."""
    seed: int
    pair: int = 0
    """Which pair of a confirmation it belongs to, from 1; 0 otherwise."""
    slot: str = ""
    """The slot it has to run on; empty for any."""
    beside: str = ""
    """In a confirmation, of a child's run: the verdict on an earlier run of the parent that it is
    paired with; empty where the pair has a parent's run of its own."""


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A slot was leased for an experiment."""

    kind: ClassVar[str] = "attempt_started"
    experiment_id: str
    attempt: int
    slot: str


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """The lease was given back; absent for an attempt that was lost with its process."""

    kind: ClassVar[str] = "attempt_ended"
    experiment_id: str
    attempt: int
    slot: str
    outcome: Literal["ok", "invalid", "interrupted", "scorer_failed"]
    reason: str
    leased_us: int
    """Run time at which the lease began."""
    train_us: tuple[int, int]
    """Run times between which a train process was alive."""
    answer_us: tuple[int, int]
    """Run times between which an answering process was alive; (0, 0) when there was none."""
    train_cpu_s: float
    score_cpu_s: float
    start_s: float
    """Wall seconds from lease to hand-over."""
    charge_s: float | None = None
    """Device seconds it counts for, by `trainer.experiment.Budget.charge_s`; None in older ledgers,
    where that was the CPU time of training."""
    gate_cpu_s: float = 0.0
    """CPU seconds of the seed gate; part of the charge."""
    slowdown: float | None = None
    """How many times its usual time the reference kernel took; None where time does not count."""

    @property
    def is_trained(self) -> bool:
        """Whether training succeeded, so that an answering process was asked for."""
        return self.answer_us != (0, 0)


@dataclass(frozen=True, slots=True)
class VerdictGiven:
    """The scorer's word on one experiment; at most one each, with outcome ok or invalid."""

    kind: ClassVar[str] = "verdict_given"
    verdict_id: str
    experiment_id: str
    commit: str
    tree_key: str
    split: Literal["dev", "vault", "seal"]
    seed: int
    outcome: Literal["ok", "invalid"]
    score: float | None
    reason: str
    lock_hash: str
    corpus_hash: str
    device_class: str
    isolation: Literal["full", "partial", "none"]
    measured_by: Literal["scorer", "model", "candidate"]
    train_cpu_s: float
    train_wall_s: float
    score_cpu_s: float
    score_wall_s: float
    is_deterministic: bool = False
    """Whether training ended in the same bytes under two seeds; said of a tree's first verdict."""
    is_slow: bool = False
    """Whether it was timed on a machine that had slowed down, for the second time."""
    slot: str = ""
    """Where it ran; empty in older ledgers."""
    sketch: str = ""
    """Of its artefact (`trainer.sketch`); empty if it has none, and in older ledgers."""


@dataclass(frozen=True, slots=True)
class NoiseEstimated:
    """The baseline was calibrated."""

    kind: ClassVar[str] = "noise_estimated"
    device_class: str
    mean: float
    sigma: float
    """Standard deviation between seeds, n - 1 in the denominator."""
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """A hypothesis climbed or fell on the ladder of statuses."""

    kind: ClassVar[str] = "status_changed"
    hypothesis: str
    commit: str
    status: str
    gain: float | None
    threshold: float | None
    """The gain that was needed."""
    by: str
    """Proposer for a screen, reproducer (or ``lab``) for a confirmation."""
    verdicts: tuple[str, ...]
    """Verdict ids it rests on."""
    t: float | None = None
    """The gain in its own standard errors; None where nothing was measured, and in older ones."""
    low: float | None = None
    """Lower end of the two-sided 95 % interval of the gain."""
    high: float | None = None
    p: float | None = None
    """One-sided probability of such a gain by chance, looks counted."""
    pairs: int = 0
    """Pairs of runs it rests on; 0 for a screen."""
    may_confirm: bool = False
    """Whether a screen gives the right to be confirmed although it is not improved."""


@dataclass(frozen=True, slots=True)
class ReproductionOpened:
    """Somebody took a confirmation upon himself."""

    kind: ClassVar[str] = "reproduction_opened"
    hypothesis: str
    by: str
    is_drawn: bool = False
    """Whether nobody would have confirmed it, had it not been drawn (`ConfirmationDrawn`)."""


@dataclass(frozen=True, slots=True)
class FrontierMoved:
    """A reproduced commit became the best of its device class."""

    kind: ClassVar[str] = "frontier_moved"
    commit: str
    hypothesis: str
    score: float
    """Mean of its runs on vault. What it leads by is `scoring.evidence.standing`."""


@dataclass(frozen=True, slots=True)
class SealScored:
    """What led in the end, and the baseline, on ``seal``; only in older ledgers, once a run."""

    kind: ClassVar[str] = "seal_scored"
    commit: str
    hypothesis: str
    experiment_id: str
    """Whose artefact was asked: the last valid run of the commit's confirmation."""
    outcome: Literal["ok", "invalid", "interrupted", "scorer_failed"]
    score: float | None
    reason: str
    """Why there is no score: a word of `scoring.verdict.Score`, or ``artefact``: it is gone."""
    baseline_experiment_id: str
    """The last valid calibration run; empty where another run's were taken over."""
    baseline_score: float | None
    baseline_reason: str
    score_cpu_s: float
    """CPU seconds of the answering processes of both."""


@dataclass(frozen=True, slots=True)
class Noticed:
    """A public word of the institution."""

    kind: ClassVar[str] = "noticed"
    notice: str
    text: str


Event = (
    RunOpened
    | RunResumed
    | RunStopped
    | AgentJoined
    | TurnTaken
    | Posted
    | Refused
    | Proposed
    | ExperimentQueued
    | AttemptStarted
    | AttemptEnded
    | VerdictGiven
    | NoiseEstimated
    | StatusChanged
    | ReproductionOpened
    | FrontierMoved
    | SealScored
    | Noticed
    | EvidenceEvent
    | ForumEvent
    | MindEvent
)


@dataclass(frozen=True, slots=True)
class Row:
    """An event as the ledger holds it."""

    seq: int
    """From 1, without gaps."""
    at_us: int
    """Microseconds of run time (loop time since the run began, stops left out)."""
    event: Event
