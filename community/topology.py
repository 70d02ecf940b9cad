"""Who hears whom: a directed graph over the agents of a run, drawn from the scenario's family.

The one home of networkx. An edge goes from an author to a reader and carries part of a post. It
enforces nothing: `community.clerk` routes by it and the broker's permissions follow from it. An
agent always knows its own posts; no edge stands for that.

Sources:
    Watts, D. J. & Strogatz, S. H. (1998). Collective dynamics of 'small-world' networks. Nature
    393, 440-442. https://doi.org/10.1038/30918. ``small_world`` is their model: a ring in which
    everybody has k neighbours, each edge rewired with probability p. Path length L and clustering
    C are theirs.
    Zollman, K. J. S. (2007). The communication structure of epistemic communities. Philosophy of
    Science 74, 574-587. https://doi.org/10.1086/525605. He compares ``complete``, ``ring`` (his
    cycle) and the wheel; ``star`` is a wheel without its rim.

Differs:
    Edges are directed in the record, two per undirected one, so that families can be one-way.
    Rewiring may part the graph, as in the original model; `Measures.is_connected` says so.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import networkx as nx

from community.errors import TopologyError
from community.scenario import TopologySection
from forum.messages import Carries

if TYPE_CHECKING:
    Undirected = nx.Graph[int]
    Directed = nx.DiGraph[int]


@dataclass(frozen=True, slots=True)
class Measures:
    """Numbers that describe a topology."""

    density: float
    """Share of all ordered pairs that are edges, 0 to 1."""
    clustering: float
    """Mean share of an agent's neighbours who are neighbours (Watts & Strogatz's C), 0 to 1."""
    path_length: float | None
    """Mean number of edges between two agents (their L); None unless everybody can be reached."""
    is_connected: bool
    """Whether word from anybody can reach everybody, over others if need be."""


@dataclass(frozen=True, slots=True)
class Topology:
    """A drawn graph; `edges` maps each author to its readers and what the edge carries."""

    names: tuple[str, ...]
    edges: dict[str, dict[str, Carries]]
    measures: Measures

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


def build_topology(names: Sequence[str], section: TopologySection, seed: int) -> Topology:
    """Draw who hears whom among `names`; one seed gives one graph.

    Args:
        names: Participants in the scenario's order, which is their order round a ring; the first is
            the centre of a star.
        section: Family, its parameters and what edges carry.
        seed: The run's seed; only ``small_world`` uses chance.

    Raises:
        TopologyError: `small_world` without an even k below the number of names.
    """
    undirected = _family(len(names), section, seed)
    graph: Directed = nx.DiGraph()
    graph.add_nodes_from(range(len(names)))
    graph.add_edges_from((a, b) for u, v in undirected.edges for a, b in ((u, v), (v, u)))
    edges: dict[str, dict[str, Carries]] = {
        author: {names[j]: section.carries for j in sorted(graph.successors(i))}
        for i, author in enumerate(names)
    }
    return Topology(names=tuple(names), edges=edges, measures=_measures(graph))


def _family(n: int, section: TopologySection, seed: int) -> Undirected:
    """Return the undirected graph on 0..n-1."""
    if section.family == "small_world":
        k, p = section.k or 0, section.p or 0.0
        if k < 2 or k % 2 or k >= n:
            rule = (
                f"give an even k from 2 to {(n - 1) // 2 * 2}" if n > 2 else "it needs at least 3"
            )
            raise TopologyError(f"small_world: k = {k} does not fit {n} agents; {rule}")
        drawn: Undirected = nx.watts_strogatz_graph(n, k, p, seed=_chance(seed))
        return drawn
    graph: Undirected = nx.empty_graph(n)
    if section.family == "complete":
        graph.add_edges_from((i, j) for i in range(n) for j in range(i + 1, n))
    elif section.family == "ring" and n > 1:
        graph.add_edges_from((i, (i + 1) % n) for i in range(n))
    elif section.family == "star":
        graph.add_edges_from((0, i) for i in range(1, n))
    return graph


def _chance(seed: int) -> random.Random:
    """Return the topology's own source of chance, derived from the run's seed and its name."""
    digest = hashlib.sha256(f"{seed}/topology".encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))  # noqa: S311 - not for secrets


def _measures(graph: Directed) -> Measures:
    """Measure `graph`; a single agent counts as connected, at distance 0."""
    n = graph.number_of_nodes()
    if n <= 1:
        return Measures(density=0.0, clustering=0.0, path_length=0.0, is_connected=True)
    is_connected = nx.is_strongly_connected(graph)
    return Measures(
        density=nx.density(graph),
        clustering=nx.average_clustering(graph),
        path_length=nx.average_shortest_path_length(graph) if is_connected else None,
        is_connected=is_connected,
    )
