"""What all screens of a run share: its header, the screens' names, a notice, a filter, the footer.

A screen asks for its picture (`look`) and shows it when it comes (`show`); it computes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, Static

from community.tui.colours import GREY, RED
from community.tui.fold import Look, Notice
from community.tui.pictures.header import Header
from community.tui.wanted import Wanted

if TYPE_CHECKING:
    from community.tui.app import WatchApp

TABS = (
    ("1", "forum", "Forum"),
    ("2", "lab", "Lab"),
    ("3", "progress", "Progress"),
    ("4", "leaderboard", "Leaderboard"),
    ("5", "topology", "Topology"),
    ("6", "lineage", "Lineage"),
    ("7", "evidence", "Evidence"),
)
"""(key, mode, title) of the screens."""
Keys = tuple[tuple[str, str], ...]
"""(key, what it does), for the help page."""


class RunScreen(Screen[None]):
    """One screen of a run.

    Args:
        mode: Which of `TABS` it belongs to.
    """

    KEYS: ClassVar[Keys] = ()
    """What the help page says of this screen's own keys."""
    ABOUT: ClassVar[str] = ""
    """What the help page says of this screen."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("escape", "back", "Back", show=False),
    ]
    MODE: str = ""
    AUTO_FOCUS = ""  # the first that could be focused is the filter, which is out of sight

    def __init__(self) -> None:
        super().__init__()
        self.shown_seq = -1
        """The last row that is in the picture on the screen."""

    @property
    def desk(self) -> WatchApp:
        """The application."""
        return cast("WatchApp", self.app)

    @property
    def wanted(self) -> Wanted:
        """The filter that holds on every screen."""
        return self.desk.wanted

    @property
    def subject(self) -> str:
        """The thread that a comment would go to; empty where there is none."""
        return ""

    def body(self) -> Iterator[Widget]:
        """Yield the panes."""
        raise NotImplementedError

    def look(self) -> Look:
        """Return what paints this screen as it is set now."""
        raise NotImplementedError

    def show(self, picture: object) -> None:
        """Show a picture that `look` painted."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield Static(id="header", markup=False)
        yield Static(_tabs(self.MODE), id="tabs", markup=False)
        yield Input(id="filter", placeholder="words; -word leaves out; Esc clears")
        yield Static(id="notice", markup=False)
        with Container(id="body"):
            yield from self.body()
        yield Static(id="replay", markup=False)
        yield Static(id="keys", markup=False)

    def on_mount(self) -> None:
        """Show what is known already."""
        self.query_one("#filter").display = False
        self.query_one("#replay").display = False
        self.show_notice(self.desk.notice)

    def on_screen_resume(self) -> None:
        """Ask for a picture of now."""
        self.query_one("#keys", Static).update(self._keys())
        self.ask()

    def ask(self) -> None:
        """Ask for a picture, as the screen is set now."""
        self.desk.ask(self)

    def take(self, header: Header, picture: object, seq: int) -> None:
        """Show what was painted."""
        self.show_header(header)
        if header.is_begun:
            self.show(picture)
            if self.focused is None:
                self.focus_first()
        self.shown_seq = seq

    def show_header(self, header: Header) -> None:
        """Show which run this is and how it goes."""
        self.set_class(not header.is_begun, "-empty")
        self.query_one("#header", Static).update(Text("\n").join((header.first, header.second)))
        self.show_notice(self.desk.notice)

    def show_notice(self, notice: Notice) -> None:
        """Show the notice in place of the panes, or above them once there is something in them."""
        pane = self.query_one("#notice", Static)
        pane.display = bool(notice.words)
        style = RED if notice.is_error else GREY
        pane.update(Text(notice.words, style=style, justify="center"))

    def show_replay(self, line: Text | None) -> None:
        """Show where a replay is, and how fast it goes."""
        bar = self.query_one("#replay", Static)
        bar.display = line is not None
        if line is not None:
            bar.update(line)

    # -- the filter ----------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Type words that lines must have."""
        field = self._show_filter(is_shown=True)
        field.value = " ".join(self.wanted.words)
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show at once what is left."""
        if event.input.id == "filter" and event.input.display:
            self.desk.want(Wanted.of(event.value, self.wanted.agent))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter and go back to the list."""
        if event.input.id == "filter":
            self._leave_filter()

    def action_back(self) -> None:
        """Clear the filter; without one, stop following; without that, leave a page."""
        field = self.query_one("#filter", Input)
        if field.display or self.wanted.words:
            self.desk.want(Wanted((), self.wanted.agent))
            self._leave_filter()
        elif len(self.app.screen_stack) > 1:
            self.app.pop_screen()
        elif self.wanted.agent:
            self.desk.want(Wanted())

    def _leave_filter(self) -> None:
        self._show_filter(is_shown=False)
        self.focus_first()

    def _show_filter(self, *, is_shown: bool) -> Input:
        """Put the filter in the place of the screens' names, so that no pane changes its size."""
        field = self.query_one("#filter", Input)
        field.display = is_shown
        self.query_one("#tabs").display = not is_shown
        return field

    def focus_first(self) -> None:
        """Focus the pane that keys are for."""
        for widget in self.query("#body *"):
            if widget.focusable:
                widget.focus()
                return

    def _keys(self) -> Text:
        """Return the keys that are told at the bottom; a line of text costs no layout."""
        line = Text(no_wrap=True)
        for _, binding, is_enabled, _ in self.active_bindings.values():
            if binding.show and is_enabled:
                line.append(f" {self.app.get_key_display(binding)}", style="bold")
                line.append(f" {binding.description} ")
        return line


def _tabs(mode: str) -> Text:
    line = Text(no_wrap=True)
    for key, name, title in TABS:
        style = "reverse" if name == mode else ""
        line.append(" ")
        line.append(f"{key} {title}", style=style)
    return line
