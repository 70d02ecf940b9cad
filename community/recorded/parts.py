"""What takes the place of sandbox and scorer in a run that is played again: its own record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from community.events import Proposed
from community.evidence_events import SlotPlaced
from community.modelled.parts import KeptTrees
from community.recorded.order import Order
from community.score_phase import Scored
from scoring.verdict import Score, Split
from trainer.devices import Slot
from trainer.errors import ExecutorError
from trainer.executor import Program, RunningProgram
from trainer.experiment import Job, TrainResult
from trainer.gpu_pool import GpuPool, Lease
from trainer.repository import Repository

_ARTEFACT = "recorded"
"""Stands for what training left then; there is no such file now."""


class RecordedExecutor:
    """Trains by waiting until the record says what came of it; see `trainer.executor.Executor`.

    Args:
        order: Of the record.
        trees: Where the scheduler put the jobs' trees.
    """

    def __init__(self, order: Order, trees: KeptTrees) -> None:
        self._order = order
        self._trees = trees

    async def train(self, job: Job, lease: Lease) -> TrainResult:
        """Return what training came to then, at the moment at which it did.

        Raises:
            ExecutorError: as it did then.

        Cancellation: nothing remains.
        """
        record = self._order.record
        found = record.ended(job.job_id, job.attempt)
        if found is None or found[1].reason == "stopped":
            await asyncio.get_running_loop().create_future()  # it had not ended when the run did
            raise ExecutorError(f"{job.job_id} has no end in the record")
        seq, ended = found
        self._keep_log(job)
        if ended.is_trained:
            left_us = ended.train_us[1] - self._order.now_us()
            await asyncio.sleep(max(0, left_us) / 1e6)
        else:
            await self._order.row(seq)
            self._trees.forget(job.workspace)
        if ended.reason == "executor":
            raise ExecutorError(f"{job.job_id}: the executor failed when this was recorded")
        verdict = record.verdict(job.job_id)
        outcome = ended.outcome if ended.outcome != "scorer_failed" else "ok"
        return TrainResult(
            outcome="ok" if ended.is_trained else outcome,
            reason="" if ended.is_trained else ended.reason,
            detail="",
            cpu_s=ended.train_cpu_s,
            wall_s=0.0 if verdict is None else verdict.train_wall_s,
            charge_s=ended.train_cpu_s if ended.charge_s is None else ended.charge_s,
            start_s=ended.start_s,
            artefact=job.folder / _ARTEFACT if ended.is_trained else None,
            isolation=record.opened.isolation or "none",
            gate_cpu_s=ended.gate_cpu_s,
            is_deterministic=verdict is not None and verdict.is_deterministic,
            slowdown=ended.slowdown,
            is_slow=verdict is not None and verdict.is_slow,
            device_use=record.device_use(job.job_id),
        )

    def _keep_log(self, job: Job) -> None:
        """Write as much of the job's log as posts told of it."""
        log = self._order.record.log(job.job_id)
        if log:
            job.folder.mkdir(parents=True, exist_ok=True)
            (job.folder / "log.txt").write_text(log, encoding="utf-8")

    def serve(self, program: Program, lease: Lease) -> AbstractAsyncContextManager[RunningProgram]:
        """Refuse: nothing is run here.

        Raises:
            ExecutorError: always.
        """
        raise ExecutorError(f"{program.path} cannot be run from a record: nothing is")

    async def aclose(self) -> None:
        """Do nothing: there is nothing to end."""


class RecordedPool(GpuPool):
    """A pool whose slots are leased when the record says so."""

    order: Order

    @asynccontextmanager
    async def lease(
        self, timeout_s: float | None = None, *, name: str = ""
    ) -> AsyncIterator[Lease]:
        """Hold one slot until the block exits; see `trainer.gpu_pool.GpuPool.lease`."""
        record, done = self.order.record, self.order.done
        seq, placed = (record.first((what, name), done) for what in ("started", "placed"))
        if placed is not None and seq is not None and placed < seq:  # on another node from now on
            event = record.event(placed)
            assert isinstance(event, SlotPlaced)
            self.move(Slot(name, "recorded", frozenset(), node=event.node))
            seq = placed
        await self.order.row(seq)
        async with super().lease(timeout_s, name=name) as lease:
            yield lease


class RecordedScorePhase:
    """Tells the recorded score; see `community.score_phase.ScorePhase`.

    Args:
        order: Of the record.
        trees: Where the scheduler put the jobs' trees.
    """

    def __init__(self, order: Order, trees: KeptTrees) -> None:
        self._order = order
        self._trees = trees

    async def score(
        self,
        artefact: Path,
        workspace: Path,
        split: Split,
        lease: Lease,
        seed: int,
        baseline_cpu_s: float | None = None,
    ) -> Scored:
        """Return what scoring came to then, at the moment at which it did.

        Cancellation: nothing remains.
        """
        self._trees.forget(workspace)
        experiment_id, _, attempt = artefact.parent.name.rpartition("-")
        found = self._order.record.ended(experiment_id, int(attempt))
        assert found is not None  # else training had not ended
        seq, ended = found
        await self._order.row(seq)
        verdict = (
            self._order.record.verdict(experiment_id) if ended.outcome != "scorer_failed" else None
        )
        outcome = "ok" if ended.outcome == "interrupted" else ended.outcome
        measures, sha256 = self._order.record.measured(experiment_id)
        score = Score(
            outcome=outcome,
            value=None if verdict is None else verdict.score,
            reason=ended.reason,
            positions=0,
            probes=0,
            wall_s=0.0,
            sha256=sha256,
            measures=measures,
        )
        return Scored(score, ended.score_cpu_s, "" if verdict is None else verdict.sketch)


class RecordedRepository(Repository):
    """A repository in which a commit gets the name that is on record, if it can have it.

    Commits hold whole seconds, read off a clock just before their row: one that fell on the last
    moment of a second is made with that second.
    """

    order: Order

    def commit(
        self,
        files: Mapping[str, bytes],
        parents: Sequence[str],
        author: str,
        message: str,
        at_s: int,
    ) -> str:
        """Store `files` as a commit; see `trainer.repository.Repository.commit`."""
        first = super().commit(files, parents, author, message, at_s)
        rows, done = self.order.record.rows, self.order.done
        event = rows[done].event if done < len(rows) else None
        if not isinstance(event, Proposed) or event.commit == first or at_s == 0:
            return first
        earlier = super().commit(files, parents, author, message, at_s - 1)
        return earlier if earlier == event.commit else first
