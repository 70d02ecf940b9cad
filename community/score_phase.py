"""The score phase of one attempt: two answering sandboxes between an artefact and the scorer.

Only descriptors are handed about here: the sandboxes get the artefact and their ends of the pipes,
the scorer gets the other ends. No held-out byte and no logit passes through this process.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import scoring.answering
from scoring.scorer import Channel, Scorer
from scoring.verdict import Score, Split
from trainer.executor import Executor, Program, RunningProgram
from trainer.gpu_pool import Lease
from trainer.task import Task

DEADLINE_S = 60.0
"""Wall seconds for all answers: a hundred times what the baseline needs on an idle core."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What a score phase came to."""

    score: Score
    cpu_s: float
    """CPU seconds of both answering sandboxes."""


class ScorePhase(Protocol):
    """Turns a trained artefact into a score; the virtual world has another implementation."""

    async def score(self, artefact: Path, workspace: Path, split: Split, lease: Lease) -> Scored:
        """Score `artefact` of the tree in `workspace` on `split`, on the slot of `lease`.

        Cancellation: both sandboxes are killed before it returns.
        """
        ...


class SandboxedScorePhase:
    """The real one: two sandboxes forked from the warm parent, one scorer process."""

    def __init__(self, executor: Executor, scorer: Scorer, task: Task) -> None:
        self._executor = executor
        self._scorer = scorer
        self._task = task

    async def score(self, artefact: Path, workspace: Path, split: Split, lease: Lease) -> Scored:
        """Score as `ScorePhase.score` says."""
        async with (
            self._answering(artefact, workspace, lease) as (blocks, blocks_channel),
            self._answering(artefact, workspace, lease) as (blind, blind_channel),
        ):
            score = await self._scorer.score(split, blocks_channel, blind_channel, DEADLINE_S)
            cpu_s = blocks.cpu_s() + blind.cpu_s()
        return Scored(score, cpu_s)

    @asynccontextmanager
    async def _answering(
        self, artefact: Path, workspace: Path, lease: Lease
    ) -> AsyncIterator[tuple[RunningProgram, Channel]]:
        request_read, request_write = os.pipe2(os.O_CLOEXEC)
        reply_read, reply_write = os.pipe2(os.O_CLOEXEC)
        artefact_fd = os.open(artefact, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        program = Program(
            path=Path(scoring.answering.__file__),
            workspace=workspace,
            arguments={
                "vocab": self._task.vocab,
                "block": self._task.block,
                "seed": 0,
                "device": lease.slot.device,
                "artefact_bytes": self._task.artefact_bytes,
            },
            descriptors=(artefact_fd, request_read, reply_write),
            memory_bytes=self._task.memory_bytes,
            wall_s=DEADLINE_S,
        )
        async with self._executor.serve(program, lease) as running:
            yield running, Channel(request_fd=request_write, reply_fd=reply_read)
