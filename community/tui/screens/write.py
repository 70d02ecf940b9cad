"""A line to write in: a comment, or why one boosts, vetoes, pauses."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from community.tui.widgets.pick_list import titled


class WriteScreen(ModalScreen[str | None]):
    """Asks for one line; the result is what was written, None where somebody thought better of it.

    Args:
        title: What it is for.
        hint: What becomes of it.
        most: Characters that it may have.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "close")]

    def __init__(self, title: str, hint: str, most: int) -> None:
        super().__init__()
        self._title = title
        self._hint = hint
        self._most = most

    def compose(self) -> ComposeResult:
        """Lay out the line."""
        with Vertical(id="write") as pane:
            pane.border_title = titled(self._title)
            yield Input(id="written", max_length=self._most)
            yield Static(f"{self._hint} Enter sends, Esc leaves.", id="hint", markup=False)

    def on_mount(self) -> None:
        """Begin to write."""
        self.query_one("#written").focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Send it."""
        self.dismiss(event.value.strip())

    def action_leave(self) -> None:
        """Send nothing."""
        self.dismiss(None)
