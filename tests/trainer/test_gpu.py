"""nanolm on one leased CUDA device, behind the walls. `tools/gpu_check.sh` runs these alone.

They need a card and a CUDA build of torch; elsewhere they are skipped, and say so.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from sysconfig import get_paths

import pytest
import pytest_asyncio
from trainer_trials import NOTHING

from community.score_phase import SandboxedScorePhase
from scoring.scorer import Scorer
from trainer.devices import find_gpus, find_slots
from trainer.experiment import Budget, Job
from trainer.gpu_pool import GpuPool, Lease
from trainer.local_executor import LocalExecutor
from trainer.sandbox.probe import probe
from trainer.task import load_task

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(600),  # a cold driver and torch's CUDA libraries take their time
    pytest.mark.skipif(not find_gpus(), reason="no CUDA device that the installed torch can use"),
]

TASK = load_task(Path(__file__).resolve().parents[2] / "scenarios" / "tasks" / "nanolm")
HELD_MIB = 2048
SLACK_MIB = 64
"""What nvidia-smi may tell otherwise of an idle card from one look to the next."""

LOOKING = """
import json, os
import torch
from torch import nn

def opened(node):
    try:
        os.close(os.open(node, os.O_RDWR))
    except OSError as error:
        return type(error).__name__
    return "opened"

def build_model():
    return nn.Linear(2, 2)

def train(model, run):
    total = (torch.ones(1000, device=run.device) * 2).sum().item()
    cards = {number: opened(f"/dev/nvidia{number}") for number in range(32)}
    print(json.dumps({"device": run.device, "count": torch.cuda.device_count(), "total": total,
                      "uuid": str(torch.cuda.get_device_properties(0).uuid), "cards": cards}))
"""
HOLDING = NOTHING.replace(
    "    pass\n",
    f"""    import torch
    held = torch.ones({HELD_MIB} << 20, dtype=torch.uint8, device=run.device)
    torch.cuda.synchronize()
    print("held", flush=True)
    while True: pass
""",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scorer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scorer]:
    """The scorer of the shipped task."""
    public, source = tmp_path_factory.mktemp("public"), Path(get_paths()["stdlib"])
    started = await Scorer.start(TASK.locked, source, public, b"x" * 32)
    yield started
    await started.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def executor(scorer: Scorer) -> AsyncIterator[LocalExecutor]:
    """A warm executor of this module's own."""
    async with LocalExecutor(hidden=scorer.corpus.hidden) as warm:
        yield warm


@pytest_asyncio.fixture(loop_scope="module")
async def card() -> AsyncIterator[Lease]:
    """A lease of the first card."""
    async with GpuPool(find_slots(1, device="cuda")).lease() as lease:
        yield lease


def used_mib(lease: Lease) -> int:
    """Memory in use on the leased card, as the driver tells it outside."""
    query = ["nvidia-smi", "-i", lease.slot.cuda_uuid, "--query-gpu=memory.used"]
    answer = subprocess.run([*query, "--format=csv,noheader,nounits"], capture_output=True)
    return int(answer.stdout)


def must_not_know_cuda(executor: LocalExecutor) -> None:
    """Fail if the warm parent holds a card's node; the driver's library alone does nothing."""
    process = Path(f"/proc/{executor.warm_parent_pid}")
    links = [os.readlink(link) for link in (process / "fd").iterdir()]
    assert not [link for link in links if link.startswith("/dev/nvidia")]
    maps = (process / "maps").read_text()
    assert "libtorch_cuda" in maps, "this torch is no CUDA build"
    assert "/dev/nvidia" not in maps


async def until_held(log: Path) -> None:
    """Wait until the candidate says that it holds its memory."""
    while not (log.exists() and b"held\n" in log.read_bytes()):  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.05)


async def run_source(executor: LocalExecutor, job: Job, card: Lease, source: str) -> str:
    """Train a candidate to its end on the card; its output."""
    (job.workspace / "train.py").write_text(source)
    result = await executor.train(replace(job, takes_slow=True), card)
    log = (job.folder / "log.txt").read_text(errors="replace")
    assert result.outcome == "ok", (result.reason, result.detail, log)
    assert result.isolation == probe().isolation
    return log


async def test_a_job_sees_its_own_card_alone(executor: LocalExecutor, job: Job, card: Lease):
    """One device, which is the leased one, computes; no other card's node can be opened."""
    budget = Budget("device_seconds", 120)
    log = await run_source(executor, replace(job, budget=budget), card, LOOKING)
    seen = json.loads(log.splitlines()[-1])
    assert (seen["device"], seen["count"], seen["total"]) == ("cuda:0", 1, 2000.0)
    assert seen["uuid"].removeprefix("GPU-") == card.slot.cuda_uuid.removeprefix("GPU-")
    opened = [number for number, answer in seen["cards"].items() if answer == "opened"]
    assert len(opened) == 1
    refusals = {answer for answer in seen["cards"].values() if answer != "opened"}
    assert refusals <= {"FileNotFoundError", "PermissionError"}
    if probe().isolation == "full":
        assert refusals == {"FileNotFoundError"}


async def test_the_warm_parent_never_touches_cuda(executor: LocalExecutor, job: Job, card: Lease):
    """Neither before its children use the card nor after."""
    must_not_know_cuda(executor)
    await run_source(executor, replace(job, budget=Budget("device_seconds", 120)), card, LOOKING)
    must_not_know_cuda(executor)


async def test_a_killed_job_leaves_no_memory_on_the_card(
    executor: LocalExecutor, job: Job, card: Lease
):
    """Two gibibytes are held, the run is cancelled, and the card is as it was."""
    before = await asyncio.to_thread(used_mib, card)
    (job.workspace / "train.py").write_text(HOLDING)
    holding = replace(job, budget=Budget("device_seconds", 300), takes_slow=True)
    run = asyncio.create_task(executor.train(holding, card))
    try:
        async with asyncio.timeout(200):
            marked = asyncio.create_task(until_held(job.folder / "log.txt"))
            await asyncio.wait({run, marked}, return_when=asyncio.FIRST_COMPLETED)
            marked.cancel()
        assert not run.done(), run.result()
        assert await asyncio.to_thread(used_mib, card) >= before + HELD_MIB
    finally:
        run.cancel()
        await asyncio.wait({run})
    async with asyncio.timeout(30):
        while await asyncio.to_thread(used_mib, card) > before + SLACK_MIB:  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def test_nanolm_trains_and_is_scored_on_the_card(
    executor: LocalExecutor, scorer: Scorer, job: Job, card: Lease
):
    """The task as it is shipped: both phases on the device, answering locked in, verdict ok."""
    (job.data / "train.bin").write_bytes(bytes(range(256)) * 256)
    job = replace(job, budget=Budget("steps", 5), memory_bytes=TASK.memory_bytes)
    await run_source(executor, job, card, TASK.start["train.py"].decode())
    phase = SandboxedScorePhase(executor, scorer, TASK, job.budget)
    artefact = job.folder / "artefact.safetensors"
    found = await phase.score(artefact, job.workspace, "dev", card, job.seed)
    assert (found.score.outcome, found.score.reason) == ("ok", "")
    assert found.score.probes == 512 + 8 * 4
    must_not_know_cuda(executor)
