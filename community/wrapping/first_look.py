"""The first look at a task: its baseline run twice, as experiments will be, and what that says.

Not calibration, which every run does for itself: two runs show whether the task works, how long it
takes, and how far two runs of the same code lie apart.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from sysconfig import get_paths
from typing import Final

from community.errors import WrappingError
from community.plain_text import several_lines
from community.run_folder import LOG_TAIL_CHARACTERS
from community.score_phase import SandboxedScorePhase
from community.script_phase import ScriptScorePhase
from scoring.scorer import Scorer
from trainer.devices import find_slots
from trainer.experiment import Budget, Job, TrainResult
from trainer.gpu_pool import GpuPool, Lease
from trainer.local_executor import LocalExecutor
from trainer.script.script_executor import ScriptExecutor
from trainer.task import Task
from trainer.train_phase import LOG_NAME
from trainer.workspace import write_workspace

RUNS: Final = 2
_LINES: Final = 15


@dataclass(frozen=True, slots=True)
class FirstLook:
    """What the runs of the baseline came to."""

    scores: tuple[float, ...]
    walls_s: tuple[float, ...]
    device: str
    """Of the slot that they ran on."""

    @property
    def apart(self) -> float:
        """How far the scores lie apart."""
        return max(self.scores) - min(self.scores)


async def look(task: Task, on_run: Callable[[int], None]) -> FirstLook:
    """Run the start tree of a script task twice on one slot.

    Args:
        task: A script task.
        on_run: Told the number of each run before it begins.

    Raises:
        WrappingError: it fails; the text has the end of its log.
        SandboxUnavailableError: this machine cannot isolate it.

    Cancellation: the script is killed before it returns.
    """
    if task.script is None:
        return await _look_at_model(task, on_run)
    pool = GpuPool(find_slots("auto", device="auto"))
    scores, walls = [], []
    with tempfile.TemporaryDirectory(prefix="rc-look-") as place:
        tree = write_workspace(task.start, Path(place) / "tree")
        async with ScriptExecutor(task.script, task.metric) as executor, pool.lease() as lease:
            for number in range(1, RUNS + 1):
                on_run(number)
                job = _job(task, tree, Path(place) / str(number), number)
                result = await executor.train(job, lease)
                scores.append(await _score(task, result, job, lease))
                walls.append(result.wall_s)
        return FirstLook(tuple(scores), tuple(walls), lease.slot.name)


async def _look_at_model(task: Task, on_run: Callable[[int], None]) -> FirstLook:
    """Train and score the start tree twice, as `look` does for scripts."""
    pool = GpuPool(find_slots("auto", device="cpu"))
    scores, walls = [], []
    with tempfile.TemporaryDirectory(prefix="rc-look-") as place:
        tree, data = write_workspace(task.start, Path(place) / "tree"), Path(place) / "data"
        source = Path(get_paths()["stdlib"])
        scorer = await Scorer.start(task.locked, source, data, secrets.token_bytes(32))
        try:
            executor = LocalExecutor(hidden=scorer.corpus.hidden)
            phase = SandboxedScorePhase(executor, scorer, task, task.budget)
            async with executor, pool.lease() as lease:
                for number in range(1, RUNS + 1):
                    on_run(number)
                    job = replace(
                        _job(task, tree, Path(place) / str(number), number),
                        data=data,
                        budget=task.budget,
                        artefact_bytes=task.artefact_bytes,
                    )
                    result = await executor.train(job, lease)
                    if result.artefact is None:
                        raise _failure(result, job)
                    scored = await phase.score(result.artefact, tree, "dev", lease, job.seed)
                    if scored.score.value is None:
                        raise WrappingError(f"its model is refused: {scored.score.reason}")
                    scores.append(scored.score.value)
                    walls.append(result.wall_s)
        finally:
            await scorer.aclose()
        return FirstLook(tuple(scores), tuple(walls), lease.slot.name)


def _job(task: Task, tree: Path, folder: Path, number: int) -> Job:
    return Job(
        job_id=f"look-{number}",
        attempt=1,
        workspace=tree,
        data=tree,
        folder=folder,
        seed=number,
        budget=Budget("device_seconds", task.budget.amount),
        memory_bytes=task.memory_bytes,
        token_bytes=task.token_bytes,
        takes_slow=True,
    )


async def _score(task: Task, result: TrainResult, job: Job, lease: Lease) -> float:
    if result.artefact is not None:
        scored = await ScriptScorePhase().score(result.artefact, job.workspace, "dev", lease, 0)
        assert scored.score.value is not None
        return scored.score.value
    raise _failure(result, job)


def _failure(result: TrainResult, job: Job) -> WrappingError:
    """Return the error with the end of the log."""
    text = (job.folder / LOG_NAME).read_text("utf-8", "replace")[-LOG_TAIL_CHARACTERS:]
    tail = "\n".join(f"    {line}" for line in several_lines(text)[-_LINES:])
    return WrappingError(
        f"the unmodified script failed ({result.reason}: {result.detail})\n{_advice(result)}\n"
        f"  the end of what it printed:\n{tail}"
    )


def _advice(result: TrainResult) -> str:
    """Say what to do about a failure."""
    if "No module named" in result.detail:
        return (
            "  that module is not in the Python that ran it, or not tracked by git: give the "
            "project's own with --python PATH/.venv, or git add it"
        )
    if "No such file" in result.detail or "FileNotFound" in result.detail:
        return "  it reads a file that the sandbox does not show: give its folder with --data PATH"
    if result.reason == "limit":
        return "  it takes longer than that: give its time with --budget SECONDS"
    if result.reason == "report":
        return (
            "  give --metric and --line (the text before the number), and --reports last where it "
            "is printed more than once"
        )
    if result.reason == "memory" or "MemoryError" in result.detail:
        return "  it needs more memory than its share of this machine; use fewer slots"
    return "  in the sandbox there is no network, and only the named data; see its last lines"
