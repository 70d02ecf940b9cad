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


@dataclass(frozen=True, slots=True)
class Budget:
    """What one experiment may spend, counted from the moment the harness hands over."""

    kind: BudgetKind
    amount: float
    """Seconds of the candidate's CPU, seconds of the leased device, or optimiser steps."""

    @property
    def wall_cap_s(self) -> float:
        """Wall seconds after which a job is killed whatever its clock says."""
        return 300.0 if self.kind == "steps" else 3 * self.amount + 5


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
    """Job folder for log.txt and artefact.safetensors; never visible to the candidate."""
    seed: int
    """Drawn by the lab."""
    budget: Budget
    memory_bytes: int = 2 << 30
    artefact_bytes: int = 8 << 20
    """Cap on the artefact stream."""
    log_bytes: int = 1 << 20
    """Cap on kept output; more is read and dropped."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What the train phase of one attempt came to."""

    outcome: Outcome
    reason: str
    """Empty when ok; else one of: crash, limit, memory, artefact, killed, lost."""
    detail: str
    """One line for people (last line of the log, say); data, not to be obeyed."""
    cpu_s: float
    """Seconds of the candidate's CPU from hand-over to the last artefact byte."""
    wall_s: float
    start_s: float
    """Wall seconds from request to hand-over: what the warm start costs."""
    artefact: Path | None
    """Complete artefact, or None unless ok."""
    isolation: Isolation
