"""The scorer as the community sees it: start it, hand it pipes, get a Score.

It holds no held-out data and computes nothing; that happens in the worker process behind
`scoring.worker_process`. A worker that dies costs the scores it was at (``scorer_failed``), and the
next score starts another one under the same secret, corpus and lock.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scoring import lock
from scoring.errors import ScorerClosedError, ScorerStartError, WorkerLostError
from scoring.grader import Corpus
from scoring.judging import Judging
from scoring.verdict import Score, Split
from scoring.worker_process import Place, WorkerProcess


@dataclass(frozen=True, slots=True)
class Channel:
    """Our ends of the two pipes to one answering sandbox."""

    request_fd: int
    """Write end of the requests' pipe."""
    reply_fd: int
    """Read end of the replies' pipe."""


class Scorer:
    """A client of one worker process at a time; made by `Scorer.start`."""

    def __init__(self, place: Place, run_secret: bytes, worker: WorkerProcess) -> None:
        self._place = place
        self._run_secret = run_secret
        self._worker = worker
        self._starting = asyncio.Lock()
        self._is_closed = False
        self.corpus: Corpus = worker.ready.corpus
        """What the data was split into."""
        self.manifest: dict[str, str] = worker.manifest
        """What decides scores, entry by entry."""
        self.asked: Mapping[Split, int] = worker.ready.asked
        """About how many tokens a score on each split asks; its price is in proportion."""
        self.lock_hash: str = lock.lock_hash(self.manifest)
        """Scores compare only under one such hash."""

    @classmethod
    async def start(
        cls,
        locked: Path,
        source: Path,
        public: Path,
        run_secret: bytes,
        *,
        beside: Mapping[str, Path] | None = None,
        judging: Judging | None = None,
    ) -> Scorer:
        """Start a worker and wait until the data is split and read.

        Args:
            locked: The task's locked folder with ``grade.py``.
            source: The folder whose text the task splits (nanolm: the standard library's).
            public: Folder that gets the training data; made if it is missing.
            run_secret: Decides which held-out bytes count; the same for all scores of a run.
            beside: Further files that decide scores, by their name in the manifest.
            judging: Of a task whose artefacts are data, which are graded and not asked.

        Raises:
            CorpusTooSmallError: `source` does not hold enough text.
            ScorerStartError: the worker or the task's ``grade.py`` fails.

        Cancellation: the worker is killed.
        """
        place = Place.of(locked, source, public, beside or {}, judging)
        return cls(place, run_secret, await WorkerProcess.start(place, run_secret))

    @property
    def has_own_user(self) -> bool:
        """Whether the present worker runs as a user of its own, who owns nothing."""
        return self._worker.has_own_user

    @property
    def worker_pid(self) -> int:
        """Process id of the present worker, for measurements and tests."""
        return self._worker.pid

    async def score(
        self, split: Split, blocks: Channel, blind: Channel | Awaitable[Channel], deadline_s: float
    ) -> Score:
        """Score the artefact behind two answering sandboxes; closes the channels' descriptors.

        Those of a channel that comes later stay the caller's to close, when this has ended.

        Args:
            split: Which held-out split.
            blocks: The sandbox that answers what is scored; asked from now on.
            blind: A second sandbox with the same artefact, asked prefixes only: now, or later when
                it may be. The first conversation is over before one byte is sent to it.
            deadline_s: Seconds from now until waiting ends as ``late``, for both together.

        Raises:
            LockBrokenError: something that decides scores changed since the run began; the run
                must stop.
            ScorerClosedError: after `aclose`.

        Cancellation: the descriptors are closed here; the worker goes on until the sandboxes end or
        the deadline passes, and its answer is dropped.
        """
        started = time.monotonic()
        descriptors = [blocks.request_fd, blocks.reply_fd]
        if isinstance(blind, Channel):
            descriptors += [blind.request_fd, blind.reply_fd]

        async def blind_ends() -> tuple[int, int]:
            channel = blind if isinstance(blind, Channel) else await blind
            return channel.request_fd, channel.reply_fd

        coming = blind_ends()
        try:
            worker = await self._living_worker()
            return await worker.ask(split, deadline_s, (blocks.request_fd, blocks.reply_fd), coming)
        except (WorkerLostError, ScorerStartError):
            return Score("scorer_failed", None, "scorer", 0, 0, time.monotonic() - started)
        finally:
            coming.close()
            for descriptor in descriptors:
                with suppress(OSError):
                    os.close(descriptor)

    async def grade(self, split: Split, artefact: int, deadline_s: float) -> Score:
        """Grade data; closes the descriptor.

        Args:
            split: Which held-out split.
            artefact: A descriptor of the file, open for reading.
            deadline_s: Seconds from now until grading ends as ``late``.

        Raises:
            LockBrokenError, ScorerClosedError: as `score` does.

        Cancellation: the descriptor is closed here; the grade is dropped when it comes.
        """
        started = time.monotonic()
        try:
            worker = await self._living_worker()
            return await worker.grade(split, deadline_s, artefact)
        except (WorkerLostError, ScorerStartError):
            return Score("scorer_failed", None, "scorer", 0, 0, time.monotonic() - started)
        finally:
            os.close(artefact)

    def complaints(self) -> str:
        """Return the end of what the present worker wrote to stderr, for people."""
        return self._worker.complaints()

    async def aclose(self) -> None:
        """End the worker within two seconds; scores under way answer ``scorer_failed``.

        Cancellation: the worker is killed.
        """
        self._is_closed = True
        await self._worker.aclose()

    async def _living_worker(self) -> WorkerProcess:
        """Return the worker, a new one if the old one died, checked against the first."""
        async with self._starting:
            if self._is_closed:
                raise ScorerClosedError("the scorer is closed; start a new one")
            if not self._worker.is_alive:
                await self._worker.aclose()
                worker = await WorkerProcess.start(self._place, self._run_secret)
                try:
                    lock.compare(self.manifest, worker.manifest)
                except BaseException:
                    await worker.aclose()
                    raise
                self._worker = worker
            return self._worker
