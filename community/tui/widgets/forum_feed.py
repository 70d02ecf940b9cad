"""The forum feed: the newest lines at the bottom, the oldest forgotten.

It follows the end while the end is in sight; whoever has scrolled up stays where he reads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from rich.text import Text
from textual.geometry import Size

from community.tui.widgets.text_lines import TextLines

MAX_LINES = 2_000
"""Kept in memory; the ledger has them all."""


class ForumFeed(TextLines):
    """Lines that grow at the end."""

    def __init__(self, *, max_lines: int = MAX_LINES, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._kept: deque[Text] = deque(maxlen=max_lines)

    def extend(self, lines: Iterable[Text]) -> None:
        """Add `lines` at the end."""
        added = list(lines)
        if not added:
            return
        is_at_end = self.is_vertical_scroll_end
        forgotten = max(0, len(self._kept) + len(added) - (self._kept.maxlen or 0))
        self._kept.extend(added)
        self._lines = list(self._kept)
        self.virtual_size = Size(0, len(self._lines))
        if is_at_end:
            self.scroll_end(animate=False, immediate=False)
        elif forgotten:
            self.scroll_relative(y=-forgotten, animate=False)
        self.refresh()
