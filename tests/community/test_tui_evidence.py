"""The watch screen on a run with evidence: what 80 x 24 has room for, and the evidence screen."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from evidence_script import BASE, whole
from rich.console import Console
from test_tui import feed_text, screen_text, until_shown
from textual.pilot import Pilot

from community import events as ev
from community.archive.ledger import Ledger
from community.cli.progress import PanelProgress
from community.scenario import StopSection
from community.show import shown
from community.tui.app import WatchApp
from community.tui.feed import LedgerUnread
from community.tui.widgets.board_table import BoardTable
from community.tui.widgets.evidence_screen import EvidenceScreen

SIZES = [(80, 24), (160, 48)]


@asynccontextmanager
async def watching(
    folder: Path, size: tuple[int, int], until: str = "end"
) -> AsyncIterator[tuple[WatchApp, Pilot[Any]]]:
    """Show the scripted run at a size of the terminal."""
    with Ledger.create(folder / "ledger.db") as ledger:
        for row in whole(until=until):
            ledger.append(row.at_us, row.event)
        app = WatchApp(ledger.path)
        async with app.run_test(size=size) as pilot:
            await until_shown(pilot, app, ledger)
            yield app, pilot


@pytest.mark.parametrize("size", SIZES)
async def test_the_board_has_interval_proposer_and_reproducer(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """In sight without scrolling sideways, the title's beginning too; what fell has its sign."""
    async with watching(tmp_path, size) as (app, _):
        seen = screen_text(app)
        rows = [[cell.plain for cell in row] for row in app.query_one(BoardTable).cells]
        first = rows[0]
        assert first[1] == "● reproduced"
        assert "±" in first[3]
        assert first[4] == "ben +eve"
        line = next(line for line in seen.splitlines() if "ben +eve" in line)
        assert first[3] in line
        assert "embedding" in line.split("ben +eve")[1]
        signs = {row[1].split(" ", 1)[1]: row[1][0] for row in rows}
        assert (signs["contested"], signs["retracted"], signs["open again"]) == ("?", "✗", "○")


@pytest.mark.parametrize("size", SIZES)
async def test_the_header_ends_with_the_gain_on_seal(tmp_path: Path, size: tuple[int, int]) -> None:
    """Once the last runs are in, the number that counts is that of seal, with its interval."""
    async with watching(tmp_path, size) as (app, _):
        found = shown(app.state, "").headline
        line = screen_text(app).splitlines()[1]
        assert f"on seal {found.percent:+.1f} ±" in line
        assert "% over the baseline (vault " in line
        assert "…" not in line


async def test_an_alarm_is_in_the_header_while_it_lasts(tmp_path: Path) -> None:
    """And in the forum, where it was raised."""
    async with watching(tmp_path, (80, 24), until="alarm") as (app, _):
        assert "! drift alarm" in screen_text(app).splitlines()[0]
        assert "! a1: the CUSUM passed 5 sigma" in feed_text(app)


async def test_the_forum_tells_what_was_taken_back_and_how_sure_a_status_is(
    tmp_path: Path,
) -> None:
    """Numbers come before the title, which may be cut."""
    async with watching(tmp_path, (80, 24)) as (app, _):
        feed = feed_text(app)
        p4 = app.state.hypotheses["p4"].changes[-1][1]
        assert f"● p4 is reproduced (gain {p4.gain:+.4f} ±" in feed
        assert ", 4 pairs), by cyd" in feed
        assert "p3 is open again" in feed
        assert "two more pairs refuted it" in feed
        assert "last runs on seal" in feed


@pytest.mark.parametrize("size", SIZES)
async def test_the_evidence_screen_fits_and_scrolls(tmp_path: Path, size: tuple[int, int]) -> None:
    """Everything that `community show` says, no line cut, from the first to the last."""
    async with watching(tmp_path, size) as (app, pilot):
        await pilot.press("e")
        await pilot.pause()
        assert isinstance(app.screen, EvidenceScreen)
        seen = screen_text(app)
        assert "headline: " in seen
        for _ in range(20):
            await pilot.press("pagedown")
        await pilot.pause()
        seen += screen_text(app)
        assert "Researchers" in seen
        assert "skill" in seen
        assert "…" not in seen
        await pilot.press("escape")
        assert not isinstance(app.screen, EvidenceScreen)


async def test_the_panel_of_a_run_tells_alarms_and_what_the_lab_runs() -> None:
    """While `community run` goes on: the alarm, and a run that is no reproduction by its name."""
    told = whole(until="alarm")
    last = max(row.at_us for row in told)
    queued = ev.ExperimentQueued(
        "e9999", "sentinel", BASE, "t-base", "", "lab", "lab", "dev", 99, 1, 0, "cpu1"
    )
    added = (queued, ev.AttemptStarted("e9999", 1, "cpu1"))
    told += [ev.Row(len(told) + n, last, event) for n, event in enumerate(added, start=1)]
    out = io.StringIO()
    console = Console(width=100, file=out)
    panel = PanelProgress(console, "quickstart-1", StopSection(experiments=200))
    for row in told:
        panel.on_row(row)
    console.print(panel.frame(asyncio.get_running_loop().time()))
    text = out.getvalue()
    assert "alarm a1: the CUSUM passed 5 sigma" in text
    assert "sentinel of what leads" in text
    assert "reproduces" not in text.split("cpu1")[1].splitlines()[0]


async def test_a_frame_that_comes_after_the_panes_is_dropped(tmp_path: Path) -> None:
    """On a busy machine the last timer fires while the screen is taken down."""
    async with watching(tmp_path, (80, 24), until="calibrated") as (app, pilot):
        await app.screen.query("Screen > *").remove()
        app.action_pause()
        app.on_ledger_unread(LedgerUnread("gone", is_absent=True))
        await pilot.pause()
        assert app.is_running
