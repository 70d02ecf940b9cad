"""The help screen: keys and signs. It lies over the watch screen, which goes on below."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from community.tui.colours import GREEN, GREY, status_look

_KEYS = (
    ("q", "quit; the run goes on without the screen"),
    ("p", "hold the picture still, and follow again"),
    ("f", "go to the forum (arrows, PgUp, PgDn; End follows the newest)"),
    ("l", "go to the leaderboard"),
    ("e", "evidence: intervals, q-values, pairs, who reproduced what, alarms, spend"),
    ("d", "dark or light"),
    ("?", "this page; Esc leaves it"),
)
_STATUSES = (
    "reproduced",
    "improved",
    "undecided",
    "not improved",
    "invalid",
    "contested",
    "retracted",
)


def help_text() -> Text:
    """Return the page."""
    page = Text()
    for key, meaning in _KEYS:
        page.append(f"  {key}  ", style="bold")
        page.append(f"{meaning}\n")
    page.append("\nSigns of leaderboard and plot\n", style="bold")
    for status in _STATUSES:
        sign, style = status_look(status)
        page.append(f"  {sign}  ", style=style)
        page.append(f"{status}\n")
    page.append("  ▴  ", style=GREY)
    page.append("beyond the plot's edge\n")
    page.append("  ┊  ", style=GREEN)
    page.append("a reproduced gain over the baseline, 95 % interval\n")
    page.append("  ╌  ", style=GREY)
    page.append("the baseline's mean, in a band of two sigmas\n")
    page.append(
        "\nScores of reproduced results are means on the vault split, all others on dev.\n"
        "Gains are over the baseline, ± half of the 95 % interval. by: who proposed it,\n"
        "+ who reproduced it. Busy shares are of 10 % to 90 % of the run so far.\n"
        "The screen only reads the ledger.",
        style=GREY,
    )
    return page


class HelpScreen(ModalScreen[None]):
    """Keys and signs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "dismiss", "close"),
    ]

    def compose(self) -> ComposeResult:
        """Lay out the page."""
        with VerticalScroll(id="help") as page:
            page.border_title = "Help"
            yield Static(help_text())
