"""Folds rows and paints pictures, each in a thread, so that the application only shows and listens.

The source's thread folds what it read; the painter's thread turns the run into the picture that the
screen in front asks for, at most four times a second, oftener only when somebody presses a key.
Both take turns under one lock; the application never does, so a long computation delays a picture
and no key. Next: `community.tui.app` hands the pictures to the screens.
"""

from __future__ import annotations

import gc
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from community.errors import LedgerInconsistentError
from community.events import AgentJoined, Event, Posted, Row, StatusChanged
from community.forum_events import PersonJoined
from community.tui.colours import author_colour
from community.tui.feed import BATCH_ROWS, News, RowsRead
from community.tui.forum_lines import has_line
from community.tui.lean import lean
from community.tui.patches import Patches
from community.tui.scene import Scene, Told

REFRESH_S = 0.25
"""Between two pictures; what one costs hardly depends on how many rows it brings."""
CLOCK_S = 1.0
"""Between two pictures of a live run without news: seconds go on."""
REST = 3.0
"""After a picture so many times its cost pass before the next one that nobody asked for."""
HELD_ROWS = 50_000
"""So many rows wait while the picture is held still; then the source does."""
SETTLED_ROWS = 2_000
"""After so many rows what they left is taken out of the garbage collector's sight."""
MOST_UNSETTLED = 40 * SETTLED_ROWS
"""After so many it is in any case."""

Look = Callable[[Scene], object]
"""Paints what one screen shows; pure."""


@dataclass(frozen=True, slots=True)
class Painted:
    """A picture that was asked for."""

    screen: int
    """Who asked."""
    header: object
    picture: object
    seq: int
    """The last row that is in it."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Why there is nothing (more) to show; no words where there is."""

    words: str
    is_error: bool


class Fold:
    """A run as it becomes known.

    Args:
        post: Takes pictures and notices; called from both threads.
        header: Paints what every screen has on top.
        is_calm: Whether nothing on the screen is there for a moment only; asked by the source's
            thread.
        repository: The run's, where diffs are that no post holds; None where it is not at hand.
    """

    def __init__(
        self,
        post: Callable[[Painted | Notice], object],
        header: Look,
        is_calm: Callable[[], bool] = lambda: True,
        repository: Path | None = None,
    ) -> None:
        self.told = Told()
        self._patches = Patches(repository, self.again)
        self._post = post
        self._is_calm = is_calm
        self._header = header
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._look: tuple[int, Look] | None = None
        self._is_asked = False
        self._is_painting = False
        self._is_behind = False
        """Whether the source hands over whole batches: it has more at hand."""
        self._is_live = False
        self._is_broken = False
        self._is_held = False
        self._held: deque[RowsRead] = deque()
        self._waiting = 0
        self._unsettled = 0
        self._clock: tuple[int | None, float] = (None, 0.0)
        """(time in a replayed run, when the newest rows came)."""
        self._colours: dict[str, str] = {}

    # -- from the source's thread --------------------------------------------------------------

    def take(self, news: News) -> None:
        """Take in what a source hands over; waits where too much is held back already."""
        if not isinstance(news, RowsRead):
            self._post(Notice(news.why, is_error=not news.is_absent))
            return
        with self._changed:
            while self._is_held and self._waiting >= HELD_ROWS and not self._closing.is_set():
                self._changed.wait(0.2)
            if self._is_held and news.at_us is None:
                self._held.append(news)
                self._waiting += len(news.rows)
            else:
                self._apply(news)
            is_behind = len(news.rows) >= BATCH_ROWS
            if self._is_behind and not is_behind:
                self._is_asked = True  # the picture that was waited for
            self._is_behind = is_behind
            self._wake.set()

    def _apply(self, news: RowsRead) -> None:
        if news.is_restart:
            self._restart()
        if self._is_broken:
            return
        self._is_live = news.is_live
        if news.rows or news.at_us is not None:
            self._clock = (news.at_us, time.perf_counter())
        for row in map(lean, news.rows):
            try:
                self.told.state.apply(row)
            except LedgerInconsistentError as error:
                self._is_broken = True
                self._post(Notice(str(error), is_error=True))
                return
            except OSError as error:
                self._post(self._without_room(error))
                return
            self._note(row, row.event)
        self._settle(len(news.rows))
        is_begun = self.told.state.opened is not None
        words = "" if is_begun else "The ledger is there, but the run has not begun: no row yet."
        self._post(Notice(words, is_error=False))

    def _settle(self, count: int) -> None:
        """Take what is folded out of the garbage collector's sight.

        It stays for good, and a collection that walks through all of it takes a quarter of a second
        in which no key is answered. Whatever lies over a screen goes again, in cycles that nobody
        but the collector finds, and would stay as well: that is waited for.
        """
        self._unsettled += count
        least = SETTLED_ROWS if self._is_calm() else MOST_UNSETTLED
        if self._unsettled >= least:
            self._unsettled = 0
            gc.collect()  # of what came since: the rest is frozen
            gc.freeze()

    def _note(self, row: Row, event: Event) -> None:
        """Keep what the eye needs beside the fold."""
        told = self.told
        if isinstance(event, Posted):
            told.threads.take(event)
            told.posts.append(event.post_id)
        elif isinstance(event, StatusChanged):
            told.threads.touch(event.hypothesis)
        elif isinstance(event, AgentJoined | PersonJoined):
            name = event.agent if isinstance(event, AgentJoined) else event.person
            self._colours.setdefault(name, author_colour(len(self._colours)))
        if has_line(event):
            told.recent.append(row)

    def _without_room(self, error: OSError) -> Notice:
        """Let go of a run of which a part is lost; returns why, for people."""
        self.told, self._is_broken = Told(), True
        words = (
            f"A copy of what was read is kept in {tempfile.gettempdir()}, and there it cannot be "
            f"written: {error.strerror}. Make room, or name another folder in TMPDIR, and look "
            "again."
        )
        return Notice(words, is_error=True)

    def _restart(self) -> None:
        self.told, self._colours, self._is_broken = Told(), {}, False

    # -- from the application ------------------------------------------------------------------

    def look(self, screen: int, look: Look) -> None:
        """Paint this from now on, the first time at once."""
        self._look, self._is_asked = (screen, look), True
        self._wake.set()

    def again(self) -> None:
        """Paint what is looked at once more: something beside the rows has changed."""
        self._is_asked = True
        self._wake.set()

    def hold(self, is_held: bool) -> None:
        """Hold the run still, or let in what has come meanwhile."""
        with self._changed:
            self._is_held = is_held
            while not is_held and self._held:
                self._apply(self._held.popleft())
            self._waiting = 0 if not is_held else self._waiting
            self._is_asked = True
            self._changed.notify_all()
            self._wake.set()

    @property
    def is_settled(self) -> bool:
        """Whether what was asked for last is painted, and holds all that is known."""
        is_known = not (self._is_behind or self.told.views.is_behind)
        return is_known and not (self._is_asked or self._is_painting)

    @property
    def names(self) -> tuple[str, ...]:
        """Everybody who takes part, in the order in which they joined."""
        return tuple(self._colours)

    def colour(self, name: str) -> str:
        """Return the colour of a participant; nothing for a stranger."""
        return self._colours.get(name, "")

    def close(self) -> None:
        """End the painter, and let a source go on that waits."""
        self._closing.set()
        self._wake.set()

    # -- the painter's thread ------------------------------------------------------------------

    def paint(self) -> None:
        """Paint until `close`."""
        next_s, clock_s = 0.0, 0.0
        seen: tuple[int, int, bool, int | None] = (-1, 0, False, None)
        while not self._closing.is_set():
            self._wake.wait(REFRESH_S)
            self._wake.clear()
            now_s = time.perf_counter()
            self._is_painting = True
            is_asked, self._is_asked = self._is_asked, False
            told = self.told
            is_new = self._stamp != seen or told.views.is_behind
            is_due = now_s >= next_s and (is_new or (self._is_live and now_s >= clock_s))
            is_due &= not self._is_behind or now_s >= clock_s
            if self._look is None or not (is_asked or is_due):
                self._is_painting = False
                continue
            screen, look = self._look
            with self._lock:
                seen = self._stamp
                try:
                    painted: Painted | Notice = self._painted(screen, look)
                except OSError as error:  # what was read before has to make room for what is shown
                    painted = self._without_room(error)
            ended_s = time.perf_counter()
            next_s = ended_s + max(REFRESH_S, REST * (ended_s - now_s))
            clock_s = ended_s + CLOCK_S
            self._post(painted)
            self._is_painting = False

    @property
    def _stamp(self) -> tuple[int, int, bool, int | None]:
        """Whatever of these changed is news."""
        return self.told.state.last_seq, self._waiting, self._is_live, self._clock[0]

    def _painted(self, screen: int, look: Look) -> Painted:
        told = self.told
        told.views.is_behind = False
        scene = Scene(
            told=told,
            at_us=self._now_us(),
            is_live=self._is_live,
            waiting=self._waiting,
            is_held=self._is_held,
            is_replay=self._clock[0] is not None and not self._is_live,
            colours=self._colours,
            patch_of=self._patches.of,
        )
        return Painted(screen, self._header(scene), look(scene), told.state.last_seq)

    def _now_us(self) -> int:
        """Return the run time now: a live run's goes on between two rows."""
        state, (replayed_us, came_s) = self.told.state, self._clock
        if replayed_us is not None:
            return replayed_us
        if not self._is_live or self._is_held or state.stopped is not None or state.opened is None:
            return state.last_us
        return state.last_us + int((time.perf_counter() - came_s) * 1e6)
