"""Lineage: the tree of commits, each with its verdict; the thread of the one under the cursor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import Widget

from community.tui.fold import Look
from community.tui.pictures.lineage import LineagePicture, lineage_picture
from community.tui.screens.run_screen import Keys, RunScreen
from community.tui.widgets.pick_list import PickList, titled
from community.tui.widgets.text_lines import Page


class LineageScreen(RunScreen):
    """Commits below what they build on."""

    MODE = "lineage"
    ABOUT = (
        "Every hypothesis below the youngest commit it builds on: status, mean score, gain over "
        "the parent that counts, author, title. The leader's line goes straight down, its ids in "
        "green; side branches are indented. ⋎ names other parents. ◎ is the unmodified start."
    )
    KEYS: ClassVar[Keys] = (
        ("Enter", "open the commit's thread"),
        ("y", "copy its patch, into the clipboard and a file"),
        ("Home", "the start"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "copy", "Patch")]

    def __init__(self) -> None:
        super().__init__()
        self._chosen = ""
        self._patch = ""
        self._shown = ""
        """The thread that is on the page."""

    @property
    def subject(self) -> str:
        """The hypothesis under the cursor."""
        return self._chosen

    def body(self) -> Iterator[Widget]:
        """Yield tree and thread."""
        tree, page = PickList(id="tree"), Page(id="thread")
        tree.border_title, page.border_title = "Lineage", "Thread"
        yield Horizontal(tree, page, id="lineage")

    def look(self) -> Look:
        """Paint the tree."""
        wanted, chosen = self.wanted, self._chosen
        return lambda scene: lineage_picture(scene, wanted, chosen)

    def show(self, picture: object) -> None:
        """Show it."""
        assert isinstance(picture, LineagePicture)
        tree, page = self.query_one("#tree", PickList), self.query_one("#thread", Page)
        tree.border_title = titled(f"Lineage ({picture.count}) {self.wanted.said()}".rstrip())
        is_first = not tree.items
        tree.fill(picture.tree)
        if is_first and picture.best:
            tree.point_at(picture.best)
        if picture.thread is not None:
            is_new, self._shown = self._shown != picture.thread.root, picture.thread.root
            self._patch = picture.thread.patch
            page.border_title = titled(picture.thread.title)
            page.show(picture.thread.lines, is_new=is_new)

    def on_pick_list_moved(self, event: PickList.Moved) -> None:
        """Show the thread that the cursor is on."""
        self._chosen = event.line.about[0] if event.line.about else ""
        self.ask()

    def on_pick_list_picked(self, event: PickList.Picked) -> None:
        """Open it."""
        if event.line.about:
            self.desk.open_page(event.line.about[0])

    def action_copy(self) -> None:
        """Copy the patch of the commit under the cursor."""
        self.desk.copy_patch(self.subject, self._patch)
