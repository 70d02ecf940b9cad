"""What a tree must show before it counts: that its seed matters, or a gain no lottery explains."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_script import (
    NoisyScorePhase,
    ScriptedExecutor,
    ScriptedScorePhase,
    calibrated,
    house,
    scenario_of,
    screened,
)

from community.chronicle import Chronicle
from trainer.experiment import Job, TrainResult
from trainer.gpu_pool import Lease
from trainer.repository import Repository


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
