"""Which artefacts a run keeps: those of the commit that leads, which are what a run is for.

An artefact has up to 8 MiB, so a long run that kept all of them would fill the disk.
"""

from __future__ import annotations

from community.archive.queries import leader
from community.archive.state import ExperimentState, RunState
from community.events import ExperimentQueued
from community.run_folder import RunFolder
from trainer.train_phase import ARTEFACT_NAME


def is_kept_for_now(queued: ExperimentQueued) -> bool:
    """Whether the artefact of such an experiment outlives its score, until `clear` has its say."""
    return queued.purpose == "confirm_child"


class Artefacts:
    """Deletes what is not kept.

    Args:
        folder: The run's.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._cleared: set[str] = set()
        """Experiments that have left nothing any more."""

    def clear(self, state: RunState) -> None:
        """Delete the artefacts of confirmed commits that do not lead.

        Only a confirmation makes a commit lead, so others are deleted as soon as they are scored.
        """
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
            (job / ARTEFACT_NAME).unlink(missing_ok=True)
        if experiment.is_done:
            self._cleared.add(experiment.queued.experiment_id)
