"""A score phase that loads a model once and forks it, for blocks and for blind prefixes.

Each half has a process of its own, and what the model set up while it was built is in both: memory
that they share, if the kernel gave it any. Forking is not allowed behind the list of system calls,
so that is left out as well.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from pathlib import Path

import scoring.answering
from community.score_phase import DEADLINE_S, SandboxedScorePhase, Scored, pipe
from scoring.scorer import Channel
from scoring.verdict import Split
from trainer.gpu_pool import Lease

_FORKING = """

_alone = main


def main(arguments, descriptors, lock=_silence):
    artefact, request, reply, other_request, other_reply = descriptors
    children = []

    def fork():
        children.append(os.fork())
        if children[0] == 0:
            os.dup2(other_request, request)
            os.dup2(other_reply, reply)

    _alone(arguments, (artefact, request, reply), fork)
    if children[0] == 0:
        os._exit(0)
    os.waitpid(children[0], 0)
"""


class ForkingPhase(SandboxedScorePhase):
    """The score phase with one load and two processes."""

    async def score(
        self,
        artefact: Path,
        workspace: Path,
        split: Split,
        lease: Lease,
        seed: int,
        baseline_cpu_s: float | None = None,
    ) -> Scored:
        """Score as `SandboxedScorePhase.score` does, but for where the second sandbox is from."""
        with ExitStack() as ours, ExitStack() as theirs:
            program, blocks = self._converse(artefact, workspace, lease, seed, ours, theirs)
            request_read, request_write = pipe(theirs, ours)
            reply_read, reply_write = pipe(ours, theirs)
            path = workspace.parent / "forking.py"
            await asyncio.to_thread(_write, path)
            descriptors = (*program.descriptors, request_read, reply_write)
            program = replace(program, path=path, descriptors=descriptors, lockdown=None)
            async with AsyncExitStack() as sandboxes:
                sandbox = await self._serve(sandboxes, program, lease, theirs)
                ours.pop_all()  # the scorer closes the channels
                blind = Channel(request_write, reply_read)
                score = await self._scorer.score(split, blocks, blind, DEADLINE_S)
            return Scored(score, sandbox.cpu_s())


def _write(path: Path) -> None:
    path.write_text(Path(scoring.answering.__file__).read_text() + _FORKING)
