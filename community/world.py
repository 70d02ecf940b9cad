"""The two worlds: what is opened for a run in real time, and what in virtual time.

Agents, roles, board rules, scheduler and ledger do not know in which one they are. All that differs
is in an `Opening`: what experiments are run with, which board there is, how minds think. Next:
`community.opening` fills it for the real world, `community.modelled.opening` for the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from agents.minds.catalogue import make_mind
from agents.minds.mind import Mind
from community.archive.ledger import Ledger
from community.archive.state import RunState
from community.chronicle import Chronicle
from community.clock import RunClock
from community.errors import ResumeError
from community.events import RunOpened
from community.evidence_events import MeasureChanged
from community.institution import Institution
from community.lab import AgentLab
from community.minds_opening import Minds
from community.run_folder import RunFolder
from community.scenario import BoardSection, Member, Scenario
from community.scheduler import Bench
from forum.board import Seat
from trainer.repository import Repository
from trainer.task import Task, find_task, load_task


def _usual_mind(member: Member) -> Mind:
    return make_mind(member.mind)


class Seating:
    """What an agent of the run is seated with: its lab, its place at the board, its mind.

    A run that is played again (`community.recorded`) has another one.
    """

    def begin(self, chronicle: Chronicle) -> None:
        """Take note that the run begins, or goes on."""

    def lab(self, institution: Institution, name: str) -> AgentLab:
        """Return the lab as the agent sees it."""
        return AgentLab(institution, name)

    def seat(self, seat: Seat, name: str) -> Seat:
        """Return the agent's place at the board."""
        return seat

    def mind(self, member: Member, minds: Minds) -> Mind:
        """Return what decides for it.

        Raises:
            MindError, PriceError: as `community.minds_opening.Minds.make`.
        """
        return minds.make(member)


@dataclass(frozen=True, slots=True)
class Opening:
    """What a run is opened with, and the row that a new ledger begins with."""

    bench: Bench
    opened: RunOpened
    secret: bytes
    """The run's, to be revealed at its end."""
    board: BoardSection
    """Which one there is in this world."""
    host: Mapping[str, str] = field(default_factory=dict)
    """Facts of this life's machine and moment."""
    mind_of: Callable[[Member], Mind] = _usual_mind
    measure: MeasureChanged | None = None
    """What is recorded where scores were the candidates' own word before this life."""
    is_followed: bool = True
    """Whether files beside the ledger are kept in step with it; else they are made at its end."""
    seating: Seating = field(default_factory=Seating)


class World(Protocol):
    """A world of the caller's own, in place of those that scenarios name."""

    def open_ledger(self, folder: RunFolder) -> Ledger:
        """Make the new run's ledger."""
        ...

    def open(
        self, scenario: Scenario, scenario_text: str, folder: RunFolder
    ) -> AbstractAsyncContextManager[Opening]:
        """Open what the run is made with, as `open_world`."""
        ...


def open_world(
    scenario: Scenario,
    scenario_text: str,
    folder: RunFolder,
    known: RunOpened | None,
    *,
    shared: Path | None = None,
    world: World | None = None,
) -> AbstractAsyncContextManager[Opening]:
    """Open what `scenario` runs with in its world, and close all of it in the end.

    Args:
        scenario: What was asked for.
        scenario_text: Its file's text, for the ledger.
        folder: The run's folder.
        known: First row of a ledger that is resumed, or None for a new run.
        shared: Ledger of another run whose secret a new run takes over.
        world: Another world than the scenario's.

    Raises:
        CommunityError, TrainerError: see `community.opening.open_bench` and
            `community.modelled.opening.open_modelled`.
    """
    if world is not None:
        return world.open(scenario, scenario_text, folder)
    if scenario.run.time == "virtual":
        from community.modelled.opening import open_modelled

        return open_modelled(scenario, scenario_text, folder, known)
    if load_task(find_task(scenario.run.task, Path.cwd())).script is not None:
        from community.script_opening import open_script

        return open_script(scenario, scenario_text, folder, known, shared=shared)
    from community.opening import open_bench

    return open_bench(scenario, scenario_text, folder, known, shared=shared)


def open_ledger(
    folder: RunFolder,
    *,
    is_resumed: bool,
    is_durable: bool = True,
    world: World | None = None,
) -> tuple[Ledger, RunClock]:
    """Open the run's ledger and a clock that goes on where its last row stands.

    Args:
        folder: The run's.
        is_resumed: Whether there is one already.
        is_durable: Whether a power cut may undo nothing; a kill never does.
        world: Another world than the scenario's, in which nothing is resumed.

    Raises:
        LedgerError: it cannot be used; the message says why.
    """
    if world is not None:
        return world.open_ledger(folder), RunClock()
    if not is_resumed:
        return Ledger.create(folder.ledger, is_durable=is_durable), RunClock()
    ledger = Ledger.open(folder.ledger, is_durable=is_durable)
    last_us = max((row.at_us for row in ledger.rows()), default=0)
    return ledger, RunClock(offset_us=last_us)


def open_repository(folder: RunFolder, task: Task) -> tuple[Repository, str]:
    """Open the run's repository, or make it; returns it with the start tree's commit."""
    if folder.repository.exists():
        repository = Repository.open(folder.repository)
    else:
        repository = Repository.create(folder.repository)
    baseline = repository.commit(
        task.start,
        parents=(),
        author="lab <lab@community.invalid>",
        message=f"baseline of {task.name}\n",
        at_s=0,
    )
    if not repository.refs().get("refs/heads/best"):
        repository.set_best(baseline)
    return repository, baseline


def measure_rows(state: RunState, opening: Opening) -> tuple[MeasureChanged, ...]:
    """Return the row by which a resumed run's scores become the scorer's; none where they are.

    Raises:
        ResumeError: they were the scorer's and would be so no more, or another grader's.
    """
    then, now, known = state.measured_by, opening.bench.measured_by, state.evidence.measure
    if then == "scorer" and now == "candidate":
        raise ResumeError(
            f"run {opening.opened.run_id} cannot go on: its scores are measured, and without "
            "[artifact] and locked/grade.py they would be the script's own word; put them back"
        )
    if opening.measure is None or now == "candidate":
        return ()
    if known is not None and known.lock_hash != opening.measure.lock_hash:
        raise ResumeError(
            f"run {opening.opened.run_id} cannot go on: its grader, or what is held out, changed "
            "since it was added; put it back, or start a new run"
        )
    return (opening.measure,) if then == "candidate" else ()


def must_match(known: RunOpened, now: RunOpened, names: Mapping[str, str], why: str = "") -> None:
    """Refuse to go on under other conditions than a run began with.

    Args:
        known: The ledger's first row.
        now: What it would be now.
        names: The fields that have to agree, and how people call them.
        why: What is told of a `lock_hash` that differs, where more is known.

    Raises:
        ResumeError: with the first that differs.
    """
    for name, what in names.items():
        if getattr(known, name) not in (getattr(now, name), ""):  # older ledgers lack some
            told = why if why and name == "lock_hash" else what
            raise ResumeError(
                f"run {known.run_id} cannot go on: {told} changed "
                f"({getattr(known, name)} then, {getattr(now, name)} now), and scores made under "
                "the two do not compare; start a new run"
            )
