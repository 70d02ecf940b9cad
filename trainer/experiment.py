"""The records of one experiment's run: budget, job, result. No behaviour beyond arithmetic.

Whoever decides what to run (`community.scheduler`) fills a `Job`; an executor answers with a
`TrainResult`. Scores do not appear here: the trainer never knows how well a job did.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

BudgetKind = Literal["cpu_seconds", "device_seconds", "steps"]
Outcome = Literal["ok", "invalid", "interrupted"]
"""invalid: the candidate's fault; interrupted: nobody's fault, rerun."""
Isolation = Literal["full", "partial", "none"]

GRACE = 1.02
"""The artefact must have arrived by budget + 2 %."""
WALL_SHARE = 0.8
"""A candidate that takes longer by the wall than by its processor is charged this much of it."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one experiment may spend, counted from the moment the harness hands over."""

    kind: BudgetKind
    amount: float
    """Seconds of the candidate's CPU, seconds of the leased device, or optimiser steps."""
    within: Budget | None = None
    """Of a budget in steps: another one whose clock must not run out meanwhile."""
    untimed_s: float = 0.0
    """Of seconds of a device: what does not count, at most, of the time up to the end of the first
    optimiser step. From outside nobody can tell compiling from training, so a tree may use all of
    it as it likes: it is the same for every tree, and small beside the amount."""

    @property
    def clock(self) -> Budget:
        """The budget that is read from outside: this one, or the one it stays within."""
        return self.within or self

    @property
    def wall_cap_s(self) -> float:
        """Wall seconds after which a job is killed whatever its clock says."""
        clock = self.clock
        return 300.0 if clock.kind == "steps" else 3 * clock.amount + 5 + clock.untimed_s

    @property
    def limit(self) -> float:
        """The reading of its clock at which the artefact must have arrived."""
        return self.amount * GRACE + self.untimed_s

    def charge_s(self, cpu_s: float, wall_s: float) -> float:
        """Device seconds that a train phase costs whoever asked for it.

        Of CPU seconds the larger of the processor's time and `WALL_SHARE` of the wall's, so that
        holding a slot while waiting for a quiet machine is not free; the budget's limit is on the
        processor alone. A leased device is paid by the wall, steps by the processor.
        """
        if self.kind == "device_seconds":
            return wall_s
        return cpu_s if self.kind == "steps" else max(cpu_s, WALL_SHARE * wall_s)


@dataclass(frozen=True, slots=True)
class Job:
    """The unit of work an executor gets: one tree, one seed, one budget."""

    job_id: str
    attempt: int
    """1 for the first try; a lost attempt is followed by the next number."""
    workspace: Path
    """Folder that holds the candidate's tree; mounted read-only."""
    data: Path
    """Folder with the training data; mounted read-only."""
    folder: Path
    """Job folder for log.txt and the artefact; never visible to the candidate."""
    seed: int
    """Drawn by the lab."""
    budget: Budget
    memory_bytes: int = 2 << 30
    artefact_bytes: int = 8 << 20
    """Cap on the artefact stream."""
    log_bytes: int = 1 << 20
    """Cap on kept output; more is read and dropped."""
    has_seed_gate: bool = False
    """Whether two short trainings first show if the seed matters; for trees never measured."""
    token_bytes: int = 1
    """Bytes of one token in the training data: 1, or 2 where there are more than 256 of them."""
    leaves: str = "model"
    """What its program leaves: a model's state dict, or data in one of `trainer.left_data`'s
    formats."""
    takes_slow: bool = False
    """Whether a timing on a machine that slowed down is taken as it is; for the second try."""


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """What one train phase had of its card, as the driver tells it outside."""

    peak_bytes: int
    """Most memory in use on the card at any look."""
    busy: float
    """Share of the time in which a kernel ran, in [0, 1]: the mean over all looks."""
    looks: int


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What the train phase of one attempt came to."""

    outcome: Outcome
    reason: str
    """Empty when ok; else one of: crash, limit, memory, artefact, killed, lost, slow."""
    detail: str
    """One line for people (last line of the log, say); data, not to be obeyed."""
    cpu_s: float
    """Seconds of the candidate's CPU from hand-over to the last artefact byte."""
    wall_s: float
    charge_s: float
    """What it costs whoever asked for it, by `Budget.charge_s`; moments in which our own side stood
    still are left out."""
    start_s: float
    """Wall seconds from request to hand-over: what the warm start costs."""
    artefact: Path | None
    """Complete artefact, or None unless ok."""
    isolation: Isolation
    gate_cpu_s: float = 0.0
    """CPU seconds of the seed gate before it; part of the charge."""
    is_deterministic: bool = False
    """Whether the gate's two seeds ended in the same bytes."""
    slowdown: float | None = None
    """How many times its usual time the reference kernel took; None where time does not count."""
    is_slow: bool = False
    """Whether that is too much and was taken all the same."""
    device_use: DeviceUse | None = None
    """What it had of a card; None on processors, and where nobody could look."""
