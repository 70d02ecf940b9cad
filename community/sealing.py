"""The seal: one score, on held-out text by which nothing was decided, for the final report.

A run that tries many things on `dev` and confirms some on `vault` has chosen by both; what it says
of its best commit is honest only on text that was never asked. That text is good for one question.
It is asked when a run has ended in order, of the commit that leads then, and never again: a run
that is resumed under another limit keeps its first answer, whatever leads later. No researcher
hears of it. The baseline's last artefact is asked the same, so that the number has a neighbour.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from typing import Literal

from community import artefacts
from community.archive.queries import baseline_score_cpu_s
from community.archive.state import ExperimentState
from community.chronicle import Chronicle
from community.events import SealScored
from community.scheduler import Bench
from community.score_phase import Scored
from scoring.verdict import Score
from trainer.errors import ExecutorError
from trainer.workspace import write_workspace

TRIES = 2
"""How often a score is asked for that fails by nobody's fault: no number was told, so none is lost.
"""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What became of one artefact."""

    outcome: Literal["ok", "invalid", "interrupted", "scorer_failed"]
    score: float | None
    reason: str
    cpu_s: float = 0.0


async def ask_seal(chronicle: Chronicle, bench: Bench) -> None:
    """Score the leading commit and the baseline on ``seal`` and record it, unless that is done.

    A run in which no commit was reproduced has nothing to ask about, and keeps its seal for a later
    life. What goes wrong is recorded in place of a number.

    Raises:
        LockBrokenError: something that decides scores changed; nothing is recorded.

    Cancellation: nothing is recorded, and nobody has seen a number; the next end asks.
    """
    state = chronicle.state
    leader, baseline = artefacts.leading_run(state), artefacts.baseline_run(state)
    if state.seal is not None or leader is None:
        return
    usual_s = baseline_score_cpu_s(state)
    best = await _score(bench, leader, "seal-best", usual_s)
    plain = _Answer("ok", None, "")
    if baseline is not None:
        plain = await _score(bench, baseline, "seal-baseline", usual_s)
    event = SealScored(
        commit=leader.queued.commit,
        hypothesis=leader.queued.hypothesis,
        experiment_id=leader.queued.experiment_id,
        outcome=best.outcome,
        score=best.score,
        reason=best.reason,
        baseline_experiment_id=baseline.queued.experiment_id if baseline is not None else "",
        baseline_score=plain.score,
        baseline_reason=plain.reason,
        score_cpu_s=round(best.cpu_s + plain.cpu_s, 1),
    )
    chronicle.record(event)
    artefacts.clear(state, bench.folder)


async def _score(
    bench: Bench, run: ExperimentState, name: str, baseline_cpu_s: float | None
) -> _Answer:
    """Score the artefact that `run` left, of the tree in the repository."""
    artefact = artefacts.artefact_of(bench.folder, run)
    if not artefact.is_file():
        return _Answer("interrupted", None, "artefact")
    folder = bench.folder.job(name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    workspace = write_workspace(bench.repository.read(run.queued.commit), folder / "tree")
    cpu_s, score = 0.0, Score("interrupted", None, "executor", 0, 0, 0.0)
    for _ in range(TRIES):
        try:
            async with bench.pool.lease() as lease:
                scored: Scored = await bench.score_phase.score(
                    artefact, workspace, "seal", lease, run.queued.seed, baseline_cpu_s
                )
        except ExecutorError as error:
            _log.warning("seal: the executor failed: %s", error)
            continue
        cpu_s, score = cpu_s + scored.cpu_s, scored.score
        if score.outcome in ("ok", "invalid"):
            break
    return _Answer(score.outcome, score.value, score.reason, cpu_s)
