"""Search, and choose: a line to type in, and what is found below it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from community.tui.fold import Look
from community.tui.pictures.header import Header
from community.tui.pictures.records import found
from community.tui.scene import Line
from community.tui.wanted import Wanted
from community.tui.widgets.pick_list import PickList

if TYPE_CHECKING:
    from community.tui.app import WatchApp


class SearchScreen(ModalScreen[str | None]):
    """Finds posts, experiments, verdicts, commits and agents by id or by words.

    The result is the id that was chosen; None where somebody left.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "close"),
        Binding("down", "list", "list", show=False),
    ]

    def compose(self) -> ComposeResult:
        """Lay out field and list."""
        with Vertical(id="search") as pane:
            pane.border_title = "Open: an id, the beginning of a commit, or words"
            yield Input(id="typed")
            yield PickList(id="found")

    def on_mount(self) -> None:
        """Begin to type."""
        self.query_one("#typed").focus()

    def on_screen_resume(self) -> None:
        """Show what there is."""
        cast("WatchApp", self.app).ask(self)

    def look(self) -> Look:
        """Find what is typed."""
        typed = self.query_one("#typed", Input).value
        return lambda scene: found(scene, typed)

    def take(self, header: Header, picture: object, seq: int) -> None:
        """Show what was found."""
        self.query_one("#found", PickList).fill(cast("Sequence[Line]", picture))

    def on_input_changed(self) -> None:
        """Find anew."""
        cast("WatchApp", self.app).ask(self)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Open what was typed, or what the list has first."""
        chosen = self.query_one("#found", PickList).chosen
        typed = event.value.strip()
        if chosen is not None:  # the list may be a keystroke behind
            is_meant = chosen.key.casefold().startswith(typed.casefold())
            if is_meant or Wanted.of(typed).lets(chosen.text.plain):
                typed = chosen.key
        self.dismiss(typed or None)

    def on_pick_list_picked(self, event: PickList.Picked) -> None:
        """Open what was picked."""
        self.dismiss(event.line.key)

    def action_list(self) -> None:
        """Go to the list."""
        self.query_one("#found").focus()

    def action_leave(self) -> None:
        """Open nothing."""
        self.dismiss(None)


class ChooseScreen(ModalScreen[str | None]):
    """Offers lines, of which one is chosen; a filter narrows them.

    Args:
        title: What is chosen.
        lines: What there is to choose from.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "close"),
        Binding("down", "list", "list", show=False),
    ]

    def __init__(self, title: str, lines: Sequence[Line]) -> None:
        super().__init__()
        self._title = title
        self._lines = lines

    def compose(self) -> ComposeResult:
        """Lay out field and list."""
        with Vertical(id="search") as pane:
            pane.border_title = self._title
            yield Input(id="typed", placeholder="type to narrow")
            yield PickList(id="found")

    def on_mount(self) -> None:
        """Show everything."""
        self.query_one("#found", PickList).fill(self._lines)
        self.query_one("#typed").focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow the list."""
        wanted = Wanted.of(event.value)
        left = [line for line in self._lines if wanted.lets(line.text.plain)]
        self.query_one("#found", PickList).fill(left)

    def on_input_submitted(self) -> None:
        """Choose what the list has first."""
        chosen = self.query_one("#found", PickList).chosen
        self.dismiss(chosen.key if chosen is not None else None)

    def on_pick_list_picked(self, event: PickList.Picked) -> None:
        """Choose it."""
        self.dismiss(event.line.key)

    def action_list(self) -> None:
        """Go to the list."""
        self.query_one("#found").focus()

    def action_leave(self) -> None:
        """Choose nothing."""
        self.dismiss(None)
