"""Opening what the experiments of a script task are run with: sandbox, slots, repository.

Without a grader there is no scorer: verdicts say ``measured_by = "candidate"``. With one, a file
that the script leaves is graded like any other data, also in a run that began without. What scores
rest on is the command, the interpreter, the data that is shown and the files that run and read a
script; a resumed run has to find all of it as it was.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import trainer.script
from community.errors import HeldoutPlaceError
from community.events import RunOpened
from community.evidence_events import MeasureChanged
from community.opening import budget_for, conditions, host_facts, start_scorer, timed_class
from community.plain_text import SELF_REPORTED
from community.pool_opening import place_of
from community.recorded.naming import named_as_recorded
from community.run_folder import RunFolder
from community.run_secret import open_secret, secret_hash
from community.scenario import Scenario
from community.scheduler import Bench
from community.script_phase import GradedScriptPhase, ScriptScorePhase
from community.task_lock import GRADER, differences, must_be_as_expected, run_lock
from community.world import Opening, must_match, open_repository
from scoring import private_text
from scoring.lock import lock_hash
from scoring.scorer import Scorer
from trainer.devices import Slot
from trainer.errors import TaskError
from trainer.experiment import Budget
from trainer.lock_facts import lock_facts
from trainer.script.interpreter import find_interpreter
from trainer.script_table import DataTable
from trainer.task import Task, find_task, load_task
from trainer.text_process import TextProcess
from trainer.tree_key import tree_key

_SUFFIX: Final = f", {SELF_REPORTED}"
"""Of the device class of every verdict that is the candidate's own word, so that no rule of
evidence ever sees one beside a measured one."""
_OF_GRADERS: Final = frozenset(
    {"task/leaves", "task/noise", "task/picture", "limits/artefact_bytes"}
)
"""Facts that come with a grader, which may be added later."""
_MOST_LISTED: Final = 20_000
_MUST_AGREE: Final = {
    "task": "task",
    "lock_hash": "the script's command, interpreter or limits",
    "corpus_hash": "the data that the script is shown",
    "secret_hash": "the run's secret",
    "device_class": "this machine",
    "slots": "the slots that experiments are pinned to",
    "baseline_tree_key": "the start tree or the budget",
    "isolation": "how well this machine isolates candidate code (`community doctor` says why)",
}


@asynccontextmanager
async def open_script(
    scenario: Scenario,
    scenario_text: str,
    folder: RunFolder,
    known: RunOpened | None,
    *,
    shared: Path | None = None,
) -> AsyncIterator[Opening]:
    """Open what a script task's run is made with; arguments as `community.world.open_world`.

    Raises:
        TaskError: the task folder is not whole, or the budget is no time of a device.
        SandboxUnavailableError: this machine cannot isolate a script.
        RunSecretError, DeviceError: as `community.opening.open_bench`.
        ResumeError: what scores rest on differs from the resumed run's.
    """
    task = load_task(find_task(scenario.run.task, Path.cwd()))
    assert task.script is not None
    place = place_of(scenario)
    budget = _budget(task, scenario)
    place.check(task, budget)
    secret = open_secret(folder, known, shared)
    async with AsyncExitStack() as stack:
        scorer = await _opened_scorer(task, folder, secret, stack)
        texts = await stack.enter_async_context(TextProcess())
        devices = await stack.enter_async_context(place.open(task, budget, known))
        repository, baseline = open_repository(folder, task)
        repository = named_as_recorded(repository, scenario, folder)
        opened = replace(
            _identity(scenario, task, budget, devices.slots, scorer, known),
            run_id=folder.run_id,
            scenario=scenario_text,
            baseline_commit=baseline,
            isolation=devices.isolation,
            secret_hash=secret_hash(secret),
        )
        opened.manifest["secret"] = secret_hash(secret)
        if known is not None:
            changed = [str(each) for each in differences(known.manifest, opened.manifest)]
            must_match(known, opened, _MUST_AGREE, f"what scores rest on ({'; '.join(changed)})")
            opened = known
        kind = opened.device_class.removesuffix(_SUFFIX) + ("" if scorer else _SUFFIX)
        untimed = replace(opened, device_class=kind)
        life_class, timed = await timed_class(untimed, devices.machine_s, shared)
        opened = replace(timed, device_class=opened.device_class)
        graded = _graded_lock(task, scorer) if scorer else {}
        bench = Bench(
            task=task,
            budget=budget,
            repository=repository,
            texts=texts,
            folder=folder,
            pool=devices.pool,
            executor=devices.executor,
            score_phase=GradedScriptPhase(scorer, task) if scorer else ScriptScorePhase(),
            lock_hash=opened.lock_hash,
            corpus_hash=scorer.corpus.hash if scorer else opened.corpus_hash,
            device_class=opened.device_class,
            life_class=life_class,
            epoch_s=int(opened.host.get("epoch_s", "0")),
            measured_by="scorer" if scorer else "candidate",
            verdict_lock=lock_hash(graded) if scorer else "",
            prefetch=devices.prefetch,
        )
        measure = MeasureChanged("candidate", "scorer", lock_hash(graded), graded)
        yield Opening(
            bench, opened, secret, scenario.board, host_facts(), measure=measure if scorer else None
        )


def _budget(task: Task, scenario: Scenario) -> Budget:
    budget = budget_for(task, scenario)
    if budget.kind != "device_seconds":
        text = f"a script's budget is in device_seconds, and the scenario gives {budget.kind}"
        raise TaskError(task.folder, [f"{text}; change `budget` there or drop it"])
    return budget


async def _opened_scorer(
    task: Task, folder: RunFolder, secret: bytes, stack: AsyncExitStack
) -> Scorer | None:
    """Start the scorer of a script that has a grader, to be closed with `stack`.

    Raises:
        TaskLockError: the grader's manifest does not hold, or what is held out would be shown.
    """
    if task.artifact is None:
        return None
    must_be_as_expected(task)
    private = private_text.recorded(task.locked)
    if private is not None:
        _must_not_show(task, private.folder)
    scorer = await start_scorer(task, folder, secret)
    stack.push_async_callback(scorer.aclose)
    must_be_as_expected(task, scorer.manifest[GRADER])
    return scorer


def _must_not_show(task: Task, heldout: Path) -> None:
    """Refuse a folder of private text in or around what the script's sandbox shows."""
    assert task.script is not None
    place = heldout.resolve()
    shown = find_interpreter(task.script.python).visible(cuda=False)
    for each in (*shown, *(data.place for data in task.script.data)):
        path = Path(each).resolve()
        if place.is_relative_to(path) or path.is_relative_to(place):
            raise HeldoutPlaceError(
                f"private text in {place} cannot be used: the script's sandbox shows {path}; keep "
                "it in a folder of its own"
            )


def _identity(
    scenario: Scenario,
    task: Task,
    budget: Budget,
    slots: Sequence[Slot],
    scorer: Scorer | None,
    known: RunOpened | None,
) -> RunOpened:
    """Return what the run is made under.

    A run that began on the script's own word keeps that identity when a grader is added: trees are
    the same trees, and what changes is a row of its own (`community.world.measure_rows`).
    """
    was_told = known is not None and known.measured_by == "candidate"
    graded = scorer if not was_told else None
    lock = script_lock(task) if graded is None else _graded_lock(task, graded)
    opened = conditions(scenario, task, budget, slots, lock_hash(lock), data_hash(task))
    place = opened.device_class + ("" if graded else _SUFFIX)
    key = tree_key(task.start, lock_hash=opened.lock_hash, budget=budget, device_class=place)
    return replace(
        opened,
        device_class=place,
        baseline_tree_key=key,
        manifest=lock,
        measured_by="scorer" if graded else "candidate",
    )


def _graded_lock(task: Task, scorer: Scorer) -> dict[str, str]:
    """Return what scores rest on where a grader gives them."""
    return {**run_lock(task, scorer.manifest), **script_lock(task)}


def script_lock(task: Task) -> dict[str, str]:
    """Return what a script's scores rest on: its table, its interpreter, the files that read it."""
    script = task.script
    assert script is not None
    folder = Path(trainer.script.__file__).parent
    files = {
        f"trainer/script/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*.py"))
    }
    table = script.model_dump(exclude={"data", "leaves"})
    facts = {name: fact for name, fact in lock_facts(task).items() if name not in _OF_GRADERS}
    return {
        **facts,
        **files,
        "script/interpreter": find_interpreter(script.python).digest_text(),
        "script/table": json.dumps(table, sort_keys=True),
        "script/data": json.dumps([each.model_dump() for each in script.data]),
    }


def data_hash(task: Task) -> str:
    """Return the SHA-256 of what the shown data hold by name and size; contents are not read."""
    assert task.script is not None
    digest = hashlib.sha256()
    for each in task.script.data:
        for line in _listed(each):
            digest.update(line.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def _listed(data: DataTable) -> list[str]:
    """Return path and size of the files of one folder, sorted; the first so many of a large one."""
    if not os.path.isdir(data.place):
        return [f"{data.target} {os.path.getsize(data.place)}"]
    found: list[str] = []
    for folder, inner, names in os.walk(data.place):
        inner.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            size = os.lstat(path).st_size
            found.append(f"{data.target} {os.path.relpath(path, data.place)} {size}")
        if len(found) > _MOST_LISTED:
            break
    return sorted(found[:_MOST_LISTED])
