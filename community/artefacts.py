"""Which artefacts a run keeps, and where: those of the commit that leads, and one of the baseline.

An artefact has up to 8 MiB, so a long run that kept all of them would fill the disk. The leading
commit's are what a run is for, and the seal (`community.sealing`) asks one of them and the
baseline's last.
"""

from __future__ import annotations

from pathlib import Path

from community.archive.queries import leader
from community.archive.state import ExperimentState, RunState
from community.events import ExperimentQueued
from community.run_folder import RunFolder
from trainer.train_phase import ARTEFACT_NAME


def is_kept_for_now(queued: ExperimentQueued) -> bool:
    """Whether the artefact of such an experiment outlives its score, until `clear` has its say."""
    return queued.purpose in ("confirm_child", "baseline")


def artefact_of(folder: RunFolder, experiment: ExperimentState) -> Path:
    """Return where the artefact of an experiment's last attempt lies, if it is there."""
    name, attempts = experiment.queued.experiment_id, len(experiment.attempts)
    return folder.job(f"{name}-{attempts}") / ARTEFACT_NAME


def leading_run(state: RunState) -> ExperimentState | None:
    """Return the last valid run of the confirmation that made a commit lead; None without one."""
    if (leading := leader(state)) is None:
        return None
    claim = state.hypotheses[leading.hypothesis]
    served = (state.experiments[name] for name in claim.experiments)
    return _last_valid([e for e in served if e.queued.purpose == "confirm_child"])


def baseline_run(state: RunState) -> ExperimentState | None:
    """Return the last valid calibration run that was made here; None if there was none."""
    return _last_valid([e for e in state.experiments.values() if e.is_baseline and e.attempts])


def clear(state: RunState, folder: RunFolder) -> None:
    """Delete what is not kept: other baselines, and confirmed commits that do not lead.

    Only a confirmation makes a commit lead, so others are deleted as soon as they are scored. Once
    the seal has been asked, nothing needs a baseline's.
    """
    baseline = baseline_run(state)
    for experiment in state.experiments.values():
        is_the_one = experiment is baseline and state.seal is None
        if experiment.is_baseline and not is_the_one and not experiment.is_running:
            _delete(folder, experiment)
    leading = leader(state)
    for claim in state.hypotheses.values():
        if claim.confirmations and (leading is None or claim.post_id != leading.hypothesis):
            for name in claim.experiments:
                _delete(folder, state.experiments[name])


def _last_valid(experiments: list[ExperimentState]) -> ExperimentState | None:
    standing = ((e, e.standing_verdict) for e in reversed(experiments))
    return next((e for e, verdict in standing if verdict and verdict.outcome == "ok"), None)


def _delete(folder: RunFolder, experiment: ExperimentState) -> None:
    for attempt in experiment.attempts:
        job = folder.job(f"{experiment.queued.experiment_id}-{attempt.attempt}")
        (job / ARTEFACT_NAME).unlink(missing_ok=True)
