"""Opening what the experiments of a script task are run with: sandbox, slots, repository.

There is no scorer: verdicts say ``measured_by = "candidate"``. Everything else is what other real
runs have. What scores rest on is the command, the interpreter, the data that is shown and the files
that run and read a script; a resumed run has to find all of it as it was.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import trainer.script
from community.events import RunOpened
from community.opening import budget_for, conditions, host_facts, timed_class
from community.plain_text import SELF_REPORTED
from community.run_folder import RunFolder
from community.run_secret import open_secret, secret_hash
from community.scenario import Scenario
from community.scheduler import Bench
from community.script_phase import ScriptScorePhase
from community.task_lock import differences
from community.world import Opening, must_match, open_repository
from scoring.lock import lock_hash
from trainer.devices import check_memory, find_slots
from trainer.errors import TaskError
from trainer.gpu_pool import GpuPool
from trainer.lock_facts import lock_facts
from trainer.script.interpreter import find_interpreter
from trainer.script.script_executor import ScriptExecutor
from trainer.script_table import DataTable
from trainer.task import Task, find_task, load_task
from trainer.text_process import TextProcess
from trainer.tree_key import tree_key

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
    budget = budget_for(task, scenario)
    if budget.kind != "device_seconds":
        text = f"a script's budget is in device_seconds, and the scenario gives {budget.kind}"
        raise TaskError(task.folder, [f"{text}; change `budget` there or drop it"])
    slots = find_slots(scenario.pool.slots, device="auto")
    check_memory(slots, task.memory_bytes)
    secret = open_secret(folder, known, shared)
    lock = script_lock(task)
    async with TextProcess() as texts, ScriptExecutor(task.script, task.metric) as executor:
        isolation = await executor.warm_up()
        repository, baseline = open_repository(folder, task)
        opened = conditions(scenario, task, budget, slots, lock_hash(lock), data_hash(task))
        place = f"{opened.device_class}, {SELF_REPORTED}"
        key = tree_key(task.start, lock_hash=opened.lock_hash, budget=budget, device_class=place)
        opened = replace(
            opened,
            run_id=folder.run_id,
            scenario=scenario_text,
            baseline_commit=baseline,
            isolation=isolation,
            secret_hash=secret_hash(secret),
            manifest={**lock, "secret": secret_hash(secret)},
            device_class=place,
            baseline_tree_key=key,
            measured_by="candidate",
        )
        if known is not None:
            changed = [str(each) for each in differences(known.manifest, opened.manifest)]
            must_match(known, opened, _MUST_AGREE, f"what scores rest on ({'; '.join(changed)})")
            opened = known
        life_class, opened = await timed_class(opened, slots, shared)
        bench = Bench(
            task=task,
            budget=budget,
            repository=repository,
            texts=texts,
            folder=folder,
            pool=GpuPool(slots),
            executor=executor,
            score_phase=ScriptScorePhase(),
            lock_hash=opened.lock_hash,
            corpus_hash=opened.corpus_hash,
            device_class=opened.device_class,
            life_class=life_class,
            epoch_s=int(opened.host.get("epoch_s", "0")),
            measured_by="candidate",
        )
        yield Opening(bench, opened, secret, scenario.board, host_facts())


def script_lock(task: Task) -> dict[str, str]:
    """Return what a script's scores rest on: its table, its interpreter, the files that read it."""
    script = task.script
    assert script is not None
    folder = Path(trainer.script.__file__).parent
    files = {
        f"trainer/script/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*.py"))
    }
    table = script.model_dump(exclude={"data"})
    return {
        **lock_facts(task),
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
