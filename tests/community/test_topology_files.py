"""Graphs from files, and every fault of the section ``topology`` with its key and its rule."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest
from cli_calls import community

from community.errors import ScenarioError
from community.loading import parse_scenario, read_scenario
from community.topology import build_topology
from community.topology.drawing import Edge, arcs_of

TEXT = """\
run = { task = "nanolm", seed = 3 }
topology = { TOPOLOGY }
[[agents]]
name = "ada"
role = "explorer"
mind = "policy:social"
count = 4
"""


def text_of(topology: str) -> str:
    """Return a scenario of ada-1 to ada-4 with this section."""
    return TEXT.replace("TOPOLOGY", topology)


def arcs_in(path: Path) -> dict[tuple[str, str], Edge]:
    """Return the edges that a scenario's file comes to."""
    scenario = read_scenario(path).scenario
    names = [member.name for member in scenario.members()]
    return arcs_of(build_topology(names, scenario.topology, scenario.run.seed).as_event())


def test_a_list_of_edges(tmp_path: Path) -> None:
    """Author, reader and what is particular; the rest is the section's. The text needs no file."""
    (tmp_path / "graph.txt").write_text(
        "# who hears whom\nada-1 ada-2\n\nada-2 ada-3 carries=score delay_s=30 loss=0.25  # slow\n"
    )
    path = tmp_path / "s.toml"
    path.write_text(text_of('family = "edges", file = "graph.txt", carries = "diff", loss = 0.1'))
    expected = {
        ("ada-1", "ada-2"): Edge("diff", 0, 0.1),
        ("ada-2", "ada-3"): Edge("score", 30_000_000, 0.25),
    }
    assert arcs_in(path) == expected
    loaded = read_scenario(path)
    (tmp_path / "graph.txt").unlink()
    again = tmp_path / "kept.toml"
    again.write_text(loaded.text)
    assert read_scenario(again).scenario == loaded.scenario
    assert arcs_in(again) == expected


@pytest.mark.parametrize("is_directed", [True, False])
def test_graphml(tmp_path: Path, is_directed: bool) -> None:
    """Nodes are found by their name; undirected edges go both ways."""
    graph = nx.DiGraph() if is_directed else nx.Graph()
    graph.add_node("n0", name="ada-1")
    graph.add_edge("n0", "ada-2", carries="summary", delay_s=2, loss=0.5, weight=3.0)
    nx.write_graphml(graph, tmp_path / "graph.graphml")
    path = tmp_path / "s.toml"
    path.write_text(text_of('family = "edges", file = "graph.graphml"'))
    edge = Edge("summary", 2_000_000, 0.5)
    ways = {("ada-1", "ada-2"): edge, ("ada-2", "ada-1"): edge}
    assert arcs_in(path) == (dict(list(ways.items())[:1]) if is_directed else ways)


def test_a_list_with_a_byte_order_mark(tmp_path: Path) -> None:
    """As some editors write it."""
    (tmp_path / "graph.txt").write_bytes("\ufeffada-1 ada-2\r\n".encode())
    path = tmp_path / "s.toml"
    path.write_text(text_of('family = "edges", file = "graph.txt"'))
    assert set(arcs_in(path)) == {("ada-1", "ada-2")}


def test_graphml_with_a_default(tmp_path: Path) -> None:
    """What a key says for edges that say nothing is what they carry, not everything."""
    (tmp_path / "graph.graphml").write_text(
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
        '<key id="c" for="edge" attr.name="carries" attr.type="string"><default>score</default>'
        '</key><graph edgedefault="directed"><node id="ada-1"/><node id="ada-2"/>'
        '<edge source="ada-1" target="ada-2"/>'
        '<edge source="ada-2" target="ada-1"><data key="c">diff</data></edge></graph></graphml>'
    )
    path = tmp_path / "s.toml"
    path.write_text(text_of('family = "edges", file = "graph.graphml"'))
    expected = {("ada-1", "ada-2"): Edge("score"), ("ada-2", "ada-1"): Edge("diff")}
    assert arcs_in(path) == expected


_TWINS = (
    '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><key id="n" for="node" '
    'attr.name="name" attr.type="string"/><graph edgedefault="directed"><node id="1"><data key="n">'
    'ada-1</data></node><node id="ada-1"/><edge source="1" target="ada-2"/></graph></graphml>'
)


_LOUD = (
    '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><key id="c" for="edge" '
    'attr.name="carries" attr.type="string"/><graph edgedefault="directed"><node id="ada-1"/>'
    '<node id="ada-2"/><edge source="ada-1" target="ada-2"><data key="c">all</data></edge></graph>'
    "</graphml>"
)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("g.txt", "ada-1 ada-2 loss=0.1 loss=1\n", "loss is given twice"),
        ("g.txt", "ada-1 ada-2 delay_s=1e308\n", "g.txt:1: delay_s: 1e+308 does not fit"),
        ("g.graphml", '<?xml version="1.0" encoding="odd"?><a/>', "is no GraphML"),
        ("g.graphml", _TWINS, "two nodes have the same name"),
        ("g.txt", "ada-1\n", "g.txt:1: 'ada-1' is no edge"),
        ("g.txt", "\nada-1 ada-2 delay=3\n", "g.txt:2: 'delay=3' is no attribute"),
        ("g.txt", "ada-1 ada-2 loss=much\n", "loss: 'much' is no number"),
        ("g.txt", "# one\n\nada-1 ada-2 loss=2\n", "g.txt:3: loss: 2.0 does not fit"),
        ("g.txt", "ada-1 ada-2 carries=all\n", "g.txt:1: carries: unknown value 'all'"),
        ("g.graphml", _LOUD, "g.graphml: ada-1 -> ada-2: carries: unknown value 'all'"),
        ("g.txt", "\nada-1 zoe\n", "g.txt:2: edge ada-1 -> zoe: 'zoe' takes no part"),
        ("g.txt", "ada-1 ada-1\n", "nobody hears himself"),
        ("g.txt", "ada-1 ada-2\nada-1 ada-2\n", "given twice"),
        ("g.txt", "# nothing\n", "has no edges"),
        ("g.graphml", "<graphml", "is no GraphML"),
        ("g.graphml", "<a/>", "is no GraphML"),
        ("absent.txt", None, "cannot be read"),
    ],
)
def test_a_file_that_is_no_graph_is_told(
    tmp_path: Path, name: str, content: str | None, words: str
) -> None:
    """The file, the line or the edge, and the rule."""
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text_of(f'family = "edges", file = "{name}"'), tmp_path / "s.toml")
    found = [str(fault) for fault in caught.value.faults]
    assert any(words in fault for fault in found), found
    assert all(": topology" in fault for fault in found), found


@pytest.mark.parametrize(
    ("topology", "key", "words"),
    [
        ('family = "ring", m = 2', "topology.m", 'm belongs to family = "scale_free"'),
        ('family = "ring", p = 0.2', "topology.p", "one of small_world, erdos_renyi, caveman"),
        ('family = "ring", file = "g"', "topology.file", 'belongs to family = "edges"'),
        ('family = "scale_free"', "topology", "scale_free needs m; write m = 2"),
        ('family = "scale_free", m = 9', "topology.m", "m from 1 to 3"),
        ('family = "scale_free", m = 0', "topology.m", "greater than or equal to 1"),
        ('family = "lattice"', "topology", "lattice needs one of k"),
        ('family = "isolated", one_way = "forward"', "topology.one_way", "there are no edges"),
        ('family = "ring", one_way = "up"', "topology.one_way", "known: forward, backward, random"),
        ('family = "smalworld"', "topology.family", 'did you mean "small_world"?'),
        ("loss = 1.5", "topology.loss", "less than or equal to 1"),
        ("delay_s = 1e308", "topology.delay_s", "less than or equal to 1000000000"),
        (
            'family = "ring", rewire = "schedule", rewire_every_s = 1e-9',
            "topology.rewire_every_s",
            "greater than or equal to 1",
        ),
        ("delay_s = -1", "topology.delay_s", "greater than or equal to 0"),
        ('family = "ring", rewire_every = 3', "topology.rewire_every", "remove it"),
        ('family = "ring", rewire = "adaptive"', "topology.rewire", "needs one of rewire_every"),
        (
            'family = "ring", rewire = "schedule", rewire_every = 3, rewire_every_s = 4',
            "topology.rewire",
            "needs one of rewire_every",
        ),
        ('rewire = "schedule", rewire_every = 3', "topology.rewire", "nothing to rewire"),
        (
            'family = "ring", rewire = "adaptive", rewire_every = 3, carries = "score"',
            "topology.carries",
            "which score does not carry",
        ),
        ('family = "edges"', "topology", "edges needs its edges"),
        (
            'family = "edges", edges = [{ author = "ada-1", raeder = "ada-2" }]',
            "topology.edges[0].raeder",
            'did you mean "reader"?',
        ),
        (
            'family = "edges", file = "g", edges = [{ author = "ada-1", reader = "ada-2" }]',
            "topology.file",
            "two graphs",
        ),
    ],
)
def test_bad_parameters_name_key_and_rule(topology: str, key: str, words: str) -> None:
    """`scenario check` tells every fault with its line, its key and what would do."""
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text_of(topology), Path("s.toml"))
    found = [str(fault) for fault in caught.value.faults]
    assert any(f.startswith(f"s.toml:2: {key}: ") and words in f for f in found), found


def test_scenario_check_tells_how_edges_differ(tmp_path: Path) -> None:
    """What they carry, how late, what they lose: each kind with the number of edges."""
    path = tmp_path / "s.toml"
    path.write_text(
        text_of(
            'family = "edges", edges = [{ author = "ada-1", reader = "ada-2", carries = "diff" },'
            '{ author = "ada-2", reader = "ada-1", carries = "diff", delay_s = 30, loss = 0.5 },'
            '{ author = "ada-2", reader = "ada-3", carries = "score" }]'
        )
    )
    output = community("scenario", "check", str(path)).output
    assert (
        "topology: edges, carries diff (2 edges) and score (1 edge), 30 s late (1 edge), "
        "50.0% lost (1 edge)" in " ".join(output.split())
    )


def test_scenario_check_describes_the_graph(tmp_path: Path) -> None:
    """Family, what edges do, rewiring, measures, and a warning where some are never reached."""
    path = tmp_path / "s.toml"
    path.write_text(
        text_of(
            'family = "line", one_way = "forward", carries = "diff", delay_s = 5, loss = 0.1, '
            'rewire = "adaptive", rewire_every = 4'
        )
    )
    result = community("scenario", "check", str(path))
    assert result.exit_code == 0, result.output
    output = result.output
    assert (
        "topology: line, one_way = forward, carries diff, 5 s late, 10.0% lost, "
        "rewired every 4 experiments (adaptive)" in output
    )
    assert "density 0.25, clustering 0.00, mean path length none, spectral gap 0.50" in output
    assert "not everybody can be reached" in output
    assert "ada-1: explorer, policy:social; hears nobody" in output
