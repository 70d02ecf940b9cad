"""Words to write: a comment of several lines, or one line on why one boosts, vetoes, pauses."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static, TextArea

from community.tui.colours import RED
from community.tui.widgets.pick_list import titled


class WriteScreen(ModalScreen[str | None]):
    """Asks for words; the result is what was written, None where somebody thought better of it.

    Args:
        title: What it is for.
        hint: What becomes of it.
        most: Characters that it may have.
        has_lines: Whether it may have several lines; then Ctrl+S sends it, else Enter.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "close"),
        Binding("ctrl+s", "send", "send"),
    ]

    def __init__(self, title: str, hint: str, most: int, *, has_lines: bool = False) -> None:
        super().__init__()
        self._title = title
        self._most = most
        self._has_lines = has_lines
        key = "Enter begins a line, Ctrl+S sends" if has_lines else "Enter sends"
        self._hint = f"{hint} {key}, Esc leaves."

    def compose(self) -> ComposeResult:
        """Lay out the words and what becomes of them."""
        with Vertical(id="write", classes="-long" if self._has_lines else "") as pane:
            pane.border_title = titled(self._title)
            if self._has_lines:
                yield TextArea(id="written", highlight_cursor_line=False)
            else:
                yield Input(id="written", max_length=self._most)
            yield Static(self._hint, id="hint", markup=False)

    def on_mount(self) -> None:
        """Begin to write."""
        self.query_one("#written").focus()

    def on_input_submitted(self) -> None:
        """Send it."""
        self.action_send()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Say where it is too long."""
        over = len(event.text_area.text.strip()) - self._most
        words = f"{over} characters too long: {self._most} are taken. Esc leaves."
        hint = Text(words, style=RED) if over > 0 else Text(self._hint)
        self.query_one("#hint", Static).update(hint)

    def action_send(self) -> None:
        """Send it, unless it is too long."""
        field = self.query_one("#written")
        words = field.text if isinstance(field, TextArea) else ""
        words = field.value if isinstance(field, Input) else words
        if len(words.strip()) <= self._most:
            self.dismiss(words.strip())

    def action_leave(self) -> None:
        """Send nothing."""
        self.dismiss(None)
