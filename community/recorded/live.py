"""``mind = "replay:RUN"``: a mind that gives recorded answers, in a run that is otherwise real.

It goes on for as long as it is shown what it was shown then. The first time that differs, the run
ends and says what differs: answers to another question are worth nothing. It takes as long over a
turn as it took then. What answers cost then is counted again, as a part of what agents are shown,
under the replay's own name; nobody is paid.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from agents.account import Reserved, Settled
from agents.actions import Action, Wait
from agents.errors import MindError, OutOfFundsError
from agents.lab import LabReader
from agents.minds.language_mind import UNHEARD_WAIT_S, actions_again
from agents.minds.means import Means
from agents.observation import Observation
from community.errors import RecordError, ReplayDiffersError
from community.events import RunOpened
from community.loading import parse_scenario
from community.mind_events import SpendReserved, SpendSettled
from community.mind_faults import REPLAY, is_language_mind
from community.minds_opening import as_answer, as_entry
from community.recorded.places import find_record
from community.recorded.recalling import recalled
from community.recorded.record import Record
from community.recorded.sights import how_it_differs, other_circumstances, prompt_of
from community.scenario import Member, Scenario, scenario_toml
from community.spend_sections import ModelSection

LONGEST_S: Final = 600.0
"""Of a turn that is waited for again; who thinks much longer is taken to hang."""


class ReplayMind:
    """Answers as its record does.

    Args:
        member: The agent; in the record it bears the same name.
        means: What it may use; nothing is paid from the account.
        opened: How the run began that the answers are given in.
        fail: Told why the run has to end.

    Raises:
        RecordError: there is no such record, or no model answered for this agent in it.
    """

    def __init__(
        self,
        member: Member,
        means: Means,
        opened: RunOpened,
        fail: Callable[[RecordError], None],
    ) -> None:
        self._mind = member.mind
        self._record, then = _on_record(member)
        self._means = replace(means, options=(then.model or ModelSection()).as_options())
        self._opened = opened
        self._fail = fail

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer one turn as it was answered then.

        Raises:
            OutOfFundsError: the record ends here, or differs, so that the agent leaves.
            MindError: the answer is of no more use than it was then.
        """
        record, agent, turn = self._record, self._means.agent, observation.turn
        answers, found = record.answers(agent, turn), record.turn(agent, turn)
        if found is None and not answers:
            raise OutOfFundsError(f"the record of {record.name} ends before turn {turn}")
        prompt = prompt_of(observation, self._means)
        why = await asyncio.to_thread(how_it_differs, record, agent, turn, prompt, recalled)
        if why:
            others = other_circumstances(record.opened, self._opened)
            why += f". To begin with, {others}" if others else ""
            self._fail(ReplayDiffersError(why))
            raise OutOfFundsError(why)
        await asyncio.sleep(self._thought_s(agent, turn))
        self._count(agent, turn)
        for answer in answers:
            self._means.record(replace(as_answer(answer), mind=self._mind))
        if found is not None and found[1].fault:
            gone = record.leaves(agent, found[1].fault)
            raise (OutOfFundsError if gone else MindError)(found[1].fault)
        if not answers:
            return (Wait(UNHEARD_WAIT_S),)  # its provider was not to be reached
        return await actions_again([as_answer(each) for each in answers], observation, lab)

    def _thought_s(self, agent: str, turn: int) -> float:
        """Return how long it took over a turn."""
        look, thoughts = self._record.look(agent, turn), self._record.thoughts(agent, turn)
        if look is None or not thoughts:
            return 0.0
        return min(max(0, thoughts[-1].at_us - look.at_us) / 1e6, LONGEST_S)

    def _count(self, agent: str, turn: int) -> None:
        """Count what the answers of a turn cost then."""
        under_way: dict[str, Reserved] = {}
        for row in self._record.thoughts(agent, turn):
            if not isinstance(row.event, (SpendReserved, SpendSettled)):
                continue
            entry = as_entry(row.event)
            if isinstance(entry, Reserved):
                under_way[entry.call_id] = entry
            elif isinstance(entry, Settled) and (begun := under_way.pop(entry.call_id, None)):
                name = self._means.account.next_call_id
                self._means.account.again(replace(begun, call_id=name, model=self._mind))
                self._means.account.again(replace(entry, call_id=name))


def with_answers_of(record: Record, name: str) -> tuple[Scenario, str]:
    """Return the record's scenario with its answers in place of models, as a record and as text.

    Args:
        record: Whose.
        name: By which minds find it.

    Raises:
        RecordError: no model answered in it.
    """
    scenario = parse_scenario(record.opened.scenario, record.place).scenario
    if not _answered(record):
        raise RecordError(f"in {record.name} no model was asked: there is nothing to give again")
    agents = tuple(
        agent.model_copy(update={"mind": f"{REPLAY}{name}", "model": None})
        if is_language_mind(agent.mind)
        else agent
        for agent in scenario.agents
    )
    changed = scenario.model_copy(update={"agents": agents})
    return changed, f"# {record.name} with its answers\n{scenario_toml(changed)}"


def check_replay(member: Member) -> None:
    """Check that there are answers for whom a scenario gives a record's.

    Raises:
        RecordError: there is no such record, or no model answered for this agent in it.
    """
    _on_record(member)


def _on_record(member: Member) -> tuple[Record, Member]:
    """Return the record that an agent's mind names, and the agent as it was there."""
    record = find_record(member.mind.removeprefix(REPLAY))
    then = _member_of(record, member.name)
    if then is None or not is_language_mind(then.mind):
        raise RecordError(
            f"{member.mind} holds no answers of a model for {member.name}; "
            f"those it has: {', '.join(_answered(record)) or 'none'}"
        )
    return record, then


def _member_of(record: Record, agent: str) -> Member | None:
    members = parse_scenario(record.opened.scenario, record.place).scenario.members()
    return next((member for member in members if member.name == agent), None)


def _answered(record: Record) -> list[str]:
    members = parse_scenario(record.opened.scenario, record.place).scenario.members()
    return [member.name for member in members if is_language_mind(member.mind)]
