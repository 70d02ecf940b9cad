"""Does the terminal application keep answering keys under load, and how soon is a long run open?

A process writes rows of a real run's mix (`benchmarks.ledger_traffic`) into a ledger at a stated
rate; the application, in this process, at 160x48 without a terminal, follows it while keys are
pressed through Textual's pilot, on all screens in turn. A key is answered when what it does is on
the screen: the other screen, the moved cursor, the typed letter. Then a ledger of 20,000 rows is
opened in a fresh process, five times.

    .venv/bin/python -m benchmarks.watch_speed --write

What is not measured: a real terminal's own time to draw, and a network between it and us.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from textual.pilot import Pilot
from textual.widgets import Input

from benchmarks.ledger_traffic import rows_of, traffic
from community.archive.ledger import Ledger
from community.tui.app import WatchApp, rest_assured
from community.tui.screens.help import HelpScreen
from community.tui.screens.run_screen import TABS, RunScreen
from community.tui.widgets.pick_list import PickList

SIZE = (160, 48)
OUT = Path(__file__).parent / "results" / "watch_speed.md"
LONG = 20_000
"""Rows of the ledger that is opened."""
BETWEEN_S = 0.2
"""Between an answer and the next key: a person who is in a hurry."""
WRITES_S = 0.02
"""The writer records what is due so often, a transaction each time."""


@dataclass
class Measured:
    """One run of the application under load."""

    rate: float
    answers_ms: list[float] = field(default_factory=list)
    by_key: dict[str, list[float]] = field(default_factory=dict)
    lags_ms: list[float] = field(default_factory=list)
    rss_mib: list[float] = field(default_factory=list)
    """Each second."""
    behind_rows: list[int] = field(default_factory=list)
    """Rows written and not yet folded, each second."""
    rows: int = 0
    rows_at_20_s: int = 0
    busy_share: float = 0.0


def feed(path: Path, rate: float, seconds: float) -> None:
    """Write rows at `rate`; runs as a process of its own."""
    count = int(rate * seconds)
    events = [event for event, _ in zip(traffic(), range(count + 1), strict=False)]
    with Ledger.create(path) as ledger:
        begin_s, done = time.monotonic(), 0
        while done < count:
            now_s = time.monotonic() - begin_s
            due = min(count, int(now_s * rate) + 1)
            ledger.append(round(now_s * 1e6), *events[done:due])
            done = due
            time.sleep(WRITES_S)
        time.sleep(2.0)


async def under_load(rate: float, seconds: float) -> Measured:
    """Follow a ledger that grows at `rate` and press keys for so many seconds."""
    found = Measured(rate)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        writer = subprocess.Popen(  # noqa: ASYNC220 - before anything is measured
            [
                *(sys.executable, "-m", "benchmarks.watch_speed", "--feed", str(path)),
                *("--rate", str(rate), "--seconds", str(seconds + 5)),
            ]
        )
        try:
            app = WatchApp(path)
            rest_assured()
            async with app.run_test(size=SIZE) as pilot:
                while app.fold.told.state.noise is None:  # noqa: ASYNC110 - nobody sets an event
                    await asyncio.sleep(0.1)
                await _measure(app, pilot, found, seconds)
        finally:
            writer.terminate()
            writer.wait()
    return found


async def _measure(app: WatchApp, pilot: Pilot[Any], found: Measured, seconds: float) -> None:
    begin_s = time.perf_counter()
    process = psutil.Process()
    cpu_s = sum(process.cpu_times()[:2])
    watch = asyncio.create_task(_watch(app, found, begin_s), name="watch")
    draws, step = random.Random(1), 0
    while time.perf_counter() - begin_s < seconds:
        key, effect = _next_key(app, draws, step)
        step += 1
        answer_ms = 1e3 * await _answered(app, pilot, key, effect)
        found.answers_ms.append(answer_ms)
        found.by_key.setdefault(_kind(key), []).append(answer_ms)
        await asyncio.sleep(BETWEEN_S)
    watch.cancel()
    found.rows = app.fold.told.state.last_seq
    found.busy_share = (sum(process.cpu_times()[:2]) - cpu_s) / (time.perf_counter() - begin_s)


async def _watch(app: WatchApp, found: Measured, begin_s: float) -> None:
    """Note how late the loop is, and once a second how much memory there is."""
    process, ticks = psutil.Process(), 0
    while True:
        before_s = time.perf_counter()
        await asyncio.sleep(0.01)
        found.lags_ms.append(1e3 * (time.perf_counter() - before_s - 0.01))
        if (now_s := time.perf_counter() - begin_s) >= ticks:
            ticks += 1
            if ticks == 21:
                found.rows_at_20_s = app.fold.told.state.last_seq
            found.rss_mib.append(process.memory_info().rss / 2**20)
            state = app.fold.told.state
            found.behind_rows.append(max(0, round(found.rate * now_s) - state.last_seq))


def _next_key(app: WatchApp, draws: random.Random, step: int) -> tuple[str, Callable[[], bool]]:
    """Return a key and whether it has done what it does."""
    screen = app.screen
    field_ = screen.query_one("#filter", Input) if isinstance(screen, RunScreen) else None
    if field_ is not None and field_.display:
        if field_.value:
            return "escape", lambda: not field_.display
        return "m", lambda: field_.value == "m"
    if step % 4 == 0 and not isinstance(screen, HelpScreen):
        key, mode, _ = TABS[step // 4 % len(TABS)]
        return key, lambda: app.current_mode == mode and app.screen.is_current
    if step % 12 == 11 and field_ is not None:
        return "slash", lambda: field_.display
    focused = app.focused
    if isinstance(focused, PickList) and focused.chosen is not None and len(focused.items) > 3:
        before = focused.chosen.key
        key = draws.choice(["down", "down", "pagedown", "home", "end"])
        place = [item.key for item in focused.items].index(before)
        if place == len(focused.items) - 1:
            key = "home"
        elif place == 0 and key == "home":
            key = "down"
        return key, lambda: focused.chosen is not None and focused.chosen.key != before
    if isinstance(screen, HelpScreen):
        return "escape", lambda: not isinstance(app.screen, HelpScreen)
    return "question_mark", lambda: isinstance(app.screen, HelpScreen) and app.screen.is_current


def _kind(key: str) -> str:
    if key.isdigit():
        return "another screen"
    if key in ("slash", "m"):
        return "filter"
    return "help, back" if key in ("question_mark", "escape") else "cursor"


async def _answered(
    app: WatchApp, pilot: Pilot[Any], key: str, effect: Callable[[], bool]
) -> float:
    """Press a key; returns the seconds until its effect is drawn."""
    begin_s = time.perf_counter()
    press = asyncio.create_task(pilot.press(key), name="press")
    while not effect():
        await asyncio.sleep(0.001)
        if time.perf_counter() - begin_s > 20:
            raise TimeoutError(f"key {key} was not answered")
    drawn = asyncio.Event()
    app.screen.call_after_refresh(drawn.set)
    await drawn.wait()
    ended_s = time.perf_counter()
    await press
    return ended_s - begin_s


async def _open(path: Path, process_s: float) -> tuple[float, float]:
    """Return the seconds from the application's start to the whole run on the screen, and all."""
    begin_s = time.perf_counter()
    rest_assured()
    app = WatchApp(path)
    async with app.run_test(size=SIZE):
        while True:
            screen = app.screen
            if isinstance(screen, RunScreen) and screen.shown_seq >= LONG and app.fold.is_settled:
                break
            await asyncio.sleep(0.005)
        ended_s = time.perf_counter()
    return ended_s - begin_s, time.time() - process_s


def openings(times: int = 5) -> list[tuple[float, float]]:
    """Open a long ledger in fresh processes."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        with Ledger.create(path) as ledger:
            for row in rows_of(LONG, 10.0):
                ledger.append(row.at_us, row.event)
        for _ in range(times):
            command = [sys.executable, "-m", "benchmarks.watch_speed", "--open", str(path)]
            environment = {**os.environ, "STARTED": repr(time.time())}
            run = subprocess.run(command, capture_output=True, check=True, env=environment)
            inside, whole = json.loads(run.stdout.splitlines()[-1])
            found.append((inside, whole))
    return found


def fold_growth_mib(rows: int, known: int) -> float:
    """Return by how much memory grows for the fold alone, without a screen, after `known`."""
    code = (
        "import psutil, gc\n"
        "from benchmarks.ledger_traffic import rows_of\n"
        "from community.archive.watched import WatchedState\n"
        "state = WatchedState()\n"
        f"source = rows_of({rows}, 1000.0)\n"
        f"for _ in range({known}): state.apply(next(source))\n"
        "gc.collect(); before = psutil.Process().memory_info().rss\n"
        "for row in source: state.apply(row)\n"
        "gc.collect(); print((psutil.Process().memory_info().rss - before) / 2**20)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return float(run.stdout)


def quantile(values: list[float], share: float) -> float:
    """Return a quantile by the nearest rank."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def _table(
    runs: list[Measured], growths: list[float], opened: list[tuple[float, float]], note: str
) -> str:
    lines = [
        "# How fast the terminal application is",
        "",
        f"`.venv/bin/python -m benchmarks.watch_speed --write`, on {platform.machine()}, "
        f"{os.cpu_count()} processor cores, Python {platform.python_version()}; "
        f"{SIZE[0]}x{SIZE[1]}{note and f'; {note}'}.",
        "",
        "Keys under load: a writer appends rows of a real run's mix; a key is answered when its "
        "effect is drawn. Memory: the last column is by how much a process grows that only folds "
        "the same rows, from the 20th second on; the rest is what screens and views keep.",
        "",
        "| rows/s | rows | keys | p50 ms | p95 ms | longest ms | loop late p99 ms | CPU of a core "
        "| most rows behind | memory at 20 s MiB | at the end | fold since |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for run, growth in zip(runs, growths, strict=True):
        begin, end = run.rss_mib[min(20, len(run.rss_mib) - 1)], run.rss_mib[-1]
        lines.append(
            f"| {run.rate:.0f} | {run.rows} | {len(run.answers_ms)} | "
            f"{quantile(run.answers_ms, 0.5):.0f} | {quantile(run.answers_ms, 0.95):.0f} | "
            f"{max(run.answers_ms):.0f} | {quantile(run.lags_ms, 0.99):.0f} | "
            f"{run.busy_share:.0%} | {max(run.behind_rows[5:] or [0])} | {begin:.0f} | {end:.0f} | "
            f"{growth:+.0f} |"
        )
    lines += [
        "",
        "| rows/s | key | keys | p50 ms | p95 ms | longest ms |",
        "|---|---|---|---|---|---|",
    ]
    for run in runs:
        for kind, answers in sorted(run.by_key.items()):
            lines.append(
                f"| {run.rate:.0f} | {kind} | {len(answers)} | {quantile(answers, 0.5):.0f} | "
                f"{quantile(answers, 0.95):.0f} | {max(answers):.0f} |"
            )
    inside, whole = [pair[0] for pair in opened], [pair[1] for pair in opened]
    lines += [
        "",
        f"A ledger of {LONG} rows, opened {len(opened)} times in fresh processes: whole on the "
        f"screen {quantile(inside, 0.5):.2f} s after the application's start ({min(inside):.2f} to "
        f"{max(inside):.2f}), {quantile(whole, 0.5):.2f} s after the process's, imports included "
        f"({min(whole):.2f} to {max(whole):.2f}).",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and print; with ``--write`` keep the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--note", default="", help="what else there is to say of the machine")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--feed", type=Path)
    parser.add_argument("--open", type=Path)
    options = parser.parse_args()
    if options.feed is not None:
        feed(options.feed, options.rate, options.seconds)
    elif options.open is not None:
        print(json.dumps(asyncio.run(_open(options.open, float(os.environ["STARTED"])))))
    else:
        opened = openings()
        rates = sorted({100.0, options.rate})
        runs = [asyncio.run(under_load(rate, options.seconds)) for rate in rates]
        growths = [fold_growth_mib(run.rows, run.rows_at_20_s) for run in runs]
        text = _table(runs, growths, opened, options.note)
        print(text)
        if options.write:
            OUT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
