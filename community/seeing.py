"""Seeing: what the mind of an agent sees, at its first turn of a scenario or at a turn of a run.

The same `Observation` and the same prompt as in a run. For a scenario nothing is measured yet; for
a run the ledger is folded up to where that turn began, and the agent's own eyes look at it. Nothing
is recorded or asked of anybody.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from agents.account import Account, Reserved, Settled
from agents.agent import Agent, turn_seed
from agents.knobs import Knob, load_knobs
from agents.lab import Briefing
from agents.memory import Memory
from agents.minds.catalogue import is_command_mind
from agents.minds.cli_mind import stdin_text
from agents.minds.mind import Mind
from agents.minds.prompting import Prompt, make_prompt
from agents.observation import Observation
from agents.roles import Right
from community.admission import Admission
from community.archive.ledger import LedgerReader
from community.archive.queries import experiment_limit
from community.archive.state import RunState
from community.cli_sections import cli_of
from community.clock import RunClock
from community.errors import SightError
from community.events import Row, RunResumed, TurnTaken
from community.institution import Institution
from community.lab import AgentLab
from community.loading import parse_scenario
from community.mind_events import Answered, SpendReserved
from community.minds_opening import account_entries, pinned_prices
from community.opening import budget_for
from community.run_folder import RunFolder
from community.scenario import Member, Scenario
from community.spend_sections import ModelSection
from forum.board import Seat
from trainer.repository import Repository
from trainer.task import Task, find_task, load_task


@dataclass(frozen=True, slots=True)
class Sight:
    """What one agent saw, or would see."""

    observation: Observation
    prompt: Prompt
    text: str
    """As the agent's mind is told it: parts of a prompt, or what a program reads."""
    differs: tuple[str, ...] = ()
    """Parts that are not what the ledger says was shown: task, prompts or program have changed
    since, or it is something that only lived in the run's memory."""


def first_sight(scenario: Scenario, name: str) -> Sight:
    """Return what an agent would see at its first turn.

    Raises:
        SightError: nobody is called so.
        TaskError, KnobError, RoleError: what the scenario names cannot be read.
    """
    member = _member(scenario, name)
    role = scenario.role(member.role)
    task = _task(scenario)
    knobs = _knobs(task)
    with tempfile.TemporaryDirectory() as place:
        repository = Repository.create(Path(place) / "repo.git")
        author = "lab <lab@community.invalid>"
        baseline = repository.commit(task.start, (), author, f"baseline of {task.name}\n", 0)
    admission = Admission(scenario.stop, scenario.noise.confirm_pairs, noise=task.noise)
    budget = budget_for(task, scenario)
    briefing = Briefing(
        task=task.name,
        brief=task.brief,
        metric=task.metric,
        unit=task.unit,
        direction=task.direction,
        knobs_path=task.knobs_path or "",
        baseline_commit=baseline,
        baseline_mean=math.nan,
        baseline_sigma=math.nan,
        budget=f"{budget.amount:g} {budget.kind}",
        confirmation_runs=admission.first_look,
        confirmation_runs_most=admission.whole,
    )
    files = {path: task.start[path].decode(errors="replace") for path in task.editable
             if path in task.start}  # fmt: skip
    observation = Observation(
        agent=name,
        role=role.name,
        turn=0,
        seed=turn_seed(scenario.run.seed, name, 0),
        briefing=briefing,
        knobs=knobs,
        known=Memory(name, briefing).known(),
        trees={baseline: files},
        open_hypotheses=(),
        open_claims=(),
        notebook="",
        remaining_experiments=scenario.stop.experiments,
        rights=role.rights,
        charter=role.charter,
        turns_left=role.quotas.turns,
        experiments_left=role.quotas.experiments,
        posts_left=role.quotas.posts,
        grants=role.quotas.in_words(),
    )
    state = RunState()
    prompt = _prompt(observation, member, scenario, state)
    return Sight(observation, prompt, _text(prompt, observation, member, scenario, state))


async def past_sight(folder: RunFolder, name: str, turn: int) -> Sight:
    """Return what an agent saw at a turn of a run.

    Raises:
        SightError: there is no such agent or turn.
        CommunityError, TrainerError: the run, or its task, cannot be read.
    """
    with LedgerReader(folder.ledger) as ledger:
        rows = [*ledger.rows()]
    begin = _beginning(rows, name, turn)
    if begin is None:
        raise SightError(f"run {folder.run_id} has no turn {turn} of {name!r}")
    state = RunState.from_rows(rows[:begin])
    assert state.opened is not None
    scenario = parse_scenario(state.opened.scenario, folder.ledger).scenario
    member = _member(scenario, name)
    task = _task(scenario)
    institution = _as_it_was(state, scenario, task, folder)
    lab = AgentLab(institution, name)
    before = state.agents[name]
    agent = Agent(
        name=name,
        role=scenario.role(member.role),
        mind=cast(Mind, None),
        seat=cast(Seat, None),
        lab=lab,
        knobs=_knobs(task),
        run_seed=state.opened.seed,
        on_turn=_records_nothing,
        turn=turn,
        notebook=before.notebook,
    )
    briefing = await lab.briefing()
    memory = Memory(name, briefing)
    for post in await lab.catch_up(0):
        memory.fold(post)
    agent.spend.experiments, agent.spend.posts = memory.experiments, memory.said
    observation = await agent.observe(briefing, memory, turn)
    prompt = _prompt(observation, member, scenario, state)
    told = next((row.event for row in rows[begin:] if _answers(row, name, turn)), None)
    seen = told.seen if isinstance(told, Answered) else {}
    now = prompt.fingerprint()
    differs = tuple(part for part in seen if seen[part] != now.get(part))
    return Sight(observation, prompt, _text(prompt, observation, member, scenario, state), differs)


def _beginning(rows: Sequence[Row], name: str, turn: int) -> int | None:
    """Return the index of the row before which the agent looked, or None without such a turn.

    A turn that was killed before its answer was begun again after the restart.
    """
    begin: int | None = None
    for at, row in enumerate(rows):
        if isinstance(row.event, RunResumed):
            begin = None
        elif begin is None and _begins(row, name, turn):
            begin = at
        if _ends(row, name, turn):
            break
    return begin


def _ends(row: Row, name: str, turn: int) -> bool:
    event = row.event
    return isinstance(event, (Answered, TurnTaken)) and (event.agent, event.turn) == (name, turn)


def _begins(row: Row, name: str, turn: int) -> bool:
    event = row.event
    if not isinstance(event, (SpendReserved, Answered, TurnTaken)):
        return False
    return (event.agent, event.turn) == (name, turn)


def _answers(row: Row, name: str, turn: int) -> bool:
    event = row.event
    return isinstance(event, Answered) and (event.agent, event.turn) == (name, turn)


def _member(scenario: Scenario, name: str) -> Member:
    members = {member.name: member for member in scenario.members()}
    if name not in members:
        raise SightError(f"nobody is called {name!r}; there are: {', '.join(members)}")
    return members[name]


def _task(scenario: Scenario) -> Task:
    if scenario.run.time == "virtual":
        from community.modelled.tasks import modelled_task

        return modelled_task(scenario).task
    return load_task(find_task(scenario.run.task, Path.cwd()))


def _knobs(task: Task) -> tuple[Knob, ...]:
    if task.knobs_toml is None or task.knobs_path is None:
        return ()
    return load_knobs(task.knobs_toml, task.start[task.knobs_path].decode())


def _prompt(
    observation: Observation, member: Member, scenario: Scenario, state: RunState
) -> Prompt:
    """Return the prompt that a language mind would make of it, whatever mind the agent has."""
    options = (member.model or ModelSection()).as_options()
    prices = pinned_prices(scenario, state)
    entries = [each for each in account_entries(state) if each.call_id not in state.minds.under_way]
    account = Account(prices, scenario.spend.as_caps(), _Nowhere(), entries)
    money = account.in_words(member.name, member.role)
    return make_prompt(observation, tokens=options.prompt_tokens, money=money)


def _text(
    prompt: Prompt, observation: Observation, member: Member, scenario: Scenario, state: RunState
) -> str:
    if not is_command_mind(member.mind):
        return str(prompt)
    cli = cli_of(member.mind, scenario.minds, pinned_prices(scenario, state))
    if cli is None:
        raise SightError(f"{member.mind} is described nowhere; see `community scenario check`")
    paths = sorted(observation.trees.get(prompt.parent, {}))
    return stdin_text(prompt, cli, paths) + "\n"


class _Nowhere:
    """A journal that keeps nothing."""

    def reserved(self, entry: Reserved) -> None:
        """Forget it."""

    def write_bill(self, agent: str) -> None:
        """Do nothing."""

    def settled(self, entry: Settled, *, is_answer: bool = False) -> None:
        """Forget it."""


async def _records_nothing(*_: object) -> None:
    return


@dataclass(slots=True)
class _PastChronicle:
    """A state that does not change any more, as `AgentLab` asks for it."""

    state: RunState
    clock: RunClock

    async def wait_until(self, is_true: Callable[[RunState], bool]) -> None:
        if not is_true(self.state):
            raise SightError("it was still waiting then; there was nothing to see")


def _as_it_was(state: RunState, scenario: Scenario, task: Task, folder: RunFolder) -> Institution:
    """Return what `AgentLab` reads of an institution, over a state that is past."""
    verdicts = [*state.verdicts.values()]
    opened = state.opened
    assert opened is not None
    life_class = verdicts[-1].device_class if verdicts else opened.device_class
    roles = {member.name: scenario.role(member.role) for member in scenario.members()}
    stop = scenario.stop.model_copy(update={"experiments": experiment_limit(state)})

    def may(agent: str, right: Right) -> bool:
        return right in roles[agent].rights

    def log_tail(experiment_id: str) -> str:
        attempts = len(state.experiments[experiment_id].attempts)
        return folder.log_tail(f"{experiment_id}-{attempts}")

    past = SimpleNamespace(
        chronicle=_PastChronicle(state, RunClock(offset_us=state.last_us)),
        bench=SimpleNamespace(
            task=task, repository=Repository.open(folder.repository), life_class=life_class
        ),
        admission=Admission.of(scenario.model_copy(update={"stop": stop}), task),
        may=may,
        twins=None,
        log_tail=log_tail,
    )
    return cast(Institution, past)
