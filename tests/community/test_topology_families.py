"""Families of graphs: their shapes, which parameters fit, one-way edges, and what is measured."""

from __future__ import annotations

import math

import networkx as nx
import pytest

from community.errors import TopologyError
from community.scenario import TopologySection
from community.topology import Topology, build_topology
from community.topology.drawing import Edge, arcs_of
from community.topology.measures import gini

NAMES = [f"a{n}" for n in range(12)]


def drawn(family: str, count: int = 12, seed: int = 1, **keys: object) -> Topology:
    """Draw one topology."""
    section = TopologySection.model_validate({"family": family, **keys})
    return build_topology(NAMES[:count], section, seed)


def graph_of(topology: Topology) -> nx.DiGraph:
    """Return its edges as networkx knows them."""
    graph = nx.DiGraph()
    graph.add_nodes_from(topology.names)
    graph.add_edges_from(arcs_of(topology.as_event()))
    return graph


@pytest.mark.parametrize(
    ("family", "keys", "edges"),
    [
        ("line", {}, 11),
        ("lattice", {"k": 4}, 24),
        ("lattice", {"columns": 4}, 3 * 3 + 2 * 4),
        ("lattice", {"columns": 5}, 4 + 4 + 1 + 5 + 2),
        ("scale_free", {"m": 2}, 2 * 10),
        ("random_regular", {"k": 3}, 18),
        ("erdos_renyi", {"p": 0.0}, 0),
        ("erdos_renyi", {"p": 1.0}, 66),
        ("caveman", {"size": 4, "p": 0.0}, 18),
        ("hierarchy", {"branching": 3}, 11),
        ("teams", {"size": 4, "bridges": 2}, 18 + 6),
        ("teams", {"size": 5, "bridges": 1}, 10 + 10 + 1 + 3),
        ("teams", {"size": 6, "bridges": 3}, 15 + 15 + 3),
    ],
)
def test_each_family_has_its_edges(family: str, keys: dict[str, object], edges: int) -> None:
    """The number of pairs is the family's, and both ways of each are there."""
    graph = graph_of(drawn(family, **keys))
    assert graph.number_of_edges() == 2 * edges
    assert all(graph.has_edge(b, a) for a, b in graph.edges)


def test_degrees_and_parts_are_the_familys() -> None:
    """Regular is regular, caves are cliques apart, a tree's head has the reports that it may."""
    assert {d for _, d in graph_of(drawn("random_regular", k=3)).out_degree()} == {3}
    caves = graph_of(drawn("caveman", size=4, p=0.0)).to_undirected()
    assert sorted(map(len, nx.connected_components(caves))) == [4, 4, 4]
    tree = drawn("hierarchy", branching=3)
    assert tree.hears("a0") == ("a1", "a2", "a3")
    assert tree.hears("a11") == ("a3",)
    grid = drawn("lattice", columns=4)
    assert grid.hears("a5") == ("a1", "a4", "a6", "a9")
    assert drawn("none") == drawn("isolated")


@pytest.mark.parametrize(
    ("family", "keys"),
    [
        ("scale_free", {"m": 2}),
        ("random_regular", {"k": 3}),
        ("erdos_renyi", {"p": 0.3}),
        ("caveman", {"size": 4, "p": 0.4}),
        ("teams", {"size": 4, "bridges": 2}),
        ("ring", {"one_way": "random"}),
    ],
)
def test_chance_is_the_seeds(family: str, keys: dict[str, object]) -> None:
    """Equal seeds give equal graphs; among five seeds there are different ones."""
    graphs = [str(drawn(family, seed=seed, **keys).edges) for seed in (1, 1, 2, 3, 4)]
    assert graphs[0] == graphs[1]
    assert len(set(graphs)) > 1


@pytest.mark.parametrize("seed", range(10))
def test_nobody_hears_himself_by_an_edge(seed: int) -> None:
    """Nor where chance rewires every edge: his own post would come late to him, or thinned."""
    for family, keys in (
        ("caveman", {"size": 6, "p": 1.0}),
        ("small_world", {"k": 4, "p": 1.0}),
        ("scale_free", {"m": 3}),
        ("teams", {"size": 5, "bridges": 2}),
    ):
        edges = drawn(family, seed=seed, **keys).edges
        assert not any(author in readers for author, readers in edges.items())


def test_one_way_edges_go_the_way_that_is_said() -> None:
    """Round a ring, down a tree, back up, and by lot one of the two."""
    ring = graph_of(drawn("ring", one_way="forward"))
    assert set(ring.edges) == {(NAMES[n], NAMES[(n + 1) % 12]) for n in range(12)}
    assert drawn("ring", one_way="forward").measures.is_connected
    down = drawn("hierarchy", branching=2, one_way="forward")
    assert down.hears("a0") == ()
    assert drawn("hierarchy", branching=2, one_way="backward").hears("a0") == ("a1", "a2")
    lot = graph_of(drawn("complete", one_way="random"))
    assert lot.number_of_edges() == 66
    assert all(lot.has_edge(a, b) != lot.has_edge(b, a) for a in lot for b in lot if a != b)


@pytest.mark.parametrize(
    ("family", "keys", "count", "words"),
    [
        ("lattice", {"k": 3}, 12, "even k from 2 to 10"),
        ("lattice", {"columns": 13}, 12, "give fewer"),
        ("lattice", {}, 12, "one of k"),
        ("lattice", {"k": 2, "columns": 2}, 12, "one of k"),
        ("scale_free", {"m": 12}, 12, "m from 1 to 11"),
        ("random_regular", {"k": 3}, 5, "give one of 2, 4"),
        ("caveman", {"size": 5, "p": 0.1}, 12, "give one of 2, 3, 4, 6, 12"),
        ("teams", {"size": 12, "bridges": 1}, 12, "size from 2 to 11"),
        ("teams", {"size": 11, "bridges": 12}, 12, "at most 11"),
        ("teams", {"size": 3}, 12, "teams needs bridges"),
        ("edges", {}, 12, "edges needs its edges"),
        ("edges", {"edges": [{"author": "a0", "reader": "zoe"}]}, 12, "'zoe' takes no part"),
    ],
)
def test_what_makes_no_graph_is_refused(
    family: str, keys: dict[str, object], count: int, words: str
) -> None:
    """Each rule is told with the values that would do."""
    with pytest.raises(TopologyError, match=words):
        drawn(family, count, **keys)


def test_edges_have_what_the_section_or_they_themselves_say() -> None:
    """Delay, loss and what is carried come from the edge, else from the section."""
    own = {"author": "a1", "reader": "a0", "carries": "score", "delay_s": 0.0, "loss": 0.5}
    topology = drawn(
        "edges", 3, edges=[{"author": "a0", "reader": "a1"}, own], carries="diff", delay_s=1.5
    )
    arcs = arcs_of(topology.as_event())
    assert arcs == {
        ("a0", "a1"): Edge("diff", 1_500_000, 0.0),
        ("a1", "a0"): Edge("score", 0, 0.5),
    }
    assert topology.hears("a2") == ()


def test_a_row_of_the_ledger_holds_the_whole_graph() -> None:
    """What is recorded gives the same edges back."""
    topology = drawn("small_world", k=4, p=0.2, carries="summary", delay_s=2.0, loss=0.1)
    arcs = arcs_of(topology.as_event())
    assert Topology.of_arcs(NAMES, arcs) == topology
    assert set(arcs.values()) == {Edge("summary", 2_000_000, 0.1)}


def test_measures_are_those_of_known_graphs() -> None:
    """Complete, star, line, ring and parted graphs have the values of the books."""
    n = 12
    complete, star = drawn("complete").measures, drawn("star").measures
    assert complete.spectral_gap == pytest.approx(n / (n - 1))
    assert complete.degree_inequality == pytest.approx(0)
    assert star.spectral_gap == pytest.approx(1.0)
    assert star.degree_inequality == pytest.approx(0.5 - 1 / n)
    ring = drawn("ring").measures
    assert ring.spectral_gap == pytest.approx(1 - math.cos(2 * math.pi / n))
    assert drawn("line").measures.path_length == pytest.approx((n + 1) / 3)
    parted = drawn("caveman", size=4, p=0.0).measures
    assert (parted.spectral_gap, parted.path_length, parted.is_connected) == (0.0, None, False)
    one_way = drawn("line", one_way="forward").measures
    assert (one_way.is_connected, one_way.path_length) == (False, None)
    assert one_way.spectral_gap > 0
    assert drawn("complete", 1).measures.as_numbers()["is_connected"] == 1.0


def test_gini_of_few_counts() -> None:
    """Equal shares give 0, one who has all gives 1 - 1/n."""
    assert gini([3, 3, 3]) == pytest.approx(0)
    assert gini([0, 0, 0, 8]) == pytest.approx(0.75)
    assert gini([0, 0]) == 0.0
