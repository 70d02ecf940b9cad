"""What tests of the terminal application share: runs to show, waiting, what a person sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from archive_script import S, hypothesis, opened, proposed, queued, run_whole
from textual.pilot import Pilot

from community import events as ev
from community.archive.ledger import Ledger
from community.tui.app import WatchApp
from community.tui.screens.run_screen import RunScreen
from community.tui.widgets.pick_list import PickList
from community.tui.widgets.text_lines import Page, TextLines

SIZES = [(80, 24), (160, 48)]
HOSTILE = "[bold red]boo[/] [link=x]\x1b[2J\u202egnp.\x07[@click=app.quit]new\nline"
LITERAL = "[bold red]boo[/] [link=x] [2J gnp. [@click=app.quit]new line"
Told = list[tuple[int, ev.Event]]


def write(ledger: Ledger, events: Told) -> None:
    """Record `events`, in order of time."""
    for at, event in sorted(events, key=lambda pair: pair[0]):
        ledger.append(at * S, event)


def beginning() -> Told:
    """Return a run that was opened and calibrated, with two agents."""
    return [
        (0, opened(scenario="stop = { experiments = 9 }\n")),
        (0, ev.AgentJoined("ada", "explorer", "policy:random", ("ben",))),
        (0, ev.AgentJoined("ben", "reproducer", "policy:verify", ("ada",))),
        (1, ev.NoiseEstimated("cpu", 3.1, 0.1, (3.0, 3.2))),
    ]


def titled(name: str, title: str, at: int, score: float = 2.9) -> Told:
    """Return a hypothesis with this title and its screen."""
    post = hypothesis(name, "ada", name * 4, 0.1)
    post.body["title"] = title
    screen = queued(f"e-{name}", "screen", name * 4, f"t-{name}", hypothesis=name)
    before: Told = [(at, proposed(name * 4, f"t-{name}", "ada")), (at, post)]
    return before + run_whole(screen, "cpu0", at, score)


@asynccontextmanager
async def watching(
    folder: Path, rows: list[ev.Row], size: tuple[int, int], *keys: str
) -> AsyncIterator[tuple[WatchApp, Pilot[Any]]]:
    """Show a ledger of `rows` that nobody writes, after some keys."""
    with Ledger.create(folder / "ledger.db") as ledger:
        for row in rows:
            ledger.append(row.at_us, row.event)
    app = WatchApp(ledger.path)
    async with app.run_test(size=size) as pilot:
        await until_shown(pilot, app, ledger.last_seq)
        for key in keys:
            await press(pilot, app, key)
        yield app, pilot


async def until(pilot: Pilot[Any], holds: Callable[[], bool]) -> None:
    """Let the screen work until `holds`; a failure after ten seconds."""
    async with asyncio.timeout(10):
        while not holds():
            await pilot.pause(0.01)


async def until_shown(pilot: Pilot[Any], app: WatchApp, seq: int) -> None:
    """Wait until row `seq` is in the picture on the screen, and nothing newer is being painted."""
    await until(pilot, lambda: _shown(app) >= seq and app.fold.is_settled)
    await pilot.pause()


async def press(pilot: Pilot[Any], app: WatchApp, key: str) -> None:
    """Press a key and wait for the picture that it asks for."""
    await pilot.press(key)
    await until(pilot, lambda: app.fold.is_settled)
    await pilot.pause()


def _shown(app: WatchApp) -> int:
    return max((s.shown_seq for s in app.screen_stack if isinstance(s, RunScreen)), default=-1)


def screen_text(app: WatchApp) -> str:
    """Return what a person sees, line by line."""
    width, height = app.size
    lines = app.screen._compositor.render_strips()
    assert len(lines) == height
    assert all(line.cell_length == width for line in lines)
    return "\n".join(line.text for line in lines)


def listed(app: WatchApp, name: str) -> list[str]:
    """Return all lines of a list, those out of sight too."""
    return [item.text.plain for item in app.screen.query_one(name, PickList).items]


def lines_of(app: WatchApp, name: str) -> str:
    """Return all lines of a pane."""
    pane = app.screen.query_one(name, TextLines)
    found = pane.paragraphs if isinstance(pane, Page) else pane.lines
    return "\n".join(line.plain for line in found)
