"""The leaderboard as a table. Rows are places, so cursor and scrolling stay where they were."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.coordinate import Coordinate
from textual.widgets import DataTable

_COLUMNS = (("#", 3), ("status", 14), ("score", 7), ("vs baseline", 13), ("by", 10))
"""(heading, cells) of all columns but the title, which gets what is left."""
_LEAST_TITLE = 15
_GAPS = 2 * (len(_COLUMNS) + 1) + 1
"""Cells around the columns' contents, the scroll bar's included."""


class BoardTable(DataTable[Text]):
    """Rank, status, score, gain, who, title; cells are `Text`, for strings would be markup."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, cursor_type="row", zebra_stripes=True)
        self._shown: list[tuple[Text, ...]] = []
        self._title_cells = 0

    def on_mount(self) -> None:
        """Make the columns."""
        self._lay_out()

    def on_resize(self) -> None:
        """Give the title what is left of the new width."""
        self._lay_out()

    @property
    def cells(self) -> Sequence[tuple[Text, ...]]:
        """All rows, also those out of sight."""
        return self._shown

    def show(self, rows: list[tuple[Text, ...]]) -> None:
        """Show `rows`, whose titles are cut to the pane; only cells that changed are touched."""
        for index, (old, new) in enumerate(zip(self._shown, rows, strict=False)):
            for column, (was, cell) in enumerate(zip(old, new, strict=True)):
                if was != cell or was.style != cell.style:
                    self.update_cell_at(Coordinate(index, column), cell)
        for row in rows[len(self._shown) :]:
            self.add_row(*row)
        for _ in self._shown[len(rows) :]:
            self.remove_row(self.ordered_rows[-1].key)
        self._shown = rows

    def _lay_out(self) -> None:
        taken = sum(cells for _, cells in _COLUMNS) + _GAPS
        title_cells = max(_LEAST_TITLE, self.size.width - taken)
        if title_cells == self._title_cells:
            return
        self._title_cells = title_cells
        place = self.cursor_row
        self.clear(columns=True)
        for heading, cells in (*_COLUMNS, ("title", title_cells)):
            is_number = heading in ("#", "score", "vs baseline")
            label = Text(heading, justify="right" if is_number else "left")
            self.add_column(label, width=cells)
        for row in self._shown:
            self.add_row(*row)
        self.move_cursor(row=place)
