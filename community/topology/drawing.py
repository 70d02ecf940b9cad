"""Drawing a topology: from the scenario's section and a seed to edges and what they do to a post.

An edge goes from an author to a reader and carries part of a post, at once or late, and may lose
it. It enforces nothing: `community.clerk` routes by the edges that the ledger holds. An agent
always knows its own posts; no edge stands for that.

Edges are directed in the record, two per undirected one, so that families can be one-way.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from community.errors import TopologyError
from community.forum_events import TopologySet
from community.scenario import TopologySection
from community.topology.families import Pairs, misfits, pairs_of
from community.topology.measures import Measures, measures_of
from forum.messages import Carries

Arc = tuple[str, str]
"""Author and reader."""


@dataclass(frozen=True, slots=True)
class Edge:
    """What becomes of a post on its way."""

    carries: Carries
    delay_us: int = 0
    """Microseconds of run time that it takes."""
    loss: float = 0.0
    """Probability that it is lost."""

    @classmethod
    def usual(cls, section: TopologySection) -> Edge:
        """Return the edge that the section gives for all."""
        return cls(section.carries, _us(section.delay_s), section.loss)


@dataclass(frozen=True, slots=True)
class Topology:
    """A drawn graph; `edges` maps each author to its readers and what the edge carries."""

    names: tuple[str, ...]
    edges: dict[str, dict[str, Carries]]
    measures: Measures
    delay_us: dict[str, dict[str, int]]
    """Of the edges on which a post takes time."""
    loss: dict[str, dict[str, float]]
    """Of the edges that may lose a post."""

    @classmethod
    def of_arcs(cls, names: Sequence[str], arcs: dict[Arc, Edge]) -> Topology:
        """Return the topology of these edges among `names`."""
        edges: dict[str, dict[str, Carries]] = {name: {} for name in names}
        delay_us: dict[str, dict[str, int]] = {}
        loss: dict[str, dict[str, float]] = {}
        places = {name: place for place, name in enumerate(names)}
        for (author, reader), edge in sorted(
            arcs.items(), key=lambda arc: (places[arc[0][0]], places[arc[0][1]])
        ):
            edges[author][reader] = edge.carries
            if edge.delay_us:
                delay_us.setdefault(author, {})[reader] = edge.delay_us
            if edge.loss:
                loss.setdefault(author, {})[reader] = edge.loss
        return cls(tuple(names), edges, measures_of(edges), delay_us, loss)

    def hears(self, reader: str) -> tuple[str, ...]:
        """Return the authors whose posts reach `reader`, in the scenario's order.

        Raises:
            KeyError: nobody of that name takes part.
        """
        self.edges[reader]
        return tuple(author for author in self.names if reader in self.edges[author])

    def readers(self, author: str) -> dict[str, Carries]:
        """Return who is reached by `author`'s posts, and how much of a post each edge carries.

        Raises:
            KeyError: nobody of that name takes part.
        """
        return dict(self.edges[author])

    def as_event(
        self, epoch: int = 0, why: Literal["drawn", "schedule", "adaptive"] = "drawn"
    ) -> TopologySet:
        """Return the row with which these edges begin to hold."""
        edges = {author: dict[str, str](readers) for author, readers in self.edges.items()}
        numbers = self.measures.as_numbers()
        return TopologySet(epoch, edges, why, numbers, dict(self.delay_us), dict(self.loss))


def arcs_of(event: TopologySet) -> dict[Arc, Edge]:
    """Return the edges that a row of the ledger holds."""
    return {
        (author, reader): Edge(
            cast(Carries, carries),
            event.delay_us.get(author, {}).get(reader, 0),
            event.loss.get(author, {}).get(reader, 0.0),
        )
        for author, readers in event.edges.items()
        for reader, carries in readers.items()
    }


def build_topology(
    names: Sequence[str], section: TopologySection, seed: int, epoch: int = 0
) -> Topology:
    """Draw who hears whom among `names`; one seed gives one graph.

    Args:
        names: Participants in the scenario's order, which is their order round a ring; the first is
            the centre of a star.
        section: Family, its parameters and what edges do.
        seed: The run's seed.
        epoch: 0 for the graph that a run begins with; in later ones everybody takes another place
            in a graph drawn anew.

    Raises:
        TopologyError: the parameters do not fit the number of names, or an edge of the section is
            between others.
    """
    if wrong := misfits(section, len(names)):
        raise TopologyError(wrong[0][1])
    chance = chance_of(seed, epoch)
    placed = chance.sample(names, len(names)) if epoch else list(names)
    if section.family == "edges":
        arcs = _given(names, placed, section)
    else:
        pairs = pairs_of(len(names), section, chance)
        usual = Edge.usual(section)
        arcs = {(placed[i], placed[j]): usual for i, j in _turned(pairs, section, chance)}
    return Topology.of_arcs(names, arcs)


def chance_of(seed: int, epoch: int) -> random.Random:
    """Return a graph's own source of chance, derived from the run's seed and its epoch."""
    name = f"{seed}/topology/{epoch}" if epoch else f"{seed}/topology"
    digest = hashlib.sha256(name.encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))  # noqa: S311 - not for secrets


def _turned(
    pairs: Pairs, section: TopologySection, chance: random.Random
) -> Iterable[tuple[int, int]]:
    """Return pairs as directed edges."""
    if section.one_way != "backward" and section.one_way != "random":
        yield from pairs
    if section.one_way is None or section.one_way == "backward":
        yield from ((b, a) for a, b in pairs)
    if section.one_way == "random":
        yield from ((a, b) if chance.random() < 0.5 else (b, a) for a, b in pairs)


def _given(
    names: Sequence[str], placed: Sequence[str], section: TopologySection
) -> dict[Arc, Edge]:
    """Return the section's own edges, everybody at the place that `placed` gives."""
    place = dict(zip(names, placed, strict=True))
    usual = Edge.usual(section)
    arcs: dict[Arc, Edge] = {}
    for edge in section.edges or ():
        if missing := {edge.author, edge.reader} - set(place):
            raise TopologyError(f"{min(missing)!r} takes no part, yet an edge names it")
        arcs[place[edge.author], place[edge.reader]] = Edge(
            edge.carries or usual.carries,
            usual.delay_us if edge.delay_s is None else _us(edge.delay_s),
            usual.loss if edge.loss is None else edge.loss,
        )
    return arcs


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)
