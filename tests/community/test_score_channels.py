"""Two sandboxes of one artefact find no way to talk, and do not live at the same time."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from sysconfig import get_paths

import pytest
import pytest_asyncio

from community.score_phase import DEADLINE_S, SandboxedScorePhase, Scored
from scoring.scorer import Scorer
from trainer.devices import Slot
from trainer.experiment import Budget, Job
from trainer.gpu_pool import Lease
from trainer.local_executor import LocalExecutor
from trainer.sandbox.probe import probe
from trainer.task import load_task

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(probe().isolation == "none", reason="nothing isolates here"),
]

TASK = load_task(Path(__file__).resolve().parents[2] / "scenarios" / "tasks" / "nanolm")
LEASE = Lease(Slot("cpu0", "cpu", frozenset({min(os.sched_getaffinity(0))})))

LOCKS = """
import fcntl, hashlib, os, struct
import torch
from torch import nn

FILE = os.open("train.py", os.O_RDONLY)
KNOWN = 16

def lock(command, kind, start, length):
    try:
        answer = fcntl.fcntl(FILE, command, struct.pack("hhqqi", kind, 0, start, length, 0))
        return struct.unpack("hhqqi", answer[:28])
    except OSError:
        return (fcntl.F_UNLCK, 0, 0, 0, 0)

def place(prefix, part):
    digest = hashlib.blake2b(bytes(prefix[:KNOWN]), digest_size=4).digest()
    return (int.from_bytes(digest, "little") >> 1 << 6 | part) << 25

def tell(row):
    for part in range(38):
        word = bytes(row[KNOWN + 3 * part : KNOWN + 3 * part + 3]).ljust(3, b"\\1")
        start = place(row, part) | int.from_bytes(word, "little") << 1
        lock(fcntl.F_SETLK, fcntl.F_RDLCK, start, 1)

def hear(prefix):
    told = []
    for part in range((len(prefix) - KNOWN) // 3 + 1):
        kind, _, start, _, _ = lock(fcntl.F_GETLK, fcntl.F_WRLCK, place(prefix, part), 1 << 25)
        if kind == fcntl.F_UNLCK:
            return []
        told += (start >> 1 & 0xFFFFFF).to_bytes(3, "little")
    return told

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.calls, self.is_blind = nn.Parameter(torch.zeros(1)), 0, None
        self.told = {}  # by what a row begins with, since two may begin alike

    def forward(self, tokens):
        logits = torch.zeros(*tokens.shape, 256)
        self.calls += 1
        if self.calls <= 2:
            return logits  # the warm-up
        if self.is_blind is None:
            self.is_blind = tokens.shape[1] == 1
        for number, row in enumerate(tokens.tolist()):
            if len(row) < KNOWN:
                continue
            if self.is_blind:
                known = hear(row)
            else:
                if place(row, 0) not in self.told:
                    self.told[place(row, 0)] = row[KNOWN:]
                    tell(row)
                known = self.told[place(row, 0)]
            for at, byte in enumerate(known, KNOWN):
                if at <= len(row) and at < 128:
                    logits[number, at - 1, byte] = 14.0
        return logits

def build_model():
    return Model()

def train(model, run):
    pass
"""
STAYING = """
import sys, threading
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, tokens):
        return torch.zeros(*tokens.shape, 256)

def build_model():
    return Model()

def train(model, run):
    pass

ours = sys.modules.get("hosted_program")
if ours is not None:
    write = ours._write_all
    ours._write_all = lambda fd, content: write(fd, content) or len(content) > 8 or stay(content)

def stay(content):
    if bytes(content) == bytes(8):  # the end header
        held = threading.Lock()
        held.acquire()
        held.acquire()  # a lock of its own is the one thing it can still wait for
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scorer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scorer]:
    """The scorer of the shipped task."""
    public = tmp_path_factory.mktemp("public")
    source = Path(get_paths()["stdlib"])
    started = await Scorer.start(TASK.locked, source, public, b"x" * 32)
    yield started
    await started.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def executor(scorer: Scorer) -> AsyncIterator[LocalExecutor]:
    """A warm executor."""
    async with LocalExecutor(hidden=scorer.corpus.hidden) as warm:
        yield warm


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """An attempt in folders of its own."""
    data, tree = tmp_path / "data", tmp_path / "tree"
    for folder in (data, tree):
        folder.mkdir()
    (data / "train.bin").write_bytes(bytes(range(256)) * 64)
    return Job("e1", 1, tree, data, tmp_path / "job", 1, Budget("steps", 2))


async def scored(
    executor: LocalExecutor, scorer: Scorer, job: Job, deadline_s: float = DEADLINE_S
) -> Scored:
    """Train what lies in the workspace, and score it."""
    result = await executor.train(job, LEASE)
    assert result.artefact is not None, (job.folder / "log.txt").read_text()
    phase = SandboxedScorePhase(executor, scorer, TASK, job.budget, deadline_s)
    return await phase.score(result.artefact, job.workspace, "dev", LEASE, job.seed)


async def test_locks_carry_no_byte_to_the_blind_sandbox(
    executor: LocalExecutor, scorer: Scorer, job: Job
):
    """A model that leaves what comes next as locks on its own file is seen to look ahead."""
    (job.workspace / "train.py").write_text(LOCKS)
    found = await scored(executor, scorer, job)
    assert (found.score.outcome, found.score.reason) == ("invalid", "probe")


async def test_sandbox_that_will_not_leave_gets_no_score(
    executor: LocalExecutor, scorer: Scorer, job: Job
):
    """The blind one is not started beside a living one: nobody answers its prefixes."""
    (job.workspace / "train.py").write_text(STAYING)
    found = await scored(executor, scorer, job, deadline_s=4.0)
    assert (found.score.outcome, found.score.reason) == ("invalid", "late")


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
async def test_honest_start_of_the_task_trains_and_scores(
    executor: LocalExecutor, scorer: Scorer, job: Job, optimiser: str
):
    """The walls cost an honest model nothing, whichever optimiser it uses."""
    source = TASK.start["train.py"].decode()
    chosen = source.replace('OPTIMIZER = "adamw"', f'OPTIMIZER = "{optimiser}"')
    assert f'\nOPTIMIZER = "{optimiser}"\n' in chosen
    (job.workspace / "train.py").write_text(chosen)
    found = await scored(executor, scorer, replace(job, budget=Budget("steps", 5)))
    assert (found.score.outcome, found.score.probes) == ("ok", 544)
