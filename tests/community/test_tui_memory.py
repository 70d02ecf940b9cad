"""What a watcher keeps of a run: nothing that no screen shows, nothing of what lay over one."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace

from archive_script import opened, queued, rows, verdict
from tui_pilot import press, until

from community import events as ev
from community.archive.state import RunState
from community.tui.app import WatchApp
from community.tui.feed import News, RowsRead
from community.tui.fold import SETTLED_ROWS
from community.tui.lean import lean
from community.tui.screens.help import HelpScreen


def test_a_sketch_is_left_out_and_the_state_is_the_same() -> None:
    """What screens look at is what the ledger says."""
    story = rows()
    whole, kept = RunState.from_rows(story), RunState.from_rows(map(lean, story))
    for name, value in vars(whole).items():
        if not name.startswith("_"):
            assert getattr(kept, name) == value, name
    given_ = replace(verdict(queued("e", "screen", "c", "t"), 2.0), sketch="f" * 4_000)
    assert lean(ev.Row(1, 0, given_)).event == replace(given_, sketch="")


class Given:
    """A source that hands over what a test gives it."""

    def __init__(self) -> None:
        self._closing = threading.Event()
        self.post: Callable[[News], object] = print

    def follow(self, post: Callable[[News], object]) -> None:
        """Wait until the end."""
        self.post = post
        self._closing.wait()

    def close(self) -> None:
        """End."""
        self._closing.set()


async def test_nothing_stays_of_what_lay_over_a_screen() -> None:
    """Rows come while help is open; when it is closed it is gone, and what came is settled."""
    source = Given()
    app = WatchApp(source)
    many = [ev.Row(1, 0, opened())]
    many += [ev.Row(n, 0, ev.Noticed("start", "x")) for n in range(2, 3 * SETTLED_ROWS + 2)]
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: source.post is not print)
            source.post(RowsRead(tuple(many[:10])))
            await press(pilot, app, "question_mark")
            assert isinstance(app.screen, HelpScreen)
            seen = weakref.ref(app.screen)
            frozen = gc.get_freeze_count()
            source.post(RowsRead(tuple(many[10:-10])))
            source.post(RowsRead(()))
            assert gc.get_freeze_count() == frozen
            await press(pilot, app, "escape")
            await press(pilot, app, "1")
            source.post(RowsRead(tuple(many[-10:])))
            assert gc.get_freeze_count() > frozen
            await until(pilot, lambda: gc.collect() >= 0 and seen() is None)
    finally:
        gc.unfreeze()
