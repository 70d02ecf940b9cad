"""What a card did is asked of the driver's tool; here of a program of that name."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from trainer_trials import NOTHING

from community.device_figures import cards_lines, device_used, device_words, multiplied
from trainer.device_watch import watched
from trainer.experiment import Budget, DeviceUse, Job, TrainResult
from trainer.gpu_pool import Lease
from trainer.local_executor import LocalExecutor

TOOL = """#!/bin/sh
echo "$@" > {folder}/asked
printf '%s\\n' '1000, 40' 'No devices' '3000, 100' '2000, [N/A]' '2000, 70'
touch {folder}/told
exec sleep 100
"""


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose nvidia-smi prints five lines, three of which tell something."""
    (tmp_path / "nvidia-smi").write_text(TOOL.format(folder=tmp_path))
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


async def test_the_most_memory_and_the_mean_business_are_told(tool: Path):
    """Of the card that is named, and the tool is gone afterwards."""
    async with asyncio.timeout(30), watched("GPU-aa-1") as looks:
        while (seen := looks.so_far()) is None or seen.looks < 3:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
    assert seen == DeviceUse(3000 << 20, pytest.approx(0.7), 3)
    asked = (tool / "asked").read_text()
    assert "-i GPU-aa-1 --query-gpu=memory.used,utilization.gpu" in asked
    async with asyncio.timeout(30), watched("") as looks:
        pass
    assert looks.so_far() is None  # a processor


@pytest.mark.usefixtures("tool")
async def test_without_the_tool_nothing_is_told(monkeypatch: pytest.MonkeyPatch):
    """And nothing fails."""
    monkeypatch.setenv("PATH", "/nowhere")
    async with watched("GPU-aa-1") as looks:
        pass
    assert looks.so_far() is None


UNTIMED = NOTHING.replace(
    "    pass\n",
    """    import time
    seen = []
    for progress in run.steps():
        if not seen:
            time.sleep(1.0)
        seen.append(progress)
        time.sleep(0.02)
    print(json.dumps({"first": seen[:2], "steps": len(seen), "left": run.remaining()}))
""",
)


@pytest.mark.asyncio(loop_scope="session")
async def test_the_first_step_is_untimed_up_to_a_constant(
    executor: LocalExecutor, job: Job, lease: Lease
):
    """A second of it is not counted; more than the constant is, and there is a limit outside."""
    (job.workspace / "train.py").write_text(UNTIMED)
    job = replace(job, takes_slow=True)
    whole = Budget("device_seconds", 0.6, untimed_s=5.0)
    result = await executor.train(replace(job, budget=whole), lease)
    told = json.loads((job.folder / "log.txt").read_text())
    assert result.outcome == "ok", result
    assert result.wall_s > 1.4
    assert told["first"][0] == 0
    assert told["first"][1] < 0.2  # the second of sleep would be beyond the whole budget
    assert told["steps"] > 10
    partly = Budget("device_seconds", 0.6, untimed_s=0.1)
    result = await executor.train(replace(job, budget=partly), lease)
    assert (result.outcome, result.reason) == ("invalid", "limit")


@pytest.mark.asyncio(loop_scope="session")
async def test_the_data_of_many_tokens_are_two_bytes_each(
    executor: LocalExecutor, job: Job, lease: Lease
):
    """What `run.tokens` is."""
    (job.data / "train.bin").write_bytes(bytes([1, 2, 255, 255]))
    (job.workspace / "train.py").write_text(
        NOTHING.replace("    pass\n", "    print(run.tokens.dtype, run.tokens.long().tolist())\n")
    )
    result = await executor.train(replace(job, token_bytes=2), lease)
    assert result.outcome == "ok"
    assert (job.folder / "log.txt").read_text() == "torch.uint16 [513, 65535]\n"


def test_figures_are_estimated_from_steps_parameters_and_the_cards_peak(job: Job):
    """6 N tokens/s / peak, of the parameters that are multiplied."""
    (job.workspace / "train.py").write_text("BATCH = 8\nCONTEXT = 100\n")
    job.folder.mkdir(exist_ok=True)
    (job.folder / "log.txt").write_text("  0% step     0 loss 9\n 50% step   600 loss 3.1 bits\n")
    artefact = job.folder / "artefact.safetensors"
    tables = {name: torch.zeros(50, 4) for name in ("embed", "values", "head")}
    tables |= {"matrix": torch.zeros(10, 30), "gain": torch.zeros(99)}
    safetensors.torch.save_file(tables, artefact)
    assert multiplied(artefact, vocab=50) == 10 * 30 + 50 * 4
    use = DeviceUse(3 << 30, 0.71, 9)
    train = TrainResult("ok", "", "", 1.0, 30.0, 30.0, 0.1, artefact, "full", device_use=use)
    timed = replace(job, budget=Budget("device_seconds", 20.0, untimed_s=5.0))
    found = device_used(timed, train, "NVIDIA H100 80GB HBM3", 50)
    assert found is not None
    assert found.tokens_per_s == 600 * 800 / 10
    assert found.flop_share == pytest.approx(6 * 500 * 48000 / 989e12, abs=1e-4)
    assert "3.0 GiB of its card, busy 71% of the time, 48,000 tokens/s" in device_words(found)
    other = device_used(timed, train, "Some other card", 50)
    assert other is not None
    assert other.flop_share is None
    (job.folder / "log.txt").write_text("quiet\n")
    quiet = device_used(timed, train, "NVIDIA H100 80GB HBM3", 50)
    assert quiet is not None
    assert (quiet.tokens_per_s, quiet.peak_bytes) == (None, 3 << 30)
    assert cards_lines((found, other, quiet)) == [
        "cards: at most 3.0 GiB, busy 71% of a training, "
        "48,000 tokens/s by the programs' own count, "
        f"MFU about {found.flop_share:.1%} (medians of 3)"
    ]
    assert cards_lines(()) == []
    assert device_used(timed, replace(train, device_use=None), "NVIDIA H100", 50) is None
