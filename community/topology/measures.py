"""Numbers that describe a topology; they are stored with the run for every graph it goes through.

Sources:
    Watts, D. J. & Strogatz, S. H. (1998). Collective dynamics of 'small-world' networks. Nature
    393, 440-442. https://doi.org/10.1038/30918. Path length L and clustering C are theirs.
    Chung, F. R. K. (1997). Spectral Graph Theory. American Mathematical Society. The spectral gap
    is her lambda_1, of the normalised Laplacian.
    Gini, C. (1912). Variabilita e mutabilita. Of readers per author, here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
from scipy.sparse.csgraph import shortest_path

if TYPE_CHECKING:
    Directed = nx.DiGraph[str]


@dataclass(frozen=True, slots=True)
class Measures:
    """Of one graph."""

    density: float
    """Share of all ordered pairs that are edges, 0 to 1."""
    clustering: float
    """Mean share of an agent's neighbours who are neighbours (Watts & Strogatz's C), 0 to 1."""
    path_length: float | None
    """Mean number of edges between two agents (their L); None unless everybody can be reached."""
    spectral_gap: float
    """Second smallest eigenvalue of the normalised Laplacian, directions left out, 0 to 2: 0 where
    the graph is in parts; the larger, the sooner everybody knows what anybody does."""
    degree_inequality: float
    """Gini coefficient of the number of readers per author: 0 where all are heard by as many,
    towards 1 where all hear the same few."""
    is_connected: bool
    """Whether word from anybody can reach everybody, over others if need be."""

    def as_numbers(self) -> dict[str, float | None]:
        """Return them by name as the ledger keeps them; `is_connected` as 1 or 0."""
        named = dataclasses.asdict(self)
        return {name: None if value is None else float(value) for name, value in named.items()}


def measures_of(graph: Directed) -> Measures:
    """Measure `graph`; a single agent counts as connected, at distance 0."""
    n = graph.number_of_nodes()
    if n <= 1:
        return Measures(0.0, 0.0, 0.0, 0.0, 0.0, is_connected=True)
    is_connected = nx.is_strongly_connected(graph)
    return Measures(
        density=nx.density(graph),
        clustering=_clustering(graph),
        path_length=_path_length(graph) if is_connected else None,
        spectral_gap=_spectral_gap(graph),
        degree_inequality=gini([degree for _, degree in graph.out_degree()]),
        is_connected=is_connected,
    )


def _clustering(graph: Directed) -> float:
    is_mutual = all(graph.has_edge(reader, author) for author, reader in graph.edges)
    # the same number where all edges go both ways, and the quicker way to it
    return float(nx.average_clustering(graph.to_undirected() if is_mutual else graph))


def _path_length(graph: Directed) -> float:
    n = graph.number_of_nodes()
    steps = shortest_path(nx.to_scipy_sparse_array(graph), unweighted=True)
    return float(steps.sum()) / (n * (n - 1))


def _spectral_gap(graph: Directed) -> float:
    if not nx.is_weakly_connected(graph):
        return 0.0  # exactly; the eigenvalue would be a rounding error
    both_ways = graph.to_undirected()
    laplacian = nx.normalized_laplacian_matrix(both_ways).toarray()
    return float(np.linalg.eigvalsh(laplacian)[1])


def gini(counts: Sequence[float]) -> float:
    """Return the Gini coefficient of `counts`, none below 0; 0 where all are 0."""
    total = sum(counts)
    if not total:
        return 0.0
    n = len(counts)
    ranked = sum(rank * count for rank, count in enumerate(sorted(counts), start=1))
    return 2 * ranked / (n * total) - (n + 1) / n
