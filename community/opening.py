"""Opening what real experiments are run with: task, scorer, warm parent, slots, repository.

Each part is made new for a new run and checked against the ledger for a resumed one: scores made
under another lock, corpus or machine never meet in one ledger.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from sysconfig import get_paths

import trainer
from community.archive.ledger import LedgerReader
from community.bounds import BoundingScorePhase
from community.clock import wall_epoch_s, wall_stamp
from community.events import RunOpened
from community.grading_phase import GradingPhase, judging_of
from community.lock_writing import check_place
from community.pool_opening import Place, place_of
from community.recorded.naming import named_as_recorded
from community.run_folder import RunFolder
from community.run_secret import open_secret, secret_hash
from community.scenario import Scenario
from community.scheduler import Bench
from community.score_phase import SandboxedScorePhase, ScorePhase
from community.sketching import SketchingScorePhase
from community.task_lock import (
    GRADER,
    differences,
    must_be_as_expected,
    run_lock,
    watched_files,
)
from community.world import Opening, must_match, open_repository
from scoring import private_text
from scoring.lock import lock_hash
from scoring.scorer import Scorer
from trainer.devices import Slot, device_class, find_gpus
from trainer.executor import Executor
from trainer.experiment import Budget
from trainer.reference_kernel import kernel_bin, settled_s
from trainer.task import Task, find_task, load_task
from trainer.text_process import TextProcess
from trainer.tree_key import tree_key

KERNEL_S = "kernel_s"
"""Among the host's facts: how long the reference kernel took when the run was opened."""


@asynccontextmanager
async def open_bench(
    scenario: Scenario,
    scenario_text: str,
    folder: RunFolder,
    known: RunOpened | None,
    *,
    shared: Path | None = None,
) -> AsyncIterator[Opening]:
    """Start scorer and warm parent, and open the repository; close all of it in the end.

    Args:
        scenario: What was asked for.
        scenario_text: Its file's text, for the ledger.
        folder: The run's folder.
        known: First row of a ledger that is resumed, or None for a new run.
        shared: Ledger of another run whose secret a new run takes over.

    Raises:
        TaskError: the task folder is not whole.
        TaskLockError: the task's manifest does not hold, or its private text could be seen.
        RunSecretError: the resumed run's secret is lost or another one.
        DeviceError: the slots cannot be used, or memory would not last for all of them.
        ResumeError: the lock, trainer, corpus or machine differs from the resumed run's.
    """
    task = load_task(find_task(scenario.run.task, Path.cwd()))
    place = place_of(scenario)
    budget = budget_for(task, scenario, place)
    place.check(task, budget)
    must_be_as_expected(task)
    secret = open_secret(folder, known, shared)
    scorer = await start_scorer(task, folder, secret)
    try:
        must_be_as_expected(task, scorer.manifest[GRADER])
        lock = run_lock(task, scorer.manifest)
        async with (
            TextProcess() as texts,
            place.open(task, budget, known, scorer.corpus.hidden) as devices,
        ):
            repository, baseline = open_repository(folder, task)
            repository = named_as_recorded(repository, scenario, folder)
            found = conditions(
                scenario, task, budget, devices.slots, lock_hash(lock), scorer.corpus.hash
            )
            opened = replace(
                found,
                run_id=folder.run_id,
                scenario=scenario_text,
                baseline_commit=baseline,
                isolation=devices.isolation,
                secret_hash=secret_hash(secret),
                manifest={**lock, "secret": secret_hash(secret)},
            )
            if known is not None:
                _must_match(known, opened)
                opened = known
            life_class, opened = await timed_class(opened, devices.machine_s, shared)
            bench = Bench(
                task=task,
                budget=budget,
                repository=repository,
                texts=texts,
                folder=folder,
                pool=devices.pool,
                executor=devices.executor,
                score_phase=SCORE_PHASES[task.kind](devices.executor, scorer, task, budget),
                lock_hash=opened.lock_hash,
                corpus_hash=opened.corpus_hash,
                device_class=opened.device_class,
                life_class=life_class,
                epoch_s=int(opened.host.get("epoch_s", "0")),
                prefetch=devices.prefetch,
            )
            yield Opening(bench, opened, secret, scenario.board, host_facts())
    finally:
        await scorer.aclose()


async def start_scorer(task: Task, folder: RunFolder, secret: bytes) -> Scorer:
    """Start the scorer on the task's own text, or on private text that nothing of the run shows."""
    private = private_text.recorded(task.locked)
    if private is not None:
        check_place(task, private.folder, folder.path)
    source = Path(get_paths()["stdlib"])
    beside = {**watched_files(), "task/task.toml": task.folder / "task.toml"}
    judging = judging_of(task)
    return await Scorer.start(
        task.locked, source, folder.data, secret, beside=beside, judging=judging
    )


def _asking_phase(executor: Executor, scorer: Scorer, task: Task, budget: Budget) -> ScorePhase:
    """Return the score phase of models: asked in sandboxes, held to bounds, and sketched."""
    asking = SandboxedScorePhase(executor, scorer, task, budget)
    return SketchingScorePhase(BoundingScorePhase(asking, task))


def _grading_phase(executor: Executor, scorer: Scorer, task: Task, budget: Budget) -> ScorePhase:
    """Return the score phase of data."""
    return GradingPhase(scorer, task)


SCORE_PHASES: dict[str, Callable[[Executor, Scorer, Task, Budget], ScorePhase]] = {
    "model": _asking_phase,
    "artifact": _grading_phase,
}
"""By the kind of a task (`trainer.task_kinds`): how what its program left gets a score."""


async def timed_class(
    opened: RunOpened, machine_s: Callable[[], Awaitable[float]], shared: Path | None
) -> tuple[str, RunOpened]:
    """Return the device class of this life, and the first row with how fast the machine was.

    A budget in steps has no use for it. A machine that is as fast as at the run's opening, or at
    that of the run whose baseline is shared, is of the same class.
    """
    if opened.budget_kind == "steps":
        return opened.device_class, opened
    earlier = opened.host
    if KERNEL_S not in earlier and shared is not None:
        earlier = _opening_of(shared)
    known_s = float(earlier[KERNEL_S]) if KERNEL_S in earlier else None
    now_s = settled_s(await machine_s(), known_s)
    opened = replace(opened, host={KERNEL_S: f"{now_s:.6f}", **opened.host})
    return f"{opened.device_class}, {kernel_bin(now_s)}", opened


def _opening_of(ledger: Path) -> dict[str, str]:
    with LedgerReader(ledger) as reader:
        first = next(iter(reader.rows()), None)
    return first.event.host if first is not None and isinstance(first.event, RunOpened) else {}


def conditions(
    scenario: Scenario,
    task: Task,
    budget: Budget,
    slots: Sequence[Slot],
    lock: str,
    corpus_hash: str,
) -> RunOpened:
    """Return what the run is made under; the names of run and baseline are the caller's."""
    place = device_class(slots)
    key = tree_key(task.start, lock_hash=lock, budget=budget, device_class=place)
    return RunOpened(
        run_id="",
        scenario="",
        task=task.name,
        seed=scenario.run.seed,
        version=version("research-community"),
        metric=task.metric,
        unit=task.unit,
        direction=task.direction,
        budget_kind=budget.kind,
        budget_amount=budget.amount,
        slots=tuple(slot.name for slot in slots),
        device_class=place,
        lock_hash=lock,
        corpus_hash=corpus_hash,
        baseline_commit="",
        baseline_tree_key=key,
        host=host_facts(),
        trainer_hash=trainer_hash(),
    )


def budget_for(task: Task, scenario: Scenario, place: Place | None = None) -> Budget:
    """Return what one experiment may spend: the scenario's word, else the task's own.

    Args:
        task: Whose.
        scenario: What was asked for.
        place: Where it will run; this machine if that is not open.
    """
    section = scenario.budget
    if section is None:
        return task.budget
    if section.kind != "auto":
        kind = section.kind
    else:
        kind = "device_seconds" if (place.has_gpus if place else find_gpus()) else "cpu_seconds"
    untimed_s = task.budget.untimed_s if kind == "device_seconds" else 0.0
    return Budget(kind, section.amount, untimed_s=untimed_s)


def trainer_hash() -> str:
    """Return the SHA-256 of the trainer's files that decide a score, which the lock leaves out.

    The harness seeds, shows the budget and keeps its margins; the records of an experiment hold the
    grace. Another number in one of them is another training run.
    """
    folder = Path(trainer.__file__).parent
    texts = [(folder / name).read_bytes() for name in ("harness.py", "experiment.py")]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()


def host_facts() -> dict[str, str]:
    """Return what the ledger notes of this machine and moment; never hashed."""
    return {
        "epoch_s": str(wall_epoch_s()),
        "started": wall_stamp(),
        "host": platform.node(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "pid": str(os.getpid()),
    }


def _must_match(known: RunOpened, now: RunOpened) -> None:
    names = {
        "task": "task",
        "lock_hash": "the scorer or the task's locked files",
        "trainer_hash": "trainer/harness.py or trainer/experiment.py",
        "corpus_hash": "the held-out text (another Python version?)",
        "secret_hash": "the run's secret",
        "device_class": "this machine",
        "slots": "the slots that experiments are pinned to",
        "baseline_tree_key": "the start tree or the budget",
        "isolation": "how well this machine isolates candidate code (`community doctor` says why)",
    }
    changed = [str(each) for each in differences(known.manifest, now.manifest)]
    why = f"what scores rest on ({'; '.join(changed)})" if known.manifest else ""
    must_match(known, now, names, why)
