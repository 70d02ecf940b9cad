"""Evidence: all that `community show` says, at the width of the terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from community.archive.state import RunState
from community.show import Shown, rendered, shown
from community.tui.fold import Look
from community.tui.scene import Scene
from community.tui.screens.run_screen import Keys, RunScreen

TOP = 40
"""Contributions listed."""
_FRAME = 3
"""Columns that border and scroll bar take."""


class EvidenceScreen(RunScreen):
    """Intervals, q-values, pairs, who reproduced what, alarms, spend, credit."""

    MODE = "evidence"
    ABOUT = "What the numbers rest on: the same as `community show` says, while the run goes on."
    KEYS: ClassVar[Keys] = (("PgUp PgDn", "scroll"),)

    def __init__(self) -> None:
        super().__init__()
        self._record: Shown | None = None

    def body(self) -> Iterator[Widget]:
        """Yield the page."""
        page = VerticalScroll(Static(id="evidence_text"), id="evidence")
        page.border_title = "Evidence"
        yield page

    def look(self) -> Look:
        """Paint the record."""
        return _record

    def show(self, picture: object) -> None:
        """Lay the tables out."""
        assert isinstance(picture, Shown)
        if picture != self._record:
            self._record = picture
            self._lay_out()

    def on_resize(self) -> None:
        """Lay them out for the width that there is."""
        self._lay_out()

    def _lay_out(self) -> None:
        if self._record is not None:
            width = self.app.size.width - _FRAME
            text = self.query_one("#evidence_text", Static)
            text.update(rendered(self._record, TOP, width))


def _record(scene: Scene) -> Shown:
    return dataclasses.replace(scene.view(_shown), is_live=scene.is_live)


def _shown(state: RunState) -> Shown:
    return shown(state, "", top=TOP)
