"""What a tree must show before it counts: that its seed matters, or a gain no lottery explains."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_script import (
    NoisyScorePhase,
    ScriptedExecutor,
    ScriptedScorePhase,
    calibrated,
    house,
    rate_of,
    scenario_of,
    screened,
)
from safetensors.numpy import save_file

from community.chronicle import Chronicle
from community.score_phase import Scored
from community.seed_rule import is_deterministic
from scoring.verdict import Score
from trainer.experiment import Job, TrainResult
from trainer.gpu_pool import Lease
from trainer.repository import Repository
from trainer.sketch import sketch


class Gatekeeper(ScriptedExecutor):
    """Remembers which jobs had a gate; trees with WIDTH = 9 end alike under any seed."""

    def __init__(self) -> None:
        super().__init__()
        self.gated: list[str] = []

    async def train(self, job: Job, lease: Lease) -> TrainResult:
        """Train as scripted, mark what the gate would."""
        result = await super().train(job, lease)
        if not job.has_seed_gate:
            return result
        self.gated.append(job.job_id)
        is_alike = "WIDTH = 9" in (job.workspace / "train.py").read_text()
        return replace(result, is_deterministic=is_alike, gate_cpu_s=0.25, charge_s=1.45)


def keep_gate(home: Any) -> Gatekeeper:
    """Put a gatekeeper in the place of the bench's executor."""
    keeper = Gatekeeper()
    scheduler = home.institution._scheduler
    scheduler._bench = replace(scheduler._bench, executor=keeper)
    return keeper


@pytest.mark.parametrize(
    ("width", "rate", "is_final"),
    [(4, 1.052, False), (9, 1.04, True), (9, 1.3, True)],
    ids=["seeded", "lottery", "large gain"],
)
async def test_runs_that_cannot_differ_count_as_one(
    chronicle: Chronicle,
    repository: Repository,
    tmp_path: Path,
    width: int,
    rate: float,
    is_final: bool,
):
    """A picked seed is not asked again, which would say nothing new; a large gain passes."""
    phase = NoisyScorePhase() if width == 4 else ScriptedScorePhase()
    async with house(
        calibrated(chronicle), repository, tmp_path, scenario_of(), score_phase=phase
    ) as home:
        keeper = keep_gate(home)
        post_id = await screened(home, "ada", rate, width)
        claim = chronicle.state.hypotheses[post_id]
        ((_, change),) = claim.changes
        screens = [e for e in chronicle.state.experiments.values() if e.queued.purpose == "screen"]
        assert (len(screens) == 1) == is_final
        assert (change.status == "undecided") == (width == 9 and rate == 1.04)
        if claim.status == "improved":
            async with asyncio.timeout(20):
                await home.lab("cleo").reproduce(post_id)
            assert claim.status == "reproduced"
        assert keeper.gated == ["e0001"]
    verdicts = chronicle.state.verdicts_by_tree[claim.tree_key, "dev"]
    assert {v.is_deterministic for v in verdicts} == {width == 9}
    ends = [a.ended for a in chronicle.state.experiments["e0001"].attempts]
    assert [(e.gate_cpu_s, e.charge_s) for e in ends if e is not None] == [(0.25, 1.45)]
    assert not any(v.is_deterministic for v in chronicle.state.verdicts.values()) or width == 9


def ended_in(path: Path, seed: int, own: int | None) -> str:
    """Write what a run ends with, mostly drawn from a seed of the tree's `own`; its sketch."""
    weights = np.random.default_rng(seed if own is None else own).normal(size=(64, 64))
    weights += 0.1 * np.random.default_rng(seed).normal(size=(64, 64))
    save_file({"weights": weights.astype("f4")}, path)
    return sketch(path)


class Pinning(ScriptedExecutor):
    """Trees with WIDTH = 9 begin with weights of their own; the order of the data is the lab's."""

    async def train(self, job: Job, lease: Lease) -> TrainResult:
        """Train as scripted, end in weights."""
        result = await super().train(job, lease)
        is_pinned = "WIDTH = 9" in (job.workspace / "train.py").read_text()
        if result.artefact is not None:
            ended_in(result.artefact, job.seed, 9 if is_pinned else None)
        return result


class Reading(NoisyScorePhase):
    """Scores what the tree says, since the artefact holds weights."""

    async def score(
        self, artefact: Path, workspace: Path, split: Any, lease: Lease, seed: int, *_: Any
    ) -> Scored:
        """Score as the class says."""
        value = 4.0 - rate_of((workspace / "train.py").read_text())
        return Scored(Score("ok", value + random.Random(seed).gauss(0, 0.005), "", 1, 1, 0.0), 0.1)


@pytest.mark.parametrize(
    ("width", "is_known", "is_marked"),
    [(9, True, True), (4, True, False), (9, False, False)],
    ids=["pinned", "honest", "older ledger"],
)
async def test_a_tree_that_begins_with_weights_of_its_own_is_seen_at_its_second_run(
    chronicle: Chronicle,
    repository: Repository,
    tmp_path: Path,
    width: int,
    is_known: bool,
    is_marked: bool,
):
    """A gain of 2.4 sigma would be confirmed of an honest tree; of a pinned one it is too little.

    Where the start tree's runs left no sketches nothing is known, and nobody is marked.
    """
    file = tmp_path / "start"
    known = [ended_in(file, 100 + n, None) if is_known else "" for n in range(8)]
    async with house(
        calibrated(chronicle, known), repository, tmp_path, scenario_of(), score_phase=Reading()
    ) as home:
        scheduler = home.institution._scheduler
        scheduler._bench = replace(scheduler._bench, executor=Pinning())
        post_id = await screened(home, "ada", 1.048, width)
        claim = chronicle.state.hypotheses[post_id]
        assert is_deterministic(chronicle.state, claim.tree_key) == is_marked
        assert claim.status == "undecided" if is_marked else claim.changes[0][1].verdicts
        screens = [e for e in chronicle.state.experiments.values() if e.queued.purpose == "screen"]
        assert len(screens) >= 2
        assert all(e.verdict is not None and e.verdict.sketch for e in screens)
    opened = chronicle.state.opened
    assert opened is not None
    assert not is_deterministic(chronicle.state, opened.baseline_tree_key)
