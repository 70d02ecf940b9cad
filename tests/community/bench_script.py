"""A bench whose experiments take no time: the score of a tree is ``4 - RATE``, crashes on request.

It stands for executor and score phase alone; scheduler, admission, lab, clerk, board, ledger and
repository in these tests are the real ones.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from archive_script import asking, queued, run_whole

from agents.lab import Prepared, Proposal
from agents.roles import Role
from community.admission import Admission
from community.chronicle import Chronicle
from community.clerk import Clerk
from community.events import VerdictGiven
from community.institution import Institution
from community.lab import AgentLab
from community.outside import Outside
from community.queueing import Queue
from community.run_folder import RunFolder
from community.scenario import Scenario
from community.scheduler import Bench, Scheduler
from community.score_phase import Scored
from community.screening import told_verdict
from community.sketching import SketchingScorePhase
from community.topology import build_topology
from community.twins import Twins
from community.unasked import serve_unasked
from forum.board import Board, Desk
from forum.ids import AgentName
from forum.memory_board import MemoryBoard
from forum.messages import Draft, Evidence, Finding, Hypothesis, Prediction
from scoring.verdict import Score
from trainer.devices import Slot
from trainer.errors import ExecutorError
from trainer.experiment import Budget, Job, TrainResult
from trainer.gpu_pool import GpuPool, Lease
from trainer.repository import Repository
from trainer.task import Task
from trainer.texts import Texts, TrustedTexts


class ScriptedExecutor:
    """Trains nothing: hands the tree on as the artefact; RATE = 13.0 crashes."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.lose_next = 0
        self.break_next = 0
        self.broken: set[float] = set()
        """RATEs that crash from now on."""

    async def train(self, job: Job, lease: Lease) -> TrainResult:
        """Train as the class says, once the gate is open."""
        self.started.append(job.job_id)
        await self.gate.wait()
        if self.break_next:
            self.break_next -= 1
            raise ExecutorError("the warm parent does not answer")
        text = (job.workspace / "train.py").read_text()
        outcome: Any = "invalid" if rate_of(text) in {13.0, *self.broken} else "ok"
        if self.lose_next:
            self.lose_next -= 1
            outcome = "interrupted"
        artefact = job.folder / "artefact.safetensors"
        artefact.write_text(text)
        return TrainResult(
            outcome, "" if outcome == "ok" else "crash", "", 1.0, 1.5, 1.2, 0.01,
            artefact if outcome == "ok" else None, "full",
        )  # fmt: skip


class ScriptedScorePhase:
    """Scores ``4 - RATE`` on dev; on vault trees with WIDTH = 5 turn out no better than 3.0."""

    async def score(
        self, artefact: Path, workspace: Path, split: Any, lease: Lease, seed: int, *_: Any
    ) -> Scored:
        """Score as the class says."""
        text = artefact.read_text()
        value = 3.0 if split == "vault" and "WIDTH = 5" in text else 4.0 - rate_of(text)
        return Scored(Score("ok", value, "", 1, 1, 0.0), 0.1)


class NoisyScorePhase:
    """Scores ``4 - RATE`` and what the seed draws, plus `shift`, the same on every split."""

    def __init__(self, sigma: float = 0.02) -> None:
        self.sigma = sigma
        self.shift = 0.0
        """Added to every score from now on: the machine has changed."""

    async def score(
        self, artefact: Path, workspace: Path, split: Any, lease: Lease, seed: int, *_: Any
    ) -> Scored:
        """Score as the class says."""
        drawn = random.Random(seed).gauss(0.0, self.sigma)
        value = 4.0 - rate_of(artefact.read_text()) + drawn + self.shift
        return Scored(Score("ok", value, "", 1, 1, 0.0), 0.1)


class Vault(ScriptedScorePhase):
    """Scores on vault as planned by RATE, one after the other; None fails, no plan is as on dev."""

    def __init__(self, **plan: list[float | None]) -> None:
        self.plan = {
            float(name[1:].replace("_", ".")): iter(scores) for name, scores in plan.items()
        }

    async def score(
        self, artefact: Path, workspace: Path, split: Any, lease: Lease, seed: int, *rest: Any
    ) -> Scored:
        """Score as the class says."""
        planned: Iterator[float | None] = self.plan.get(rate_of(artefact.read_text()), iter(()))
        if split == "vault":
            for value in planned:
                score = Score("ok" if value is not None else "invalid", value, "", 1, 1, 0.0)
                return Scored(score, 0.1)
        return await super().score(artefact, workspace, split, lease, seed, *rest)


def rate_of(text: str) -> float:
    """Return RATE in a tree's text."""
    found = re.search(r"RATE = ([\d.]+)", text)
    assert found is not None
    return float(found[1])


def task_of(start: dict[str, bytes], folder: Path, knobs_toml: str | None = None) -> Task:
    """Return a task over `start` with ``train.py`` editable."""
    return Task(
        name="script", folder=folder, kind="model", metric="val", unit="u", direction="lower",
        editable=("train.py",), tree_bytes=40_960, patch_bytes=40_960, patch_files=4,
        literal_bytes=2048, novel_bytes=8192,
        budget=Budget("cpu_seconds", 1.0), artefact_bytes=1 << 20, memory_bytes=1 << 30,
        loading_cpu_s=0.5, block=129, vocab=256, brief="", start=start, knobs_toml=knobs_toml,
        knobs_path=None if knobs_toml is None else "train.py",
    )  # fmt: skip


def scenario_of(experiments: int | None = None, **lab: Any) -> Scenario:
    """Return a scenario of ada and bob (explorers) and cleo (reproducer)."""
    return Scenario.model_validate(
        {
            "run": {"task": "nanolm"},
            "stop": {"experiments": experiments},
            "lab": lab,
            "agents": [
                {"name": "ada", "role": "explorer", "mind": "policy:random"},
                {"name": "bob", "role": "explorer", "mind": "policy:random"},
                {"name": "cleo", "role": "reproducer", "mind": "policy:verify"},
            ],
        }
    )


def isolated() -> Scenario:
    """Return the scenario with no edge between agents."""
    scenario = scenario_of()
    topology = scenario.topology.model_copy(update={"family": "isolated"})
    return scenario.model_copy(update={"topology": topology})


class House:
    """An institution with its labs and a way to post, for one test."""

    def __init__(
        self,
        institution: Institution,
        scheduler: Scheduler,
        board: Board,
        bench: Bench,
        desk: Desk,
    ) -> None:
        self.institution = institution
        self.scheduler = scheduler
        self.chronicle = institution.chronicle
        self.bench = bench
        self.executor: Any = bench.executor
        self.board = board
        self.desk = desk

    def lab(self, agent: str) -> AgentLab:
        """Return the lab as `agent` sees it."""
        return AgentLab(self.institution, agent)

    async def post(self, author: str, commit: str) -> str:
        """Post a hypothesis on `commit`; returns its post id."""
        body = Hypothesis(
            title=commit[:7], parents=(commit,), prediction=Prediction(gain=0.1, confidence=0.5),
            commit=commit,
        )  # fmt: skip
        async with self.board.seat(AgentName(author)) as seat:
            receipt = await seat.submit(Draft(message_id=f"h-{commit}", body=body))
        assert receipt.post_id is not None
        return receipt.post_id

    async def propose(self, author: str, rate: float, width: int = 4, parent: str = "") -> str:
        """Prepare and post a tree; returns the post id."""
        opened = self.chronicle.state.opened
        assert opened is not None
        text = f"RATE = {rate}\n# knob\nWIDTH = {width}\n"
        proposal = Proposal((parent or opened.baseline_commit,), {"train.py": text}, f"{rate}")
        prepared = await self.lab(author).prepare(proposal)
        return await self.post(author, prepared.commit)

    async def prepare_twin(self, author: str, rate: float) -> Prepared:
        """Prepare the tree of `propose` with other comments; nothing is posted."""
        opened = self.chronicle.state.opened
        assert opened is not None
        text = f"# another comment\nRATE = {rate}\n# other\nWIDTH = 4\n"
        proposal = Proposal((opened.baseline_commit,), {"train.py": text}, "mine")
        return await self.lab(author).prepare(proposal)

    async def report(self, author: str, hypothesis: str, verdict_id: str = "") -> None:
        """Post the finding on `hypothesis` in the name of `author`, on its last verdict or this."""
        claim = self.chronicle.state.hypotheses[hypothesis]
        last = claim.changes[-1][1]
        verdict_id = verdict_id or told_verdict(self.chronicle.state, claim, last).verdict_id
        evidence = Evidence(verdict_id=verdict_id, outcome="ok", score=None, status="measured")
        body = Finding(hypothesis=hypothesis, evidence=evidence)
        async with self.board.seat(AgentName(author)) as seat:
            await seat.submit(Draft(message_id=f"f-{hypothesis}", thread=hypothesis, body=body))

    def commit_of(self, post_id: str) -> str:
        """Return the commit of a hypothesis."""
        return self.chronicle.state.hypotheses[post_id].commit


@asynccontextmanager
async def house(
    chronicle: Chronicle,
    repository: Repository,
    folder: Path,
    scenario: Scenario,
    *,
    slots: int = 2,
    is_serving: bool = True,
    texts: Texts | None = None,
    life_class: str = "cpu",
    score_phase: Any = None,
    guests: tuple[str, ...] = (),
    knobs_toml: str | None = None,
    board: Board | None = None,
    roles: Mapping[str, Role] | None = None,
) -> AsyncIterator[House]:
    """Run an institution on the scripted bench until the block ends; `guests` come from outside."""
    opened = chronicle.state.opened
    assert opened is not None
    texts = texts or TrustedTexts()
    bench = Bench(
        task=task_of(repository.read(opened.baseline_commit), folder, knobs_toml),
        budget=Budget("cpu_seconds", 1.0),
        repository=repository,
        texts=texts,
        folder=RunFolder(folder),
        pool=GpuPool(tuple(Slot(f"cpu{n}", "cpu", frozenset({n})) for n in range(slots))),
        executor=ScriptedExecutor(),  # type: ignore[arg-type]
        score_phase=SketchingScorePhase(score_phase or ScriptedScorePhase()),
        lock_hash="lock",
        corpus_hash="corpus",
        device_class="cpu",
        life_class=life_class,
        epoch_s=0,
    )
    roles = roles or {each.name: scenario.role(each.role) for each in scenario.members()}
    board = board or MemoryBoard()
    async with board.desk() as desk, asyncio.TaskGroup() as group:
        if chronicle.state.forum.topology is None:  # it knows of an earlier life
            chronicle.record(build_topology([*roles], scenario.topology, 1).as_event())
        twins = Twins(repository, bench.task)
        clerk = Clerk(chronicle, desk, repository, texts, asking(roles), twins=twins)
        admission = Admission(scenario.stop, scenario.noise.confirm_pairs)
        queue = Queue(lambda: 0.0, lambda name: institution.worth(name))
        scheduler = Scheduler(chronicle, queue, bench)
        institution = Institution(
            scenario, chronicle, scheduler, admission, bench, clerk, roles, group
        )
        tasks = [group.create_task(clerk.serve())]
        tasks += serve_unasked(group, chronicle, desk, clerk, twins)
        if guests:
            tasks += Outside(institution, desk, guests, roles, (), b"secret").serve(group)
        if is_serving:
            tasks.append(group.create_task(scheduler.serve()))
        try:
            yield House(institution, scheduler, board, bench, desk)
        finally:
            institution.leave()
            for task in tasks:
                task.cancel()


def calibrated(chronicle: Chronicle, sketches: Sequence[str] = ("",) * 8) -> Chronicle:
    """Give the baseline eight runs, four on each slot, with the mean 3.0 and a sigma of 0.02."""
    opened = chronicle.state.opened
    assert opened is not None
    for number in range(1, 9):
        slot = f"cpu{number % 2}"
        run = queued(
            f"b000{number}", "baseline", opened.baseline_commit, opened.baseline_tree_key,
            measurement=number, seed=number, slot=slot,
        )  # fmt: skip
        score = 3.02 if number % 4 < 2 else 2.98
        started, end, told = (event for _, event in run_whole(run, slot, 0, score)[1:])
        assert isinstance(told, VerdictGiven)
        told = replace(told, slot=slot, sketch=sketches[number - 1])
        chronicle.record(run, started, end, told)
    return chronicle


async def screened(home: House, author: str, rate: float, width: int = 4) -> str:
    """Propose and screen a tree; returns the post id."""
    post_id = await home.propose(author, rate, width)
    await home.lab(author).run(home.commit_of(post_id), post_id)
    return post_id
