"""Graphs from files: a list of edges, or GraphML. Both become ``edges`` of the scenario's section.

So the scenario that the ledger keeps holds the whole graph, and a run goes on without the file.

A list has one edge a line, author first, then the reader, then what is particular about it::

    # ben hears ada
    ada ben
    ben cyd carries=diff delay_s=30 loss=0.1

GraphML names agents by the ids of its nodes, or by their attribute ``name`` or ``label``; its edges
may have the same three attributes, or a default of them, and an undirected graph's go both ways.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import ParseError

import networkx as nx

from community.errors import TopologyError

LARGEST_BYTES: Final = 8_000_000
"""Some 100,000 edges; nobody means a larger file."""
_ATTRIBUTES: Final = ("carries", "delay_s", "loss")

RawEdge = dict[str, Any]
"""As a scenario's TOML would hold it, not yet checked."""


def read_edges(path: Path) -> list[tuple[str, RawEdge]]:
    """Return the edges of the graph in `path`; GraphML where it ends in ``.graphml``.

    With each, where it stands: file and line, of GraphML file and both ends.

    Raises:
        TopologyError: it cannot be read; the message names the file and the line or the reason.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise TopologyError(f"{path} is larger than {LARGEST_BYTES} bytes, too large a graph")
        if path.suffix.lower() in (".graphml", ".xml"):
            return list(_graphml(path))
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TopologyError(f"{path} cannot be read: {error}") from error
    places = ((f"{path}:{number}", line) for number, line in enumerate(lines, start=1))
    return [
        (where, _edge(words, where))
        for where, line in places
        if (words := line.partition("#")[0].split())
    ]


def _edge(words: list[str], where: str) -> RawEdge:
    if len(words) < 2:
        raise TopologyError(f"{where}: {words[0]!r} is no edge; write author, reader")
    edge: RawEdge = {"author": words[0], "reader": words[1]}
    for word in words[2:]:
        key, _, value = word.partition("=")
        if key not in _ATTRIBUTES or not value:
            known = ", ".join(f"{name}=..." for name in _ATTRIBUTES)
            raise TopologyError(f"{where}: {word!r} is no attribute of an edge; known: {known}")
        if key in edge:
            raise TopologyError(f"{where}: {key} is given twice; remove one")
        edge[key] = value if key == "carries" else _number(value, f"{where}: {key}")
    return edge


def _number(value: object, where: str) -> float:
    try:
        return float(str(value))
    except ValueError:
        raise TopologyError(f"{where}: {value!r} is no number") from None


def _graphml(path: Path) -> Iterator[tuple[str, RawEdge]]:
    try:
        graph = nx.read_graphml(path)
    except (ParseError, nx.NetworkXError, LookupError, ValueError) as error:
        raise TopologyError(f"{path} is no GraphML: {error}") from error
    names = {
        node: str(data.get("name") or data.get("label") or node)
        for node, data in graph.nodes(data=True)
    }
    if len(set(names.values())) < len(names):
        raise TopologyError(f"{path}: two nodes have the same name; an agent is one node")
    usual = graph.graph.get("edge_default", {})
    for author, reader, said in graph.edges(data=True):
        data = usual | said
        ways = [(author, reader)] if graph.is_directed() else [(author, reader), (reader, author)]
        for one, other in ways:
            edge: RawEdge = {"author": names[one], "reader": names[other]}
            where = f"{path}: {names[one]} -> {names[other]}"
            for key in _ATTRIBUTES:
                if key in data:
                    value = data[key]
                    is_word = key == "carries"
                    edge[key] = str(value) if is_word else _number(value, f"{where}: {key}")
            yield where, edge
