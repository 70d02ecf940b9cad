"""Score phases that take a short way: no hurry with answers, and one held-out text for all ends."""

from __future__ import annotations

from pathlib import Path

from community.score_phase import DEADLINE_S, SandboxedScorePhase, Scored
from scoring.scorer import Scorer
from scoring.verdict import Split
from trainer.executor import Executor
from trainer.experiment import Budget
from trainer.gpu_pool import Lease
from trainer.task import Task


class PatientPhase(SandboxedScorePhase):
    """The score phase, waiting as long as something still comes."""

    def __init__(
        self,
        executor: Executor,
        scorer: Scorer,
        task: Task,
        budget: Budget,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        super().__init__(executor, scorer, task, budget, max(deadline_s, DEADLINE_S))


class OneSplitPhase(SandboxedScorePhase):
    """The score phase with one split: what was screened on it is confirmed on it."""

    async def score(
        self,
        artefact: Path,
        workspace: Path,
        split: Split,
        lease: Lease,
        seed: int,
        baseline_cpu_s: float | None = None,
    ) -> Scored:
        """Score on ``dev``, whatever is asked."""
        return await super().score(artefact, workspace, "dev", lease, seed, baseline_cpu_s)
