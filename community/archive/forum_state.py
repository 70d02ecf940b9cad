"""The part of a run's fold that is about the forum: the graph, late posts, leads, people.

`community.archive.state` holds one of these and hands it the rows of `community.forum_events`.
Nothing here decides.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from community.forum_events import (
    Delivered,
    ForumEvent,
    LeadClaimed,
    LeadReleased,
    PersonActed,
    PersonJoined,
    SeatLeft,
    SeatTaken,
    TopologySet,
)

if TYPE_CHECKING:
    from community.archive.state import RunState


@dataclass(slots=True)
class ForumState:
    """Who hears whom, who works on which lead, and what people did."""

    topology: TopologySet | None = None
    """The edges that hold now; None in older ledgers, whose agents name whom they hear."""
    epochs: list[tuple[int, int, TopologySet]] = field(default_factory=list)
    """(sequence number, run time in microseconds, graph), oldest first."""
    leases: dict[str, LeadClaimed] = field(default_factory=dict)
    """By lead (post id): leases that were neither released nor taken over."""
    leases_in_a_row: Counter[str] = field(default_factory=Counter)
    """By lead: how many leases its last holder had of it without anybody's in between."""
    last_holders: dict[str, str] = field(default_factory=dict)
    leads_done: set[str] = field(default_factory=set)
    people: dict[str, int] = field(default_factory=dict)
    """Name -> sequence number of the row with which the person joined."""
    acts: list[tuple[int, PersonActed]] = field(default_factory=list)
    """(run time in microseconds, what was done), oldest first."""
    boosts: Counter[str] = field(default_factory=Counter)
    """Hypothesis -> boosts less vetoes."""
    paused: set[str] = field(default_factory=set)
    """Agents that a person has paused."""
    requests: dict[tuple[str, str], int] = field(default_factory=dict)
    """(person, request) -> sequence number of the row with what was done."""
    present: dict[str, int] = field(default_factory=dict)
    """Agents whose minds are elsewhere and who are there -> run time at which they came."""
    left_us: dict[str, int] = field(default_factory=dict)
    """Likewise, those who left -> run time at which they did."""

    def fold(self, seq: int, at_us: int, event: ForumEvent) -> str:
        """Take in the next row; returns how it contradicts what came before, or nothing."""
        if isinstance(event, TopologySet):
            if event.epoch != len(self.epochs):
                return f"topology {event.epoch} is not {len(self.epochs)}"
            self.topology = event
            self.epochs.append((seq, at_us, event))
        elif isinstance(event, LeadClaimed):
            before = self.last_holders.get(event.lead)
            self.leases_in_a_row[event.lead] *= before == event.by
            self.leases_in_a_row[event.lead] += 1
            self.last_holders[event.lead] = event.by
            self.leases[event.lead] = event
        elif isinstance(event, LeadReleased):
            if self.leases.pop(event.lead, None) is None:
                return f"nobody had claimed lead {event.lead}"
            if event.why == "done":
                self.leads_done.add(event.lead)
        elif isinstance(event, PersonJoined):
            self.people.setdefault(event.person, seq)
        elif isinstance(event, PersonActed):
            self.requests[event.person, event.request] = seq
            self._act(at_us, event)
        elif isinstance(event, SeatTaken):
            self.present[event.agent] = at_us
        elif isinstance(event, SeatLeft):
            self.present.pop(event.agent, None)
            self.left_us[event.agent] = at_us
        return ""

    def _act(self, at_us: int, event: PersonActed) -> None:
        self.acts.append((at_us, event))
        if event.action == "pause":
            self.paused.add(event.target)
        elif event.action == "resume":
            self.paused.discard(event.target)
        else:
            self.boosts[event.target] += 1 if event.action == "boost" else -1


def fold_forum(state: RunState, seq: int, at_us: int, event: ForumEvent) -> str:
    """Take the next row into `state`; returns how it contradicts what came before, or nothing."""
    if isinstance(event, Delivered):
        if event.post_id not in state.posts:
            return f"no post {event.post_id}"
        return state.reach.arrive(event.post_id, event.readers, seq)
    if isinstance(event, LeadClaimed | LeadReleased) and event.lead not in state.posts:
        return f"no post {event.lead}"
    if isinstance(event, PersonActed) and event.person not in state.forum.people:
        return f"{event.person} has not joined"
    if isinstance(event, TopologySet):
        for name, agent in state.agents.items():
            heard = (author for author in state.agents if name in event.edges.get(author, {}))
            agent.hears = tuple(heard)
    return state.forum.fold(seq, at_us, event)
