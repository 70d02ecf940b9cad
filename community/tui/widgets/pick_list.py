"""A list with a cursor: threads, contributions, commits, what waits, what was said last.

The cursor stays on what it is on, wherever that moves; a list that grows at its end (`is_tail`)
follows the end while the cursor is there. Next: whoever listens to `Picked` opens what was picked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from community.tui.scene import Line
from community.tui.widgets.text_lines import TextLines

_CURSOR = {(True, True): "#2f4a66", (True, False): "#262d38", (False, True): "#b9d4f0"}
"""(dark theme, focused) -> background of the cursor's line."""
_CURSOR_FAINT = "#dde3ea"


class PickList(TextLines):
    """Lines, one of which the cursor is on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home", "edge(0)", "first", show=False),
        Binding("end", "edge(-1)", "last", show=False),
        Binding("enter", "pick", "Open", show=False),
    ]

    class Moved(Message):
        """The cursor is on another line."""

        def __init__(self, pick_list: PickList, line: Line) -> None:
            super().__init__()
            self.pick_list = pick_list
            self.line = line

        @property
        def control(self) -> PickList:
            """The list."""
            return self.pick_list

    class Picked(Moved):
        """Somebody wants to see what the line is about."""

    def __init__(self, *, is_tail: bool = False, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._items: Sequence[Line] = ()
        self._cursor = 0
        self._is_tail = is_tail
        self._is_at_edge = True
        """Whether the cursor stays at the end (of a tail) or on top, whatever comes."""

    @property
    def items(self) -> Sequence[Line]:
        """All lines, also those out of sight."""
        return self._items

    @property
    def chosen(self) -> Line | None:
        """The line that the cursor is on."""
        return self._items[self._cursor] if self._cursor < len(self._items) else None

    def fill(self, items: Sequence[Line]) -> None:
        """Show `items` in place of those before."""
        before, offset = self.chosen, self._cursor - self.scroll_offset.y
        is_end_seen = self.is_vertical_scroll_end  # or somebody has scrolled up with the mouse
        self._items = items
        self._cursor = self._place_of(before, items)
        self.show([item.text for item in items])
        if self._is_tail and self._is_at_edge:
            if is_end_seen:
                self.scroll_end(animate=False, immediate=False)
        elif not self._is_at_edge:
            self.scroll_to(y=self._cursor - offset, animate=False, immediate=True)
        chosen = self.chosen
        if chosen is not None and (before is None or before.key != chosen.key):
            self.refresh()
            self.post_message(self.Moved(self, chosen))

    def on_resize(self) -> None:
        """Keep the end of a tail in sight."""
        if self._is_tail and self._is_at_edge:
            self.scroll_end(animate=False, immediate=False)

    def _place_of(self, before: Line | None, items: Sequence[Line]) -> int:
        edge = max(0, len(items) - 1) if self._is_tail else 0
        if before is None or self._is_at_edge:
            return edge
        places = (place for place, item in enumerate(items) if item.key == before.key)
        return next(places, min(self._cursor, max(0, len(items) - 1)))

    def point_at(self, key: str) -> bool:
        """Put the cursor on the line with this key; returns whether there is one."""
        for place, item in enumerate(self._items):
            if item.key == key:
                self._go(place)
                return True
        return False

    def action_move(self, step: int) -> None:
        """Move the cursor by lines."""
        self._go(self._cursor + step)

    def action_page(self, step: int) -> None:
        """Move the cursor by a page."""
        self._go(self._cursor + step * max(1, self.scrollable_content_region.height - 1))

    def action_edge(self, end: int) -> None:
        """Go to the first line, or to the last."""
        self._go(0 if end == 0 else len(self._items) - 1)

    def action_pick(self) -> None:
        """Open what the cursor is on."""
        if (chosen := self.chosen) is not None:
            self.post_message(self.Picked(self, chosen))

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where one clicks; a click on the cursor opens."""
        place = event.y - self.gutter.top + self.scroll_offset.y
        if place == self._cursor:
            self.action_pick()
        elif 0 <= place < len(self._items):
            self._go(place)

    def _go(self, place: int) -> None:
        place = min(max(0, place), max(0, len(self._items) - 1))
        self._is_at_edge = place == (len(self._items) - 1 if self._is_tail else 0)
        height = max(1, self.scrollable_content_region.height)
        top = self.scroll_offset.y
        if place < top or place >= top + height:
            self.scroll_to(y=place if place < top else place - height + 1, animate=False)
        if place != self._cursor:
            self._cursor = place
            self.refresh()
            if (chosen := self.chosen) is not None:
                self.post_message(self.Moved(self, chosen))

    def line_style(self, index: int) -> Style:
        """Return the pane's style, with the cursor's background on its line."""
        if index != self._cursor:
            return self.rich_style
        key = (self.app.current_theme.dark, self.has_focus)
        return self.rich_style + Style(bgcolor=_CURSOR.get(key, _CURSOR_FAINT))

    def on_focus(self) -> None:
        """Show where the cursor is."""
        self.refresh()

    def on_blur(self) -> None:
        """Show it fainter."""
        self.refresh()


def titled(text: str) -> Text:
    """Return a pane's title; what stands in it is never markup."""
    return Text(text)
