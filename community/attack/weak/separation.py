"""A score phase that asks blocks and blind prefixes of one and the same sandbox.

That looks like a saving of half the cost. A model that remembers what it was asked can then answer
a prefix as it answered the block, so the probe compares it with itself.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

from community.score_phase import DEADLINE_S, SandboxedScorePhase, Scored
from scoring.answering import END, HEADER
from scoring.scorer import Channel
from scoring.verdict import Split
from trainer.gpu_pool import Lease


class OneSandboxPhase(SandboxedScorePhase):
    """The score phase with one sandbox; its two conversations follow one another."""

    async def score(
        self,
        artefact: Path,
        workspace: Path,
        split: Split,
        lease: Lease,
        seed: int,
        baseline_cpu_s: float | None = None,
    ) -> Scored:
        """Score as `SandboxedScorePhase.score` does, but for the separation."""
        with ExitStack() as ours, ExitStack() as theirs:
            program, sandbox_end = self._converse(artefact, workspace, lease, seed, ours, theirs)
            async with AsyncExitStack() as sandboxes:
                sandbox = await self._serve(sandboxes, program, lease, theirs)
                ends: list[tuple[int, int]] = []
                channels: list[Channel] = []
                for _ in range(2):
                    request_read, request_write = os.pipe()
                    reply_read, reply_write = os.pipe()
                    ends.append((request_read, reply_write))
                    channels.append(Channel(request_write, reply_read))
                asking = asyncio.create_task(
                    self._scorer.score(split, channels[0], channels[1], DEADLINE_S)
                )
                await asyncio.to_thread(_relay, sandbox_end, ends, self._task.vocab)
                score = await asking
            return Scored(score, sandbox.cpu_s())


def _relay(sandbox: Channel, ends: list[tuple[int, int]], vocab: int) -> None:
    """Pass both conversations through one sandbox; an early end of it ends them."""
    for request_fd, reply_fd in ends:
        try:
            while True:
                header = _exactly(request_fd, HEADER.size)
                rows, time = HEADER.unpack(header)
                if (rows, time) == END:
                    _all(reply_fd, header)
                    break
                _all(sandbox.request_fd, header + _exactly(request_fd, rows * time))
                _all(reply_fd, _exactly(sandbox.reply_fd, HEADER.size + rows * time * vocab * 4))
        except (EOFError, BrokenPipeError):
            pass
        finally:
            os.close(request_fd)
            os.close(reply_fd)


def _exactly(descriptor: int, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = os.read(descriptor, min(count - len(parts), 1 << 20))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def _all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
