"""A scrolling pane of lines, each cut with an ellipsis where the pane ends.

It draws only the lines that are seen, at the width the pane has then. Lines are rich `Text`, so
nothing in them is read as markup. Panes that grow at the end derive from it.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.style import Style
from rich.text import Text
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip


def strip_of(line: Text, width: int, style: Style, console: Console) -> Strip:
    """Return `line` as exactly `width` cells, cut with an ellipsis or filled up.

    Args:
        line: One line; it is left as it is.
        width: Cells of the pane.
        style: The pane's own style, below the line's.
        console: Renders the line.
    """
    line = line.copy()
    line.end = ""
    line.stylize_before(line.style)  # a text without spans would lose its own style
    line.truncate(width, overflow="ellipsis")
    strip = Strip(line.render(console)).apply_style(style)
    return strip.adjust_cell_length(width, style)


class TextLines(ScrollView, can_focus=True):
    """Lines of text, replaced all at once."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._lines: Sequence[Text] = ()

    @property
    def lines(self) -> Sequence[Text]:
        """All lines, also those out of sight."""
        return self._lines

    def show(self, lines: Sequence[Text]) -> None:
        """Show `lines` in place of those before; does nothing when they are the same."""
        if list(lines) == list(self._lines):
            return
        is_same_height = len(lines) == len(self._lines)
        self._lines = lines
        if not is_same_height:
            self.virtual_size = Size(0, len(lines))
        self.refresh(layout=not is_same_height)

    def render_line(self, y: int) -> Strip:
        """Return the line at `y` of the pane."""
        index, width = y + self.scroll_offset.y, self.scrollable_content_region.width
        if index >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        return strip_of(self._lines[index], width, self.rich_style, self.app.console)
