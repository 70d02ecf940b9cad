"""Topology: who hears whom, what goes along the edges, and where which idea is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from community.tui.fold import Look
from community.tui.pictures.topology import TopologyPicture, topology_picture
from community.tui.screens.run_screen import Keys, RunScreen
from community.tui.widgets.graph_pane import GraphPane
from community.tui.widgets.pick_list import PickList, titled
from community.tui.widgets.text_lines import Page


class TopologyScreen(RunScreen):
    """The graph, its agents, its measures."""

    MODE = "topology"
    ABOUT = (
        "A line is an edge in both directions, an arrow one from an author to a reader. Edges "
        "that the newest posts went along have the colour of the idea that was talked about; ✉ is "
        "a post on its way. An agent's dot has the colour of the idea that its newest hypothesis "
        "goes back to. People hear everybody and are not drawn."
    )
    KEYS: ClassVar[Keys] = (
        ("up down", "choose an agent: its edges stand out"),
        ("Enter", "open the agent"),
    )

    def __init__(self) -> None:
        super().__init__()
        self._picture: TopologyPicture | None = None

    def body(self) -> Iterator[Widget]:
        """Yield graph, agents, facts."""
        graph, agents, facts = GraphPane(id="graph"), PickList(id="agents"), Page(id="facts")
        graph.border_title, agents.border_title, facts.border_title = "Topology", "Agents", "Facts"
        yield Horizontal(graph, Vertical(agents, facts, id="beside"), id="topology")

    def look(self) -> Look:
        """Paint the graph."""
        wanted = self.wanted
        return lambda scene: topology_picture(scene, wanted)

    def show(self, picture: object) -> None:
        """Show it."""
        assert isinstance(picture, TopologyPicture)
        self._picture = picture
        agents = self.query_one("#agents", PickList)
        agents.border_title = titled(f"Agents {self.wanted.said()}".rstrip())
        agents.fill(picture.agents)
        self.query_one("#facts", Page).show(picture.facts)
        self._draw()

    def _draw(self) -> None:
        chosen = self.query_one("#agents", PickList).chosen
        if self._picture is not None:
            name = chosen.key if chosen is not None else ""
            self.query_one("#graph", GraphPane).show(self._picture, name)

    def on_pick_list_moved(self, event: PickList.Moved) -> None:
        """Let the agent's edges stand out."""
        self._draw()

    def on_pick_list_picked(self, event: PickList.Picked) -> None:
        """Open the agent."""
        self.desk.open_page(event.line.key)
