"""The run that a transfer starts from, and the two sizes that its commits are measured at.

Reads a run folder and writes the folders of two runs of its own; decides nothing. A transfer goes
on with the same command, so what it is about is written down first and has to be the same then.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from community.archive.ledger import LedgerReader
from community.archive.state import RunState
from community.errors import TransferError
from community.loading import parse_scenario
from community.run_folder import RunFolder
from community.scenario import Scenario
from community.transfer.measuring import DONE, Size
from community.transfer.plan import Plan, value_of
from community.transfer.task_copy import copy_task, size_name
from forum.messages import KnobValue
from trainer.experiment import Budget
from trainer.repository import Repository
from trainer.task import Task, find_task, load_task
from trainer.texts import Tree

PLAN: Final = "plan.json"
BEFORE, AFTER = "before", "after"


@dataclass(frozen=True, slots=True)
class Source:
    """A run as it is read."""

    folder: RunFolder
    state: RunState
    scenario: Scenario
    task: Task
    repository: Repository
    budget: Budget

    def tree(self, commit: str) -> Tree:
        """Return the files of a commit."""
        return self.repository.read(commit)


def open_source(folder: RunFolder) -> Source:
    """Read a run whose gains are to be carried over.

    Raises:
        TransferError: it is a virtual run, or its task is not what it was.
        LedgerError: its record cannot be read.
        TaskError: its task cannot.
    """
    with LedgerReader(folder.ledger) as reader:
        state = RunState.from_rows(reader.rows())
    if (opened := state.opened) is None:
        raise TransferError(f"run {folder.run_id} never began; give another one")
    scenario = parse_scenario(opened.scenario, folder.scenario).scenario
    if scenario.run.time != "real":
        raise TransferError(
            f"run {folder.run_id} was computed by a model, which has no other size; give a run of "
            "real experiments"
        )
    task = load_task(find_task(scenario.run.task, folder.path))
    repository = Repository.open(folder.repository, writer=False)
    if repository.read(opened.baseline_commit) != dict(task.start):
        raise TransferError(
            f"the start of task {task.name} is not what run {folder.run_id} began with; put "
            f"{task.folder / 'start'} back as it was"
        )
    budget = Budget(opened.budget_kind, opened.budget_amount)
    return Source(folder, state, scenario, task, repository, budget)


def check_size(
    source: Source, leader: str, changes: Mapping[str, KnobValue], amount: float
) -> None:
    """Refuse a size that is none.

    Raises:
        TransferError: a constant is not bound in the start or the leader, or nothing is different.
    """
    files = source.tree(leader)
    same = [
        value_of(source.task.start, name, "the start") == value
        and value_of(files, name, "the leading commit") == value
        for name, value in changes.items()
    ]
    if all(same) and amount == source.budget.amount:
        raise TransferError(
            "the other size is the one at hand: give another --depth, --set or --budget"
        )


async def sizes_of(
    source: Source, changes: Mapping[str, KnobValue], amount: float, folder: Path
) -> tuple[Size, Size]:
    """Make the folders of both runs, or find them.

    Args:
        source: Whose commits are measured.
        changes: What the other size sets.
        amount: Of one experiment at the other size, in the unit of the run's budget.
        folder: Where the transfer lies.

    Returns:
        The size at hand and the other one.

    Raises:
        TransferError, TaskError, RunFolderError: they cannot be made.
    """
    task = source.task
    if changes:
        task = await copy_task(
            task, changes, folder / f"{source.task.name}-{size_name(changes)}"[:200]
        )
    set_to = ", ".join(f"{name} = {value!r}" for name, value in changes.items())
    before = _size(source, source.task, {}, source.budget.amount, folder / BEFORE, "as it was")
    after = _size(source, task, changes, amount, folder / AFTER, set_to or "larger budget")
    return before, after


def _size(
    source: Source,
    task: Task,
    changes: Mapping[str, KnobValue],
    amount: float,
    place: Path,
    label: str,
) -> Size:
    text = _scenario_text(source, task, amount)
    scenario = parse_scenario(text, place.with_suffix(".toml")).scenario
    if (place / "ledger.db").is_file():
        folder = RunFolder(place)
    else:  # new, or killed before it had a ledger
        shutil.rmtree(place, ignore_errors=True)
        folder = RunFolder.create(place.parent, place.name)
    folder.scenario.write_text(text, "utf-8")
    return Size(label, changes, scenario, text, folder)


def _scenario_text(source: Source, task: Task, amount: float) -> str:
    """Return the scenario of a run in which nobody takes part; a file has to name somebody."""
    was = source.scenario
    name = json.dumps(str(task.folder))
    pool = {"slots": was.pool.slots, **was.pool.model_dump(exclude_defaults=True)}
    asked = ", ".join(f"{key} = {json.dumps(value)}" for key, value in pool.items())
    return (
        f"# Written by `community transfer`: commits of {source.folder.run_id} at one size.\n"
        "# The lab measures alone; the researcher below is never seated.\n"
        f"run = {{ task = {name}, seed = {was.run.seed} }}\n"
        f'budget = {{ kind = "{source.budget.kind}", amount = {amount!r} }}\n'
        f"pool = {{ {asked} }}\n"
        f"lab = {{ isolation = {json.dumps(was.lab.isolation)} }}\n"
        'board = { broker = "memory" }\n'
        'topology = { family = "isolated" }\n'
        "stop = { experiments = 1 }\n\n"
        '[[agents]]\nname = "nobody"\nrole = "exploiter"\nmind = "policy:greedy"\n'
    )


def pin(plan: Plan, wanted: Mapping[str, Any], folder: Path) -> None:
    """Write down what a transfer is about, or hold an earlier one to it.

    Raises:
        TransferError: the folder holds another transfer.
    """
    groups = [{"title": group.title, "hunks": list(group.hunks)} for group in plan.groups]
    about = {"run": plan.run_id, "leader": plan.leader, "groups": groups, **wanted}
    path = folder / PLAN
    text = json.dumps(about, indent=1, sort_keys=True) + "\n"
    if path.is_file():
        if path.read_text("utf-8") != text:
            raise TransferError(
                f"{folder} holds another transfer (see {path}), or the run went on since; give "
                "another --out"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def is_begun(size: Size) -> bool:
    """Whether there is a ledger to go on with."""
    return size.folder.ledger.is_file()


def recorded(size: Size) -> RunState | None:
    """Return a size's run if everything was measured, else None."""
    if not is_begun(size):
        return None
    with LedgerReader(size.folder.ledger) as reader:
        state = RunState.from_rows(reader.rows())
    return state if state.stop_reason == DONE else None
