"""Forum: threads with author, role and status; what was said last; the thread under the cursor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from community.tui.fold import Look
from community.tui.pictures.forum import ForumPicture, forum_picture
from community.tui.pictures.thread import ThreadPicture, thread_picture
from community.tui.scene import Scene
from community.tui.screens.run_screen import Keys, RunScreen
from community.tui.wanted import Wanted
from community.tui.widgets.pick_list import PickList, titled
from community.tui.widgets.text_lines import Page


@dataclass(frozen=True, slots=True)
class _Forum:
    lists: ForumPicture
    thread: ThreadPicture | None


class ForumScreen(RunScreen):
    """Threads, newest first."""

    MODE = "forum"
    ABOUT = (
        "Threads, the one with the newest word on top: status of what is claimed, author, role, "
        "people's boosts, answers, title. Beside it the thread under the cursor, below what was "
        "said last."
    )
    KEYS: ClassVar[Keys] = (
        ("Enter", "open the thread; a thread shows posts, reviews against outcome, diff"),
        ("Tab", "go from the threads to the thread, and to what was said last"),
        ("y", "copy the thread's patch, into the clipboard and a file"),
        ("c + -", "comment on the thread, boost it, veto it, as yourself"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "Patch"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._thread = ""
        self._patch = ""
        self._shown = ""
        """The thread that is on the page."""

    def body(self) -> Iterator[Widget]:
        """Yield lists and thread."""
        threads, feed, page = PickList(id="threads"), PickList(id="feed", is_tail=True), Page()
        threads.border_title, feed.border_title = "Threads", "Said last"
        page.id, page.border_title = "thread", "Thread"
        yield Horizontal(Vertical(threads, feed, id="lists"), page, id="forum")

    def look(self) -> Look:
        """Paint both lists, and the thread where there is room for it."""
        wanted, thread = self.wanted, self._thread

        def paint(scene: Scene) -> _Forum:
            page = thread_picture(scene, thread) if thread else None
            return _Forum(forum_picture(scene, wanted), page)

        return paint

    def show(self, picture: object) -> None:
        """Show lists and thread."""
        assert isinstance(picture, _Forum)
        threads = self.query_one("#threads", PickList)
        threads.fill(picture.lists.threads)
        threads.border_title = titled(_title(picture.lists, self.wanted))
        self.query_one("#feed", PickList).fill(picture.lists.feed)
        page = self.query_one("#thread", Page)
        if picture.thread is not None:
            is_new, self._shown = self._shown != picture.thread.root, picture.thread.root
            self._patch = picture.thread.patch
            page.border_title = titled(picture.thread.title)
            page.show(picture.thread.lines, is_new=is_new)

    def on_pick_list_moved(self, event: PickList.Moved) -> None:
        """Show the thread that the cursor is on."""
        if event.pick_list.id == "threads" and event.line.key != self._thread:
            self._thread = event.line.key
            self.ask()

    def on_pick_list_picked(self, event: PickList.Picked) -> None:
        """Open the thread, or what a line is about."""
        if event.line.about:
            self.desk.open_page(event.line.about[0])

    @property
    def subject(self) -> str:
        """The thread that keys are about."""
        feed = self.query_one("#feed", PickList)
        if feed.has_focus and feed.chosen is not None and feed.chosen.about:
            return feed.chosen.about[0]
        return self._thread

    def action_copy(self) -> None:
        """Copy the patch of the thread under the cursor."""
        self.desk.copy_patch(self._thread, self._patch)


def _title(picture: ForumPicture, wanted: Wanted) -> str:
    said = wanted.said()
    return f"Threads ({picture.count})" + (f"  {said}" if said else "")
