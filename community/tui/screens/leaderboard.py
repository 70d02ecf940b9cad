"""Leaderboard: contributions, researchers, and how many hypotheses are on each rung."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from rich.text import Text
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from community.tui.fold import Look
from community.tui.pictures.leaders import (
    BOARD_HEAD,
    PEOPLE_HEAD,
    LeadersPicture,
    ladder_line,
    ladder_lines,
    leaders_picture,
)
from community.tui.screens.run_screen import Keys, RunScreen
from community.tui.widgets.pick_list import PickList, titled
from community.tui.widgets.text_lines import TextLines

_TALL = 34
"""From so many lines on the ladder has a bar for each rung."""


class LeaderboardScreen(RunScreen):
    """Contributions, researchers, ladder."""

    MODE = "leaderboard"
    ABOUT = (
        "Contributions go by the lower end of their gain over the baseline, reproduced first. "
        "Scores of reproduced results are means on the vault split, all others on dev; gains are "
        "± half of the 95 % interval. by: who proposed it, + who reproduced it. Credit is the "
        "researcher's part of the leader's gain. The ladder counts hypotheses by status."
    )
    KEYS: ClassVar[Keys] = (
        ("Enter", "open the contribution, or the researcher"),
        ("Tab", "contributions, researchers"),
    )

    def body(self) -> Iterator[Widget]:
        """Yield the three panes."""
        board, people = PickList(id="board"), PickList(id="people")
        ladder = TextLines(id="ladder")
        ladder.can_focus = False
        board_pane = Vertical(
            Static(Text(BOARD_HEAD, no_wrap=True), classes="head"), board, id="contributions"
        )
        people_pane = Vertical(
            Static(Text(PEOPLE_HEAD, no_wrap=True), classes="head"), people, id="researchers"
        )
        board_pane.border_title, people_pane.border_title = "Contributions", "Researchers"
        ladder.border_title = "Ladder"
        yield Vertical(board_pane, people_pane, ladder, id="leaders")

    @property
    def subject(self) -> str:
        """The contribution under the cursor."""
        chosen = self.query_one("#board", PickList).chosen
        return chosen.key if chosen is not None else ""

    def look(self) -> Look:
        """Paint the three parts."""
        wanted = self.wanted
        return lambda scene: leaders_picture(scene, wanted)

    def show(self, picture: object) -> None:
        """Show them."""
        assert isinstance(picture, LeadersPicture)
        self.query_one("#board", PickList).fill(picture.board)
        self.query_one("#contributions").border_title = titled(
            f"Contributions {self.wanted.said()}".rstrip()
        )
        self.query_one("#people", PickList).fill(picture.people)
        ladder = self.query_one("#ladder", TextLines)
        is_tall = self.app.size.height >= _TALL
        lines = ladder_lines(picture.ladder) if is_tall else [ladder_line(picture.ladder)]
        ladder.show(lines)

    def on_pick_list_picked(self, event: PickList.Picked) -> None:
        """Open it."""
        self.desk.open_page(event.line.about[0])
