"""Live progress of a run: a panel in a terminal, one line per event without one.

Both are fed with ledger rows and keep a fold of their own; neither asks the run for anything.
`community.cli.run_command` chooses one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from community.archive.progress import progress_points
from community.archive.queries import best_commit, isolation_note
from community.archive.state import ExperimentState, RunState
from community.cli.lines import LAB_WORK, VERBS, plain, post_line, row_line, run_time
from community.events import Posted, Row
from community.scenario import StopSection

REFRESH_S = 0.5
"""Between two frames: what a person can follow, at a cost one cannot measure beside a run."""
FORUM_LINES = 6


class Progress(Protocol):
    """Something that shows a run while it runs."""

    def on_row(self, row: Row) -> None:
        """Take in the next row; a resumed run begins with those its ledger holds."""
        ...

    async def show(self) -> None:
        """Keep the picture fresh until it is cancelled.

        Cancellation: the last picture stays on the screen.
        """
        ...


class LineProgress:
    """One line per event worth knowing, with the run's time: for logs and pipes."""

    def __init__(self, write: Callable[[str], None], known_seq: int = 0) -> None:
        self._write = write
        self._known_seq = known_seq
        """Rows up to this one were shown by an earlier process."""
        self._state = RunState()

    def on_row(self, row: Row) -> None:
        """Print the row's line, if it has one and is new."""
        self._state.apply(row)
        if row.seq > self._known_seq and (line := row_line(row, self._state)):
            self._write(f"{run_time(row.at_us):>7}  {line}")

    async def show(self) -> None:
        """Wait: lines are written as rows come.

        Cancellation: nothing is left to do.
        """
        await asyncio.get_running_loop().create_future()


class PanelProgress:
    """A panel that is redrawn in place: bar, best so far, slots, the forum's last lines."""

    def __init__(self, console: Console, title: str, stop: StopSection) -> None:
        self._console = console
        self._title = title
        self._stop = stop
        self._state = RunState()
        self._forum: deque[str] = deque(maxlen=FORUM_LINES)
        self._seen_at = 0.0
        """Loop time at which the newest row came."""

    def on_row(self, row: Row) -> None:
        """Take in the row; the next frame shows it."""
        self._seen_at = asyncio.get_running_loop().time()
        self._state.apply(row)
        if isinstance(row.event, Posted):
            line = post_line(row.event, self._state)
            self._forum.append(f"{run_time(row.at_us):>7}  {line}")

    async def show(self) -> None:
        """Redraw the panel until it is cancelled.

        Cancellation: the last frame stays on the screen.
        """
        loop = asyncio.get_running_loop()
        self._seen_at = loop.time()
        with Live(console=self._console, auto_refresh=False, transient=False) as live:
            try:
                while True:
                    live.update(self.frame(loop.time()), refresh=True)
                    await asyncio.sleep(REFRESH_S)
            finally:
                live.update(self.frame(loop.time()), refresh=True)

    def frame(self, now: float) -> RenderableType:
        """Return the picture at loop time `now`."""
        at_us = self._state.last_us
        if self._state.opened is not None and self._state.stopped is None:
            at_us += int((now - self._seen_at) * 1e6)
        alarms = (f"{a.alarm_id}: {plain(a.detail)}" for a in self._state.evidence.alarms.values())
        raised = [Text(f"alarm {words}", style="bold red") for words in alarms]
        parts: list[RenderableType] = [self._bar(at_us), self._best(), *raised, Text()]
        if note := isolation_note(self._state):
            why = "nothing is trained" if note == "modelled" else "see `community doctor`"
            parts.insert(0, Text(f"{note}: {why}", style="bold red"))
        parts += [self._slots(at_us), Text()]
        parts += [Text(line, no_wrap=True, overflow="ellipsis") for line in self._forum]
        return Panel(Group(*parts), title=Text(self._title), title_align="left")

    def _bar(self, at_us: int) -> RenderableType:
        """Return how far the run is: experiments or wall time, whichever is limited."""
        done, limit = self._state.experiments_done, self._stop.experiments
        row = Table.grid(padding=(0, 1))
        words = Text(f"{run_time(at_us)}  {done} experiments" + (f" of {limit}" if limit else ""))
        total: float | None = limit
        completed: float = done
        if limit is None and self._stop.wall_s is not None:
            total, completed = self._stop.wall_s, at_us / 1e6
            words.append(f", until {run_time(int(total * 1e6))}")
        if total is None:
            words.append(", for ever (Ctrl-C ends it)")
            return words
        if self._state.noise is not None and 0 < completed < total and done >= 4:
            left_us = int(self._state_age_us(at_us) * (total - completed) / completed)
            words.append(f", about {run_time(left_us)} left")
        row.add_row(ProgressBar(total=total, completed=min(completed, total), width=32), words)
        return row

    def _state_age_us(self, at_us: int) -> int:
        """Return the run time since the first experiment after calibration was queued."""
        first = next((e for e in self._state.experiments.values() if not e.is_baseline), None)
        return at_us - (first.queued_at_us if first else 0)

    def _best(self) -> Text:
        """Return the baseline, the best reproduced result, and the best one not yet reproduced."""
        state = self._state
        if state.noise is None:
            runs = sum(e.is_baseline and e.is_done for e in state.experiments.values())
            return Text(f"measuring the baseline, {runs} runs done", style="dim")
        line = Text(f"baseline {state.noise.mean:.4f} ± {state.noise.sigma:.4f}")
        best = best_commit(state) if state.frontier else None
        if best is not None and best.hypothesis.status == "reproduced":
            line.append("   reproduced best ")
            line.append(f"{best.score:.4f}", style="bold green")
            line.append(f" on vault, {best.comparison}" if best.comparison else " on vault")
        if points := progress_points(state):
            line.append(f"   best single run {points[-1].best:.4f}")
        waiting = sum(h.status in ("improved", "undecided") for h in state.hypotheses.values())
        line.append(f"   {waiting} to be reproduced" if waiting else "")
        return line

    def _slots(self, at_us: int) -> RenderableType:
        """Return what runs on each slot."""
        table = Table.grid(padding=(0, 2))
        running = {e.attempts[-1].slot: e for e in self._state.running()}
        for slot in self._state.opened.slots if self._state.opened else ():
            table.add_row(Text(slot, style="cyan"), self._work(running.get(slot), at_us))
        return table

    def _work(self, experiment: ExperimentState | None, at_us: int) -> Text:
        """Return one line about the experiment on a slot."""
        if experiment is None:
            return Text("idle", style="dim")
        queued = experiment.queued
        seconds = (at_us - experiment.attempts[-1].started_us) / 1e6
        hypothesis = self._state.hypotheses.get(queued.hypothesis)
        what = LAB_WORK.get(queued.purpose) or f"{queued.requested_by} {VERBS[queued.purpose]}"
        title = f": {plain(hypothesis.title, 60)}" if hypothesis else ""
        words = f"{queued.experiment_id} {seconds:4.0f} s  {what}{title}"
        return Text(words, no_wrap=True, overflow="ellipsis")


class RowPanelProgress(PanelProgress):
    """The panel of a run in virtual time, whose seconds are nobody's: redrawn as rows come."""

    def __init__(self, console: Console, title: str, stop: StopSection) -> None:
        super().__init__(console, title, stop)
        self._live: Live | None = None
        self._drawn_s = 0.0

    def on_row(self, row: Row) -> None:
        """Take in the row, and draw if that is due by the wall."""
        super().on_row(row)
        now_s = time.perf_counter()
        if self._live is not None and now_s >= self._drawn_s + REFRESH_S:
            self._drawn_s = now_s
            self._live.update(self.frame(self._seen_at), refresh=True)

    async def show(self) -> None:
        """Keep the panel until it is cancelled.

        Cancellation: the last frame stays on the screen.
        """
        loop = asyncio.get_running_loop()
        self._seen_at = loop.time()
        with Live(console=self._console, auto_refresh=False, transient=False) as live:
            self._live = live
            try:
                await loop.create_future()
            finally:
                self._live = None
                live.update(self.frame(loop.time()), refresh=True)
