"""The pane with the progress plot; what it shows is drawn by `community.tui.plot`."""

from __future__ import annotations

from rich.text import Text
from textual.strip import Strip
from textual.widget import Widget

from community.tui.plot import Plot, drawn
from community.tui.widgets.text_lines import strip_of


class ProgressPlot(Widget):
    """Experiments, frontier and noise band, drawn to the pane's size."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._plot: Plot | None = None
        self._drawn: tuple[object, list[Text]] = (None, [])

    def show(self, plot: Plot) -> None:
        """Show `plot`; does nothing when it is the same as before."""
        if plot != self._plot:
            self._plot = plot
            self.refresh()

    def lines(self) -> list[Text]:
        """Return the plot at the pane's present size."""
        if self._plot is None:
            return []
        is_dark = self.app.current_theme.dark
        key = (self._plot, self.size, is_dark)
        if self._drawn[0] != key:
            band = "on #2c3440" if is_dark else "on #d3dae3"
            self._drawn = (key, drawn(self._plot, *self.size, band_style=band))
        return self._drawn[1]

    def render_line(self, y: int) -> Strip:
        """Return the line at `y` of the pane."""
        lines, width = self.lines(), self.size.width
        if y >= len(lines):
            return Strip.blank(width, self.rich_style)
        return strip_of(lines[y], width, self.rich_style, self.app.console)
