"""Sentinels: every tenth experiment one more run of what leads; drift stops all decisions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from bench_script import House, NoisyScorePhase, calibrated, house, scenario_of, screened

from community.alarms import decisions_paused, raise_alarm
from community.archive.state import ExperimentState, RunState
from community.chronicle import Chronicle
from community.scheduler import Request
from community.sentinels import EVERY
from trainer.repository import Repository


def sentinels_of(state: RunState) -> list[ExperimentState]:
    """Return the sentinel runs in order of admission."""
    return [e for e in state.experiments.values() if e.queued.purpose == "sentinel"]


def notices(state: RunState) -> list[str]:
    """Return what people were told of alarms."""
    return [notice.text for _, notice in state.notices if notice.notice == "alarm"]


async def filled(home: House, count: int) -> None:
    """Run `count` experiments that mean nothing."""
    opened = home.chronicle.state.opened
    assert opened is not None
    request = Request(
        opened.baseline_commit, "t-filler", "", "confirm_parent", "vault", "ada", "ada"
    )
    for name in [home.scheduler.admit(request) for _ in range(count)]:
        await home.scheduler.verdict(name)


@asynccontextmanager
async def watched(
    chronicle: Chronicle, repository: Repository, folder: Path, **changes: Any
) -> AsyncIterator[House]:
    """Run a house whose sentinels are watched."""
    scenario = scenario_of(changes.pop("experiments", None))
    async with house(chronicle, repository, folder, scenario, **changes) as home:
        watching = asyncio.create_task(home.institution.sentinels.watch())
        try:
            async with asyncio.timeout(60):
                yield home
        finally:
            watching.cancel()


async def test_every_tenth_experiment_is_followed_by_a_sentinel_on_the_next_slot(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Of the baseline while nothing leads; on dev, on the lab's account, and counted."""
    async with watched(calibrated(chronicle), repository, tmp_path) as home:
        for number in range(1, 4):
            await sentinel(home, number)
    state, runs = chronicle.state, sentinels_of(chronicle.state)
    assert state.opened is not None
    assert [run.queued.slot for run in runs] == ["cpu0", "cpu1", "cpu0"]
    assert {(run.queued.split, run.queued.charged_to) for run in runs} == {("dev", "lab")}
    assert {run.queued.commit for run in runs} == {state.opened.baseline_commit}
    assert state.experiments_admitted == 3 * EVERY + 3


async def test_the_sentinel_is_of_what_leads(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Once a commit was reproduced, and a restart does not forget that one is due."""
    calibrated(chronicle)
    async with house(chronicle, repository, tmp_path, scenario_of()) as home:
        leader = await screened(home, "ada", 1.5)
        await home.lab("cleo").reproduce(leader)
        await filled(home, EVERY)
        assert sentinels_of(chronicle.state) == []
    async with watched(chronicle, repository, tmp_path) as home:
        await chronicle.wait_until(lambda state: bool(sentinels_of(state)))
        await filled(home, 1)
    assert chronicle.state.frontier
    (run,) = sentinels_of(chronicle.state)
    assert run.queued.commit == home.commit_of(leader)


async def sentinel(home: House, number: int) -> None:
    """Fill the time up to the sentinel of this number, and wait for its verdict."""
    await filled(home, EVERY)
    await home.chronicle.wait_until(lambda state: len(sentinels_of(state)) >= number)
    for run in sentinels_of(home.chronicle.state):
        await home.scheduler.verdict(run.queued.experiment_id)
    await asyncio.sleep(0)


async def drifted(home: House, phase: NoisyScorePhase, shift: float) -> None:
    """Let the machine change and sentinels run until that is noticed."""
    phase.shift, number = shift, 0
    while not home.chronicle.state.evidence.alarms_raised:
        number += 1
        await sentinel(home, number)


@pytest.mark.parametrize("shift", [0.1, -0.1])
async def test_drift_raises_an_alarm_that_fresh_runs_end(
    shift: float, chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Five sigma either way are noticed; every slot is measured anew, and decisions go on."""
    phase = NoisyScorePhase(0.02)
    async with watched(calibrated(chronicle), repository, tmp_path, score_phase=phase) as home:
        await drifted(home, phase, shift)
        await chronicle.wait_until(lambda state: not decisions_paused(state))
        # the machine is another one; what is judged now is judged by how it is now
        post_id = await screened(home, "ada", 1.2)
    state = chronicle.state
    ((raised_us, alarm), (cleared_us, cleared)) = state.evidence.alarm_log
    assert (alarm.alarm_id, cleared.alarm_id) == ("a1", "a1")
    fresh = [run for run in sentinels_of(state) if run.queued_at_us >= raised_us]
    assert sorted(run.queued.slot for run in fresh) == ["cpu0", "cpu1"]
    assert all((run.verdict_us or 0) <= cleared_us for run in fresh)
    assert len(notices(state)) == 2
    assert state.hypotheses[post_id].status == "improved"
    assert state.hypotheses[post_id].gain == pytest.approx(0.2, abs=0.08)


async def test_a_steady_machine_raises_none(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Sentinels that only differ by their seeds are what was expected."""
    phase = NoisyScorePhase(0.02)
    async with watched(calibrated(chronicle), repository, tmp_path, score_phase=phase) as home:
        for number in range(1, 9):
            await sentinel(home, number)
        await filled(home, 1)
    assert chronicle.state.evidence.alarms_raised == 0


async def test_a_run_without_experiments_ends_with_its_alarm_and_says_so(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Nothing can clear it any more: what waits stays as it is, and nobody waits for ever."""
    async with watched(calibrated(chronicle), repository, tmp_path, experiments=1) as home:
        post_id = await home.propose("ada", 1.5)
        home.executor.gate.clear()
        asking = asyncio.create_task(home.lab("ada").run(home.commit_of(post_id), post_id))
        await chronicle.wait_until(lambda state: bool(state.running()))
        raise_alarm(chronicle, "drift", "it drifts", device_class="cpu")
        home.executor.gate.set()
        assert await home.institution.until_over() == "experiments"
        asking.cancel()
        home.institution.leave()
    assert chronicle.state.hypotheses[post_id].status == "measured"
    assert list(chronicle.state.evidence.alarms) == ["a1"]
    assert "ends with alarm a1" in notices(chronicle.state)[-1]


async def test_a_baseline_that_fails_as_a_parent_is_everybodys_alarm(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Decisions wait until it ran again everywhere; a failed one of another parent stops nobody."""
    calibrated(chronicle)
    opened = chronicle.state.opened
    assert opened is not None
    async with watched(chronicle, repository, tmp_path):
        raise_alarm(chronicle, "parent", "failed", device_class="cpu", commit="f" * 40)
        assert not decisions_paused(chronicle.state)
        for _ in range(2):  # whoever finds it second finds it raised
            raise_alarm(
                chronicle, "parent", "failed", device_class="cpu", commit=opened.baseline_commit
            )
        assert decisions_paused(chronicle.state)
        await chronicle.wait_until(lambda state: not decisions_paused(state))
    assert list(chronicle.state.evidence.alarms) == ["a1"]
    assert chronicle.state.evidence.alarms_raised == 2
    assert {run.queued.slot for run in sentinels_of(chronicle.state)} == {"cpu0", "cpu1"}
