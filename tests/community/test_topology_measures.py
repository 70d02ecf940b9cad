"""Measures of graphs against networkx, which counts them edge by edge."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from community.topology.measures import measures_of

PAIRS = [(a, b) for a in range(9) for b in range(9) if a != b]


@given(st.integers(2, 9), st.sets(st.sampled_from(PAIRS)), st.booleans())
def test_every_measure_is_what_networkx_counts(
    n: int, pairs: set[tuple[int, int]], is_mutual: bool
) -> None:
    """Directed and undirected, whole and in parts."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(n))
    graph.add_edges_from((a, b) for a, b in pairs if max(a, b) < n)
    if is_mutual:
        graph.add_edges_from([(b, a) for a, b in graph.edges])
    found = measures_of({str(a): {str(b) for b in readers} for a, readers in graph.adjacency()})
    assert found.density == pytest.approx(nx.density(graph))
    assert found.clustering == pytest.approx(nx.average_clustering(graph))
    if is_mutual:  # Watts and Strogatz's own
        assert found.clustering == pytest.approx(nx.average_clustering(graph.to_undirected()))
    assert found.is_connected == nx.is_strongly_connected(graph)
    if found.is_connected:
        assert found.path_length == pytest.approx(nx.average_shortest_path_length(graph))
    else:
        assert found.path_length is None
    if nx.is_weakly_connected(graph):
        laplacian = nx.normalized_laplacian_matrix(graph.to_undirected()).toarray()
        assert found.spectral_gap == pytest.approx(np.linalg.eigvalsh(laplacian)[1], abs=1e-12)
    else:
        assert found.spectral_gap == 0


def test_a_complete_graph_of_a_thousand() -> None:
    """Its measures are known: the gap of n/(n - 1), the rest 1 and equal for all."""
    names = [f"a{number}" for number in range(1000)]
    found = measures_of({name: [other for other in names if other != name] for name in names})
    assert (found.density, found.clustering, found.path_length) == (1.0, 1.0, 1.0)
    assert found.spectral_gap == pytest.approx(1000 / 999)
    assert found.degree_inequality == pytest.approx(0, abs=1e-12)
