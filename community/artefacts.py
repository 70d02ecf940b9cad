"""Which artefacts a run keeps: those of the commit that leads, or the best data: what it is for.

An artefact has up to 8 MiB, so a long run that kept all of them would fill the disk.
"""

from __future__ import annotations

from pathlib import Path

from community.archive.queries import leader
from community.archive.state import ExperimentState, RunState
from community.events import ExperimentQueued
from community.run_folder import RunFolder
from trainer.left_data import artefact_name
from trainer.task import Task

KEPT_DATA = 8
"""Where data are the result, the best so many are kept, of whichever commit."""


class Artefacts:
    """Deletes what is not kept.

    Args:
        folder: The run's.
        task: Whose artefacts they are.
    """

    def __init__(self, folder: RunFolder, task: Task) -> None:
        self._folder = folder
        self._name = artefact_name(task.leaves)
        self._are_data = task.artifact is not None
        self._cleared: set[str] = set()
        """Experiments that have left nothing any more."""

    def is_kept_for_now(self, queued: ExperimentQueued) -> bool:
        """Whether such an artefact outlives its score, until `clear` has its say."""
        return self._are_data or queued.purpose == "confirm_child"

    def clear(self, state: RunState) -> None:
        """Delete what is not kept any more.

        Of models those of confirmed commits that do not lead: only a confirmation makes a commit
        lead, so others are deleted as soon as they are scored. Of data all but the best.
        """
        if self._are_data:
            best = {run.queued.experiment_id for run in best_data(state)[:KEPT_DATA]}
            for run in state.by_verdict:
                name = run.queued.experiment_id
                if name not in best and name not in self._cleared:
                    self._delete(run)
            return
        left = [
            (claim, name)
            for claim in state.hypotheses.values()
            if claim.confirmations
            for name in claim.experiments
            if name not in self._cleared
        ]
        leading = leader(state) if left else None
        for claim, name in left:
            if leading is None or claim.post_id != leading.hypothesis:
                self._delete(state.experiments[name])

    def _delete(self, experiment: ExperimentState) -> None:
        for attempt in experiment.attempts:
            job = self._folder.job(f"{experiment.queued.experiment_id}-{attempt.attempt}")
            (job / self._name).unlink(missing_ok=True)
        if experiment.is_done:
            self._cleared.add(experiment.queued.experiment_id)


def best_data(state: RunState) -> list[ExperimentState]:
    """Return the valid runs that left data, the best first, of equal ones the oldest."""
    sign = -1.0 if state.opened is not None and state.opened.direction == "higher" else 1.0
    found = [
        (sign * verdict.score, place, run)
        for place, run in enumerate(state.by_verdict)
        if run.queued.experiment_id in state.evidence.graded
        and (verdict := run.standing_verdict) is not None
        and verdict.score is not None
    ]
    return [run for *_, run in sorted(found, key=lambda each: each[:2])]


def data_file(folder: RunFolder, run: ExperimentState, leaves: str) -> Path:
    """Return where the data of a run lie while they are kept."""
    last = run.attempts[-1].attempt if run.attempts else 1
    return folder.job(f"{run.queued.experiment_id}-{last}") / artefact_name(leaves)
