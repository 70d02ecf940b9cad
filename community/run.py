"""One community's life: put the rooms together, let everybody work, end in order.

Opens what `community.world` opens, seats the agents, and holds every task in one group. It
decides nothing itself: it waits for a stop condition or for cancellation, then closes what it
opened. The same function starts a new run and takes up a stopped or killed one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agents.agent import Agent
from agents.errors import AgentError
from agents.knobs import Knob, load_knobs
from agents.roles import Role
from community.admission import Admission
from community.archive.export import name_best, write_results_tsv
from community.archive.ledger import LedgerReader
from community.archive.state import RunState
from community.assigning import Assigning
from community.board_opening import open_board
from community.calibration import calibrate, share_baseline
from community.chronicle import Chronicle
from community.clerk import Clerk
from community.clock import RunClock
from community.command_runs import programs_in
from community.errors import ModelsSilentError
from community.events import (
    AgentJoined,
    Event,
    FrontierMoved,
    Noticed,
    Row,
    RunResumed,
    RunStopped,
    StatusChanged,
    TurnTaken,
)
from community.finals import is_ending, run_finals
from community.incidents import IncidentLog
from community.institution import Institution
from community.minds_opening import Minds, open_minds
from community.outside import Outside, guests_of
from community.queueing import Queue
from community.run_folder import RunFolder
from community.scenario import REMOTE, Member, Scenario, TopologySection
from community.scheduler import Scheduler
from community.screening import FOUND, awaits_status
from community.sealing import open_finals
from community.stalling import SILENT, watch_models
from community.topology import build_topology
from community.topology.rewiring import Rewiring
from community.twins import Twins
from community.unasked import serve_unasked
from community.world import Opening, World, measure_rows, open_ledger, open_world
from forum.board import Board
from forum.errors import ForumError
from forum.ids import AgentName
from forum.messages import Notice
from trainer.errors import TrainerError

LAST_WORDS_S = 2.0
"""Seconds that agents get to post their last findings once the run is over."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Community:
    """What the tasks of a run share."""

    scenario: Scenario
    chronicle: Chronicle
    institution: Institution
    board: Board
    roles: Mapping[str, Role]
    opening: Opening
    knobs: tuple[Knob, ...]
    minds: Minds


@dataclass(frozen=True, slots=True)
class Shared:
    """Ledgers of other runs of the same seed from which a new run takes something over."""

    secret: Path | None = None
    """Whose secret: the same held-out blocks, so that scores compare to the last digit."""
    baseline: Path | None = None
    """Whose secret and baseline runs: the arms of a benchmark share them."""


async def run_community(
    scenario: Scenario,
    scenario_text: str,
    folder: RunFolder,
    *,
    is_resumed: bool = False,
    on_row: Callable[[Row], None] | None = None,
    shared: Shared | None = None,
    world: World | None = None,
) -> str:
    """Run a community until a stop condition holds.

    Args:
        scenario: Who takes part and what they may spend.
        scenario_text: The scenario file's text, kept in the ledger.
        folder: The run's folder; holds a ledger already when `is_resumed`.
        is_resumed: Go on where that ledger ends.
        on_row: Told of every ledger row, those that a resumed ledger holds included.
        shared: What is taken over from other runs.
        world: Another world than the scenario's, for a new run.

    Returns:
        The stop condition that held.

    Raises:
        CommunityError: the run cannot start or go on, or what it shall share does not compare;
            nothing that was recorded is lost.

    Cancellation: running experiments are killed and recorded as interrupted, the run is recorded as
        stopped, and `is_resumed` takes it up again.
    """
    is_real = scenario.run.time == "real"
    ledger, clock = open_ledger(folder, is_resumed=is_resumed, is_durable=is_real, world=world)
    try:
        chronicle = Chronicle(ledger, clock)
        if on_row is not None:
            show = _unbroken("the live view", on_row)
            for row in ledger.rows():
                show(row)
            ledger.subscribe(show)
        known, shared = chronicle.state.opened, shared or Shared()
        taken = shared.secret or shared.baseline
        async with open_world(
            scenario, scenario_text, folder, known, shared=taken, world=world
        ) as opening:
            # run time begins, or goes on, now: neither start-up nor the time between is run time
            chronicle.clock = RunClock(offset_us=chronicle.state.last_us)
            if is_resumed and chronicle.state.opened is not None:
                lost = [e.queued.experiment_id for e in chronicle.state.running()]
                limit = scenario.stop.experiments
                life_class = opening.bench.life_class
                resumed = RunResumed(tuple(lost), dict(opening.host), limit, life_class)
                chronicle.record(resumed, *measure_rows(chronicle.state, opening))
            else:
                chronicle.record(opening.opened)
            opening.seating.begin(chronicle)
            _keep_files(chronicle, opening, folder)
            if shared.baseline is not None:
                with LedgerReader(shared.baseline) as other:
                    share_baseline(chronicle, RunState.from_rows(other.rows()))
            return await _live(scenario, chronicle, opening)
    finally:
        ledger.close()


async def _live(scenario: Scenario, chronicle: Chronicle, opening: Opening) -> str:
    """Go through the stages of a run, from wherever it is, and record how it ended.

    Research, then, when nobody is left who could hear of them, the last runs.
    """
    why, limit = "interrupted", scenario.stop.experiments
    try:
        ending = chronicle.state.evidence.finals
        if ending is not None and is_ending(chronicle.state, limit):
            reached = ending.why
        else:
            reached = await _research(scenario, chronicle, opening)
            open_finals(chronicle, reached, limit)
        await run_finals(chronicle, opening.bench, scenario)
        why = reached
    except BaseExceptionGroup as group:
        first = _first(group)
        why = SILENT if isinstance(first, ModelsSilentError) else "failed"
        raise first from group
    except Exception:
        why = "failed"
        raise
    finally:
        goes_on = why in ("interrupted", "failed", SILENT)  # then it keeps its secret
        chronicle.record(RunStopped(why, "" if goes_on else opening.secret.hex()))
    return why


async def _research(scenario: Scenario, chronicle: Chronicle, opening: Opening) -> str:
    """Seat everybody and let them work until a stop condition holds; returns which."""
    bench, members = opening.bench, scenario.members()
    names = [member.name for member in members]
    local = [member for member in members if member.mind != REMOTE]
    roles = {member.name: scenario.role(member.role) for member in members}
    guests = guests_of(scenario, chronicle.state)
    async with (
        open_board(
            opening.board,
            opening.opened.run_id,
            [member.name for member in local],
            guests=guests,
            folder=bench.folder.credentials,
            incidents=IncidentLog(chronicle),
        ) as board,
        board.desk() as desk,
        open_minds(scenario, chronicle, opening.mind_of, programs=programs_in(bench)) as minds,
        asyncio.TaskGroup() as group,
    ):
        admission = Admission.of(scenario, bench.task)
        queue = Queue(lambda: chronicle.clock.now_us() / 1e6, lambda name: institution.worth(name))
        scheduler = Scheduler(chronicle, queue, bench)
        assigning = Assigning(scenario.reviews, roles, opening.opened.seed, opening.secret)
        pace = scenario.board.posts_per_minute
        twins = Twins(bench.repository, bench.task)
        clerk = Clerk(chronicle, desk, bench.repository, bench.texts, assigning, pace, twins)
        institution = Institution(
            scenario, chronicle, scheduler, admission, bench, clerk, roles, group
        )
        community = _Community(
            scenario, chronicle, institution, board, roles, opening, _knobs(opening), minds
        )
        rewiring = Rewiring(chronicle, names, scenario.topology, opening.opened.seed)
        _join(chronicle, members, scenario.topology, opening.opened.seed)
        tasks = [
            group.create_task(clerk.serve(), name="clerk"),
            group.create_task(rewiring.serve(), name="rewiring"),
            group.create_task(scheduler.serve(), name="scheduler"),
            *serve_unasked(group, chronicle, desk, clerk, twins),
        ]
        outside = Outside(institution, desk, guests, roles, community.knobs, opening.secret)
        tasks += outside.serve(group)
        institution.resume()
        await calibrate(chronicle, scheduler, bench, scenario.noise.baseline_runs)
        chronicle.record(Noticed("start", f"{len(members)} researchers begin"))
        await desk.notify(Notice(kind="start", text=f"{len(members)} researchers begin"))
        tasks.append(group.create_task(institution.serve(), name="institution"))
        watching = watch_models(scenario, chronicle, minds, institution.attendance)
        tasks.append(group.create_task(watching, name="models"))
        living = [
            group.create_task(_live_agent(community, member), name=f"agent {member.name}")
            for member in local
        ]
        reached = await institution.until_over()
        await _last_words(chronicle)
        await desk.notify(Notice(kind="stop", text=reached))
        await outside.close(reached)
        institution.leave()
        _cancel_all([*living, *tasks])
    return reached


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first true failure inside `group`; the others only followed from it."""
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


def _cancel_all(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel("the run is over")


async def _live_agent(community: _Community, member: Member) -> None:
    """Seat one agent and let it live; what it broke on is noted, and the community goes on."""
    chronicle, seating = community.chronicle, community.opening.seating
    lab = seating.lab(community.institution, member.name)
    before = chronicle.state.agents[member.name]

    async def on_turn(
        name: str, turn: int, actions: tuple[str, ...], notebook: str | None, cost_usd: float
    ) -> None:
        usd, heard, looked = round(cost_usd, 6), agent.heard, lab.looked
        chronicle.record(
            TurnTaken(name, turn, actions, notebook, usd, *looked, *heard, agent.fault)
        )

    try:
        async with community.board.seat(AgentName(member.name)) as seat:
            agent = Agent(
                name=member.name,
                role=community.roles[member.name],
                mind=seating.mind(member, community.minds),
                seat=seating.seat(seat, member.name),
                lab=lab,
                knobs=community.knobs,
                run_seed=community.opening.opened.seed,
                turn=before.next_turn,
                notebook=before.notebook,
                on_turn=on_turn,
            )
            why = await agent.live()
    except* (AgentError, ForumError, TrainerError) as group:
        why = str(_first(group))
    if community.minds.failure is not None:
        raise community.minds.failure
    community.institution.attendance.take_leave(member.name)
    if why:
        chronicle.record(Noticed("pause", f"{member.name} left: {why}"[:300]))


def _knobs(opening: Opening) -> tuple[Knob, ...]:
    task = opening.bench.task
    if task.knobs_toml is None or task.knobs_path is None:
        return ()
    return load_knobs(task.knobs_toml, task.start[task.knobs_path].decode())


def _join(
    chronicle: Chronicle, members: tuple[Member, ...], section: TopologySection, seed: int
) -> None:
    """Record who takes part and who hears whom, unless a resumed ledger says so already."""
    topology = build_topology([member.name for member in members], section, seed)
    joined = {name for name, agent in chronicle.state.agents.items() if agent.role}
    events: list[Event] = [
        AgentJoined(member.name, member.role, member.mind, topology.hears(member.name))
        for member in members
        if member.name not in joined
    ]
    if chronicle.state.forum.topology is None:
        events.append(topology.as_event())
    if events:
        chronicle.record(*events)


async def _last_words(chronicle: Chronicle) -> None:
    """Give agents a moment to post what their last experiments showed."""

    def all_is_said(state: RunState) -> bool:
        said = {
            (record.posted.body["hypothesis"], record.posted.author)
            for record in state.posts.values()
            if record.posted.body["kind"] in ("finding", "failure")
        }
        return all(
            not awaits_status(state, claim)
            and all((name, c.by) in said for c in claim.standing_changes if c.status in FOUND)
            for name, claim in state.hypotheses.items()
        )

    try:
        async with asyncio.timeout(LAST_WORDS_S):
            await chronicle.wait_until(all_is_said)
    except TimeoutError:
        return


def _keep_files(chronicle: Chronicle, opening: Opening, folder: RunFolder) -> None:
    """Keep results.tsv and refs/heads/best in step with the ledger."""
    repository = opening.bench.repository

    is_followed = opening.is_followed

    def follow_best(row: Row) -> None:
        has_moved = isinstance(row.event, FrontierMoved | StatusChanged)  # a status can be lost
        if (has_moved and is_followed) or isinstance(row.event, RunStopped):
            name_best(chronicle.state, repository)

    def follow_results(row: Row) -> None:
        has_changed = isinstance(row.event, StatusChanged)
        if (has_changed and is_followed) or isinstance(row.event, RunStopped):
            write_results_tsv(chronicle.state, folder.results)

    name_best(chronicle.state, repository)
    chronicle.ledger.subscribe(_unbroken("refs/heads/best", follow_best))
    chronicle.ledger.subscribe(_unbroken("results.tsv", follow_results))


def _unbroken(name: str, view: Callable[[Row], None]) -> Callable[[Row], None]:
    """Keep what `view` raises from the ledger: a view may fall behind, the record goes on."""
    has_warned = False

    def guarded(row: Row) -> None:
        nonlocal has_warned
        try:
            view(row)
        except Exception as error:
            if not has_warned:
                _log.warning("%s fell behind at row %d, the run goes on: %r", name, row.seq, error)
            has_warned = True

    return guarded
