"""A finished run played again: its rows at the times they came, at any speed, from any time on.

A source like the ledger (`community.tui.feed`), with a clock that people turn. To go back is to
begin anew and come up to the time that is wanted; a ledger of twenty thousand rows folds in a
fraction of a second.
"""

from __future__ import annotations

import threading
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from rich.text import Text

from community.archive.ledger import LedgerReader
from community.cli.lines import run_time
from community.errors import LedgerError
from community.events import FrontierMoved, StatusChanged
from community.tui.colours import AMBER, GREEN, GREY
from community.tui.feed import BATCH_ROWS, News, RowsRead, Unread

SPEEDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Seconds of run time in a second."""
TICK_S = 0.1
"""Between two looks at the clock; shorter than a picture's time, so that it moves evenly."""
_GAINS = frozenset({"improved", "reproduced"})


@dataclass(frozen=True, slots=True)
class Playing:
    """How a replay stands."""

    is_playing: bool
    speed: int
    at_us: int
    from_us: int
    to_us: int
    improvements: tuple[int, ...]
    """Run times of what was found improved or reproduced, or came to lead."""

    def bar(self, width: int) -> Text:
        """Return it as one line: state, speed, time, and a bar with the improvements on it."""
        line = Text(no_wrap=True, end="")
        line.append("▶ " if self.is_playing else "‖ ", style=f"bold {AMBER}")
        line.append(f"{self.speed}x ", style="bold")
        line.append(f"{run_time(self.at_us)} of {run_time(self.to_us)} ", style=GREY)
        keys = " space [ ] , . n"
        cells = max(4, width - line.cell_len - len(keys))
        length = max(1, self.to_us - self.from_us)

        def cell(at_us: int) -> int:
            return min(cells - 1, cells * (at_us - self.from_us) // length)

        marks, done = {cell(at_us) for at_us in self.improvements}, cell(self.at_us)
        for place in range(cells):
            sign = "◆" if place in marks else "━" if place <= done else "─"
            line.append(sign, style=GREEN if place in marks else AMBER if place <= done else GREY)
        return line.append(keys, style=GREY)


class Replay:
    """Plays a ledger.

    Args:
        path: The ledger file.
        speed: Seconds of run time in a second; one of `SPEEDS`.
    """

    def __init__(self, path: Path, *, speed: int = 10) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_closing = False
        self._times = array("q")
        """When each row was recorded; the rows are read again when their time comes."""
        self._improvements: tuple[int, ...] = ()
        self._speed = min(SPEEDS, key=lambda one: abs(one - speed))
        self._at_us = 0.0
        self._is_playing = True

    # -- from the application ------------------------------------------------------------------

    @property
    def playing(self) -> Playing:
        """How it stands."""
        with self._lock:
            first, last = (self._times[0], self._times[-1]) if self._times else (0, 1)
            return Playing(
                self._is_playing, self._speed, int(self._at_us), first, last, self._improvements
            )

    def toggle(self) -> None:
        """Play, or pause; at the end, play from the beginning."""
        with self._lock:
            if not self._is_playing and self._times and self._at_us >= self._times[-1]:
                self._at_us = float(self._times[0])
            self._is_playing = not self._is_playing
        self._wake.set()

    def change_speed(self, steps: int) -> None:
        """Go faster, or slower, by steps of `SPEEDS`."""
        with self._lock:
            place = SPEEDS.index(self._speed) + steps
            self._speed = SPEEDS[min(max(0, place), len(SPEEDS) - 1)]

    def scrub(self, share: float) -> None:
        """Go forward by a share of the run, or back."""
        with self._lock:
            if self._times:
                first, last = self._times[0], self._times[-1]
                goal = self._at_us + share * (last - first)
                self._at_us = float(min(max(goal, first), last))
        self._wake.set()

    def next_improvement(self) -> None:
        """Go to the next improvement; to the end where there is none."""
        with self._lock:
            if self._times:
                later = bisect_right(self._improvements, int(self._at_us))
                ends = (*self._improvements[later:], self._times[-1])
                self._at_us = float(ends[0])
        self._wake.set()

    def close(self) -> None:
        """Have the thread end."""
        self._is_closing = True
        self._wake.set()

    # -- the source's thread -------------------------------------------------------------------

    def follow(self, post: Callable[[News], object]) -> None:
        """Read the ledger, then hand over what the clock has passed, until `close`."""
        try:
            with LedgerReader(self._path) as ledger:
                self._read(ledger)
                self._play(ledger, post)
        except LedgerError as error:
            post(Unread(str(error), is_absent=False))

    def _play(self, ledger: LedgerReader, post: Callable[[News], object]) -> None:
        known, told, before_s = 0, -1, time.perf_counter()
        while not self._is_closing:
            now_s = time.perf_counter()
            at_us, count = self._advance(now_s - before_s)
            before_s = now_s
            if count != known or at_us != told:
                self._hand_over(ledger, post, known, count, at_us)
                known, told = count, at_us
            self._wake.wait(TICK_S)
            self._wake.clear()

    def _read(self, ledger: LedgerReader) -> None:
        times, gains = array("q"), set[int]()
        for row in ledger.rows():
            times.append(row.at_us)
            if isinstance(row.event, FrontierMoved) or (
                isinstance(row.event, StatusChanged) and row.event.status in _GAINS
            ):
                gains.add(row.at_us)
        with self._lock:
            self._times, self._improvements = times, tuple(sorted(gains))
            self._at_us = float(times[0]) if times else 0.0

    def _advance(self, passed_s: float) -> tuple[int, int]:
        """Turn the clock; returns (run time, how many rows it has passed)."""
        with self._lock:
            if self._is_playing and self._times:
                self._at_us += passed_s * self._speed * 1e6
                if self._at_us >= self._times[-1]:
                    self._at_us, self._is_playing = float(self._times[-1]), False
            return int(self._at_us), bisect_right(self._times, int(self._at_us))

    def _hand_over(
        self,
        ledger: LedgerReader,
        post: Callable[[News], object],
        known: int,
        count: int,
        at_us: int,
    ) -> None:
        """Hand over rows in batches; where the clock went back, from the first one on."""
        is_restart = count < known
        begin = 0 if is_restart else known
        while True:
            end = min(count, begin + BATCH_ROWS)
            rows = tuple(islice(ledger.rows(begin), end - begin))  # they are numbered from 1
            post(RowsRead(rows, at_us=at_us, is_restart=is_restart))
            begin, is_restart = end, False
            if len(rows) < BATCH_ROWS or self._is_closing:
                return
