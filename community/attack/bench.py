"""A bench: the parts that admit, train and score a candidate, put together for one lab.

They are the production parts, except where a block is off. What it does follows the scheduler's
path: patch policy, workspace, train phase, score phase, all on one leased slot.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from community.attack.bait import Bait
from community.attack.weak.unlocked import Unlocked
from community.score_phase import ScorePhase
from scoring.scorer import Scorer
from scoring.verdict import Split
from trainer.errors import PatchRefusedError
from trainer.executor import Executor
from trainer.experiment import Budget, Job, TrainResult
from trainer.gpu_pool import GpuPool, Lease
from trainer.patch_policy import PatchPolicy
from trainer.repository import Repository
from trainer.task import Task
from trainer.texts import Texts
from trainer.train_phase import LOG_NAME

STEPS = Budget("steps", 6)
"""Enough that a model differs from its start, and few enough for a table of sixty rows."""
SEED = 11
HASTY_S = 5.0
"""A deadline for answers that one can wait for in a suite."""
PUBLIC_SECRET = hashlib.sha256(b"seed 11").digest()
"""What a hurried builder draws blocks from, so that runs can be repeated."""

Write = Callable[[Mapping[str, bytes], Path], Path]
"""Writes a tree into a folder and returns it."""
Read = Callable[[Path, str], Mapping[str, bytes]]
"""Reads the tree of a commit from the repository in a folder."""
StartScorer = Callable[[Path], Awaitable[Scorer]]
"""Starts a scorer of this lab on a locked folder; whoever asked ends it."""


def read_commit(repository: Path, commit: str) -> Mapping[str, bytes]:
    """Read a tree as a run does.

    Raises:
        RepositoryError: it holds something that no run writes.
    """
    return Repository.open(repository, writer=False).read(commit)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one candidate came to."""

    outcome: str
    """As in a verdict."""
    reason: str
    """The patch policy's rule, the train phase's reason or the score's; empty when ok."""
    score: float | None
    log: str
    """What it printed while training."""
    train: TrainResult | None
    """None if the patch was refused."""
    cpu_s: float
    """What the train phase says it used."""
    folder: Path | None
    """The job's folder; None if the patch was refused."""


@dataclass(slots=True)
class Bench:
    """The parts of one lab."""

    task: Task
    folder: Path
    """Job folders go here."""
    data: Path
    """Training data."""
    bait: Bait
    pool: GpuPool
    policy: PatchPolicy
    texts: Texts
    write: Write
    read: Read
    executor: Executor
    phase: ScorePhase
    hasty_phase: ScorePhase
    """The same with a deadline of `HASTY_S`."""
    start_scorer: StartScorer
    heldout: bytes
    """The text of ``dev``, as a mind may know it by heart."""
    drawn: Callable[[bytes | None], bytes]
    """The blocks that some secret draws from ``dev``, after one another; None for the run's."""
    forgets_pages: bool
    """Whether the file system of the training data lets go of pages when it is told to."""
    has_seed_gate: bool
    has_manifest: bool
    """Whether files are compared with what they were when the run began."""
    unlocked: Unlocked
    sigma: float
    """Spread of the start's scores over seeds at these steps."""
    twins: dict[str, asyncio.Task[Any]]
    """Honest runs of this lab so far, by their tree."""
    numbers: itertools.count[int]
    """Job folders are numbered through all benches of a lab."""

    async def attempt(
        self,
        name: str,
        change: Mapping[str, bytes],
        *,
        split: Split | None = None,
        budget: Budget = STEPS,
        seed: int = SEED,
        memory_bytes: int | None = None,
        lease: Lease | None = None,
        is_new: bool = False,
    ) -> Attempt:
        """Admit, train and (given a split) score a change, as the scheduler would.

        Args:
            name: What its folder is called.
            change: New content by path.
            split: What to score it on; None trains only.
            budget: Of the training.
            seed: What the lab draws for it.
            memory_bytes: Another limit than the task's.
            is_new: Whether it is to pass the seed gate.
            lease: A slot that is held already; None waits for one.

        Raises:
            ExecutorError: the sandbox itself is broken.
            LockBrokenError: a locked file changed.
        """
        try:
            start = self.task.start
            tree = self.policy.apply(start, change)
            await self.texts.check(self.policy, tree, [start], start)
        except PatchRefusedError as error:
            return Attempt("invalid", error.rule, None, "", None, 0.0, None)
        words = re.sub(r"[^a-z0-9]+", "-", name.lower())
        folder = self.folder / "jobs" / f"{words}-{next(self.numbers)}"
        workspace = self.write(tree, folder / "tree")
        job = Job(
            job_id=folder.name,
            attempt=1,
            workspace=workspace,
            data=self.data,
            folder=folder,
            seed=seed,
            budget=budget,
            memory_bytes=memory_bytes or self.task.memory_bytes,
            artefact_bytes=self.task.artefact_bytes,
            token_bytes=self.task.token_bytes,
            takes_slow=True,  # what is tried here does not depend on the machine's mood
            has_seed_gate=is_new and self.has_seed_gate,
        )
        async with AsyncExitStack() as stack:
            if lease is None:
                lease = await stack.enter_async_context(self.pool.lease())
            train = await self.executor.train(job, lease)
            log = (folder / LOG_NAME).read_text(errors="replace")
            if train.artefact is None or split is None:
                return Attempt(train.outcome, train.reason, None, log, train, train.cpu_s, folder)
            scored = await self.phase.score(train.artefact, workspace, split, lease, seed)
        score = scored.score
        return Attempt(score.outcome, score.reason, score.value, log, train, train.cpu_s, folder)
