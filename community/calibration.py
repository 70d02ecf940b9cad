"""Calibration: the unmodified start on several seeds, before anybody proposes anything.

Its mean is what gains are told against, its spread what they must clear. The runs go through the
same scheduler at the run's own concurrency, but are listed apart from experiments.
"""

from __future__ import annotations

from dataclasses import replace

from community.archive.state import BASELINE, RunState
from community.chronicle import Chronicle
from community.errors import BaselineDiffersError, BaselineFailedError
from community.events import ExperimentQueued, NoiseEstimated, VerdictGiven
from community.scheduler import Bench, Request, Scheduler
from scoring.evidence.noise import estimate

_ALIKE = {
    "seed": "the seeds",
    "lock_hash": "the scorers or the locked files",
    "trainer_hash": "the trainer's files",
    "corpus_hash": "the held-out texts",
    "secret_hash": "the run secrets",
    "device_class": "the machines",
    "baseline_tree_key": "the start trees or budgets",
    "isolation": "the degrees of isolation",
    "measured_by": "those whose word scores are",
}
"""What two runs must have in common for one baseline, and how people call it."""


async def calibrate(chronicle: Chronicle, scheduler: Scheduler, bench: Bench, runs: int) -> None:
    """Measure the baseline `runs` times in this device class; record its noise band, once.

    A life of the run on a machine of another speed is another class, and begins with runs of its
    own. They are dealt to the slots in turn, so that each has its share of references.

    Args:
        chronicle: The ledger and its fold.
        scheduler: Runs them.
        bench: What they are run with: its slots, and the device class of this life.
        runs: How many.

    Raises:
        BaselineFailedError: a baseline run is invalid, so that nothing could be compared with it.
    """
    state, device_class, slots = chronicle.state, bench.life_class, bench.pool.names
    if state.noise is not None and state.noise.device_class == device_class:
        return
    opened = state.opened
    assert opened is not None
    ids = [
        e.queued.experiment_id
        for e in state.experiments.values()
        if e.is_baseline and (e.verdict is None or e.verdict.device_class == device_class)
    ]
    for number in range(len(ids), runs):
        request = Request(
            commit=opened.baseline_commit,
            tree_key=opened.baseline_tree_key,
            hypothesis="",
            purpose="baseline",
            split="dev",
            charged_to=BASELINE,
            requested_by=BASELINE,
            slot=slots[number % len(slots)],
        )
        ids.append(scheduler.admit(request))
    for experiment_id in ids:
        verdict = await scheduler.verdict(experiment_id)
        if verdict.outcome != "ok":
            last = chronicle.state.experiments[experiment_id].attempts[-1]
            is_trained = last.ended is not None and last.ended.is_trained
            raise BaselineFailedError(
                experiment_id, last.attempt, verdict.reason, is_trained=is_trained
            )
    record_noise(chronicle, device_class)


def record_noise(chronicle: Chronicle, device_class: str) -> None:
    """Estimate the noise band from the baseline's runs in a device class and record it."""
    state = chronicle.state
    assert state.opened is not None
    verdicts = (e.verdict for e in state.experiments.values() if e.is_baseline)
    band = estimate(
        [
            verdict.score
            for verdict in verdicts
            if verdict is not None
            and verdict.score is not None
            and verdict.device_class == device_class
        ]
    )
    chronicle.record(NoiseEstimated(device_class, band.mean, band.sigma, band.scores))


def share_baseline(chronicle: Chronicle, other: RunState) -> bool:
    """Take over the baseline runs of another run of the same seed, so that arms share them.

    Returns:
        False, with nothing recorded, when this run has a baseline already.

    Raises:
        BaselineDiffersError: the other run has no baseline, or was made under another seed, lock,
            corpus, device class, budget or start tree.
    """
    mine, theirs = chronicle.state.opened, other.opened
    if chronicle.state.experiments:
        return False
    assert mine is not None
    if theirs is None:
        raise BaselineDiffersError("without a first row", ("all that it was made with",))
    differs = [
        what for name, what in _ALIKE.items() if getattr(mine, name) != getattr(theirs, name)
    ]
    if differs:
        raise BaselineDiffersError(theirs.run_id, differs)
    events: list[ExperimentQueued | VerdictGiven] = []
    for experiment in other.experiments.values():
        if experiment.is_baseline and experiment.verdict is not None:
            events.append(replace(experiment.queued, commit=mine.baseline_commit))
            events.append(replace(experiment.verdict, commit=mine.baseline_commit))
    if not events or other.noise is None:
        raise BaselineDiffersError(theirs.run_id, ("the numbers of baseline runs (it has none)",))
    chronicle.record(*events)
    record_noise(chronicle, other.noise.device_class)
    return True
