"""What takes the place of sandbox and scorer: an executor and a score phase that ask a model.

They hold the slot for as long as the model says, by sleeping: in virtual time that is a jump. Trees
stay in memory: nothing of a modelled experiment is ever written to its job's folder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from community.modelled.model import Model
from community.score_phase import Scored
from scoring.verdict import Score, Split
from trainer.errors import ExecutorError
from trainer.executor import Program, RunningProgram
from trainer.experiment import Job, TrainResult
from trainer.gpu_pool import Lease

_ARTEFACT = "modelled"
"""Stands for what training would have left; there is no such file."""


class KeptTrees:
    """Workspaces in memory: trees by the folder in which they would lie."""

    def __init__(self) -> None:
        self._trees: dict[Path, Mapping[str, bytes]] = {}

    def lay_out(self, folder: Path, files: Mapping[str, bytes]) -> Path:
        """Keep `files` as the tree of the job in `folder`; returns where they would lie."""
        workspace = folder / "tree"
        self._trees[workspace] = files
        return workspace

    def read(self, workspace: Path) -> Mapping[str, bytes]:
        """Return the files of a workspace."""
        return self._trees[workspace]

    def forget(self, workspace: Path) -> None:
        """Drop a workspace whose job is done."""
        self._trees.pop(workspace, None)


class ModelledExecutor:
    """Trains by sleeping for as long as the model says; see `trainer.executor.Executor`.

    Args:
        model: What experiments come to.
        trees: Where the scheduler put the jobs' trees.
    """

    def __init__(self, model: Model, trees: KeptTrees) -> None:
        self._model = model
        self._trees = trees

    async def train(self, job: Job, lease: Lease) -> TrainResult:
        """Hold the slot for the modelled time.

        Cancellation: nothing remains.
        """
        files = self._trees.read(job.workspace)
        told = self._model.run(files, seed=job.seed, split="dev", device=lease.slot.name)
        await asyncio.sleep(told.train_s)
        is_ok = told.outcome == "ok"
        if not is_ok:
            self._trees.forget(job.workspace)
        return TrainResult(
            outcome=told.outcome,
            reason=told.reason,
            detail="",
            cpu_s=told.train_s,
            wall_s=told.train_s,
            charge_s=job.budget.charge_s(told.train_s, told.train_s),
            start_s=0.0,
            artefact=job.folder / _ARTEFACT if is_ok else None,
            isolation="none",
        )

    def serve(self, program: Program, lease: Lease) -> AbstractAsyncContextManager[RunningProgram]:
        """Refuse: nothing is run here.

        Raises:
            ExecutorError: always.
        """
        raise ExecutorError(f"{program.path} cannot be run in a modelled world: nothing is")

    async def aclose(self) -> None:
        """Do nothing: there is nothing to end."""


class ModelledScorePhase:
    """Tells the model's score; see `community.score_phase.ScorePhase`.

    Args:
        model: What experiments come to.
        trees: Where the scheduler put the jobs' trees.
    """

    def __init__(self, model: Model, trees: KeptTrees) -> None:
        self._model = model
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
        """Hold the slot for the modelled time of scoring, and tell the score.

        Cancellation: nothing remains.
        """
        files = self._trees.read(workspace)
        told = self._model.run(files, seed=seed, split=split, device=lease.slot.name)
        await asyncio.sleep(told.score_s)
        self._trees.forget(workspace)
        return Scored(
            Score(told.outcome, told.score, told.reason, 0, 0, told.score_s), told.score_s
        )
