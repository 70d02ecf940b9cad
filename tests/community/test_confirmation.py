"""Confirmation: pairs on one slot, a look at a time, once in a tree's life, open to challenge."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from bench_script import Vault, calibrated, house, scenario_of, screened

from community.archive.queries import leader
from community.archive.state import ExperimentState
from community.chronicle import Chronicle
from community.clock import RunClock
from community.events import ReproductionOpened, Row, StatusChanged, VerdictGiven
from community.evidence_events import AlarmCleared, AlarmRaised, ConfirmationDrawn
from community.reproduction import NOT_OPEN
from community.scenario import Scenario
from scoring.evidence.sequential import LOOKS
from trainer.repository import Repository

CHILD = 1.5


def _two_reproducers(experiments: int | None = None, **lab: Any) -> Scenario:
    scenario = scenario_of(experiments, **lab)
    cleo = scenario.agents[2]
    return scenario.model_copy(
        update={"agents": (*scenario.agents, cleo.model_copy(update={"name": "dora"}))}
    )


def _runs(chronicle: Chronicle, claim: str) -> list[ExperimentState]:
    served = chronicle.state.hypotheses[claim].experiments
    runs = (chronicle.state.experiments[name] for name in served)
    return [run for run in runs if run.queued.purpose.startswith("confirm")]


def _sides(chronicle: Chronicle, claim: str) -> str:
    """Return the sides in the order in which they ran: ``PCCP``."""
    runs = sorted(_runs(chronicle, claim), key=lambda run: run.attempts[0].started_us)
    return "".join(run.queued.purpose[len("confirm_")].upper() for run in runs)


def _last(chronicle: Chronicle, claim: str) -> StatusChanged:
    return chronicle.state.hypotheses[claim].changes[-1][1]


@pytest.fixture
def measured(chronicle: Chronicle) -> Chronicle:
    """A run whose baseline is measured: 3.0, sigma 0.02."""
    return calibrated(chronicle)


async def test_a_large_gain_takes_four_runs_in_turn_on_one_slot(
    measured: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """P C C P on fresh seeds, beside others' screens; the decision names its pairs in order."""
    async with house(measured, repository, tmp_path, scenario_of()) as home:
        claim = await screened(home, "ada", CHILD)
        names = [await home.propose("bob", 1.0 + n / 100) for n in range(1, 5)]
        others = [asyncio.create_task(home.lab("bob").run(home.commit_of(n), n)) for n in names]
        assert (await home.lab("cleo").reproduce(claim)).status == "reproduced"
        await asyncio.gather(*others)
    runs = _runs(measured, claim)
    assert _sides(measured, claim) == "PCCP"
    slots = {run.verdict.slot for run in runs if run.verdict}
    assert len(slots) == 1
    assert {run.queued.slot for run in runs} == slots
    assert len({run.queued.seed for run in runs}) == 4
    assert {(run.queued.charged_to, run.queued.split) for run in runs} == {("cleo", "vault")}
    change, by_side = _last(measured, claim), {r.queued.experiment_id: r for r in runs}
    named = [by_side[measured.state.verdicts[v].experiment_id].queued for v in change.verdicts]
    assert [(q.pair, q.purpose[len("confirm_"):]) for q in named] == [
        (1, "parent"), (1, "child"), (2, "parent"), (2, "child"),
    ]  # fmt: skip
    assert (change.pairs, change.by) == (2, "cleo")
    assert change.low is not None
    assert change.high is not None
    assert 0 < change.low <= 0.5 <= change.high
    assert measured.state.frontier[-1][1].hypothesis == claim


async def test_a_small_gain_is_looked_at_again_and_again_and_parked(
    measured: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A look is admitted when the one before has not decided, and at most eight pairs are run."""
    plan = Vault(r1_5=[2.95, 3.0] * 4)
    seen: list[int] = []
    async with house(measured, repository, tmp_path, scenario_of(), score_phase=plan) as home:
        claim = await screened(home, "ada", CHILD)
        measured.ledger.subscribe(
            lambda row: (
                seen.append(len(_runs(measured, claim)))
                if not [r for r in _runs(measured, claim) if not r.is_done]
                else None
            )
        )
        outcome = await home.lab("cleo").reproduce(claim)
    assert (outcome.status, _last(measured, claim).pairs) == ("undecided", 8)
    assert sorted(set(seen)) == [0, *(2 * look for look in LOOKS)]
    assert _sides(measured, claim) == "PCCP" * 4
    assert not measured.state.frontier


async def test_no_gain_at_all_ends_at_the_first_look(
    measured: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Futility: what turns out no better than its parent costs four runs."""
    async with house(measured, repository, tmp_path, scenario_of(experiments=30)) as home:
        claim = await screened(home, "ada", CHILD, width=5)
        before = await home.lab("cleo").remaining_experiments()
        outcome = await home.lab("cleo").reproduce(claim)
        left = await home.lab("cleo").remaining_experiments()
    assert outcome.status == "not_improved"
    assert before is not None
    assert left == before - 4


async def test_a_look_that_cannot_be_afforded_ends_it_undecided(
    measured: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """The first four runs fit and the next two do not; too few for four refuse it at once."""
    plan = Vault(r1_5=[2.95, 3.01] * 4)
    async with house(measured, repository, tmp_path, scenario_of(), score_phase=plan) as home:
        claim = await screened(home, "ada", CHILD)
        made = measured.state.experiments_admitted
    for limit, status in ((made + 3, "improved"), (made + 5, "undecided")):
        scenario = scenario_of(experiments=limit)
        async with house(measured, repository, tmp_path, scenario, score_phase=plan) as home:
            outcome = await home.lab("cleo").reproduce(claim)
            assert outcome.outcome == ("refused" if status == "improved" else "ok")
            assert measured.state.hypotheses[claim].status == status
    assert (_last(measured, claim).pairs, len(_runs(measured, claim))) == (2, 4)


async def test_a_child_that_fails_has_had_its_confirmation(
    measured: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """One failing run in the first look: not improved, on the strength of that run."""
    async with house(
        measured, repository, tmp_path, scenario_of(), score_phase=Vault(r1_5=[2.5, None])
    ) as home:
        claim = await screened(home, "ada", CHILD)
        assert (await home.lab("cleo").reproduce(claim)).status == "not_improved"
    (named,) = _last(measured, claim).verdicts
    assert measured.state.verdicts[named].outcome == "invalid"


@pytest.mark.parametrize(
    ("failures", "status", "alarms"), [(1, "reproduced", 0), (2, "undecided", 1)]
)
async def test_a_parent_that_fails_once_is_run_again_and_twice_raises_an_alarm(
    measured: Chronicle,
    repository: Repository,
    tmp_path: Path,
    failures: int,
    status: str,
    alarms: int,
) -> None:
    """One failure costs a pair; after two nothing can be said, and the child is not to blame."""
    plan = Vault(r1_0=[None] * failures)
    async with house(measured, repository, tmp_path, scenario_of(), score_phase=plan) as home:
        claim = await screened(home, "ada", CHILD)
        assert (await home.lab("cleo").reproduce(claim)).status == status
    raised = measured.state.evidence.alarms.values()
    assert [alarm.what for alarm in raised] == ["parent"] * alarms
    if status == "reproduced":
        assert (_last(measured, claim).pairs, len(_runs(measured, claim))) == (2, 6)


async def test_a_parents_recent_runs_serve_another_child_once(
    measured: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """The second child takes two runs on the same slot; half an hour later it would take four."""
    async with house(measured, repository, tmp_path, scenario_of()) as home:
        claims = [await screened(home, "ada", rate) for rate in (1.5, 1.6, 1.7)]
        for claim in claims[:2]:
            assert (await home.lab("cleo").reproduce(claim)).status == "reproduced"
        loop, late_us = asyncio.get_running_loop(), measured.clock.now_us() + 1_900_000_000
        measured.clock = RunClock(loop, offset_us=late_us)
        assert (await home.lab("cleo").reproduce(claims[2])).status == "reproduced"
    assert [_sides(measured, claim) for claim in claims] == ["PCCP", "CC", "PCCP"]
    first, second = (_last(measured, claim) for claim in claims[:2])
    assert set(first.verdicts[::2]) == set(second.verdicts[::2])
    beside = [run.queued.beside for run in _runs(measured, claims[1])]
    assert tuple(beside) == second.verdicts[::2]
    slots = {run.queued.slot for claim in claims[:2] for run in _runs(measured, claim)}
    assert len(slots) == 1


async def test_a_run_that_is_lost_does_not_leave_its_pair(
    measured: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """What the machine lost is made before the runs that were to follow it."""
    async with house(measured, repository, tmp_path, scenario_of()) as home:
        claim = await screened(home, "ada", CHILD)
        home.executor.lose_next = 1
        assert (await home.lab("cleo").reproduce(claim)).status == "reproduced"
    runs = _runs(measured, claim)
    assert [len(run.attempts) for run in runs] == [2, 1, 1, 1]
    ended = [run.verdict_us or 0 for run in runs]
    assert ended == sorted(ended)


async def test_a_tree_is_confirmed_once_whoever_proposes_it(
    measured: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Bob's twin of ada's refuted tree is refused in the words that everything is refused in."""
    scenario = _two_reproducers()
    isolated = scenario.topology.model_copy(update={"family": "isolated"})
    apart = scenario.model_copy(update={"topology": isolated})
    plan = Vault(r1_5=[3.1] * 4)
    async with house(measured, repository, tmp_path, apart, score_phase=plan) as home:
        claim = await screened(home, "ada", CHILD)
        assert home.institution.reproduce(claim, "lab") == ""
        await measured.wait_until(lambda s: s.hypotheses[claim].status == "not_improved")
        twin = await screened(home, "bob", CHILD)
        assert measured.state.hypotheses[twin].status == "improved"
        for by in ("dora", "lab"):
            assert home.institution.reproduce(twin, by) == NOT_OPEN
        assert home.institution.reproduce(claim, "cleo") == NOT_OPEN
    assert _runs(measured, twin) == []


@pytest.mark.parametrize(
    ("later", "status"),
    [([2.5, 2.5], "reproduced"), ([3.2, 3.3], "contested"), ([5.5, 5.6], "contested")],
)
async def test_what_is_reproduced_may_be_challenged_by_somebody_else(
    measured: Chronicle,
    repository: Repository,
    tmp_path: Path,
    later: list[float],
    status: str,
) -> None:
    """Two more pairs, and all four decide; who had a part in it is refused."""
    plan = Vault(r1_5=[2.5, 2.5, *later])
    async with house(measured, repository, tmp_path, _two_reproducers(), score_phase=plan) as home:
        first = await screened(home, "bob", 1.2)
        await home.lab("cleo").reproduce(first)
        claim = await screened(home, "ada", CHILD)
        await home.lab("cleo").reproduce(claim)
        assert leader(measured.state).hypothesis == claim  # type: ignore[union-attr]
        for by in ("ada", "cleo"):
            assert (await home.lab(by).reproduce(claim)).outcome in ("refused", "ok")
        assert len(measured.state.hypotheses[claim].confirmations) == 1
        outcome = await home.lab("dora").reproduce(claim)
    assert outcome.status == status
    record = measured.state.hypotheses[claim]
    assert (record.confirmations[-1].by, record.confirmations[-1].pairs) == ("dora", 4)
    leading = leader(measured.state)
    assert leading is not None
    assert leading.hypothesis == (claim if status == "reproduced" else first)
    assert record.reproduced_by == ("cleo" if status == "reproduced" else None)


async def test_a_challenge_may_retract_what_was_reproduced(
    measured: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Where all pairs together exclude a gain, the claim is taken back, and nothing leads."""
    plan = Vault(r1_5=[3.3, 3.3])
    async with house(measured, repository, tmp_path, _two_reproducers(), score_phase=plan) as home:
        claim = await screened(home, "ada", CHILD)
        lucky = StatusChanged(
            claim, home.commit_of(claim), "reproduced", 0.01, None, "cleo", (), pairs=2
        )
        measured.record(ReproductionOpened(claim, "cleo"), lucky)
        assert (await home.lab("dora").reproduce(claim)).status == "retracted"
    assert leader(measured.state) is None
    (retraction,) = measured.state.evidence.retractions
    assert retraction[1].by == "dora"


async def test_decisions_wait_for_the_end_of_an_alarm(
    measured: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """The runs go on and nothing is said of them; a pair that the drift parted is run again."""
    assert measured.state.opened is not None
    alarm = AlarmRaised("a1", "drift", "cpu", "", "told by the test", "")
    async with house(measured, repository, tmp_path, scenario_of()) as home:
        claim = await screened(home, "ada", CHILD)
        gate = home.executor.gate

        def stop(row: Row) -> None:
            is_first = sum(run.is_done for run in _runs(measured, claim)) == 1
            if isinstance(row.event, VerdictGiven) and is_first:
                gate.clear()

        measured.ledger.subscribe(stop)
        asked = asyncio.create_task(home.lab("cleo").reproduce(claim))
        await measured.wait_until(lambda _: any(run.is_done for run in _runs(measured, claim)))
        measured.record(alarm)
        gate.set()
        await measured.wait_until(lambda _: all(run.is_done for run in _runs(measured, claim)))
        for _ in range(20):
            await asyncio.sleep(0)
        assert measured.state.hypotheses[claim].status == "improved"
        measured.record(AlarmCleared("a1", "told by the test"))
        assert (await asked).status == "reproduced"
    change = _last(measured, claim)
    assert (change.pairs, len(_runs(measured, claim))) == (2, 6)


async def test_a_drawn_claim_is_settled_for_the_labs_account(
    measured: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Its screen gave no right to it; its proposer pays nothing and hears nothing."""
    async with house(measured, repository, tmp_path, scenario_of(experiments=100)) as home:
        poor = await screened(home, "ada", 0.9)
        measured.record(ConfirmationDrawn(poor, 0.1))
        assert home.institution.reproduce(poor, "lab") == NOT_OPEN
        lab = asyncio.create_task(home.institution.reproduce_unclaimed())
        await measured.wait_until(lambda s: bool(s.hypotheses[poor].confirmations))
        lab.cancel()
    assert len(_runs(measured, poor)) == 4
    assert {run.queued.charged_to for run in _runs(measured, poor)} == {"lab"}
    assert not [post for post in measured.state.posts.values() if post.posted.author == "lab"]


@pytest.mark.parametrize("done", range(1, 7))
async def test_a_kill_anywhere_changes_no_pair_and_no_decision(
    measured: Chronicle, repository: Repository, tmp_path: Path, done: int
) -> None:
    """The first look and the second: whatever was done at the kill, the same six runs decide."""
    plan = Vault(r1_5=[2.92, 2.90, 2.91, 2.91])
    scenario = scenario_of(experiments=40)
    async with house(measured, repository, tmp_path, scenario, score_phase=plan) as home:
        claim = await screened(home, "ada", CHILD)
        gate = home.executor.gate

        def stop(_: object) -> None:
            if sum(run.is_done for run in _runs(measured, claim)) >= done:
                gate.clear()

        measured.ledger.subscribe(stop)
        asked = asyncio.create_task(home.lab("cleo").reproduce(claim))
        await measured.wait_until(
            lambda _: sum(run.is_done for run in _runs(measured, claim)) >= done
        )
        asked.cancel()
        home.institution.leave()
    async with house(measured, repository, tmp_path, scenario, score_phase=plan) as home:
        home.institution.resume()
        while not measured.state.hypotheses[claim].confirmations:
            home.executor.gate.set()
            await asyncio.sleep(0)
    change = _last(measured, claim)
    runs = _runs(measured, claim)
    assert [(run.queued.pair, run.queued.purpose[len("confirm_")]) for run in runs] == [
        (1, "p"), (1, "c"), (2, "c"), (2, "p"), (3, "p"), (3, "c"),
    ]  # fmt: skip
    assert len({run.queued.slot for run in runs}) == 1
    assert (change.status, change.pairs) == ("reproduced", 3)
    assert change.gain == pytest.approx(0.09)


async def test_a_claim_confirmed_by_lot_alone_has_the_smaller_alpha(
    measured: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Runs that would pass with the screen's right do not pass by the draw."""
    plan = Vault(r0_9=[2.95, 2.985] * 4)
    async with house(
        measured, repository, tmp_path, scenario_of(experiments=100), score_phase=plan
    ) as home:
        poor = await screened(home, "ada", 0.9)
        measured.record(ConfirmationDrawn(poor, 0.1))
        lab = asyncio.create_task(home.institution.reproduce_unclaimed())
        await measured.wait_until(lambda s: bool(s.hypotheses[poor].confirmations))
        lab.cancel()
    assert _last(measured, poor).pairs == 8
    assert measured.state.hypotheses[poor].status == "undecided"
