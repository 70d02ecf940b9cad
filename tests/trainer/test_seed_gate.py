"""The seed gate: whose seed matters, whose does not, and what a failure in it is held for."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from trainer_trials import HONEST, RunTrial, train_body, until_marked

from trainer.experiment import Budget, Job
from trainer.gpu_pool import Lease
from trainer.local_executor import LocalExecutor

pytestmark = pytest.mark.asyncio(loop_scope="session")

STEPS = Budget("steps", 4)
LOTTERY = HONEST.replace("    return Model()", "    torch.manual_seed(7)\n    return Model()")
COUNTS = """
import torch
from torch import nn

class Table(nn.Module):
    def __init__(self):
        super().__init__()
        self.start = nn.Embedding(256, 256)
        self.register_buffer("counts", torch.zeros(256, 256))
    def forward(self, tokens):
        return (self.counts[tokens] + 0.1).log()

def build_model():
    model = Table()
    del model.start
    return model

def train(model, run):
    seen = run.tokens.long()
    for _ in run.steps():
        model.counts.index_put_((seen[:-1], seen[1:]), torch.tensor(1.0), accumulate=True)
"""
OWN_LOOP = train_body("while run.remaining() > 0:\n    model.weight.data += torch.randn(2, 2)")
OWN_LOOP = OWN_LOOP.replace("import json", "import torch, json")


async def test_an_honest_tree_passes_and_is_measured_as_without_the_gate(
    run_trial: RunTrial, job: Job
):
    """The gate costs something, is charged, leaves nothing behind and changes no bit."""
    plain = await run_trial(HONEST, budget=STEPS)
    kept = plain.result.artefact.read_bytes()
    gated = await run_trial(HONEST, budget=STEPS, has_seed_gate=True)
    assert (gated.result.outcome, gated.result.is_deterministic) == ("ok", False)
    assert gated.result.artefact.read_bytes() == kept
    assert gated.log == plain.log
    assert 0 < gated.result.gate_cpu_s < gated.result.charge_s
    assert gated.result.charge_s == pytest.approx(gated.result.gate_cpu_s + gated.result.cpu_s)
    assert plain.result.gate_cpu_s == 0
    assert {path.name for path in job.folder.iterdir()} == {"log.txt", "artefact.safetensors"}


@pytest.mark.parametrize("source", [LOTTERY, COUNTS], ids=["lottery", "count table"])
async def test_a_seed_that_does_not_matter_is_marked(run_trial: RunTrial, source: str):
    """A picked seed and an honest table of counts look alike from outside: measured, and marked."""
    trial = await run_trial(source, budget=STEPS, has_seed_gate=True)
    assert (trial.result.outcome, trial.result.is_deterministic) == ("ok", True)


@pytest.mark.parametrize(
    ("source", "expected", "detail"),
    [
        (train_body("raise ValueError('no step')"), "crash", "ValueError: no step"),
        (train_body("while True: pass"), "limit", "0.4 cpu seconds used"),
        (train_body("model.weight.data[0, 0] = float('inf')"), "artefact", "not finite"),
    ],
    ids=["crash", "endless", "not finite"],
)
async def test_a_failure_in_the_gate_is_the_candidates(
    run_trial: RunTrial, job: Job, source: str, expected: str, detail: str
):
    """What ends badly in two steps is invalid for that reason; nothing more is paid for."""
    budget = Budget("cpu_seconds", 0.4)
    trial = await run_trial(source, budget=budget, has_seed_gate=True)
    assert (trial.result.outcome, trial.result.reason) == ("invalid", expected)
    assert detail in trial.result.detail
    assert "in the first 2 steps" in trial.result.detail
    assert trial.result.cpu_s < 1
    assert trial.result.charge_s > 0
    assert [path.name for path in job.folder.iterdir()] == ["log.txt"]
    assert expected != "crash" or "ValueError: no step" in trial.log


@pytest.mark.parametrize("budget", [STEPS, Budget("cpu_seconds", 0.5)], ids=["steps", "cpu"])
async def test_a_loop_of_the_candidates_own_passes_the_gate(run_trial: RunTrial, budget: Budget):
    """Who looks at run.remaining() instead of iterating over run.steps() comes to an end too."""
    trial = await run_trial(OWN_LOOP, budget=budget, has_seed_gate=True)
    if budget is STEPS:
        assert (trial.result.outcome, trial.result.is_deterministic) == ("ok", False)
    else:  # it keeps no margin for the artefact, so the limit decides; the gate let it pass
        assert "in the first" not in trial.result.detail


async def test_cancelling_in_the_gate_leaves_nothing(
    executor: LocalExecutor, job: Job, lease: Lease
):
    """A cancelled gate has no process and no folder left."""
    (job.workspace / "train.py").write_text(train_body("print('here')\nwhile True: pass"))
    task = asyncio.create_task(executor.train(replace(job, has_seed_gate=True), lease))
    async with asyncio.timeout(20):
        await until_marked(job.folder / "gate" / "1" / "log.txt")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not (job.folder / "gate").exists()
