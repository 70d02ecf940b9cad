"""One thing on a page of its own: a thread, an experiment, a verdict, a commit, an agent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from community.tui.fold import Look
from community.tui.pictures.records import page_of
from community.tui.pictures.thread import ThreadPicture
from community.tui.screens.run_screen import Keys, RunScreen
from community.tui.widgets.pick_list import titled
from community.tui.widgets.text_lines import Page


class PageScreen(RunScreen):
    """What one id stands for.

    Args:
        name: The id: of a post, experiment, verdict, agent, alarm, or the beginning of a commit.
        mode: The screen it was opened from.
    """

    ABOUT = "One thread, experiment, verdict, commit or agent. Whatever has an id can be opened."
    KEYS: ClassVar[Keys] = (
        ("Esc", "go back"),
        ("y", "copy the patch, into the clipboard and a file"),
        ("c + -", "comment, boost, veto, as yourself"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "Patch"),
        Binding("escape", "back", "Back"),
    ]

    def __init__(self, name: str, mode: str) -> None:
        self._opened = name
        self.MODE = mode
        self._patch = self._root = ""
        super().__init__()

    @property
    def subject(self) -> str:
        """The thread, where it is one."""
        return self._root

    def body(self) -> Iterator[Widget]:
        """Yield the page."""
        yield Page(id="page")

    def look(self) -> Look:
        """Paint what the id stands for."""
        name = self._opened
        return lambda scene: page_of(scene, name)

    def show(self, picture: object) -> None:
        """Show it."""
        assert isinstance(picture, ThreadPicture)
        self._patch = picture.patch
        self._root = picture.root
        page = self.query_one("#page", Page)
        page.border_title = titled(picture.title)
        page.show(picture.lines)

    def action_copy(self) -> None:
        """Copy the patch."""
        self.desk.copy_patch(self._root, self._patch)
