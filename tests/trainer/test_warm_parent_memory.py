"""What one job leaves in the memory of the next, by way of the parent they share: nothing.

A canary goes through a train phase and an answering sandbox in every way a job can tell something
(source, arguments, paths, data, output, artefact, requests, replies). The next job then searches
all of its own memory, and we search the warm parent's. Chance is the other half: it comes from the
lab's seed and from nothing that the parent remembers.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from safetensors.numpy import save
from trainer_trials import HIDDEN

from scoring import answering
from trainer import warm_parent as starting
from trainer.executor import Lockdown, Program
from trainer.experiment import Budget, Job
from trainer.gpu_pool import Lease
from trainer.local_executor import LocalExecutor
from trainer.sandbox.probe import probe

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not probe().allows("full"), reason="needs user namespaces"),
]

PIECE = 16
"""Characters of the canary that count as a find: what is freed loses its first words."""

TELLING = """
import sys
import torch
from torch import nn

CANARY = "{canary}"
print(CANARY, flush=True)

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("t_{canary}", torch.tensor(list(CANARY.encode()), dtype=torch.uint8))

    def forward(self, tokens):
        return torch.full((*tokens.shape, 256), float(CANARY[0] == "{canary}"[0]))

def build_model():
    return Model()

def train(model, run):
    print(bytes(run.tokens.tolist()))
"""

# The canary is written down with every character one further, and what is read is moved by one
# before it is searched: so nothing here looks like it, neither source nor what searching leaves.
SEARCHING = """
import gc, json, os
import torch
from torch import nn

PIECE = {piece}
SHIFTED = b"{shifted}"
OWN = bytes((number * 7 + 40) % 90 + 33 for number in range(64))
ONE_ON = bytes((value + 1) % 256 for value in range(256))

def spans():
    for line in open("/proc/self/maps"):
        span, rights, *_, name = (line.rstrip() + " ").split(" ", 5)
        if rights[0] == "r" and name.strip() not in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
            yield [int(part, 16) for part in span.split("-")]

def search(shifted):
    pieces = [shifted[at : at + PIECE] for at in range(0, len(shifted), PIECE)]
    memory = os.open("/proc/self/mem", os.O_RDONLY)
    found = searched = 0
    for begin, end in list(spans()):
        for start in range(begin, end, 1 << 20):
            content = os.pread(memory, min((1 << 20) + PIECE, end - start), start)
            moved = content.translate(ONE_ON)
            found += sum(moved.count(piece) for piece in pieces)
            searched += min(1 << 20, end - start)
    os.close(memory)
    return found, searched

def all_found():
    found, searched = search(SHIFTED)
    own, _ = search(OWN.translate(ONE_ON))
    return [found, own, searched >> 20]

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.found = all_found()

    def forward(self, tokens):
        logits = torch.zeros(*tokens.shape, 256)
        logits[..., :3] = torch.tensor(self.found, dtype=torch.float32)
        return logits

def build_model():
    return Model()

def train(model, run):
    print(json.dumps(model.found))
"""

DRAWING = """
import json, random
import numpy as np
import torch
from torch import nn

def draws():
    words = [hash("a word") % 65521, hash(("b", 2.5, b"c")) % 65521]
    return [torch.rand(()).item(), float(np.float32(np.random.rand())),
            float(np.float32(random.random())), *words]

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.draws = draws()

    def forward(self, tokens):
        logits = torch.zeros(*tokens.shape, 256)
        logits[..., :5] = torch.tensor(self.draws)
        return logits

def build_model():
    return Model()

def train(model, run):
    print(json.dumps(model.draws))
"""


@dataclass
class Lab:
    """One warm parent, and a folder for what its jobs are made of."""

    executor: LocalExecutor
    lease: Lease
    root: Path

    @property
    def parent(self) -> int:
        """Process id of the warm parent."""
        assert self.executor.warm_parent_pid is not None
        return self.executor.warm_parent_pid

    def job(self, name: str, source: str, data: bytes = b"training", seed: int = 1) -> Job:
        """A job whose id and folders are called `name`."""
        tree, texts = self.root / f"tree-{name}", self.root / f"data-{name}"
        for folder in (tree, texts):
            folder.mkdir(exist_ok=True)
        (tree / "train.py").write_text(source)
        (texts / "train.bin").write_bytes(data)
        folder = self.root / f"job-{name}"
        return Job(name, 1, tree, texts, folder, seed, Budget("steps", 1), takes_slow=True)

    async def train(self, job: Job) -> str:
        """Run the train phase; what was printed."""
        result = await self.executor.train(job, self.lease)
        log = (job.folder / "log.txt").read_text()
        assert result.outcome == "ok", (result.detail, log)
        return log

    async def answer(self, job: Job, artefact: Path, request: bytes, note: str = "") -> np.ndarray:
        """Ask the real answering program one row of bytes; logits of shape (time, 256)."""
        with ExitStack() as ours:
            theirs, asking = os.pipe()
            answers, replies = os.pipe()
            ours.callback(os.close, asking)
            ours.callback(os.close, answers)
            file = os.open(artefact, os.O_RDONLY)
            fixed = {"vocab": 256, "block": 129, "seed": job.seed, "device": "cpu", "note": note}
            program = Program(
                Path(answering.__file__),
                job.workspace,
                arguments=fixed,
                descriptors=(file, theirs, replies),
                lockdown=Lockdown((1, 2), 20.0, 60.0),
            )
            async with self.executor.serve(program, self.lease) as running:
                assert await running.locked()
                os.write(asking, answering.HEADER.pack(1, len(request)) + request)
                size = answering.HEADER.size + len(request) * 256 * 4
                with os.fdopen(os.dup(answers), "rb") as stream:
                    content = await asyncio.to_thread(stream.read, size)
        assert len(content) == size
        return np.frombuffer(content[answering.HEADER.size :], "<f4").reshape(-1, 256)


@dataclass(frozen=True)
class Story:
    """What came of two jobs, one telling, one searching."""

    canary: str
    maps: list[str]
    """Of the warm parent: before each job and after the last."""
    messages: list[tuple[bytes, int]]
    """What the warm parent was sent: the bytes, and how many descriptors."""
    held: dict[str, int]
    """How often these words occur in the warm parent's memory at the end."""
    trained: tuple[int, int, int]
    """In the train phase: the canary's pieces found, those of a canary of its own, MiB searched."""
    answered: tuple[int, int, int]
    """In an answering sandbox."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory, lease: Lease) -> AsyncIterator[Lab]:
    """A warm parent of one's own."""
    async with LocalExecutor(hidden=HIDDEN) as executor:
        yield Lab(executor, lease, tmp_path_factory.mktemp("lab"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story(lab: Lab) -> Story:
    """Tell in two sandboxes, search in two more, and look at the warm parent all the while."""
    canary = secrets.token_hex(32)
    maps, messages = [maps_of(lab.parent)], []
    with pytest.MonkeyPatch.context() as patch:
        send = starting.socket.send_fds

        def listen(connection: object, parts: list[bytes], descriptors: list[int]) -> int:
            messages.append((b"".join(parts), len(descriptors)))
            return send(connection, parts, descriptors)

        patch.setattr(starting.socket, "send_fds", listen)
        telling = lab.job(canary, TELLING.format(canary=canary), data=canary.encode())
        assert canary in await lab.train(telling)
        maps.append(maps_of(lab.parent))
        artefact = telling.folder / "artefact.safetensors"
        await lab.answer(telling, artefact, canary.encode(), note=canary)
        maps.append(maps_of(lab.parent))
        shifted = "".join(chr(ord(character) + 1) for character in canary)
        searching = lab.job("search", SEARCHING.format(shifted=shifted, piece=PIECE))
        trained = json.loads(await lab.train(searching))
        maps.append(maps_of(lab.parent))
        logits = await lab.answer(searching, searching.folder / "artefact.safetensors", b"?")
        maps.append(maps_of(lab.parent))
    answered = (int(logits[0, 0]), int(logits[0, 1]), int(logits[0, 2]))
    pieces = [canary[at : at + PIECE] for at in range(0, len(canary), PIECE)]
    held = counts(lab.parent, [*pieces, "tree-search", "libtorch_cpu.so"])
    return Story(canary, maps, messages, held, tuple(trained), answered)


def maps_of(pid: int) -> str:
    """The address space: every mapping, its place, rights and file."""
    return Path(f"/proc/{pid}/maps").read_text()


def counts(pid: int, words: Sequence[str]) -> dict[str, int]:
    """How often each of `words` occurs in all that can be read of a process's memory."""
    found = dict.fromkeys(words, 0)
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps_of(pid).splitlines():
            span, rights, *_, name = f"{line} ".split(" ", 5)
            if rights[0] != "r" or name.strip() in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                continue
            begin, end = (int(part, 16) for part in span.split("-"))
            for start in range(begin, end, 1 << 20):
                content = os.pread(memory.fileno(), min((1 << 20) + PIECE, end - start), start)
                for word in words:
                    found[word] += content.count(word.encode())
    return found


async def test_the_warm_parent_gets_one_byte_and_descriptors(story: Story):
    """A request is the same single byte whatever is asked; the job comes to its child alone."""
    assert [message for message, _ in story.messages] == [b"f"] * 4
    assert min(count for _, count in story.messages) == 5


async def test_its_address_space_is_the_same_before_every_fork(story: Story):
    """Not one mapping is added, moved, grown or lost by what its children do."""
    assert len(story.maps) == 5
    assert "libtorch_cpu.so" in story.maps[0]
    assert set(story.maps) == {story.maps[0]}


async def test_the_warm_parent_holds_nothing_of_a_job(story: Story):
    """No piece of the canary is in its memory, nor the name of the other job's folder."""
    assert story.held.pop("libtorch_cpu.so") > 0
    assert len(story.held) == 64 // PIECE + 1
    assert set(story.held.values()) == {0}


async def test_a_job_finds_nothing_of_the_job_before(story: Story):
    """Neither training nor answering finds a piece of the canary; each finds one of its own."""
    for found, own, searched_mib in (story.trained, story.answered):
        assert own >= 64 // PIECE
        assert found == 0
        assert searched_mib > 200


@pytest.mark.parametrize("phase", ["train", "answer"])
async def test_chance_comes_from_the_seed_alone(lab: Lab, phase: str):
    """One seed, one set of draws, whatever ran between; another seed changes each of them.

    torch, numpy and random count each; hash() is alike in all jobs.
    """
    artefact = lab.root / "artefact"
    artefact.write_bytes(save({"weight": np.zeros(1, np.float32)}))
    drawn = []
    for number, seed in enumerate((5, 6, 5, 7)):
        job = replace(lab.job(f"draw-{phase}-{number}", DRAWING), seed=seed)
        if phase == "train":
            drawn.append(json.loads(await lab.train(job)))
        else:
            logits = await lab.answer(job, artefact, b"?")
            drawn.append([float(value) for value in logits[0, :5]])
    five, six, again, seven = drawn
    assert five == again
    assert all(0 < value < 1 for value in five[:3])
    for source in range(3):
        assert len({five[source], six[source], seven[source]}) == 3
    assert five[3:] == six[3:] == seven[3:]
