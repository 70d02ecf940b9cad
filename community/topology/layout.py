"""Where to draw the agents of a graph: places in the unit square, the same for the same graph.

Source:
    Kamada, T. & Kawai, S. (1989). An algorithm for drawing general undirected graphs. Information
    Processing Letters 31, 7-15. Distances on paper follow distances in the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import networkx as nx
import numpy as np

from community.scenario import Family

Place = tuple[float, float]
_ROUND: Final[frozenset[Family]] = frozenset(
    {"ring", "lattice", "small_world", "complete", "isolated", "erdos_renyi", "random_regular"}
)
"""Families that are drawn round a circle, as they are built."""


def places_of(edges: Mapping[str, Mapping[str, object]], family: Family) -> dict[str, Place]:
    """Return a place for each agent.

    Args:
        edges: Author -> readers.
        family: How the graph was drawn.
    """
    names = list(edges)
    if family in _ROUND or len(names) < 3:
        angles = np.linspace(np.pi / 2, np.pi / 2 - 2 * np.pi, len(names), endpoint=False)
        return {
            name: (float(np.cos(angle)), float(np.sin(angle)))
            for name, angle in zip(names, angles, strict=True)
        }
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(names)
    graph.add_edges_from((author, reader) for author in edges for reader in edges[author])
    if nx.is_connected(graph):
        found = nx.kamada_kawai_layout(graph)
    else:
        found = nx.spring_layout(graph, seed=1)
    return {name: (float(found[name][0]), float(found[name][1])) for name in names}
