"""An experiment on a machine that slowed down: repeated once, then taken as it is, and told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from bench_script import ScriptedExecutor, calibrated, house, scenario_of, screened

from community.archive.state import RunState
from community.chronicle import Chronicle
from community.show import shown, summary_lines
from trainer.experiment import Job, TrainResult
from trainer.gpu_pool import Lease
from trainer.repository import Repository


class SlowMachine(ScriptedExecutor):
    """Every timing is 30 % slower than usual."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, bool]] = []

    async def train(self, job: Job, lease: Lease) -> TrainResult:
        """Void unless the job takes it."""
        self.asked.append((job.attempt, job.takes_slow))
        result = await super().train(job, lease)
        if job.takes_slow:
            return replace(result, slowdown=1.3, is_slow=True)
        return replace(result, outcome="interrupted", reason="slow", artefact=None, slowdown=1.3)


async def test_a_void_timing_is_repeated_once_and_marked(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
):
    """Two attempts, one verdict that says so; neither a lost attempt nor an endless loop."""
    calibrated(chronicle)
    async with house(chronicle, repository, tmp_path, scenario_of()) as home:
        scheduler: Any = home.institution._scheduler
        scheduler._bench = replace(scheduler._bench, executor=(slow := SlowMachine()))
        await screened(home, "ada", 1.5)
    state: RunState = chronicle.state
    experiment = state.experiments["e0001"]
    assert slow.asked == [(1, False), (2, True)]
    ends = [attempt.ended for attempt in experiment.attempts]
    assert [(e.outcome, e.reason, e.slowdown) for e in ends if e] == [
        ("interrupted", "slow", 1.3),
        ("ok", "", 1.3),
    ]
    assert experiment.verdict is not None
    assert (experiment.verdict.outcome, experiment.verdict.is_slow) == ("ok", True)
    assert (state.lost_attempts, state.experiments_done) == (0, 1)
    assert state.spend["ada"].device_seconds == 2 * 1.2
    lines = summary_lines(shown(state, ""))
    assert any("0 attempts lost, 1 timed on a slow machine and repeated" in line for line in lines)


async def test_a_fact_is_taken_from_a_slow_machine_at_once(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
):
    """What was left is no worse for it: one attempt, which is marked all the same."""
    calibrated(chronicle)
    assert chronicle.state.opened is not None
    chronicle.state.opened = replace(chronicle.state.opened, manifest={"task/noise": "exact"})
    async with house(chronicle, repository, tmp_path, scenario_of()) as home:
        scheduler: Any = home.institution._scheduler
        scheduler._bench = replace(scheduler._bench, executor=(slow := SlowMachine()))
        await screened(home, "ada", 1.5)
    assert slow.asked == [(1, True)]
    verdict = chronicle.state.experiments["e0001"].verdict
    assert verdict is not None
    assert (verdict.outcome, verdict.is_slow) == ("ok", True)
