"""A screen beside fresh runs of its parent: which count, who pays, what if none can run."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from bench_script import House, NoisyScorePhase, calibrated, house, scenario_of, screened

from community.archive.ledger import Ledger
from community.archive.state import ExperimentState, RunState
from community.chronicle import Chronicle
from community.clock import RunClock
from community.events import AttemptEnded, ExperimentQueued, RunResumed, StatusChanged
from community.evidence_events import AlarmRaised, SlotPlaced
from community.references import true_age_us
from scoring.evidence.sequential import REFERENCE_AGE_S, REFERENCES, SEEDS, references_wanted
from trainer.repository import Repository


def runs_of(state: RunState, purpose: str) -> list[ExperimentState]:
    """Return the experiments of a purpose, in order of admission."""
    return [e for e in state.experiments.values() if e.queued.purpose == purpose]


async def on(home: House, author: str, parent: str, rate: float) -> str:
    """Propose a child of the claim `parent` and screen it; returns the post id."""
    post_id = await home.propose(author, rate, parent=home.commit_of(parent))
    await home.lab(author).run(home.commit_of(post_id), post_id)
    return post_id


def change_of(chronicle: Chronicle, post_id: str) -> StatusChanged:
    """Return the one change of a hypothesis."""
    ((_, change),) = chronicle.state.hypotheses[post_id].changes
    return change


def later(chronicle: Chronicle, seconds: float) -> None:
    """Let run time jump."""
    now_us = chronicle.clock.now_us() + round(seconds * 1e6)
    chronicle.clock = RunClock(asyncio.get_running_loop(), offset_us=now_us)


async def test_a_screen_is_judged_beside_the_baseline_of_its_own_slot(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Fresh calibration runs do: nothing more is run, and the record has the whole judgement."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        change = change_of(chronicle, await screened(home, "ada", 1.5))
    assert (change.status, change.pairs) == ("improved", 0)
    assert change.t is not None
    assert change.low is not None
    assert change.high is not None
    assert change.gain == pytest.approx(0.5)
    assert 0 < change.low < 0.5 < change.high
    assert change.p is not None
    assert change.p < 0.005
    assert runs_of(chronicle.state, "parent") == []
    verdicts = [chronicle.state.verdicts[name] for name in change.verdicts]
    assert len({verdict.slot for verdict in verdicts}) == 1
    assert len(verdicts) == 1 + 4  # the child's, and the baseline's on that slot


async def test_what_is_missing_is_run_on_the_slot_and_charged_to_the_proposer(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A parent's own screen is no reference: it was chosen by it. Its fresh runs count."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        parent = await screened(home, "ada", 1.5)
        before = chronicle.state.experiments_admitted
        child = await on(home, "ada", parent, 1.8)
    runs, state = runs_of(chronicle.state, "parent"), chronicle.state
    change = change_of(chronicle, child)
    own = state.verdicts[change.verdicts[0]]
    assert [run.queued.commit for run in runs] == [home.commit_of(parent)] * REFERENCES
    assert {run.queued.slot for run in runs} == {own.slot}
    assert {(run.queued.charged_to, run.queued.requested_by) for run in runs} == {("ada", "lab")}
    assert state.experiments_admitted == before + 1 + REFERENCES
    assert set(change.verdicts[1:]) == {run.verdict.verdict_id for run in runs if run.verdict}
    assert change.gain == pytest.approx(0.3)


async def test_children_that_wait_on_one_slot_share_their_parents_runs(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Three children at once and one afterwards: the parent runs no more often than for one."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of(), slots=1) as home:
        parent = await screened(home, "ada", 1.5)
        commit = home.commit_of(parent)
        children = [await home.propose("ada", rate, parent=commit) for rate in (1.8, 1.9, 2.0)]
        async with asyncio.TaskGroup() as group:
            for child in children:
                group.create_task(home.lab("ada").run(home.commit_of(child), child))
        await on(home, "ada", parent, 2.1)
    assert len(runs_of(chronicle.state, "parent")) == REFERENCES
    assert {h.status for h in chronicle.state.hypotheses.values()} == {"improved"}


@pytest.mark.parametrize("what", ["age", "alarm", "stop", "class", "node"])
async def test_runs_of_another_hour_alarm_class_or_node_are_no_references(
    what: str, chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Half an hour old, before an alarm or a long stop, on another machine: run anew."""
    calibrated(chronicle)
    life_class = "cpu"
    if what == "age":
        later(chronicle, REFERENCE_AGE_S + 1)
    elif what == "alarm":
        chronicle.record(AlarmRaised("a1", "drift", "cpu", "", "it drifted"))
        chronicle.state.evidence.alarms.clear()  # as after its end
    elif what == "node":
        slots = {verdict.slot for verdict in chronicle.state.verdicts.values()}
        chronicle.record(*(SlotPlaced(slot, "10.0.0.7 1f2e3d4c") for slot in slots))
    elif what == "stop":
        opened = chronicle.state.opened
        assert opened is not None
        opened.host["epoch_s"] = "1000"
        chronicle.record(RunResumed((), {"epoch_s": str(1002 + int(REFERENCE_AGE_S))}))
    else:
        life_class = "cpu, kernel 12 ms"
    async with house(chronicle, repository, tmp_path, scenario_of(), life_class=life_class) as home:
        change = change_of(chronicle, await screened(home, "ada", 1.5))
    runs = [run.verdict.verdict_id for run in runs_of(chronicle.state, "parent") if run.verdict]
    assert len(runs) == REFERENCES
    assert set(change.verdicts[1:]) == set(runs)


async def test_time_between_stop_and_resume_counts_as_age(chronicle: Chronicle) -> None:
    """Run time stands still over a night, the machine does not; unknown stamps add nothing."""
    state = chronicle.state
    assert state.opened is not None
    state.opened.host["epoch_s"] = "1000"
    second = 1_000_000
    state.resumed.append((10 * second, RunResumed((), {"epoch_s": "5000"})))
    state.opened_us = 0
    assert true_age_us(state, 4 * second, 12 * second) == (8 + 5000 - 1010) * second
    assert true_age_us(state, 11 * second, 12 * second) == second
    state.resumed[0] = (10 * second, RunResumed(()))
    assert true_age_us(state, 4 * second, 12 * second) == 8 * second


async def test_a_child_from_before_an_alarm_runs_again(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """No run from before it stands beside one from after it, on either side."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        post_id = await home.propose("ada", 1.5)
        home.executor.gate.clear()
        asking = asyncio.create_task(home.lab("ada").run(home.commit_of(post_id), post_id))
        await chronicle.wait_until(lambda state: bool(state.running()))
        chronicle.record(AlarmRaised("a1", "drift", "cpu", "", "it drifted"))
        home.executor.gate.set()
        await chronicle.wait_until(lambda state: state.experiments_done == 1)
        await asyncio.sleep(0.05)
        assert chronicle.state.hypotheses[post_id].changes == []  # nothing is decided meanwhile
        assert chronicle.state.experiments_admitted == 1
        serving = asyncio.create_task(home.institution.serve())
        await asking
        serving.cancel()
    change = change_of(chronicle, post_id)
    names = [chronicle.state.verdicts[v].experiment_id for v in change.verdicts]
    used = [chronicle.state.experiments[name] for name in names]
    since_us = chronicle.state.evidence.since_us
    assert all(run.attempts[-1].started_us >= since_us for run in used)
    assert used[0].queued.purpose == "screen"
    assert len(runs_of(chronicle.state, "screen")) == 2
    assert change.status == "improved"


async def test_a_promising_screen_takes_a_second_seed_on_the_same_slot(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A t between the bounds says little: the proposer pays another, and is told the mean."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        post_id = await home.propose("ada", 1.03)
        outcome = await home.lab("ada").run(home.commit_of(post_id), post_id)
    screens, change = runs_of(chronicle.state, "screen"), change_of(chronicle, post_id)
    assert len(screens) > 1
    assert {run.queued.charged_to for run in screens} == {"ada"}
    assert len({run.verdict.slot for run in screens if run.verdict}) == 1
    assert screens[1].queued.slot
    assert len({run.queued.seed for run in screens}) == len(screens)
    assert set(change.verdicts) >= {run.verdict.verdict_id for run in screens if run.verdict}
    assert outcome.score == pytest.approx(2.97, abs=0.003)
    assert outcome.status == change.status == "undecided"


@pytest.mark.parametrize(
    ("limit", "status", "references"), [(2, "undecided", 0), (3, "improved", 1)]
)
async def test_near_the_limit_a_screen_is_judged_by_what_there_is(
    limit: int,
    status: str,
    references: int,
    chronicle: Chronicle,
    repository: Repository,
    tmp_path: Path,
) -> None:
    """By one reference instead of two; without any it stays undecided, and the run ends."""
    scenario = scenario_of(experiments=limit)
    async with house(calibrated(chronicle), repository, tmp_path, scenario) as home:
        parent = await screened(home, "ada", 1.5)
        child = await on(home, "ada", parent, 2.5)
        async with asyncio.timeout(20):
            assert await home.institution.until_over() == "experiments"
    change = change_of(chronicle, child)
    assert (change.status, change.t is None) == (status, references == 0)
    assert len(runs_of(chronicle.state, "parent")) == references
    assert chronicle.state.experiments_admitted == limit


async def test_a_parent_that_fails_twice_raises_an_alarm_about_itself_alone(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Its children stay undecided, at no further cost; what does not rest on it is decided."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        parent = await screened(home, "ada", 1.5)
        home.executor.broken.add(1.5)
        children = [await on(home, "ada", parent, rate) for rate in (1.8, 1.9)]
        other = await screened(home, "bob", 1.6)
    state = chronicle.state
    assert [change_of(chronicle, child).status for child in children] == ["undecided"] * 2
    assert change_of(chronicle, other).status == "improved"
    assert len(runs_of(state, "parent")) == 2
    (alarm,) = state.evidence.alarms.values()
    assert (alarm.what, alarm.commit) == ("parent", home.commit_of(parent))
    assert [notice.notice for _, notice in state.notices] == ["alarm"]


async def test_a_restart_at_any_point_judges_as_one_life_would(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Cut behind every row of a screen with several seeds and parent runs: always the same end."""
    phase = NoisyScorePhase(0.02)
    async with house(
        calibrated(chronicle), repository, tmp_path, scenario_of(), slots=1, score_phase=phase
    ) as home:
        parent = await screened(home, "ada", 1.5)
        child = await on(home, "ada", parent, 1.53)
    rows, whole = list(chronicle.ledger.rows()), change_of(chronicle, child)
    first = next(
        row.seq
        for row in rows
        if isinstance(row.event, ExperimentQueued) and row.event.hypothesis == child
    )
    cuts = [
        row.seq
        for row, following in pairwise(rows)
        if row.seq >= first
        # an attempt's end and its verdict are one transaction
        and not (isinstance(row.event, AttemptEnded) and following.event.kind == "verdict_given")
    ]
    assert len(runs_of(chronicle.state, "screen")) > 2
    assert len(runs_of(chronicle.state, "parent")) == references_wanted(SEEDS)
    assert len(cuts) > 8
    for number in cuts:
        ledger = Ledger.create(tmp_path / f"cut{number}.db")
        for row in rows[:number]:
            ledger.append(row.at_us, row.event)
        life = Chronicle(ledger, RunClock(offset_us=rows[number - 1].at_us))
        life.record(RunResumed(tuple(e.queued.experiment_id for e in life.state.running())))
        async with house(
            life, repository, tmp_path / "again", scenario_of(), slots=1, score_phase=phase
        ) as home:
            home.institution.resume()
            await life.wait_until(lambda state: bool(state.hypotheses[child].changes))
        again = change_of(life, child)
        assert replace(again, verdicts=()) == replace(whole, verdicts=()), number
        assert len(again.verdicts) == len(whole.verdicts)
        assert life.state.experiments_admitted == chronicle.state.experiments_admitted
        ledger.close()
