"""Scrolling panes of lines: a page of paragraphs, and plain lines that are cut at the edge.

They draw only the lines that are seen, at the width the pane has then. Lines are rich `Text`, so
nothing in them is read as markup. Lists with a cursor derive from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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


def is_same(one: Text, other: Text) -> bool:
    """Whether two lines look alike; rich's own comparison leaves the base style out."""
    return one is other or (one == other and one.style == other.style)


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
        if len(lines) == len(self._lines) and all(map(is_same, lines, self._lines)):
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
        return strip_of(self._lines[index], width, self.line_style(index), self.app.console)

    def line_style(self, index: int) -> Style:
        """Return the style below that of the line at `index`."""
        return self.rich_style


class Page(TextLines):
    """Paragraphs, wrapped at the pane's width; those that must not wrap are cut."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._paragraphs: Sequence[Text] = ()
        self._wrapped_at = 0

    @property
    def paragraphs(self) -> Sequence[Text]:
        """What is shown, as it was handed in."""
        return self._paragraphs

    def show(self, lines: Sequence[Text], *, is_new: bool = False) -> None:
        """Show paragraphs; another page (`is_new`) begins at its top."""
        self._paragraphs = lines
        self._wrap()
        if is_new:
            self.scroll_home(animate=False)

    def on_resize(self) -> None:
        """Wrap at the new width."""
        if self.scrollable_content_region.width != self._wrapped_at:
            self._wrap()

    def _wrap(self) -> None:
        width = self._wrapped_at = self.scrollable_content_region.width
        if width > 0:
            super().show([*_wrapped(self._paragraphs, width, self.app.console)])


def _wrapped(paragraphs: Sequence[Text], width: int, console: Console) -> Iterable[Text]:
    for paragraph in paragraphs:
        if paragraph.no_wrap or paragraph.cell_len <= width:
            yield paragraph
            continue
        indent = len(paragraph.plain) - len(paragraph.plain.lstrip())
        rows = paragraph.wrap(console, max(8, width - indent))
        for number, line in enumerate(rows):
            if number:
                line = Text(" " * indent).append_text(line)
            yield line
