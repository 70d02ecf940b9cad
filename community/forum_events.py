"""Events about the forum: who hears whom from when on, what came late, leads, and people.

Records like those of `community.events`, which lists them all; kept apart for their subject.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True)
class TopologySet:
    """From here on posts travel along these edges; the last one holds."""

    kind: ClassVar[str] = "topology_set"
    epoch: int
    """0 for the graph that the run begins with, then one more for each rewiring."""
    edges: dict[str, dict[str, str]]
    """Author -> reader -> what the edge carries (score, summary, diff, everything)."""
    why: Literal["drawn", "schedule", "adaptive"]
    measures: dict[str, float | None]
    """`community.topology` says what each means; None where it is not defined."""
    delay_us: dict[str, dict[str, int]] = field(default_factory=dict)
    """Author -> reader -> microseconds of run time that a post takes; absent edges take none."""
    loss: dict[str, dict[str, float]] = field(default_factory=dict)
    """Author -> reader -> probability that a post is lost; absent edges lose none."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A post reached readers to whom its edge carried it late."""

    kind: ClassVar[str] = "delivered"
    post_id: str
    readers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LeadClaimed:
    """Somebody leases a lead, or renews his lease; nobody else works on it meanwhile."""

    kind: ClassVar[str] = "lead_claimed"
    lead: str
    """Post id."""
    by: str
    until_us: int
    """Run time at which the lease ends unless it is renewed."""


@dataclass(frozen=True, slots=True)
class LeadReleased:
    """A lead may be claimed again, or is done with."""

    kind: ClassVar[str] = "lead_released"
    lead: str
    by: str
    why: Literal["expired", "given_back", "done"]


@dataclass(frozen=True, slots=True)
class PersonJoined:
    """A person takes part beside the agents: reads everything, posts and acts under this name."""

    kind: ClassVar[str] = "person_joined"
    person: str


@dataclass(frozen=True, slots=True)
class PersonActed:
    """What a person did to the run."""

    kind: ClassVar[str] = "person_acted"
    person: str
    action: Literal["boost", "veto", "pause", "resume"]
    """boost and veto move a hypothesis in the queue; pause and resume are about an agent."""
    target: str
    """Post id of a hypothesis, or an agent's name."""
    why: str = ""
    request: str = ""
    """The person's name for it: what is asked for again under one name is done once."""


@dataclass(frozen=True, slots=True)
class SeatTaken:
    """An agent whose mind is elsewhere (``mind = "remote"``) is there."""

    kind: ClassVar[str] = "seat_taken"
    agent: str
    mind: str
    """What it says decides for it."""


@dataclass(frozen=True, slots=True)
class SeatLeft:
    """An agent whose mind is elsewhere is not there any more; it may come again."""

    kind: ClassVar[str] = "seat_left"
    agent: str
    why: str


ForumEvent = (
    TopologySet
    | Delivered
    | LeadClaimed
    | LeadReleased
    | PersonJoined
    | PersonActed
    | SeatTaken
    | SeatLeft
)
