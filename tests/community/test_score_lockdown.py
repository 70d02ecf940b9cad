"""What a model can do while it is scored: nothing that leaves a trace, whatever it is made of."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from sysconfig import get_paths

import pytest
import pytest_asyncio

from community.score_phase import SandboxedScorePhase, Scored
from scoring.scorer import Scorer
from trainer.devices import Slot
from trainer.experiment import Budget, Job
from trainer.gpu_pool import Lease
from trainer.local_executor import LocalExecutor
from trainer.sandbox.probe import probe
from trainer.task import load_task

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not probe().allows("full"), reason="full isolation locks in"),
]

TASK = load_task(Path(__file__).resolve().parents[2] / "scenarios" / "tasks" / "nanolm")
LEASE = Lease(Slot("cpu0", "cpu", frozenset({min(os.sched_getaffinity(0))})))
MODEL = """
import os, sys, threading
import torch
from torch import nn

IS_SCORED = "hosted_program" in sys.modules

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.calls = nn.Parameter(torch.zeros(1)), 0

    def forward(self, tokens):
        self.calls += 1
        if self.calls > 2:  # two requests are the warm-up's
            answering(tokens)
        return torch.zeros(*tokens.shape, 256)

def answering(tokens):
    {answering}

def build_model():
    if IS_SCORED:
        {building}
    return Model()

def train(model, run):
    pass
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scorer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scorer]:
    """The scorer of the shipped task."""
    public = tmp_path_factory.mktemp("public")
    started = await Scorer.start(TASK.locked, Path(get_paths()["stdlib"]), public, b"x" * 32)
    yield started
    await started.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def executor(scorer: Scorer) -> AsyncIterator[LocalExecutor]:
    """A warm executor."""
    async with LocalExecutor(hidden=scorer.corpus.hidden) as warm:
        yield warm


@pytest.fixture
def scored(executor: LocalExecutor, scorer: Scorer, tmp_path: Path):
    """Train and score MODEL with these two bodies."""
    tree = tmp_path / "tree"
    for folder in (tmp_path / "data", tree):
        folder.mkdir()
    (tmp_path / "data" / "train.bin").write_bytes(bytes(range(256)) * 64)

    async def run(
        *,
        answering: str = "pass",
        building: str = "pass",
        more: str = "",
        baseline_cpu_s: float | None = None,
    ) -> Scored:
        source = MODEL.format(answering=answering, building=building) + more
        (tree / "train.py").write_text(source)
        job = Job("e1", 1, tree, tmp_path / "data", tmp_path / "job", 1, Budget("steps", 1))
        result = await executor.train(job, LEASE)
        assert result.artefact is not None, (job.folder / "log.txt").read_text()
        phase = SandboxedScorePhase(executor, scorer, TASK, job.budget)
        return await phase.score(result.artefact, tree, "dev", LEASE, job.seed, baseline_cpu_s)

    return run


async def test_honest_model_is_scored(scored):
    """The frame of the others: knowing nothing is eight bits a byte."""
    found = await scored()
    assert (found.score.outcome, found.score.value) == ("ok", 8.0)
    assert found.score.asked > 508 * 128
    assert 0 < found.cpu_s < 10


async def test_printed_and_raised_tokens_are_nowhere(scored, tmp_path: Path):
    """A model that prints what it is asked, and raises it, leaves it in no file of the run."""
    shout = "print('ASKED', tokens.tolist(), file=sys.stderr); print('ASKED', tokens.tolist())"
    found = await scored(answering=f"{shout}; raise ValueError('ASKED', tokens.tolist())")
    assert (found.score.outcome, found.score.reason) == ("invalid", "short")
    assert found.score.value is None
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "train.py"]
    assert {path.name for path in files} >= {"log.txt"}
    assert not [path for path in files if b"ASKED" in path.read_bytes()]
    assert (await scored(answering=shout)).score.outcome == "ok"


@pytest.mark.parametrize(
    "body",
    ["import zipapp", "open('train.py')", "os.stat('.')", "threading.Thread(target=print).start()"],
)
async def test_what_belongs_to_loading_fails_while_answering(scored, body: str):
    """Late imports, files and threads end the answers, as the brief says."""
    found = await scored(answering=body)
    assert (found.score.outcome, found.score.reason) == ("invalid", "short")
    assert (await scored(building=body)).score.outcome == "ok"


@pytest.mark.parametrize(
    ("building", "reason"),
    [
        ("os.closerange = lambda *_: None", "protocol"),
        ("os.dup(0), setattr(os, 'closerange', lambda *_: None)", "protocol"),
        ("while True: pass", "limit"),
        ("threading.Event().wait(1) or os._exit(0)", "short"),
        ("raise ValueError", "short"),
        ("bytearray(3 << 30)", "memory"),
    ],
    ids=["patches", "keeps", "spins", "leaves", "raises", "hoards"],
)
async def test_hostile_build_is_refused_for_a_fixed_word(scored, building: str, reason: str):
    """It never gets a held-out byte, and says nothing but one of eight words."""
    found = await scored(building=building)
    assert (found.score.outcome, found.score.reason) == ("invalid", reason)


async def test_a_model_that_answers_for_ever_is_ended_at_three_times_the_baseline(scored):
    """While it answers, at the price on record, and long before the run's own cap of a minute."""
    found = await scored(answering="while True: pass", baseline_cpu_s=0.6)
    assert (found.score.outcome, found.score.reason) == ("invalid", "limit")
    assert found.cpu_s < 10, "1.8 s and loading"


SPY = """
KEPT, FOUND, GO, read = [], [], threading.Event(), os.read

def keep(descriptor, count):
    KEPT.append(read(descriptor, count))
    return KEPT[-1]

def spy():
    GO.wait()
    for act in (lambda: open("/tmp/kept", "wb"), os.fork, lambda: os.dup(0), os.getcwd):
        try:
            FOUND.append(act())
        except OSError:
            continue

THREAD = threading.Thread(target=spy)
"""


async def test_thread_from_loading_finds_nothing_while_answering(scored):
    """Our reading is patched and a thread waits; its calls fail, and the answers go on."""
    found = await scored(
        building="setattr(os, 'read', keep), THREAD.start()",
        answering="GO.set(); THREAD.join(); assert KEPT and not FOUND",
        more=SPY,
    )
    assert (found.score.outcome, found.score.reason) == ("ok", "")
