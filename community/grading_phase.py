"""The score phase of data: no sandbox, the scorer grades the bytes in a process of its own.

Nothing of a candidate runs any more, so there is nobody to be asked; the file's descriptor goes to
the scorer, and a score comes back. Why data were refused is written below the candidate's log,
which whoever may read the log can read: what checks them has seen nothing that is held out.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

from community.score_phase import Scored
from scoring.judging import Bound, Bounding, Judging
from scoring.scorer import Scorer
from scoring.verdict import Split
from trainer.gpu_pool import Lease
from trainer.task import Task
from trainer.task_file import BoundTable
from trainer.train_phase import LOG_NAME

_log = logging.getLogger(__name__)

_WALL_PER_CPU = 6.0
"""Both looks at an artefact together may take so many times the processor time of one by the wall:
they run beside whatever the slots do."""
_LEAST_WALL_S = 30.0


class GradingPhase:
    """Implements `community.score_phase.ScorePhase` for data.

    Args:
        scorer: Grades them.
        task: Whose they are.
    """

    def __init__(self, scorer: Scorer, task: Task) -> None:
        assert task.artifact is not None
        self._scorer = scorer
        self._deadline_s = max(_LEAST_WALL_S, _WALL_PER_CPU * task.artifact.grading_cpu_s)

    async def score(
        self,
        artefact: Path,
        workspace: Path,
        split: Split,
        lease: Lease,
        seed: int,
        baseline_cpu_s: float | None = None,
    ) -> Scored:
        """Have `artefact` graded on `split`; the rest is for those that ask a model.

        Cancellation: the grade is dropped when it comes.
        """
        descriptor = os.open(artefact, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        score = await self._scorer.grade(split, descriptor, self._deadline_s)
        if score.reason in ("grader", "scorer"):  # for people alone: it may quote what is held out
            job, said = artefact.parent.name, self._scorer.complaints()
            _log.warning("%s: the task's grader failed; it said last:\n%s", job, said)
        if score.told:
            await asyncio.to_thread(_tell, artefact.parent / LOG_NAME, score.reason, score.told)
        return Scored(score, score.cpu_s)


def judging_of(task: Task) -> Judging | None:
    """Return how the data of `task` are judged; None of a task that leaves a model."""
    if task.artifact is None:
        return None

    def bounds(tables: tuple[BoundTable, ...], kind: Bounding) -> list[Bound]:
        return [Bound(each.measure, kind, each.least, each.most) for each in tables]

    return Judging(
        metric=task.scored_metric,
        format=task.artifact.format,
        numbers=task.artifact.numbers,
        most_bytes=task.artefact_bytes,
        cpu_s=task.artifact.grading_cpu_s,
        bounds=(*bounds(task.constraints, "constraint"), *bounds(task.guards, "guard")),
    )


def _tell(log: Path, reason: str, told: str) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(f"\n[graded: {reason}] {told}\n")
