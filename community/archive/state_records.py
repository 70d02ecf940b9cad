"""The parts of a folded run: what is known of one post, hypothesis, experiment, agent.

Plain records that `community.archive.state.RunState` fills row by row. Readers treat them as
read-only; only the fold writes. Nothing here decides anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from community.events import (
    APART,
    AttemptEnded,
    ExperimentQueued,
    Posted,
    Proposed,
    ReproductionOpened,
    StatusChanged,
    VerdictGiven,
)
from forum.messages import KnobValue, Post


@dataclass(frozen=True, slots=True)
class PostRecord:
    """A post with its place in the ledger."""

    seq: int
    """Ledger sequence number; orders all posts."""
    at_us: int
    """Microseconds of run time."""
    posted: Posted

    def as_post(self) -> Post:
        """Return the whole post, nothing thinned out."""
        return Post.model_validate(
            {
                "post_id": self.posted.post_id,
                "seq": self.seq,
                "at_us": self.at_us,
                "author": self.posted.author,
                "message_id": self.posted.message_id,
                "thread": self.posted.thread,
                "body": self.posted.body,
            }
        )


@dataclass(slots=True, weakref_slot=True)
class HypothesisState:
    """A posted hypothesis and how far up the ladder of statuses it is."""

    post_id: str
    commit: str
    parents: tuple[str, ...]
    """Commits; the first is the one that the gain is measured against."""
    author: str
    """Who posted it."""
    proposer: str
    """Who committed the tree; the author unless the ledger names somebody else."""
    title: str
    knobs: dict[str, KnobValue]
    prediction: tuple[float, float]
    """(expected gain in the task's unit, positive is better; confidence from 0 to 1)."""
    tree_key: str
    """Empty when the ledger holds no proposal of this commit."""
    posted_us: int
    status: str = "measured"
    """The newest status; ``measured`` before the first change."""
    gain: float | None = None
    """Gain of the newest change, positive is better."""
    threshold: float | None = None
    """The gain that was needed for the newest change."""
    changes: list[tuple[int, StatusChanged]] = field(default_factory=list)
    """(run time in microseconds, change), oldest first."""
    confirmations: list[StatusChanged] = field(default_factory=list)
    """Those changes that ended a reproduction."""
    reproduced_by: str | None = None
    """Who reproduced it, while its status is ``reproduced``."""
    reproduction_by: str | None = None
    """Who has a reproduction open at the moment."""
    reproductions_opened: int = 0
    reproduction_us: int = 0
    """Run time at which the newest was opened."""
    was_drawn: bool = False
    """Whether a reproduction was opened for no other reason than that it was drawn."""
    experiments: list[str] = field(default_factory=list)
    """Ids of the experiments that serve it, in order of admission."""
    taken_back: frozenset[str] = frozenset()
    """Verdicts that a change of it cites and that count no more."""

    @classmethod
    def posted(cls, event: Posted, at_us: int, proposal: Proposed | None) -> HypothesisState:
        """Return it as it stands when its post has just been recorded."""
        body = event.body
        prediction = body["prediction"]
        return cls(
            post_id=event.post_id,
            commit=body["commit"],
            parents=tuple(body["parents"]),
            author=event.author,
            proposer=proposal.author if proposal else event.author,
            title=body["title"],
            knobs=body.get("knobs", {}),
            prediction=(prediction["gain"], prediction["confidence"]),
            tree_key=proposal.tree_key if proposal else "",
            posted_us=at_us,
        )

    def open_reproduction(self, event: ReproductionOpened, at_us: int) -> None:
        """Take note of a reproduction that was opened at run time `at_us`."""
        self.reproduction_by, self.reproduction_us = event.by, at_us
        self.was_drawn |= event.is_drawn
        self.reproductions_opened += 1

    @property
    def screened_gain(self) -> float | None:
        """Gain of the screen that stands, which is what the prediction was about.

        Whatever follows a screen is said by somebody else, and rests on numbers that no researcher
        is told.
        """
        screens = (c.gain for c in self.standing_changes if c.by == self.proposer)
        return next((gain for gain in screens if gain is not None), None)

    @property
    def was_improved(self) -> bool:
        """Whether it was ever found improved or reproduced, by runs that stand."""
        return any(change.status in {"improved", "reproduced"} for change in self.standing_changes)

    @property
    def standing_changes(self) -> list[StatusChanged]:
        """The changes that rest on no verdict that was taken back, oldest first."""
        return [c for _, c in self.changes if not self.taken_back.intersection(c.verdicts)]

    @property
    def awaits_screen(self) -> bool:
        """Whether no screen was judged yet, or what it was judged by has been taken back."""
        return self.status == "measured"


@dataclass(slots=True)
class AttemptState:
    """One try of an experiment."""

    attempt: int
    """From 1."""
    slot: str
    started_us: int
    ended: AttemptEnded | None = None
    ended_us: int | None = None
    """Run time of its end, or of the restart that found it lost; None while it runs."""
    is_lost: bool = False
    """Whether its process died with the run."""
    lost_s: float = 0.0
    """What a lost attempt is charged, in device seconds."""

    def lose(self, at_us: int, budget_s: float | None) -> None:
        """Mark it as lost, found so at run time `at_us`.

        Nobody saw how far it got, and run time stood still while nobody looked: it is charged all
        it might have spent. Of a budget in steps that is unknown, so its wall counts.
        """
        self.is_lost, self.ended_us = True, at_us
        self.lost_s = (at_us - self.started_us) / 1e6 if budget_s is None else budget_s

    @property
    def is_running(self) -> bool:
        """Whether it neither ended nor was lost."""
        return self.ended is None and not self.is_lost

    @property
    def is_cut_off(self) -> bool:
        """Whether the run's own stop ended it: a limit, or Ctrl-C."""
        return self.ended is not None and (
            (self.ended.outcome, self.ended.reason) == ("interrupted", "stopped")
        )

    @property
    def is_void(self) -> bool:
        """Whether its timing did not count because the machine had slowed down."""
        return self.ended is not None and self.ended.reason == "slow"

    @property
    def is_accident(self) -> bool:
        """Whether it was interrupted by nobody's fault: neither by a stop nor for the timing."""
        is_interrupted = self.ended is not None and self.ended.outcome == "interrupted"
        return is_interrupted and not self.is_cut_off and not self.is_void

    @property
    def charge_s(self) -> float:
        """Device seconds it counts for, in every sum and limit: the one place that says so.

        What the ledger says; the CPU time of training where an older one does not; the whole budget
        of a lost one.
        """
        if self.ended is None:
            return self.lost_s
        return self.ended.train_cpu_s if self.ended.charge_s is None else self.ended.charge_s


@dataclass(slots=True, weakref_slot=True)
class ExperimentState:
    """An admitted experiment, its attempts, and its verdict once there is one."""

    queued: ExperimentQueued
    queued_at_us: int
    attempts: list[AttemptState] = field(default_factory=list)
    verdict: VerdictGiven | None = None
    verdict_us: int | None = None
    is_retracted: bool = False
    """Whether its verdict was taken back: it is to be seen, and counts nowhere."""

    @property
    def standing_verdict(self) -> VerdictGiven | None:
        """Its verdict, unless that was taken back."""
        return None if self.is_retracted else self.verdict

    @property
    def is_baseline(self) -> bool:
        """Whether it belongs to calibration."""
        return self.queued.purpose == "baseline"

    @property
    def is_apart(self) -> bool:
        """Whether it came before the research or after it, and counts against no limit."""
        return self.queued.purpose in APART

    @property
    def is_done(self) -> bool:
        """Whether its verdict is known."""
        return self.verdict is not None

    @property
    def is_running(self) -> bool:
        """Whether an attempt runs at the moment."""
        return bool(self.attempts) and self.attempts[-1].is_running

    @property
    def was_void(self) -> bool:
        """Whether a timing of it was void before, so that the next one is taken as it is."""
        return any(attempt.is_void for attempt in self.attempts)

    @property
    def next_attempt(self) -> int:
        """The number that the next try has to carry."""
        return len(self.attempts) + 1


@dataclass(slots=True)
class AgentState:
    """A participant and where its mind goes on after a restart."""

    name: str
    role: str = ""
    mind: str = ""
    hears: tuple[str, ...] = ()
    """Whose posts reach it now."""
    next_turn: int = 0
    notebook: str = ""
    cost_usd: float = 0.0
    """Of its turns."""


@dataclass(slots=True)
class SpendState:
    """What was charged to one agent (or to ``lab``)."""

    experiments: int = 0
    train_cpu_s: float = 0.0
    """CPU seconds of attempts that ended."""
    score_cpu_s: float = 0.0
    lost_s: float = 0.0
    """What attempts that were lost are charged."""
    device_seconds: float = 0.0
    """What counts against a limit in device seconds: the charge of all attempts."""
