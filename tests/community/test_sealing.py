"""The seal is asked once in a run's life, of what leads when it first ends, and decides nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_script import House, ScriptedScorePhase, calibrated, house, scenario_of, screened

from community.archive.state import RunState
from community.chronicle import Chronicle
from community.errors import LedgerInconsistentError
from community.events import Row, SealScored
from community.scheduler import Request
from community.score_phase import Scored
from community.sealing import TRIES, ask_seal
from scoring.verdict import Score
from trainer.errors import ExecutorError
from trainer.repository import Repository


class _Asked(ScriptedScorePhase):
    """Notes each score on seal; answers `next` instead where there is one."""

    def __init__(self, *next_: Score | Exception) -> None:
        self.trees: list[bytes] = []
        self.next = list(next_)

    async def score(
        self, artefact: Path, workspace: Path, split: Any, lease: Any, seed: int, *rest: Any
    ) -> Scored:
        """Score as the class says."""
        if split == "seal":
            self.trees.append((workspace / "train.py").read_bytes())
            if self.next:
                answer = self.next.pop(0)
                if isinstance(answer, Exception):
                    raise answer
                return Scored(answer, 0.1)
        return await super().score(artefact, workspace, split, lease, seed, *rest)


def _seals(chronicle: Chronicle) -> list[SealScored]:
    return [row.event for row in chronicle.ledger.rows() if isinstance(row.event, SealScored)]


async def _calibrate(home: House) -> None:
    """Measure the baseline twice, where the fixture tells its noise without any run."""
    opened = home.chronicle.state.opened
    assert opened is not None
    request = Request(
        opened.baseline_commit, opened.baseline_tree_key, "", "baseline", "dev", "lab", "lab"
    )
    for name in [home.scheduler.admit(request) for _ in range(2)]:
        await home.scheduler.verdict(name)


async def _lead(home: House, rate: float) -> str:
    claim = await screened(home, "ada", rate)
    await home.lab("cleo").reproduce(claim)
    assert home.chronicle.state.frontier[-1][1].hypothesis == claim
    return claim


async def test_the_leader_and_the_baseline_are_asked_once_whatever_leads_later(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Nothing before something leads; then one row; a later end under another leader adds none."""
    async with house(chronicle, repository, tmp_path, scenario_of()) as home:
        bench = replace(home.institution.bench, score_phase=(phase := _Asked()))
        await _calibrate(home)
        kept = {path.parent.name for path in tmp_path.glob("jobs/*/artefact.safetensors")}
        assert kept == {"b0002-1"}
        await ask_seal(chronicle, bench)
        assert _seals(chronicle) == []
        claim = await _lead(home, 1.5)
        counts = chronicle.state.experiments_admitted, chronicle.state.device_seconds
        await ask_seal(chronicle, bench)
        (seal,) = _seals(chronicle)
        assert (seal.hypothesis, seal.commit) == (claim, home.commit_of(claim))
        assert (seal.outcome, seal.score, seal.baseline_score) == ("ok", 2.5, 3.0)
        assert seal.baseline_experiment_id == "b0002"
        served = [
            chronicle.state.experiments[n] for n in chronicle.state.hypotheses[claim].experiments
        ]
        children = [e.queued for e in served if e.queued.purpose == "confirm_child"]
        assert (seal.experiment_id, len(children)) == (children[-1].experiment_id, 3)
        now = chronicle.state.experiments_admitted, chronicle.state.device_seconds
        assert now == counts
        assert not (tmp_path / "jobs" / "b0002-1" / "artefact.safetensors").exists()
        await _lead(home, 2.5)
        await ask_seal(chronicle, bench)
        assert _seals(chronicle) == [seal]
        assert len(phase.trees) == 2


async def test_a_second_seal_contradicts_the_ledger(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """No program, whatever its version, folds a ledger with two."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        await _lead(home, 1.5)
        await ask_seal(chronicle, home.institution.bench)
    rows = list(chronicle.ledger.rows())
    with pytest.raises(LedgerInconsistentError, match="asked once"):
        RunState.from_rows([*rows, Row(rows[-1].seq + 1, rows[-1].at_us, _seals(chronicle)[0])])


LOST = Score("interrupted", None, "lost", 0, 0, 0.0)
BROKEN = Score("scorer_failed", None, "scorer", 0, 0, 0.0)
REFUSED = Score("invalid", None, "probe", 0, 0, 0.0)


@pytest.mark.parametrize(
    ("answers", "outcome", "reason", "score"),
    [
        ((LOST,), "ok", "", 2.5),
        ((LOST, BROKEN), "scorer_failed", "scorer", None),
        ((ExecutorError("gone"), ExecutorError("gone")), "interrupted", "executor", None),
        ((REFUSED,), "invalid", "probe", None),
    ],
)
async def test_what_goes_wrong_is_recorded_and_the_run_ends_all_the_same(
    chronicle: Chronicle,
    repository: Repository,
    tmp_path: Path,
    answers: tuple[Any, ...],
    outcome: str,
    reason: str,
    score: float | None,
) -> None:
    """Lost twice, or refused once: no number, and the seal is spent; without a baseline's either.

    The bench's baseline was never run here, as where another run's was taken over.
    """
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        await _lead(home, 1.5)
        phase = _Asked(*answers)
        bench = replace(home.institution.bench, score_phase=phase)
        await ask_seal(chronicle, bench)
        (seal,) = _seals(chronicle)
        assert (seal.outcome, seal.reason, seal.score) == (outcome, reason, score)
        assert (seal.baseline_experiment_id, seal.baseline_score) == ("", None)
        assert len(phase.trees) <= TRIES
        await ask_seal(chronicle, bench)
        assert len(_seals(chronicle)) == 1


async def test_an_artefact_that_is_gone_is_told(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Somebody cleaned up the job folders: the run ends, and says so."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        await _lead(home, 1.5)
        for path in tmp_path.glob("jobs/*/artefact.safetensors"):
            path.unlink()
        await ask_seal(chronicle, home.institution.bench)
    (seal,) = _seals(chronicle)
    assert (seal.outcome, seal.reason, seal.score) == ("interrupted", "artefact", None)
