"""The score phase of one attempt: two answering sandboxes between an artefact and the scorer.

Only descriptors are handed about here: the sandboxes get the artefact and their ends of the pipes,
the scorer gets the other ends. No held-out byte and no logit passes through this process.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

import scoring.answering
from scoring.scorer import Channel, Scorer
from scoring.verdict import Score, Split
from trainer.executor import Executor, Program, RunningProgram
from trainer.experiment import Budget
from trainer.gpu_pool import Lease
from trainer.task import Task

DEADLINE_S = 60.0
"""Wall seconds for all answers: a hundred times what the baseline needs on an idle core."""
_LEAST_CPU_S: Final = 10.0
_STEPS_CPU_S: Final = 60.0
"""Where the budget says nothing about time."""


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
    """The real one: two sandboxes forked from the warm parent, one scorer process.

    Args:
        executor: Runs the sandboxes.
        scorer: Asks them.
        task: What the artefact is of.
        budget: The run's; answering may not cost more processor time than training.
    """

    def __init__(self, executor: Executor, scorer: Scorer, task: Task, budget: Budget) -> None:
        self._executor = executor
        self._scorer = scorer
        self._task = task
        self._cpu_s = _answering_cpu_s(budget)

    async def score(self, artefact: Path, workspace: Path, split: Split, lease: Lease) -> Scored:
        """Score as `ScorePhase.score` says.

        Answers that end early (``short``) say nothing of why: it is ``interrupted: lost`` if a
        sandbox was lost, and ``limit`` or ``memory`` if one was ended for that.
        """
        with ExitStack() as ours:
            async with (
                self._answering(artefact, workspace, lease, ours) as (blocks, blocks_channel),
                self._answering(artefact, workspace, lease, ours) as (blind, blind_channel),
            ):
                ours.pop_all()  # the scorer closes the channels, whatever happens
                score = await self._scorer.score(split, blocks_channel, blind_channel, DEADLINE_S)
                cpu_s = blocks.cpu_s() + blind.cpu_s()
        # after the block, when it is known of both how they ended
        was_cut_off = score.outcome == "invalid" and score.reason == "short"
        if was_cut_off and (blocks.is_lost() or blind.is_lost()):
            score = replace(score, outcome="interrupted", value=None, reason="lost")
        elif was_cut_off and (overuse := blocks.overuse() or blind.overuse()):
            score = replace(score, reason=overuse)
        return Scored(score, cpu_s)

    @asynccontextmanager
    async def _answering(
        self, artefact: Path, workspace: Path, lease: Lease, ours: ExitStack
    ) -> AsyncIterator[tuple[RunningProgram, Channel]]:
        """Serve one sandbox; `ours` gets the channel's ends, to close them."""
        with ExitStack() as theirs:
            request_read, request_write = _pipe(theirs, ours)
            reply_read, reply_write = _pipe(ours, theirs)
            artefact_fd = os.open(artefact, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            theirs.callback(os.close, artefact_fd)
            program = self._program(workspace, lease, (artefact_fd, request_read, reply_write))
            serving = self._executor.serve(program, lease)
            theirs.pop_all()  # entering it passes them
        async with serving as running:
            yield running, Channel(request_fd=request_write, reply_fd=reply_read)

    def _program(self, workspace: Path, lease: Lease, descriptors: tuple[int, ...]) -> Program:
        return Program(
            path=Path(scoring.answering.__file__),
            workspace=workspace,
            arguments={
                "vocab": self._task.vocab,
                "block": self._task.block,
                "seed": 0,
                "device": lease.slot.device,
                "artefact_bytes": self._task.artefact_bytes,
            },
            descriptors=descriptors,
            memory_bytes=self._task.memory_bytes,
            cpu_s=self._cpu_s,
            wall_s=DEADLINE_S,
        )


def _pipe(reading: ExitStack, writing: ExitStack) -> tuple[int, int]:
    """Return a new pipe's read and write end, each to be closed by its own stack."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    reading.callback(os.close, read_end)
    writing.callback(os.close, write_end)
    return read_end, write_end


def _answering_cpu_s(budget: Budget) -> float:
    """Return the processor time of one answering sandbox: the budget's, and never too little."""
    return _STEPS_CPU_S if budget.kind == "steps" else max(_LEAST_CPU_S, budget.amount)
