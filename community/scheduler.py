"""The scheduler: from an admitted experiment to its verdict in the ledger.

One coroutine a slot does everything in order: lease, execute, score, record, announce. Who may ask
is `community.lab`'s business, what the number means that of `community.screening` and
`community.reproduction`, which order that of `community.queueing`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from community.archive.queries import baseline_score_cpu_s
from community.archive.state import RunState
from community.artefacts import Artefacts
from community.attempts import Attempt, aimed, attempt_ended, facts_of, newly_placed, told_score
from community.bounds import held_to_start
from community.chronicle import Chronicle
from community.device_figures import device_used
from community.errors import ScorerBrokenError
from community.events import (
    AttemptEnded,
    AttemptStarted,
    Event,
    ExperimentQueued,
    Purpose,
    VerdictGiven,
)
from community.fetching_ahead import Prefetch, fetch_ahead
from community.queueing import Queue, Waiting
from community.run_folder import RunFolder
from community.score_phase import ScorePhase
from community.seed_rule import needs_seed_gate
from community.workspaces import FolderWorkspaces, Workspaces
from scoring.evidence.noise_models import NOISE_MODELS
from trainer.errors import ExecutorError
from trainer.executor import Executor
from trainer.experiment import Budget, Job
from trainer.gpu_pool import GpuPool, Lease
from trainer.repository import Repository
from trainer.task import Task
from trainer.texts import Texts
from trainer.tree_key import measurement_seed

MAX_LOST_ATTEMPTS = 5
"""Attempts lost by nobody's fault before the scheduler gives up on itself."""
_LETTERS: dict[Purpose, str] = {"baseline": "b", "credit": "c", "seal": "s", "transfer": "t"}
"""How the ids of experiments begin that are listed apart; all others are ``e``."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be measured, and on whose account."""

    commit: str
    tree_key: str
    hypothesis: str
    """Post id; empty for baseline runs."""
    purpose: Purpose
    split: Literal["dev", "vault", "seal"]
    charged_to: str
    requested_by: str
    pair: int = 0
    slot: str = ""
    """Where it has to run; empty for anywhere."""
    beside: str = ""
    """Of a confirmation's child: the verdict on the parent that it is paired with, if shared."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What experiments are run with."""

    task: Task
    budget: Budget
    repository: Repository
    texts: Texts
    """Reads what candidates wrote; nothing else here does."""
    folder: RunFolder
    pool: GpuPool
    executor: Executor
    score_phase: ScorePhase
    lock_hash: str
    corpus_hash: str
    device_class: str
    """Of the machine, which tree keys hold."""
    life_class: str
    """The same with how fast the machine is in this life of the run, which verdicts hold: runs of
    different ones never stand beside each other."""
    epoch_s: int
    """Wall seconds since 1970 at which run time began, for commit dates; 0 in virtual time."""
    workspaces: Workspaces = field(default_factory=FolderWorkspaces)
    prefetch: Prefetch | None = None
    """Of a cluster: brings a tree to the node of a slot before that is free."""
    measured_by: Literal["scorer", "model", "candidate"] = "scorer"
    """Where scores come from, which every verdict says."""
    verdict_lock: str = ""
    """What verdicts rest on, where that is another lock than the one that names trees."""

    @property
    def digits(self) -> int:
        """Significant digits of a score that are told; who printed one has printed all of it."""
        return 12 if self.measured_by == "candidate" else NOISE_MODELS[self.task.noise].digits


class Scheduler:
    """Admits, queues and runs experiments; every one gets exactly one verdict.

    Args:
        chronicle: Where everything is recorded.
        queue: The queue discipline.
        bench: What experiments are run with.
    """

    def __init__(self, chronicle: Chronicle, queue: Queue, bench: Bench) -> None:
        self._chronicle = chronicle
        self._queue = queue
        self._bench = bench
        self._artefacts = Artefacts(bench.folder, bench.task)

    @property
    def running(self) -> int:
        """How many experiments hold a slot now."""
        return self._bench.pool.busy

    def admit(self, request: Request) -> str:
        """Record `request` as a new experiment and queue it; returns its id.

        The caller has asked `community.admission` before.
        """
        return self.admit_all([request])[0]

    def admit_all(self, requests: Sequence[Request], *, after: Sequence[Event] = ()) -> list[str]:
        """Record `requests` as new experiments and queue them in this order: all, or none.

        Args:
            requests: What is to be measured.
            after: What is recorded before them in the same transaction.

        Returns:
            The experiments' ids.
        """
        state = self._chronicle.state
        made = Counter(name[0] for name in state.experiments)
        measured: Counter[str] = Counter()
        admitted = []
        for request in requests:
            letter = _LETTERS.get(request.purpose, "e")
            made[letter] += 1
            measured[request.tree_key] += 1
            measurement = state.measurements[request.tree_key] + measured[request.tree_key]
            admitted.append(self._queued(request, f"{letter}{made[letter]:04d}", measurement))
        self._chronicle.record(*after, *admitted)
        for queued in admitted:
            self._queue.put(Waiting(queued, attempt=1))
        return [queued.experiment_id for queued in admitted]

    def _queued(self, request: Request, experiment_id: str, measurement: int) -> ExperimentQueued:
        state = self._chronicle.state
        assert state.opened is not None
        return ExperimentQueued(
            experiment_id=experiment_id,
            purpose=request.purpose,
            commit=request.commit,
            tree_key=request.tree_key,
            hypothesis=request.hypothesis,
            charged_to=request.charged_to,
            requested_by=request.requested_by,
            split=request.split,
            measurement=measurement,
            seed=measurement_seed(state.opened.seed, request.tree_key, measurement),
            pair=request.pair,
            slot=request.slot,
            beside=request.beside,
        )

    def requeue_unfinished(self, purposes: Collection[Purpose] | None = None) -> int:
        """Queue again what a stopped or killed run left without a verdict; returns how many.

        What the attempts of earlier lives used of the pool counts in the queue as if it had been
        one life.

        Args:
            purposes: Which runs alone; None for all.
        """
        for ended_us, charged_to, used_s in earlier_use(self._chronicle.state):
            self._queue.usage.charge(charged_to, used_s, ended_us / 1e6)
        unfinished = [
            e
            for e in self._chronicle.state.pending()
            if purposes is None or e.queued.purpose in purposes
        ]
        for experiment in unfinished:
            self._queue.put(Waiting(experiment.queued, experiment.next_attempt))
        return len(unfinished)

    async def verdict(self, experiment_id: str) -> VerdictGiven:
        """Wait for the verdict on an admitted experiment.

        Cancellation: the experiment goes on.
        """
        await self._chronicle.wait_until(
            lambda s: s.experiments[experiment_id].is_done, VerdictGiven
        )
        verdict = self._chronicle.state.experiments[experiment_id].verdict
        assert verdict is not None
        return verdict

    async def serve(self) -> None:
        """Run queued experiments, as many at a time as there are slots, until cancelled.

        Cancellation: running attempts are killed and recorded as interrupted.
        """
        async with asyncio.TaskGroup() as group:
            for name in self._bench.pool.names:
                group.create_task(self._serve_one_slot(name), name=f"scheduler slot {name}")
            if (prefetch := self._bench.prefetch) is not None:
                ahead = fetch_ahead(self._queue, self._bench.pool, self._files_of, prefetch)
                group.create_task(ahead, name="fetch ahead")

    def _files_of(self, waiting: Waiting) -> Mapping[str, bytes]:
        return self._bench.repository.read(waiting.experiment.commit)

    async def _serve_one_slot(self, name: str) -> None:
        while True:
            await self._queue.ready(name)
            async with self._bench.pool.lease(name=name) as lease:
                waiting = self._queue.pick(name)
                if waiting is not None:
                    await self._attempt(waiting, lease)

    async def _attempt(self, waiting: Waiting, lease: Lease) -> None:
        """Lease held: execute, score, record. Without a verdict the experiment is queued again."""
        queued, slot = waiting.experiment, lease.slot.name
        clock = self._chronicle.clock
        leased_us = clock.now_us()
        started = AttemptStarted(queued.experiment_id, waiting.attempt, slot)
        self._chronicle.record(*newly_placed(self._chronicle.state, lease), started)
        try:
            attempt = await self._execute(waiting, lease, leased_us)
        except asyncio.CancelledError:
            self._chronicle.record(self._interrupted(waiting, slot, leased_us, "stopped"))
            raise
        except (ExecutorError, ValueError, TypeError, LookupError) as error:
            # the latter would be faults of ours that a candidate has found: not the run's end
            _log.warning("%s: the executor failed: %r", queued.experiment_id, error)
            self._lose(waiting, self._interrupted(waiting, slot, leased_us, "executor"))
            return
        finally:
            used_s = (clock.now_us() - leased_us) / 1e6
            self._queue.usage.charge(queued.charged_to, used_s, clock.now_us() / 1e6)
        ended = attempt_ended(waiting, slot, attempt)
        if ended.outcome in ("ok", "invalid"):
            verdict = self._verdict(queued, waiting.attempt, attempt, ended)
            facts = facts_of(queued, attempt)
            self._chronicle.record(ended, verdict, *facts)
            self._artefacts.clear(self._chronicle.state)
            return
        self._lose(waiting, ended)

    def _lose(self, waiting: Waiting, ended: AttemptEnded) -> None:
        """Record an attempt without a verdict and queue its experiment again.

        Raises:
            ScorerBrokenError: that was the last attempt it gets.
        """
        queued = waiting.experiment
        self._chronicle.record(ended)
        if waiting.attempt >= MAX_LOST_ATTEMPTS:
            raise ScorerBrokenError(queued.experiment_id, ended.outcome, ended.reason)
        self._queue.put(Waiting(queued, waiting.attempt + 1))

    async def _execute(self, waiting: Waiting, lease: Lease, leased_us: int) -> Attempt:
        queued, bench, clock = waiting.experiment, self._bench, self._chronicle.clock
        folder = bench.folder.job(f"{queued.experiment_id}-{waiting.attempt}")
        workspace = bench.workspaces.lay_out(folder, bench.repository.read(queued.commit))
        job = Job(
            job_id=queued.experiment_id,
            attempt=waiting.attempt,
            workspace=workspace,
            data=bench.folder.data,
            folder=folder,
            seed=queued.seed,
            budget=bench.budget,
            memory_bytes=bench.task.memory_bytes,
            artefact_bytes=bench.task.artefact_bytes,
            token_bytes=bench.task.token_bytes,
            leaves=bench.task.leaves,
            has_seed_gate=needs_seed_gate(self._chronicle.state, queued),
            takes_slow=takes_slow(self._chronicle.state, queued.experiment_id),
        )
        train_began_us = clock.now_us()
        train = await bench.executor.train(job, lease)
        train_us = (train_began_us, clock.now_us())
        used = None
        if train.device_use is not None:
            model, vocab = lease.slot.model, bench.task.vocab
            used = await asyncio.to_thread(device_used, job, train, model, vocab)
        if train.artefact is None:
            return Attempt(train, None, leased_us, train_us, (0, 0), used)
        usual_s = baseline_score_cpu_s(self._chronicle.state)
        try:
            answer_began_us = clock.now_us()
            scored = await bench.score_phase.score(
                train.artefact, workspace, queued.split, lease, queued.seed, usual_s
            )
        finally:
            if not self._artefacts.is_kept_for_now(queued):
                train.artefact.unlink(missing_ok=True)
        answer_us = (answer_began_us, clock.now_us())
        scored = held_to_start(scored, bench.task, queued, self._chronicle.state, folder)
        scored = aimed(scored, train, bench.budget.kind, bench.task.aim)
        return Attempt(train, scored, leased_us, train_us, answer_us, used)

    def _interrupted(
        self, waiting: Waiting, slot: str, leased_us: int, reason: str
    ) -> AttemptEnded:
        """Tell of an attempt that was cut off: at most its wall and its budget were spent."""
        now_us, budget = self._chronicle.clock.now_us(), self._bench.budget
        cpu_s = (now_us - leased_us) / 1e6
        if budget.kind != "steps":
            cpu_s = min(cpu_s, budget.limit)
        return AttemptEnded(
            experiment_id=waiting.experiment.experiment_id,
            attempt=waiting.attempt,
            slot=slot,
            outcome="interrupted",
            reason=reason,
            leased_us=leased_us,
            train_us=(leased_us, now_us),
            answer_us=(0, 0),
            train_cpu_s=cpu_s,
            score_cpu_s=0.0,
            start_s=0.0,
            charge_s=cpu_s,
        )

    def _verdict(
        self, queued: ExperimentQueued, attempt_number: int, attempt: Attempt, ended: AttemptEnded
    ) -> VerdictGiven:
        bench = self._bench
        assert ended.outcome in ("ok", "invalid")
        lock = bench.verdict_lock or bench.lock_hash
        name = f"{queued.experiment_id}/{attempt_number}/{lock}"
        return VerdictGiven(
            verdict_id=f"v{queued.experiment_id}-{hashlib.sha256(name.encode()).hexdigest()[:8]}",
            experiment_id=queued.experiment_id,
            commit=queued.commit,
            tree_key=queued.tree_key,
            split=queued.split,
            seed=queued.seed,
            outcome=ended.outcome,
            score=told_score(attempt.scored.score.value if attempt.scored else None, bench.digits),
            reason=ended.reason,
            lock_hash=lock,
            corpus_hash=bench.corpus_hash,
            device_class=bench.life_class,
            isolation=attempt.train.isolation,
            measured_by=bench.measured_by,
            train_cpu_s=round(attempt.train.cpu_s, 3),
            train_wall_s=round(attempt.train.wall_s, 3),
            score_cpu_s=ended.score_cpu_s,
            score_wall_s=round((attempt.answer_us[1] - attempt.answer_us[0]) / 1e6, 1),
            is_deterministic=attempt.train.is_deterministic,
            is_slow=attempt.train.is_slow,
            slot=ended.slot,
            sketch=attempt.scored.sketch if attempt.scored else "",
        )


def takes_slow(state: RunState, experiment_id: str) -> bool:
    """Whether a timing counts whatever the machine did: the second one, and of a fact the first."""
    return state.noise_model.is_lasting or state.experiments[experiment_id].was_void


def earlier_use(state: RunState) -> list[tuple[int, str, float]]:
    """Return (end in run time, whom it is charged to, slot-seconds) per attempt, oldest first."""
    use = [
        (
            attempt.ended_us,
            experiment.queued.charged_to,
            attempt.charge_s if attempt.is_lost else (attempt.ended_us - attempt.started_us) / 1e6,
        )
        for experiment in state.experiments.values()
        for attempt in experiment.attempts
        if attempt.ended_us is not None
    ]
    return sorted(use)
