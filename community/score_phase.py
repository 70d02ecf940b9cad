"""The score phase of one attempt: two answering sandboxes between an artefact and the scorer.

Only descriptors are handed about here: the sandboxes get the artefact and their ends of the pipes,
the scorer gets the other ends. No held-out byte and no logit passes through this process. The blind
sandbox starts when the one that saw whole blocks has ended: two that live at once may find a way to
talk, over locks, queues or whatever else a kernel shares. Each is asked only once its keeper has
locked it in: from then on it can read, write and compute, and nothing else.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import scoring.answering
from scoring.scorer import Channel, Scorer
from scoring.verdict import Score, Split
from trainer.executor import Executor, Lockdown, Program, RunningProgram
from trainer.experiment import Budget
from trainer.gpu_pool import Lease
from trainer.task import Task

DEADLINE_S = 60.0
"""Wall seconds for all answers: a hundred times what the baseline needs on an idle core."""
DEARER: Final = 3.0
"""Times the baseline's processor time per asked token that a score may take."""
_LEAST_BASELINE_S: Final = 0.5
"""Below this, what a sandbox costs whatever it holds would count for too much."""
_LOADING_WALL_S: Final = 30.0
_LOADING_CUDA_S: Final = 30.0
"""CPU seconds until a sandbox on a card is locked in: the driver alone takes several."""
_REQUEST, _REPLY = 1, 2
"""Positions of the two pipes among a sandbox's descriptors; the artefact comes first."""
_LEAST_CPU_S: Final = 10.0
_STEPS_CPU_S: Final = 60.0
"""Where the budget says nothing about time."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What a score phase came to."""

    score: Score
    cpu_s: float
    """CPU seconds of both answering sandboxes."""
    sketch: str = ""
    """Of the artefact (`trainer.sketch`), where somebody drew one (`community.sketching`)."""


class ScorePhase(Protocol):
    """Turns a trained artefact into a score; the virtual world has another implementation."""

    async def score(
        self,
        artefact: Path,
        workspace: Path,
        split: Split,
        lease: Lease,
        seed: int,
        baseline_cpu_s: float | None = None,
    ) -> Scored:
        """Score `artefact` of the tree in `workspace` on `split`, on the slot of `lease`.

        Args:
            artefact: What training left.
            workspace: The candidate's tree.
            split: Which held-out split.
            lease: Of the slot.
            seed: The job's; what the sandboxes get follows from it and is another.
            baseline_cpu_s: What scoring the baseline on ``dev`` costs, once that is known.

        Cancellation: both sandboxes are killed before it returns.
        """
        ...


class SandboxedScorePhase:
    """The real one: two sandboxes after one another, forked from the warm parent; one scorer.

    Args:
        executor: Runs the sandboxes.
        scorer: Asks them.
        task: What the artefact is of.
        budget: The run's; answering may not cost more processor time than training.
        deadline_s: Wall seconds for all answers.
    """

    def __init__(
        self,
        executor: Executor,
        scorer: Scorer,
        task: Task,
        budget: Budget,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._executor = executor
        self._scorer = scorer
        self._task = task
        self._cpu_s = _answering_cpu_s(budget)
        self._deadline_s = deadline_s

    async def score(
        self,
        artefact: Path,
        workspace: Path,
        split: Split,
        lease: Lease,
        seed: int,
        baseline_cpu_s: float | None = None,
    ) -> Scored:
        """Score as `ScorePhase.score` says; no held-out byte is sent to a sandbox not locked in.

        Answers that end early (``short``) say nothing of why: it is ``interrupted: lost`` if a
        sandbox was lost, and ``limit``, ``memory`` or ``protocol`` if one was ended for that.
        """
        most_cpu_s = self._most_cpu_s(split, baseline_cpu_s)
        make = partial(self._converse, artefact, workspace, lease, _answering_seed(seed))
        with ExitStack() as ours, ExitStack() as later, ExitStack() as first, ExitStack() as second:
            blocks_program, blocks_end = make(ours, first)
            blind_program, blind_end = make(later, second)
            if most_cpu_s is not None:
                blocks_program = replace(blocks_program, cpu_s=most_cpu_s)
                blind_program = replace(blind_program, cpu_s=most_cpu_s)
            handed: asyncio.Future[Channel] = asyncio.get_running_loop().create_future()
            async with AsyncExitStack() as sandboxes:
                served = [await self._serve(sandboxes, blocks_program, lease, first)]
                await served[0].locked()  # or ended, and then nobody reads what it is asked
                ours.pop_all()  # the scorer closes the channel, whatever happens
                asking = self._scorer.score(split, blocks_end, handed, self._deadline_s)
                async with _beside(asking) as asked:
                    await _unless(asked, served[0].ended())
                    if not asked.done():
                        served.append(await self._serve(sandboxes, blind_program, lease, second))
                        await _unless(asked, served[1].locked())
                    if not handed.done():
                        handed.set_result(blind_end)
                    score = await asked
                cpu_s = sum(sandbox.cpu_s() for sandbox in served)
        # after the block, when it is known of all how they ended
        was_cut_off = score.outcome == "invalid" and score.reason == "short"
        overuse = next((found for sandbox in served if (found := sandbox.overuse())), None)
        if was_cut_off and any(sandbox.is_lost() for sandbox in served):
            score = replace(score, outcome="interrupted", value=None, reason="lost")
        elif was_cut_off and overuse is not None:
            score = replace(score, reason=overuse)
        elif score.outcome == "ok" and most_cpu_s is not None and cpu_s > most_cpu_s:
            score = replace(score, outcome="invalid", value=None, reason="limit")
        return Scored(score, cpu_s)

    def _most_cpu_s(self, split: Split, baseline_cpu_s: float | None) -> float | None:
        """Return what a score on `split` may take in CPU seconds; None before that is known.

        That many in one sandbox end it while it answers; both together are counted afterwards.
        """
        if baseline_cpu_s is None:
            return None
        asked = self._scorer.asked
        return DEARER * max(baseline_cpu_s, _LEAST_BASELINE_S) * asked[split] / asked["dev"]

    def _converse(
        self,
        artefact: Path,
        workspace: Path,
        lease: Lease,
        seed: int,
        ours: ExitStack,
        theirs: ExitStack,
    ) -> tuple[Program, Channel]:
        """Open what one sandbox needs: `ours` closes the scorer's ends, `theirs` the sandbox's."""
        request_read, request_write = pipe(theirs, ours)
        reply_read, reply_write = pipe(ours, theirs)
        artefact_fd = os.open(artefact, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        theirs.callback(os.close, artefact_fd)
        program = self._program(workspace, lease, seed, (artefact_fd, request_read, reply_write))
        return program, Channel(request_fd=request_write, reply_fd=reply_read)

    async def _serve(
        self, sandboxes: AsyncExitStack, program: Program, lease: Lease, theirs: ExitStack
    ) -> RunningProgram:
        """Start one sandbox, to be ended with `sandboxes`."""
        serving = self._executor.serve(program, lease)
        theirs.pop_all()  # entering it passes them
        return await sandboxes.enter_async_context(serving)

    def _program(
        self, workspace: Path, lease: Lease, seed: int, descriptors: tuple[int, ...]
    ) -> Program:
        is_cuda = lease.slot.cuda_index is not None
        loading_s = max(self._task.loading_cpu_s, _LOADING_CUDA_S if is_cuda else 0.0)
        return Program(
            path=Path(scoring.answering.__file__),
            workspace=workspace,
            arguments={
                "vocab": self._task.vocab,
                "block": self._task.block,
                "answers": self._task.answers,
                "seed": seed,
                "device": lease.slot.device,
                "artefact_bytes": self._task.artefact_bytes,
            },
            descriptors=descriptors,
            memory_bytes=self._task.memory_bytes,
            cpu_s=self._cpu_s,
            wall_s=self._deadline_s,
            lockdown=Lockdown((_REQUEST, _REPLY), loading_s, _LOADING_WALL_S),
        )


@asynccontextmanager
async def _beside(asking: Coroutine[None, None, Score]) -> AsyncIterator[asyncio.Task[Score]]:
    """Run `asking` beside the block, and no longer."""
    task = asyncio.create_task(asking, name="score")
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _unless(asked: asyncio.Task[Score], waiting: Coroutine[None, None, object]) -> None:
    """Wait for what `waiting` waits for, unless there is nothing more to ask."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(waiting)
        await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
        task.cancel()


def _answering_seed(seed: int) -> int:
    """Return what both sandboxes are seeded with: not what training was."""
    digest = hashlib.sha256(f"research-community answering {seed}".encode()).digest()
    return int.from_bytes(digest[:7], "big")


def pipe(reading: ExitStack, writing: ExitStack) -> tuple[int, int]:
    """Return a new pipe's read and write end, each to be closed by its own stack."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    reading.callback(os.close, read_end)
    writing.callback(os.close, write_end)
    return read_end, write_end


def _answering_cpu_s(budget: Budget) -> float:
    """Return the processor time of one answering sandbox: the budget's, and never too little."""
    return _STEPS_CPU_S if budget.kind == "steps" else max(_LEAST_CPU_S, budget.amount)
