"""Topologies: the graphs of each family, their measures, and that one seed gives one graph."""

from __future__ import annotations

import pytest

from community.errors import TopologyError
from community.scenario import TopologySection
from community.topology import Topology, build_topology

NAMES = ["a", "b", "c", "d", "e", "f"]


def topology(
    family: str, names: list[str] | None = None, seed: int = 1, **keys: object
) -> Topology:
    """Build one topology."""
    section = TopologySection.model_validate({"family": family, **keys})
    return build_topology(NAMES if names is None else names, section, seed)


def test_complete_everybody_hears_everybody_else() -> None:
    """In a complete graph nobody hears himself and everybody hears all others."""
    graph = topology("complete")
    assert graph.hears("c") == ("a", "b", "d", "e", "f")
    assert (graph.measures.density, graph.measures.clustering) == (1.0, 1.0)
    assert graph.measures.path_length == 1.0


def test_ring_hears_the_two_beside() -> None:
    """On a ring one hears both neighbours, round the end as well."""
    graph = topology("ring")
    assert graph.hears("a") == ("b", "f")
    assert graph.hears("d") == ("c", "e")
    assert graph.measures.path_length == pytest.approx(1.8)


def test_star_goes_through_the_first_agent() -> None:
    """The first agent hears all, the others hear only it."""
    graph = topology("star")
    assert graph.hears("a") == ("b", "c", "d", "e", "f")
    assert all(graph.hears(name) == ("a",) for name in NAMES[1:])


def test_isolated_nobody_hears_anybody() -> None:
    """Without edges nothing is carried and nothing is connected."""
    graph = topology("isolated")
    assert all(graph.hears(name) == () and graph.readers(name) == {} for name in NAMES)
    assert not graph.measures.is_connected
    assert graph.measures.path_length is None


def test_small_world_without_rewiring_is_the_ring_lattice() -> None:
    """With p = 0 everybody hears the k nearest: Watts and Strogatz's starting point."""
    graph = topology("small_world", [*NAMES, "g", "h"], k=4, p=0.0)
    assert graph.hears("a") == ("b", "c", "g", "h")
    assert graph.measures.clustering == pytest.approx(0.5)


def test_small_world_keeps_the_number_of_edges_and_depends_on_the_seed_alone() -> None:
    """Rewiring moves edges but loses none; equal seeds give equal graphs, others differ."""
    names = [f"n{i}" for i in range(20)]
    graphs = [topology("small_world", names, seed, k=4, p=0.3) for seed in (1, 1, 2, 3)]
    assert graphs[0] == graphs[1]
    assert len({str(graph.edges) for graph in graphs}) == 3
    assert all(sum(len(readers) for readers in g.edges.values()) == 80 for g in graphs)


def test_hearing_and_reading_are_two_views_of_one_graph() -> None:
    """Whoever is among an author's readers hears that author, and nobody else does."""
    graph = topology("small_world", k=2, p=0.5)
    pairs = {(author, reader) for author in NAMES for reader in graph.readers(author)}
    assert pairs == {(author, reader) for reader in NAMES for author in graph.hears(reader)}
    assert all(author != reader for author, reader in pairs)


def test_edges_carry_what_the_scenario_says() -> None:
    """Each edge has the scenario's share of a post."""
    graph = topology("ring", carries="summary")
    assert set(graph.readers("a").values()) == {"summary"}


@pytest.mark.parametrize("family", ["complete", "ring", "star", "isolated"])
@pytest.mark.parametrize("count", [1, 2])
def test_tiny_communities_have_no_loops(family: str, count: int) -> None:
    """One or two agents make a graph without anybody hearing himself."""
    graph = topology(family, NAMES[:count])
    assert all(name not in graph.hears(name) for name in NAMES[:count])
    expected = 0 if family == "isolated" or count == 1 else 1
    assert len(graph.hears("a")) == expected


@pytest.mark.parametrize(("k", "count"), [(3, 6), (6, 6), (4, 3), (2, 2)])
def test_small_world_refuses_an_impossible_k(k: int, count: int) -> None:
    """An odd k, or one that is not below the number of agents, is refused in words."""
    with pytest.raises(TopologyError, match=f"k = {k} does not fit {count} agents"):
        topology("small_world", NAMES[:count], k=k, p=0.1)


def test_a_stranger_has_no_neighbours_to_ask_for() -> None:
    """Asking about somebody who does not take part is a programming error, not silence."""
    with pytest.raises(KeyError):
        topology("ring").hears("nobody")
    with pytest.raises(KeyError):
        topology("ring").readers("nobody")
