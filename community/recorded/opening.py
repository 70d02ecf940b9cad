"""Opening what a run is played again with: its record in place of everything that is outside.

The institution, the agents, the repository, the ledger and the board's rules are the ones that any
run has. What decides a row has to be here as it was then: the start tree, the prompts. The scorer's
files do not, since verdicts are on record; `changed_lock` tells of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from agents.minds.prompt_files import prompt_hashes
from community.archive.ledger import Ledger
from community.archive.mind_state import REPLAYS
from community.errors import RecordError
from community.events import Posted, Row, VerdictGiven
from community.forum_events import PersonActed
from community.loading import parse_scenario
from community.modelled.opening import host_facts
from community.modelled.parts import KeptTrees
from community.recorded.order import Order, RecordedLedger, RecordedLoop
from community.recorded.parts import (
    RecordedExecutor,
    RecordedPool,
    RecordedRepository,
    RecordedScorePhase,
)
from community.recorded.record import Record
from community.recorded.seating import RecordedSeating
from community.run_folder import RunFolder
from community.scenario import REMOTE, Scenario
from community.scheduler import Bench
from community.task_lock import GRADER, differences, present_lock
from community.world import Opening, open_repository
from trainer.devices import Slot
from trainer.experiment import Budget
from trainer.remembered_texts import RememberedTexts
from trainer.task import Task, find_task, load_task
from trainer.texts import TrustedTexts
from trainer.tree_key import tree_key


class RecordedWorld:
    """The world of one record; see `community.world.World`.

    Args:
        record: What is played.
        loop: In which it is.
    """

    def __init__(self, record: Record, order: Order, loop: RecordedLoop) -> None:
        self._record = record
        self._order = order
        self._loop = loop

    def open_ledger(self, folder: RunFolder) -> Ledger:
        """Make the ledger of the replay."""
        ledger = RecordedLedger.create(folder.ledger, is_durable=False)
        assert isinstance(ledger, RecordedLedger)
        ledger.order, ledger.loop = self._order, self._loop
        return ledger

    def open(
        self, scenario: Scenario, scenario_text: str, folder: RunFolder
    ) -> AbstractAsyncContextManager[Opening]:
        """Open what the record is played with.

        Raises:
            TaskError: the task folder is not whole.
            RecordError: the start tree is another one now.
        """
        return self._open(scenario, folder)

    @asynccontextmanager
    async def _open(self, scenario: Scenario, folder: RunFolder) -> AsyncIterator[Opening]:
        recorded, order = self._record.opened, self._order
        task = load_task(find_task(scenario.run.task, Path.cwd()))
        must_have_start(self._record, task)
        _, baseline = open_repository(folder, task)
        repository = RecordedRepository.open(folder.repository)
        repository.order = order
        if baseline != recorded.baseline_commit:
            raise RecordError(
                f"{self._record.name} cannot be played again: the commit of the start is "
                f"{recorded.baseline_commit[:12]} there and {baseline[:12]} here"
            )
        verdicts = (row.event for row in self._record.rows if isinstance(row.event, VerdictGiven))
        first = next(verdicts, None)
        trees = KeptTrees()
        pool = RecordedPool([Slot(name, "recorded", frozenset()) for name in recorded.slots])
        pool.order = order
        bench = Bench(
            task=task,
            budget=Budget(recorded.budget_kind, recorded.budget_amount),
            repository=repository,
            texts=RememberedTexts(TrustedTexts()),
            folder=folder,
            pool=pool,
            executor=RecordedExecutor(order, trees),
            score_phase=RecordedScorePhase(order, trees),
            lock_hash=recorded.lock_hash,
            corpus_hash=recorded.corpus_hash,
            device_class=recorded.device_class,
            life_class=recorded.device_class if first is None else first.device_class,
            epoch_s=int(recorded.host.get("epoch_s", "0")),
            workspaces=trees,
            measured_by=recorded.measured_by,
        )
        told = {key: recorded.host[key] for key in ("epoch_s", "kernel_s") if key in recorded.host}
        host = {**told, **host_facts(), REPLAYS: f"{self._record.name} {self._record.hash}"}
        opened = replace(recorded, run_id=folder.run_id, host=host)
        board = scenario.board.model_copy(update={"broker": "memory", "credentials": None})
        seating = RecordedSeating(order)
        try:
            yield Opening(
                bench,
                opened,
                self._record.secret,
                board,
                host,
                is_followed=False,
                seating=seating,
            )
        finally:
            seating.close()


def must_be_playable(record: Record) -> Scenario:
    """Return the scenario of a record that can be played again.

    Raises:
        ScenarioError: its scenario cannot be read any more.
        RecordError: it holds what is not on record whole, or what it was made with has changed.
    """
    scenario = parse_scenario(record.opened.scenario, record.place).scenario
    members = scenario.members()
    outside = [member.name for member in members if member.mind == REMOTE]
    people = {name for row in record.rows if (name := _person(row))}
    if outside or people:
        who = ", ".join([*outside, *sorted(people)])
        raise RecordError(
            f"{record.name} cannot be played again: {who} took part from outside, and the record "
            "holds what came of that, not what was asked for; `community replay` shows the run"
        )
    if scenario.run.time == "real" and not record.secret:
        raise RecordError(
            f"{record.name} cannot be played again: its secret, by which confirmations are drawn, "
            "is not known; a run reveals it at its end, and until then it lies in the run's folder"
        )
    prepared, prompts = record.prepared(), dict(prompt_hashes())
    if prepared is not None and prepared.prompts != prompts:
        told = "; ".join(str(each) for each in differences(prepared.prompts, prompts))
        raise RecordError(
            f"{record.name} cannot be played again: what minds are shown is not what it was "
            f"({told}); with --verdicts live it goes on until that shows"
        )
    return scenario


def _person(row: Row) -> str:
    """Return the person who did something in a row, if one did."""
    if isinstance(row.event, PersonActed):
        return row.event.person
    is_word = isinstance(row.event, Posted) and row.event.author.startswith("~")
    return row.event.author if isinstance(row.event, Posted) and is_word else ""


def must_have_start(record: Record, task: Task) -> None:
    """Refuse to build on another start than the record's.

    Raises:
        RecordError: the start tree, or how it is identified, has changed.
    """
    opened = record.opened
    budget = Budget(opened.budget_kind, opened.budget_amount)
    key = tree_key(
        task.start, lock_hash=opened.lock_hash, budget=budget, device_class=opened.device_class
    )
    if key != opened.baseline_tree_key:
        raise RecordError(
            f"{record.name} cannot be played again: the start tree of {task.name} is another one "
            f"now ({opened.baseline_tree_key[:12]} then, {key[:12]} now); check out what it was"
        )


def changed_lock(record: Record, scenario: Scenario) -> list[str]:
    """Return what has changed of that which the recorded scores rest on, one line each."""
    task = load_task(find_task(scenario.run.task, Path.cwd()))
    then = record.opened.manifest
    now = present_lock(task, then.get(GRADER, ""))
    both = then.keys() & now.keys()
    found = differences({k: then[k] for k in both}, {k: now[k] for k in both})
    return [str(each) for each in found]
