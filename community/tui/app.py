"""The watch screen of a run: forum, plot, leaderboard, slots. It reads the ledger and nothing else.

A thread (`community.tui.feed`) reads the ledger and posts batches of rows; the handlers here own
the fold and all widgets, and redraw at most four times a second. Nothing a run does depends on it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.widgets import Footer, Static

from community.archive.leaderboard import contributions
from community.archive.queries import PoolUse, pool_use
from community.archive.state import RunState
from community.errors import LedgerInconsistentError
from community.run_folder import RunFolder
from community.show import shown
from community.tui.colours import AMBER, GREY, RED
from community.tui.feed import LedgerFeed, LedgerUnread, RowsRead
from community.tui.forum_lines import forum_line
from community.tui.plot import plot_of
from community.tui.summary import board_rows, header_lines, plot_title, slot_lines
from community.tui.widgets.board_table import BoardTable
from community.tui.widgets.evidence_screen import EvidenceScreen
from community.tui.widgets.forum_feed import MAX_LINES, ForumFeed
from community.tui.widgets.help_screen import HelpScreen
from community.tui.widgets.progress_plot import ProgressPlot
from community.tui.widgets.text_lines import TextLines

REFRESH_S = 0.25
"""Between two frames; what a frame costs hardly depends on how many rows it brings."""


class WatchApp(App[None]):
    """Shows a run while it goes on, or after.

    Args:
        ledger: The ledger file, which need not exist yet, or the run's folder.
    """

    CSS_PATH = "community.tcss"
    TITLE = "research community"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012 - Textual's type
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("p", "pause", "Pause"),
        Binding("f", "focus_pane('feed')", "Forum"),
        Binding("l", "focus_pane('board')", "Leaderboard"),
        Binding("e", "evidence", "Evidence"),
        Binding("d", "light_or_dark", "Dark/light"),
        Binding("question_mark", "help", "Help", key_display="?"),
    ]

    def __init__(self, ledger: Path | RunFolder) -> None:
        super().__init__()
        path = ledger.ledger if isinstance(ledger, RunFolder) else ledger
        self._feed = LedgerFeed(path, self.post_message)
        self.state = RunState()
        self.is_paused = False
        self._is_live = False
        self._is_broken = False
        """Whether a row contradicted those before; nothing after it is believed."""
        self._seen_s = 0.0
        """Loop time at which the newest rows came."""
        self._new_lines: deque[Text] = deque(maxlen=MAX_LINES)
        self.shown_seq = 0
        """Last row that is on the screen; rows after it wait for the next frame."""
        self._use: PoolUse | None = None
        self._notice: tuple[str, str] = ("Opening the ledger.", GREY)

    def compose(self) -> ComposeResult:
        """Lay out the panes."""
        yield Static(id="header", markup=False)
        yield Static(id="notice", markup=False)
        with Container(id="body"):
            feed = ForumFeed(id="feed")
            feed.border_title = "Forum"
            yield feed
            with Vertical(id="side"):
                plot = ProgressPlot(id="plot")
                plot.border_title = "Best so far"
                yield plot
                board = BoardTable(id="board")
                board.border_title = "Leaderboard"
                yield board
                slots = TextLines(id="slots")
                slots.border_title = "Slots"
                yield slots
        yield Footer()

    def on_mount(self) -> None:
        """Begin to read."""
        self._show_notice()
        self.query_one(ForumFeed).focus()
        self.set_interval(REFRESH_S, self._draw)
        self.run_worker(self._feed.follow, thread=True, name="ledger", group="ledger")

    def on_unmount(self) -> None:
        """End the reading thread."""
        self._feed.close()

    # -- what the thread says ------------------------------------------------------------------

    def on_rows_read(self, message: RowsRead) -> None:
        """Fold new rows; the next frame shows them."""
        self._feed.taken_in()
        if self._is_broken:
            return
        self._is_live = message.is_live
        if not message.rows:
            if self.state.opened is None:
                self._notice = ("The ledger is there, but the run has not begun: no row yet.", GREY)
                self._show_notice()
            return
        is_first = self.state.opened is None
        self._seen_s = asyncio.get_running_loop().time()
        for row in message.rows:
            try:
                self.state.apply(row)
            except LedgerInconsistentError as error:
                self._feed.close()
                self._is_broken = True
                self._notice = (str(error), RED)
                break
            if line := forum_line(row, self.state):
                self._new_lines.append(line)
        else:
            self._notice = ("", GREY)
        if is_first:
            self._draw()

    def on_ledger_unread(self, message: LedgerUnread) -> None:
        """Say why there is nothing (more) to show."""
        self._notice = (message.why, GREY if message.is_absent else RED)
        self._show_notice()

    # -- keys ----------------------------------------------------------------------------------

    def action_pause(self) -> None:
        """Hold the picture still, or follow again; reading goes on all the while."""
        self.is_paused = not self.is_paused
        self._draw()

    def action_focus_pane(self, pane: str) -> None:
        """Focus a pane by its id."""
        self.query_one(f"#{pane}").focus()

    def action_light_or_dark(self) -> None:
        """Change between the dark and the light theme."""
        self.theme = "textual-light" if self.current_theme.dark else "textual-dark"
        self.query_one(ProgressPlot).refresh()

    def action_evidence(self) -> None:
        """Show what the numbers rest on, as of now."""
        if self.state.opened is not None:
            record = shown(self.state, "", is_live=self._is_live)
            self.push_screen(EvidenceScreen(record))

    def action_help(self) -> None:
        """Show keys and signs."""
        self.push_screen(HelpScreen())

    # -- frames --------------------------------------------------------------------------------

    def _draw(self) -> None:
        """Bring the screen up to date; panes that have nothing new stay untouched."""
        if self._is_leaving:
            return
        state, at_us = self.state, self._now_us()
        main = self.screen_stack[0]
        self._show_notice()
        first, second = header_lines(state, at_us, is_live=self._is_live)
        if self.is_paused:
            waiting = state.last_seq - self.shown_seq
            first.append(f"  ‖ paused, {waiting} new (p)", style=f"bold {AMBER}")
        main.query_one("#header", Static).update(Text("\n").join((first, second)))
        if self.is_paused or state.opened is None:
            return
        if self.shown_seq != state.last_seq or self._use is None:
            self.shown_seq = state.last_seq
            self._use = pool_use(state)
            main.query_one(ForumFeed).extend(self._new_lines)
            self._new_lines.clear()
            plot = main.query_one(ProgressPlot)
            board = contributions(state)
            plot.show(plot_of(state, board))
            plot.border_title = plot_title(state)
            main.query_one(BoardTable).show(board_rows(state, board))
        main.query_one("#slots", TextLines).show(slot_lines(state, self._use, at_us))

    def _show_notice(self) -> None:
        """Show the notice in place of the panes, or above them once there is something in them."""
        if self._is_leaving:
            return
        main = self.screen_stack[0]
        words, style = self._notice
        notice = main.query_one("#notice", Static)
        notice.display = bool(words)
        notice.update(Text(words, style=style, justify="center"))
        main.set_class(self.state.opened is None, "-empty")

    @property
    def _is_leaving(self) -> bool:
        """Whether the panes are gone already: the last timers and messages come after them."""
        screens = self.screen_stack
        return not screens or not screens[0].query("#notice")

    def _now_us(self) -> int:
        """Return the run time now: a live run's goes on between two rows."""
        if not self._is_live or self.state.stopped is not None or self.state.opened is None:
            return self.state.last_us
        since_s = asyncio.get_running_loop().time() - self._seen_s
        return self.state.last_us + int(since_s * 1e6)
