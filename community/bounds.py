"""Holds models to task.toml's constraints and guards, and whatever is graded to what the start has.

A guard is a slice of the score that a better whole must not be paid with. Bounds in numbers
(``least``, ``most``) hold for each run by itself; those of data are held by the scorer
(`scoring.data_grading`), those of models here, with the size of the artefact among what is bounded.
A bound beside the start (``below_start``) needs the start's own runs on the same split, which the
ledger has. A slice is noisier than the whole, so that noise is left out of the margin: a run breaks
such a bound only where it lies below the start's mean by the margin and three standard deviations
of a difference between one run and that mean.
"""

from __future__ import annotations

import asyncio
import logging
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from community.archive.state import RunState
from community.events import ExperimentQueued
from community.score_phase import Scored, ScorePhase
from scoring.verdict import Score, Split
from trainer.artefact import parameters
from trainer.gpu_pool import Lease
from trainer.task import Task
from trainer.task_file import BoundTable
from trainer.train_phase import LOG_NAME

PARAMETERS: Final = "parameters"
"""What a model's artefact holds, in float32 numbers (`trainer.artefact.parameters`)."""
NOISE_SIGMAS: Final = 3.0
LEAST_RUNS: Final = 2
"""Of the start on a split, before anything is held to it there."""
_log = logging.getLogger(__name__)


class BoundingScorePhase:
    """Adds a model's size to what another score phase measures, and holds both to the bounds.

    Args:
        inner: The one that scores; see `community.score_phase.ScorePhase`.
        task: Whose bounds.
    """

    def __init__(self, inner: ScorePhase, task: Task) -> None:
        self._inner = inner
        self._task = task

    async def score(
        self,
        artefact: Path,
        workspace: Path,
        split: Split,
        lease: Lease,
        seed: int,
        baseline_cpu_s: float | None = None,
    ) -> Scored:
        """Count, then have `artefact` scored; one that is too large is not asked anything.

        Cancellation: as the inner one.
        """
        log = artefact.parent / LOG_NAME
        size: dict[str, float] = {PARAMETERS: await asyncio.to_thread(parameters, artefact)}
        kind, bound = _broken(self._task, size, by_name=(PARAMETERS,))
        if bound is not None:
            told = f"{kind} {_words(bound)} is not kept: {size[PARAMETERS]:.0f}"
            await asyncio.to_thread(_tell, log, told)
            return Scored(_refused(kind, size), 0.0)
        scored = await self._inner.score(artefact, workspace, split, lease, seed, baseline_cpu_s)
        if scored.score.outcome != "ok":
            return scored
        measures = {**scored.score.measures, **size}
        unknown = [each.measure for each in _bounds(self._task) if each.measure not in measures]
        if unknown:
            known = ", ".join(measures)
            _log.warning("task.toml bounds %r, which is not measured; %s are", unknown[0], known)
            failed = replace(scored.score, outcome="scorer_failed", value=None, reason="scorer")
            return replace(scored, score=failed)
        kind, bound = _broken(self._task, measures)
        if bound is not None:  # the number is not told: it is about what is held out
            await asyncio.to_thread(_tell, log, f"{kind} {_words(bound)} is not kept")
            refused = replace(scored.score, outcome="invalid", value=None, reason=kind)
            return replace(scored, score=replace(refused, measures=measures))
        return replace(scored, score=replace(scored.score, measures=measures))


def held_to_start(
    scored: Scored, task: Task, queued: ExperimentQueued, state: RunState, job: Path
) -> Scored:
    """Return `scored`, refused where a bound beside the start's runs on this split is broken.

    The start itself is not held to anything, nor is anybody before it has run twice on the split.

    Args:
        scored: Of the run.
        task: Whose bounds.
        queued: The run.
        state: What the ledger says.
        job: Its folder, whose log gets a line that says which bound was broken, and no number.
    """
    beside = [each for each in _bounds(task) if each.below_start is not None]
    opened = state.opened
    if scored.score.outcome != "ok" or not beside or opened is None:
        return scored
    if queued.tree_key == opened.baseline_tree_key:
        return scored
    start = state.verdicts_by_tree.get((opened.baseline_tree_key, queued.split), ())
    for bound in beside:
        runs = [state.evidence.measures(run.experiment_id).get(bound.measure) for run in start]
        known = [value for value in runs if value is not None]
        if len(known) < LEAST_RUNS or bound.below_start is None:
            continue
        if scored.score.measures[bound.measure] < least_beside(known, bound.below_start):
            kind = "guard" if bound in task.guards else "constraint"
            _tell(job / LOG_NAME, f"{kind} {_words(bound)} is not kept")
            refused = replace(scored.score, outcome="invalid", value=None, reason=kind)
            return replace(scored, score=refused)
    return scored


def least_beside(start: Sequence[float], margin: float) -> float:
    """Return the least that a run may have beside those of the start.

    Args:
        start: Of its runs, two or more.
        margin: How far below their mean the truth may lie.
    """
    spread = statistics.stdev(start) * math.sqrt(1 + 1 / len(start))
    return statistics.fmean(start) - margin - NOISE_SIGMAS * spread


def _bounds(task: Task) -> tuple[BoundTable, ...]:
    return (*task.constraints, *task.guards)


def _broken(
    task: Task, measures: Mapping[str, float], by_name: Sequence[str] = ()
) -> tuple[str, BoundTable | None]:
    """Return which kind of bound is broken, and the first such; those `by_name` alone, if any."""
    for kind, bounds in (("constraint", task.constraints), ("guard", task.guards)):
        for bound in bounds:
            if by_name and bound.measure not in by_name:
                continue
            value = measures[bound.measure]
            is_low = bound.least is not None and value < bound.least
            if is_low or (bound.most is not None and value > bound.most):
                return kind, bound
    return "", None


def _refused(kind: str, measures: Mapping[str, float]) -> Score:
    return Score("invalid", None, kind, 0, 0, 0.0, measures=measures)


def _words(bound: BoundTable) -> str:
    """Return a bound as task.toml has it: ``parameters, most = 300000``."""
    limits = {"least": bound.least, "most": bound.most, "below_start": bound.below_start}
    told = (f"{name} = {value:g}" for name, value in limits.items() if value is not None)
    return ", ".join((bound.measure, *told))


def _tell(log: Path, told: str) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(f"\n[scored] {told}\n")
