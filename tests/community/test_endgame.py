"""How a run ends: the last confirmation, leftovers, and a lab that everybody has left."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from bench_script import calibrated, house, scenario_of, screened

from agents.roles import Quotas, load_role
from community.admission import Admission
from community.chronicle import Chronicle
from community.clock import RunClock
from community.evidence_events import ConfirmationDrawn
from community.institution import DESERTED
from community.scenario import StopSection
from trainer.repository import Repository


@pytest.fixture
def measured(chronicle: Chronicle) -> Chronicle:
    """A run whose baseline is measured."""
    return calibrated(chronicle)


async def test_a_deserted_lab_confirms_what_was_found_and_ends(
    measured: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Nobody is left to reproduce or to propose: the lab does the rest, whatever its share."""
    scenario = scenario_of(experiments=40, confirm_share=0.01, reproduce_after=1e-3)
    async with house(measured, repository, tmp_path, scenario) as home:
        lab = asyncio.create_task(home.institution.reproduce_unclaimed())
        claim = await screened(home, "ada", 1.5)
        assert measured.state.hypotheses[claim].status == "improved"
        home.institution.attendance.take_leave("ada")
        home.institution.attendance.take_leave("bob")  # cleo stays, but has no right to propose
        async with asyncio.timeout(20):
            assert await home.institution.until_over() == DESERTED
        lab.cancel()
    assert measured.state.hypotheses[claim].reproduced_by == "lab"


@pytest.mark.parametrize(("experiments", "is_settled"), [(9, True), (4, False)])
async def test_a_deserted_lab_settles_what_was_drawn_within_its_limit(
    measured: Chronicle,
    repository: Repository,
    tmp_path: Path,
    experiments: int,
    is_settled: bool,
) -> None:
    """Its screen gave no right to it, and reviews of it are held against something all the same."""
    scenario = scenario_of(experiments=experiments, reproduce_after=1e-3)
    async with house(measured, repository, tmp_path, scenario) as home:
        poor = await screened(home, "ada", 0.9)
        measured.record(ConfirmationDrawn(poor, 0.1))
        home.institution.attendance.take_leave("ada")
        home.institution.attendance.take_leave("bob")
        lab = asyncio.create_task(home.institution.reproduce_unclaimed())
        async with asyncio.timeout(20):
            assert await home.institution.until_over() == DESERTED
        lab.cancel()
    claim = measured.state.hypotheses[poor]
    assert [change.by for change in claim.confirmations] == ["lab"] * is_settled
    assert claim.was_drawn is is_settled


async def test_a_deserted_lab_waits_for_what_is_being_measured(
    measured: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A screen that was asked for comes to its verdict before the run ends."""
    async with house(measured, repository, tmp_path, scenario_of()) as home:
        home.executor.gate.clear()
        post_id = await home.propose("ada", 0.5)
        asking = asyncio.create_task(home.lab("ada").run(home.commit_of(post_id), post_id))
        await measured.wait_until(lambda state: bool(state.running()))
        home.institution.attendance.take_leave("ada")
        home.institution.attendance.take_leave("bob")
        over = asyncio.create_task(home.institution.until_over())
        done, _ = await asyncio.wait((over,), timeout=0.1)
        assert not done
        home.executor.gate.set()
        async with asyncio.timeout(20):
            assert await over == DESERTED
        await asking
    assert measured.state.experiments_done == 1


async def test_the_last_confirmation_waits_for_screens_on_their_way(
    measured: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """With eight left the lab confirms the best of all that was screened, not the best so far."""
    scenario = scenario_of(experiments=10, reproduce_after=1e-3)
    scenario = scenario.model_copy(
        update={"topology": scenario.topology.model_copy(update={"family": "isolated"})}
    )
    async with house(measured, repository, tmp_path, scenario) as home:
        lab = asyncio.create_task(home.institution.reproduce_unclaimed())
        home.executor.gate.clear()
        good, better = await home.propose("ada", 1.5), await home.propose("bob", 1.7)
        asking = [
            asyncio.create_task(home.lab(name).run(home.commit_of(claim), claim))
            for name, claim in (("ada", good), ("bob", better))
        ]
        await measured.wait_until(lambda state: len(state.running()) == 2)
        home.executor.gate.set()
        await asyncio.gather(*asking)
        home.institution.attendance.take_leave("ada")
        home.institution.attendance.take_leave("bob")
        async with asyncio.timeout(20):
            assert await home.institution.until_over() == DESERTED
        lab.cancel()
    assert measured.state.hypotheses[better].status == "reproduced"
    assert not measured.state.hypotheses[good].confirmations


async def test_what_four_pairs_take_is_kept_for_a_claim_that_is_open(
    measured: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Screens are refused from eight left down to the four of a first look; fewer are free."""
    async with house(measured, repository, tmp_path, scenario_of()) as home:
        await screened(home, "ada", 1.5)
    made = measured.state.experiments_admitted
    for left, is_kept in ((9, False), (8, True), (4, True), (3, False)):
        admission = Admission(StopSection(experiments=made + left), confirm_pairs=8)
        assert admission.keeps_the_rest(measured.state) is is_kept, left
        assert bool(admission.refuses_screen(measured.state)) is is_kept, left
    few = Admission(StopSection(experiments=made + 5), confirm_pairs=2)
    assert (few.first_look, few.kept, few.whole) == (4, 4, 4)
    assert not few.keeps_the_rest(measured.state)


async def test_a_confirmation_near_the_end_keeps_what_its_next_looks_may_take(
    measured: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """While its first look runs, the last four are not given to a screen; then they are free."""
    async with house(measured, repository, tmp_path, scenario_of(experiments=9)) as home:
        claim = await screened(home, "ada", 1.5)
        home.executor.gate.clear()
        confirming = asyncio.create_task(home.lab("cleo").reproduce(claim))
        await measured.wait_until(lambda state: state.experiments_admitted == 5)
        other = await home.propose("bob", 1.2)
        asking = asyncio.create_task(home.lab("bob").run(home.commit_of(other), other))
        done, _ = await asyncio.wait((asking,), timeout=0.05)
        assert not done
        assert measured.state.experiments_admitted == 5
        home.executor.gate.set()
        assert (await confirming).status == "reproduced"
        assert (await asking).status == "improved"


async def test_a_used_up_quota_of_experiments_is_like_leaving(
    measured: Chronicle, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may not ask any more keeps nobody waiting; who may, does."""
    role = replace(load_role("explorer"), quotas=Quotas(experiments=1))
    async with house(measured, repository, tmp_path, scenario_of()) as home:
        monkeypatch.setattr(home.institution.attendance, "_roles", {"ada": role, "bob": role})
        await screened(home, "ada", 0.5)
        over = asyncio.create_task(home.institution.until_over())
        done, _ = await asyncio.wait((over,), timeout=0.1)
        assert not done
        await screened(home, "bob", 0.6)
        async with asyncio.timeout(20):
            assert await over == DESERTED


async def test_a_resumed_run_gives_everybody_time_for_a_turn(
    measured: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """With few experiments left, silence before the restart does not end the run at once."""
    async with house(measured, repository, tmp_path, scenario_of(experiments=3)) as home:
        last_us = measured.clock.now_us()
        measured.clock = RunClock(asyncio.get_running_loop(), offset_us=last_us + 3_600_000_000)
        over = asyncio.create_task(home.institution.until_over())
        done, _ = await asyncio.wait((over,), timeout=0.1)
        assert not done
        over.cancel()


async def test_the_last_experiments_are_left_to_what_is_being_screened(
    measured: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A screen near the limit may need fresh runs of its parent: a further one waits for it."""
    scenario = scenario_of(experiments=4)
    async with house(measured, repository, tmp_path, scenario) as home:
        home.executor.gate.clear()
        first = await home.propose("ada", 0.5)
        second = await home.propose("bob", 0.6)
        asked = [asyncio.create_task(home.lab("ada").run(home.commit_of(first), first))]
        await measured.wait_until(lambda state: state.experiments_admitted == 1)
        asked.append(asyncio.create_task(home.lab("bob").run(home.commit_of(second), second)))
        await measured.wait_until(lambda state: state.experiments_admitted == 2)
        third = await home.propose("ada", 0.7)
        asked.append(asyncio.create_task(home.lab("ada").run(home.commit_of(third), third)))
        for _ in range(20):
            await asyncio.sleep(0)
        assert measured.state.experiments_admitted == 2
        home.executor.gate.set()
        async with asyncio.timeout(20):
            assert [(await each).outcome for each in asked] == ["ok"] * 3
    assert all(claim.gain is not None for claim in measured.state.hypotheses.values())
