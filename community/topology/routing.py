"""Routing: whom a post reaches along the edges that hold when it is recorded, when, and how much.

A pure function of the graph in the ledger, the run's seed and the post. What is lost and what is
late is settled with the post and recorded with it, so that a graph that changes afterwards changes
nothing about it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import cast

from community.forum_events import TopologySet
from forum.messages import Body, Carries
from forum.visibility import is_carried


@dataclass(frozen=True, slots=True)
class Route:
    """Where a post goes."""

    readers: dict[str, Carries]
    """Whom it reaches, now or later, and what the edge carries."""
    due_us: dict[str, int]
    """Of those whom it reaches later: run time from which it may be delivered, in microseconds."""
    lost: dict[str, str]
    """Readers whose edge would have carried it and lost it."""

    def among(self, names: frozenset[str]) -> Route:
        """Return the same, but to none except `names`."""
        return Route(
            {name: carries for name, carries in self.readers.items() if name in names},
            {name: us for name, us in self.due_us.items() if name in names},
            {name: carries for name, carries in self.lost.items() if name in names},
        )


def route(
    topology: TopologySet | None, author: str, body: Body, post_id: str, *, seed: int, now_us: int
) -> Route:
    """Return where a post of `body` goes along the edges of `author`, himself included.

    Args:
        topology: The graph that holds; None carries nothing.
        author: Along whose edges it goes.
        body: What is said; an edge that carries none of it does not count.
        post_id: Its name, which with the names of both ends decides whether an edge loses it.
        seed: The run's.
        now_us: Run time in microseconds.
    """
    found = Route({author: "everything"}, {}, {})
    if topology is None:
        return found
    delay_us, loss = topology.delay_us.get(author, {}), topology.loss.get(author, {})
    for reader, word in sorted(topology.edges.get(author, {}).items()):
        carries = cast(Carries, word)
        if not is_carried(body, carries):
            continue
        if is_lost(seed, post_id, author, reader, loss.get(reader, 0.0)):
            found.lost[reader] = carries
            continue
        found.readers[reader] = carries
        if reader in delay_us:
            found.due_us[reader] = now_us + delay_us[reader]
    return found


def is_lost(seed: int, post_id: str, author: str, reader: str, probability: float) -> bool:
    """Whether the edge loses the post; the run's seed decides, for each post and edge by itself."""
    lot = hashlib.sha256(f"{seed}/loss/{post_id}/{author}/{reader}".encode()).digest()
    return int.from_bytes(lot[:8], "big") < probability * 2**64
