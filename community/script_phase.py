"""The score of a script is what it printed of itself: read, bounded, marked as its own word.

Another `community.score_phase.ScorePhase`. Nothing is measured here: `trainer.script` has read the
final block, and what it says goes into the verdict as the candidate's.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from community.events import ExperimentQueued
from community.evidence_events import NumbersTold
from community.grading_phase import GradingPhase
from community.score_phase import Scored
from scoring.scorer import Scorer
from scoring.verdict import Score, Split
from trainer.gpu_pool import Lease
from trainer.script.script_phase import TOLD_NAME
from trainer.task import Task


@dataclass(frozen=True, slots=True)
class ToldScore(Scored):
    """A score that the candidate reported, with what it said beside it."""

    numbers: Mapping[str, float] = field(default_factory=dict)


class ScriptScorePhase:
    """Takes a script's word; implements `community.score_phase.ScorePhase`."""

    async def score(
        self,
        artefact: Path,
        workspace: Path,
        split: Split,
        lease: Lease,
        seed: int,
        baseline_cpu_s: float | None = None,
    ) -> Scored:
        """Return what the script reported, whatever the split: it evaluates itself."""
        text = await asyncio.to_thread(artefact.read_text, "utf-8")
        told = {str(key): float(number) for key, number in json.loads(text).items()}
        value = told.pop("")
        assert math.isfinite(value)
        score = Score("ok", value, "", positions=0, probes=0, wall_s=0.0)
        return ToldScore(score, 0.0, numbers=told)


class GradedScriptPhase:
    """Grades the file that a script left, and notes what it printed beside that."""

    def __init__(self, scorer: Scorer, task: Task) -> None:
        self._grading = GradingPhase(scorer, task)

    async def score(
        self,
        artefact: Path,
        workspace: Path,
        split: Split,
        lease: Lease,
        seed: int,
        baseline_cpu_s: float | None = None,
    ) -> Scored:
        """Return the grade, as `community.grading_phase.GradingPhase.score`."""
        text = await asyncio.to_thread((artefact.parent / TOLD_NAME).read_text, "utf-8")
        numbers = {str(key): float(number) for key, number in json.loads(text).items()}
        graded = await self._grading.score(artefact, workspace, split, lease, seed, baseline_cpu_s)
        return ToldScore(graded.score, graded.cpu_s, graded.sketch, numbers)


def told_rows(queued: ExperimentQueued, scored: Scored | None) -> tuple[NumbersTold, ...]:
    """Return the row with what a script said of itself; none for whatever else was scored."""
    if not isinstance(scored, ToldScore) or not scored.numbers:
        return ()
    return (NumbersTold(queued.experiment_id, dict(scored.numbers)),)
