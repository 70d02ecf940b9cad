"""The evidence screen: all that `community show` says, at the width of the terminal.

A picture of the moment at which it was opened; the watch screen goes on below.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from community.show import Shown, rendered

TOP = 40
"""Contributions listed."""
_FRAME = 3
"""Columns that border and scroll bar take."""


class EvidenceScreen(ModalScreen[None]):
    """Intervals, q-values, pairs, who reproduced what, alarms, spend, credit.

    Args:
        record: What there is to say.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,e,q,enter", "dismiss", "close"),
    ]

    def __init__(self, record: Shown) -> None:
        super().__init__()
        self._record = record

    def compose(self) -> ComposeResult:
        """Lay out the page."""
        with VerticalScroll(id="evidence") as page:
            page.border_title = "Evidence (Esc leaves it)"
            yield Static(id="evidence_text")

    def on_resize(self) -> None:
        """Lay the tables out for the width that there is."""
        width = self.app.size.width - _FRAME
        self.query_one("#evidence_text", Static).update(rendered(self._record, TOP, width))
