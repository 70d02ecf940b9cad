"""Help: what the screen below shows, its keys, the keys of all screens, the signs."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from community.tui.colours import status_look
from community.tui.screens.run_screen import Keys

KEYS: Keys = (
    ("1 … 7", "Forum, Lab, Progress, Leaderboard, Topology, Lineage, Evidence"),
    ("/", "filter the lists by words; -word leaves out; Esc clears"),
    ("o", "search, and open anything by its id"),
    ("f", "follow one agent: only what it has a part in"),
    ("space", "hold the picture still, and go on; in a replay: pause"),
    ("c", "comment, under your own name (live runs); Ctrl+S sends it, Enter begins a line"),
    ("+ -", "boost, veto, under your own name"),
    ("P R", "pause an agent, resume it"),
    ("ctrl+p", "command palette: everything by its name"),
    ("d", "dark or light"),
    ("?", "this page; Esc leaves it"),
    ("q", "quit; the run goes on without the screen"),
)
REPLAY_KEYS: Keys = (
    ("space", "play, pause"),
    ("[ ]", "slower, faster: 1x to 1000x"),
    (", .", "back, forward, by a fiftieth of the run; < > by a tenth"),
    ("n", "jump to the next improvement"),
)
_STATUSES = (
    "reproduced",
    "improved",
    "undecided",
    "not improved",
    "invalid",
    "contested",
    "retracted",
    "running",
    "queued",
    "open lead",
)


def help_text(about: str, keys: Keys, *, is_replay: bool) -> Text:
    """Return the page for a screen."""
    page = Text(f"{about}\n")
    _add(page, "Here", keys)
    if is_replay:
        _add(page, "Replay", REPLAY_KEYS)
    _add(page, "Everywhere", KEYS)
    page.append("\nSigns\n", style="bold")
    for number, status in enumerate(_STATUSES):
        sign, style = status_look(status)
        page.append(f"  {sign} {status:<13}", style=style)
        page.append("\n" if number % 4 == 3 else "")
    return page


def _add(page: Text, title: str, keys: Keys) -> None:
    if keys:
        page.append(f"\n{title}\n", style="bold")
    for key, meaning in keys:
        page.append(f"  {key:<10} ", style="bold")
        page.append(f"{meaning}\n")


class HelpScreen(ModalScreen[None]):
    """Keys and signs, over the screen they are about."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "dismiss", "close"),
    ]

    def __init__(self, title: str, text: Text) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        """Lay out the page."""
        with VerticalScroll(id="help") as page:
            page.border_title = f"Help: {self._title}"
            yield Static(self._text, markup=False)
