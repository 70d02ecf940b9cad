"""The pane with the topology, drawn in braille at the pane's size."""

from __future__ import annotations

import math

from rich.text import Text
from textual.strip import Strip
from textual.widget import Widget

from community.plain_text import one_line
from community.tui.canvas import Canvas
from community.tui.colours import AMBER, GREY
from community.tui.pictures.topology import Edge, Node, TopologyPicture
from community.tui.widgets.text_lines import strip_of

_ARROWS = "→↘↓↙←↖↑↗"
"""By eighths of a turn, clockwise from the right (rows count downwards)."""
_QUIET, _ACTIVE, _CHOSEN = 0, 1, 2
"""Ranks of edges where they share a cell."""


def drawn_graph(
    picture: TopologyPicture, width: int, height: int, *, chosen: str = ""
) -> list[Text]:
    """Return the graph as `height` lines of `width` cells.

    Args:
        picture: What to draw.
        width: Cells.
        height: Lines.
        chosen: The agent whose edges stand out.
    """
    if width < 16 or height < 5 or not picture.nodes:
        return []
    canvas = Canvas(width, height)
    room = min(12, width // 5)
    spots = [_spot(node, width, height, room) for node in picture.nodes]
    faint = "#5a6270"
    for edge in picture.edges:
        names = (picture.nodes[edge.author].name, picture.nodes[edge.reader].name)
        is_chosen = chosen in names
        style, rank = (edge.colour, _ACTIVE) if edge.posts else (faint, _QUIET)
        if is_chosen:
            style, rank = (AMBER if not edge.posts else f"bold {edge.colour}"), _CHOSEN
        start, end = _dots(spots[edge.author]), _dots(spots[edge.reader])
        canvas.line(start, end, style, rank)
    for edge in picture.edges:
        _marks(canvas, edge, spots)
    for node, spot in zip(picture.nodes, spots, strict=True):
        _write_node(canvas, node, spot, is_chosen=node.name == chosen)
    return canvas.lines()


def _spot(node: Node, width: int, height: int, room: int) -> tuple[int, int]:
    """Return the cell of a node; names have room on both sides."""
    column = room + round(node.place[0] * (width - 1 - 2 * room))
    return column, round(node.place[1] * (height - 1))


def _dots(spot: tuple[int, int]) -> tuple[float, float]:
    return 2 * spot[0] + 1, 4 * spot[1] + 2


def _marks(canvas: Canvas, edge: Edge, spots: list[tuple[int, int]]) -> None:
    """Write an arrow on a one-way edge, and the post that is on its way."""
    (x0, y0), (x1, y1) = spots[edge.author], spots[edge.reader]
    if not edge.is_mutual:
        turn = math.atan2(2 * (y1 - y0), x1 - x0) / (math.pi / 4)
        arrow = _ARROWS[round(turn) % 8]
        column, row = round(x0 + 0.75 * (x1 - x0)), round(y0 + 0.75 * (y1 - y0))
        canvas.write(column, row, arrow, edge.colour)
    if edge.pulse is not None:
        column, row = round(x0 + edge.pulse * (x1 - x0)), round(y0 + edge.pulse * (y1 - y0))
        canvas.write(column, row, "✉", f"bold {edge.colour if edge.colour != GREY else AMBER}")


def _write_node(canvas: Canvas, node: Node, spot: tuple[int, int], *, is_chosen: bool) -> None:
    column, row = spot
    sign = "‖" if node.is_paused else "●"
    canvas.write(column, row, sign, f"bold {node.colour}")
    name = one_line(node.name, 11)
    style = f"bold {node.own_colour}{' reverse' if is_chosen else ''}"
    for start in (column + 2, column - 1 - len(name)):
        if canvas.is_free(start, row, len(name)):
            canvas.write(start, row, name, style)
            return


class GraphPane(Widget):
    """The graph, redrawn when it, the chosen agent or the pane's size changed."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._picture: TopologyPicture | None = None
        self._chosen = ""
        self._drawn: tuple[object, list[Text]] = (None, [])

    def show(self, picture: TopologyPicture, chosen: str) -> None:
        """Show `picture`, the edges of `chosen` in front."""
        if (picture, chosen) != (self._picture, self._chosen):
            self._picture, self._chosen = picture, chosen
            self.refresh()

    def lines(self) -> list[Text]:
        """Return the graph at the pane's present size."""
        if self._picture is None:
            return []
        key = (self._picture, self._chosen, self.size)
        if self._drawn[0] != key:
            self._drawn = (key, drawn_graph(self._picture, *self.size, chosen=self._chosen))
        return self._drawn[1]

    def render_line(self, y: int) -> Strip:
        """Return the line at `y` of the pane."""
        lines, width = self.lines(), self.size.width
        if y >= len(lines):
            return Strip.blank(width, self.rich_style)
        return strip_of(lines[y], width, self.rich_style, self.app.console)
