"""Calibration: the unmodified start on several seeds, before anybody proposes anything.

Its mean is what gains are told against, its spread what they must clear. The runs go through the
same scheduler at the run's own concurrency, but are listed apart from experiments.
"""

from __future__ import annotations

from dataclasses import replace

from community.archive.state import BASELINE, RunState
from community.chronicle import Chronicle
from community.errors import BaselineFailedError
from community.events import ExperimentQueued, NoiseEstimated, VerdictGiven
from community.scheduler import Request, Scheduler
from scoring.noise import estimate


async def calibrate(chronicle: Chronicle, scheduler: Scheduler, runs: int) -> None:
    """Measure the baseline `runs` times and record its noise band, unless that is done.

    Raises:
        BaselineFailedError: a baseline run is invalid, so that nothing could be compared with it.
    """
    state = chronicle.state
    if state.noise is not None:
        return
    opened = state.opened
    assert opened is not None
    ids = [e.queued.experiment_id for e in state.experiments.values() if e.is_baseline]
    request = Request(
        commit=opened.baseline_commit,
        tree_key=opened.baseline_tree_key,
        hypothesis="",
        purpose="baseline",
        split="dev",
        charged_to=BASELINE,
        requested_by=BASELINE,
    )
    ids += [scheduler.admit(request) for _ in range(len(ids), runs)]
    for experiment_id in ids:
        verdict = await scheduler.verdict(experiment_id)
        if verdict.outcome != "ok":
            raise BaselineFailedError(experiment_id, verdict.reason)
    record_noise(chronicle)


def record_noise(chronicle: Chronicle) -> None:
    """Estimate the noise band from the baseline's runs and record it."""
    opened = chronicle.state.opened
    assert opened is not None
    band = estimate(chronicle.state.scores(opened.baseline_tree_key, "dev"))
    chronicle.record(NoiseEstimated(opened.device_class, band.mean, band.sigma, band.scores))


def share_baseline(chronicle: Chronicle, other: RunState) -> bool:
    """Take over the baseline runs of another run of the same seed, so that arms share them.

    Returns:
        False, with nothing recorded, when the other run was made under another lock, corpus, device
        class, budget or start tree, or this run has a baseline already.
    """
    mine, theirs = chronicle.state.opened, other.opened
    if mine is None or theirs is None or chronicle.state.experiments:
        return False
    same = ("seed", "lock_hash", "corpus_hash", "device_class", "baseline_tree_key")
    if any(getattr(mine, name) != getattr(theirs, name) for name in same):
        return False
    events: list[ExperimentQueued | VerdictGiven] = []
    for experiment in other.experiments.values():
        if experiment.is_baseline and experiment.verdict is not None:
            events.append(replace(experiment.queued, commit=mine.baseline_commit))
            events.append(replace(experiment.verdict, commit=mine.baseline_commit))
    if not events:
        return False
    chronicle.record(*events)
    record_noise(chronicle)
    return True
