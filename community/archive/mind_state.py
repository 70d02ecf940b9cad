"""The part of a run's fold that is about minds that ask models: prices, calls, answers.

`community.archive.state` holds one of these and hands it the rows of `community.mind_events`.
Nothing here decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agents.prices import Usage
from community.mind_events import (
    Answered,
    MindEvent,
    MindsPrepared,
    SpendReserved,
    SpendSettled,
)

REPLAYS = "replays"
"""Among the host's facts of a run, which no hash covers: the run whose record is played in it, and
the hash of that. Nobody was paid in it."""


@dataclass(slots=True)
class ThinkingState:
    """What one agent's thinking has cost."""

    micro_usd: int = 0
    """As providers counted."""
    doubt_micro_usd: int = 0
    """Beyond that, of calls of which nobody knows."""
    calls: int = 0
    usage: Usage = field(default_factory=Usage)
    """Tokens by kind."""
    outcomes: dict[str, int] = field(default_factory=dict)
    """How calls ended."""
    answers: dict[str, int] = field(default_factory=dict)
    """How answers were taken."""

    @property
    def tokens(self) -> int:
        """All that count."""
        return self.usage.tokens

    def add(self, other: ThinkingState) -> None:
        """Add what another agent's thinking has cost."""
        self.micro_usd += other.micro_usd
        self.doubt_micro_usd += other.doubt_micro_usd
        self.calls += other.calls
        self.usage = self.usage.plus(other.usage)
        for mine, theirs in ((self.outcomes, other.outcomes), (self.answers, other.answers)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count


@dataclass(slots=True)
class MindState:
    """Prices that hold, calls and answers."""

    prepared: MindsPrepared | None = None
    """The first: its prices hold."""
    prompts: dict[str, str] = field(default_factory=dict)
    """Hashes of the files that are shown now."""
    entries: list[SpendReserved | SpendSettled] = field(default_factory=list)
    """In order; an account is opened with them."""
    under_way: dict[str, SpendReserved] = field(default_factory=dict)
    """Calls that have not ended, by call id: who thinks now."""
    by_agent: dict[str, ThinkingState] = field(default_factory=dict)
    answers: dict[str, list[Answered]] = field(default_factory=dict)
    """By agent, those of the newest turn that has any."""
    paid: list[tuple[int, int]] = field(default_factory=list)
    """(run time, micro-dollars) of whatever thinking cost."""

    @property
    def taken_micro_usd(self) -> int:
        """What all calls that ended have cost, doubt included."""
        return sum(each.micro_usd + each.doubt_micro_usd for each in self.by_agent.values())

    @property
    def thinking(self) -> frozenset[str]:
        """Agents whose model is asked now."""
        return frozenset(each.agent for each in self.under_way.values())

    def fold(self, event: MindEvent) -> str:
        """Take in the next row; returns how it contradicts what came before, or nothing."""
        if isinstance(event, MindsPrepared):
            self.prepared = self.prepared or event
            self.prompts = event.prompts
        elif isinstance(event, SpendReserved):
            if event.call_id in self.under_way:
                return f"call {event.call_id} is under way already"
            self.under_way[event.call_id] = event
            self.entries.append(event)
        elif isinstance(event, SpendSettled):
            if self.under_way.pop(event.call_id, None) is None:
                return f"call {event.call_id} is not under way"
            self.entries.append(event)
            self._settle(event)
        else:
            newest = self.answers.get(event.agent, [])
            is_same = bool(newest) and newest[0].turn == event.turn
            self.answers[event.agent] = [*newest, event] if is_same else [event]
            answers = self._of(event.agent).answers
            answers[event.outcome] = answers.get(event.outcome, 0) + 1
        return ""

    def _settle(self, event: SpendSettled) -> None:
        spent = self._of(event.agent)
        spent.micro_usd += event.micro_usd
        spent.doubt_micro_usd += event.doubt_micro_usd
        spent.calls += 1
        spent.usage = spent.usage.plus(
            Usage(event.input, event.output, event.cache_read, event.cache_write, event.thinking)
        )
        spent.outcomes[event.outcome] = spent.outcomes.get(event.outcome, 0) + 1

    def _of(self, agent: str) -> ThinkingState:
        return self.by_agent.setdefault(agent, ThinkingState())
