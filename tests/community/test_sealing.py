"""The last runs: the baseline and what leads, once in a run's life, when nobody is left to hear."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_script import House, ScriptedScorePhase, calibrated, house, scenario_of, screened

from community.archive.state import ExperimentState, RunState
from community.chronicle import Chronicle
from community.errors import LedgerInconsistentError
from community.events import Row, RunStopped, VerdictGiven
from community.evidence_events import FinalsOpened
from community.finals import is_ending, run_finals
from community.scenario import Scenario, SealSection
from community.score_phase import Scored
from community.sealing import open_finals, seal_runs
from community.show import leaderboard_text, shown
from community.show.evidence_lines import NOTHING_REPRODUCED
from scoring.verdict import Score
from trainer.repository import Repository


class _Refusing(ScriptedScorePhase):
    """Refuses what a tree answers on seal if it holds `text`."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def score(
        self, artefact: Path, workspace: Path, split: Any, lease: Any, seed: int, *rest: Any
    ) -> Scored:
        """Score as the class says."""
        if split == "seal" and self._text in (workspace / "train.py").read_text():
            return Scored(Score("invalid", None, "probe", 0, 0, 0.0), 0.1)
        return await super().score(artefact, workspace, split, lease, seed, *rest)


def _scenario(runs: int = 2) -> Scenario:
    return scenario_of().model_copy(update={"seal": SealSection(runs=runs)})


def _opened(chronicle: Chronicle) -> list[FinalsOpened]:
    return [row.event for row in chronicle.ledger.rows() if isinstance(row.event, FinalsOpened)]


def _by_commit(runs: list[ExperimentState]) -> Counter[str]:
    return Counter(run.queued.commit for run in runs)


def _is_seal(row: Row) -> bool:
    return isinstance(row.event, VerdictGiven) and row.event.split == "seal"


async def _lead(home: House, rate: float) -> str:
    """Have a tree confirmed; returns its commit."""
    claim = await screened(home, "ada", rate)
    assert (await home.lab("cleo").reproduce(claim)).status == "reproduced"
    return home.commit_of(claim)


async def test_the_baseline_and_the_top_three_are_measured_on_fresh_seeds_and_apart(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Best first, each as often and on both slots; counted against no limit, charged to no one."""
    async with house(calibrated(chronicle), repository, tmp_path, _scenario()) as home:
        rates = (1.5, 1.9, 1.3, 1.7)
        commits = {rate: await _lead(home, rate) for rate in rates}
        before = chronicle.state.experiments_admitted, chronicle.state.device_seconds
        open_finals(chronicle, "experiments", 40)
        await run_finals(chronicle, home.institution.bench, _scenario())
    state = chronicle.state
    top = tuple(commits[rate] for rate in (1.9, 1.7, 1.5))
    assert state.opened is not None
    assert state.evidence.finals == FinalsOpened(top, "experiments", 40)
    runs = seal_runs(state)
    assert _by_commit(runs) == dict.fromkeys((state.opened.baseline_commit, *top), 2)
    assert len({run.queued.seed for run in runs}) == len(runs) == 8
    assert {(r.queued.split, r.queued.charged_to, r.queued.hypothesis) for r in runs} == {
        ("seal", "lab", "")
    }
    used: dict[str, set[str]] = {}
    for run in runs:
        assert run.verdict is not None
        used.setdefault(run.queued.commit, set()).add(run.verdict.slot)
    assert all(slots == {"cpu0", "cpu1"} for slots in used.values())
    assert (state.experiments_admitted, state.device_seconds) == before
    assert state.final_device_seconds > 0
    assert state.scores(state.opened.baseline_tree_key, "seal") == (3.0, 3.0)


async def test_one_tree_is_one_finalist_and_nothing_reproduced_keeps_the_seal(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A claim that is only improved opens nothing, and the seal waits for a later life."""
    async with house(calibrated(chronicle), repository, tmp_path, _scenario()) as home:
        await screened(home, "ada", 1.5)
        open_finals(chronicle, "experiments", 40)
        await run_finals(chronicle, home.institution.bench, _scenario())
        assert (_opened(chronicle), seal_runs(chronicle.state)) == ([], [])
        assert NOTHING_REPRODUCED not in leaderboard_text(shown(chronicle.state, ""))
        chronicle.record(RunStopped("experiments", ""))
        said = leaderboard_text(shown(chronicle.state, ""))
        assert [li for li in said.splitlines() if "headline" in li] == [NOTHING_REPRODUCED]
        commit = await _lead(home, 1.7)
        open_finals(chronicle, "experiments", 60)
    assert _opened(chronicle) == [FinalsOpened((commit,), "experiments", 60)]


async def test_a_later_life_keeps_the_first_answer_whatever_leads_then(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Another end opens nothing and runs nothing; the fold refuses a second opening."""
    async with house(calibrated(chronicle), repository, tmp_path, _scenario()) as home:
        await _lead(home, 1.5)
        for limit in (40, 60):
            open_finals(chronicle, "experiments", limit)
            await run_finals(chronicle, home.institution.bench, _scenario())
            if limit == 40:
                first = [run.queued for run in seal_runs(chronicle.state)]
                await _lead(home, 2.5)
        assert [run.queued for run in seal_runs(chronicle.state)] == first
    (finals,) = _opened(chronicle)
    rows = list(chronicle.ledger.rows())
    with pytest.raises(LedgerInconsistentError, match="asked once"):
        RunState.from_rows([*rows, Row(rows[-1].seq + 1, rows[-1].at_us, finals)])


async def test_a_stop_among_the_last_runs_is_taken_up_there(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Under the same limit nobody is seated again, and every run happens once; not under more."""
    scenario = _scenario(runs=3)
    async with house(calibrated(chronicle), repository, tmp_path, scenario) as home:
        await _lead(home, 1.5)
        open_finals(chronicle, "experiments", 40)
        gate = home.executor.gate
        chronicle.ledger.subscribe(lambda row: gate.clear() if _is_seal(row) else None)
        ending = asyncio.create_task(run_finals(chronicle, home.institution.bench, scenario))
        await chronicle.wait_until(lambda s: any(run.is_done for run in seal_runs(s)))
        ending.cancel()
        await asyncio.wait([ending])
        done = [run.is_done for run in seal_runs(chronicle.state)]
        assert 0 < sum(done) < len(done)
        assert is_ending(chronicle.state, 40)
        assert not is_ending(chronicle.state, 60)
        ending = asyncio.create_task(run_finals(chronicle, home.institution.bench, scenario))
        while not ending.done():
            gate.set()
            await asyncio.sleep(0)
    runs = seal_runs(chronicle.state)
    assert [run.is_done for run in runs] == [True] * 6
    assert set(_by_commit(runs).values()) == {3}


async def test_a_tree_that_fails_on_the_seal_has_no_score_there_and_the_run_ends(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A refusal is its verdict; what our side loses is tried again, like any experiment."""
    async with house(calibrated(chronicle), repository, tmp_path, _scenario()) as home:
        await _lead(home, 1.5)
        home.executor.lose_next = 1
        bench = replace(home.institution.bench, score_phase=_Refusing("RATE = 1.5"))
        open_finals(chronicle, "target", None)
        await run_finals(chronicle, bench, _scenario())
    runs = seal_runs(chronicle.state)
    found = {(r.queued.commit, r.verdict.outcome, r.verdict.reason) for r in runs if r.verdict}
    assert chronicle.state.opened is not None
    commit = chronicle.state.frontier[-1][1].commit
    assert found == {
        (chronicle.state.opened.baseline_commit, "ok", ""), (commit, "invalid", "probe"),
    }  # fmt: skip
    assert chronicle.state.lost_attempts == 1
