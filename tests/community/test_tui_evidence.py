"""The application on a run with evidence: what 80 x 24 has room for, and the evidence screen."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest
from evidence_script import BASE, whole
from rich.console import Console
from tui_pilot import SIZES, lines_of, listed, press, screen_text, watching

from community import events as ev
from community.cli.progress import PanelProgress
from community.scenario import StopSection
from community.show import shown
from community.tui.screens.evidence import EvidenceScreen


@pytest.mark.parametrize("size", SIZES)
async def test_the_board_has_interval_proposer_and_reproducer(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """In sight without scrolling sideways, the title's beginning too; what fell has its sign."""
    async with watching(tmp_path, whole(), size, "4") as (app, _):
        first = listed(app, "#board")[0]
        assert "● reproduced" in first
        assert "±" in first
        assert "ben +eve" in first
        line = next(line for line in screen_text(app).splitlines() if "ben +eve" in line)
        assert "±" in line
        assert "embedding" in line.split("ben +eve")[1]
        signs = {line[6:20].strip(): line[4] for line in listed(app, "#board")}
        assert (signs["contested"], signs["retracted"], signs["open again"]) == ("?", "✗", "○")


@pytest.mark.parametrize("size", SIZES)
async def test_the_header_ends_with_the_gain_on_seal(tmp_path: Path, size: tuple[int, int]) -> None:
    """Once the last runs are in, the number that counts is that of seal, with its interval."""
    async with watching(tmp_path, whole(), size) as (app, _):
        found = shown(app.fold.told.state, "").headline
        line = screen_text(app).splitlines()[1]
        assert f"on seal {found.percent:+.1f} ±" in line
        assert "% over the baseline (vault " in line
        assert "…" not in line


async def test_an_alarm_is_in_the_header_while_it_lasts(tmp_path: Path) -> None:
    """And in the forum, where it was raised."""
    async with watching(tmp_path, whole(until="alarm"), (80, 24)) as (app, _):
        assert "! drift alarm" in screen_text(app).splitlines()[0]
        assert any("! a1: the CUSUM passed 5 sigma" in line for line in listed(app, "#feed"))


async def test_the_forum_tells_what_was_taken_back_and_how_sure_a_status_is(
    tmp_path: Path,
) -> None:
    """Numbers come before the title, which may be cut."""
    async with watching(tmp_path, whole(), (80, 24)) as (app, _):
        feed = "\n".join(listed(app, "#feed"))
        p4 = app.fold.told.state.hypotheses["p4"].changes[-1][1]
        assert f"● p4 is reproduced (gain {p4.gain:+.4f} ±" in feed
        assert ", 4 pairs), by cyd" in feed
        assert "p3 is open again" in feed
        assert "two more pairs refuted it" in feed
        assert "last runs on seal" in feed


@pytest.mark.parametrize("size", SIZES)
async def test_the_evidence_screen_fits_and_scrolls(tmp_path: Path, size: tuple[int, int]) -> None:
    """Everything that `community show` says, no line cut, from the first to the last."""
    async with watching(tmp_path, whole(), size, "7") as (app, pilot):
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


async def test_a_thread_shows_reviews_against_what_came_of_it(tmp_path: Path) -> None:
    """The prediction, whether it held, where the measured gain lies; statuses with verdicts."""
    async with watching(tmp_path, whole(), (160, 48), "4", "enter") as (app, _):
        page = lines_of(app, "#page")
        assert "cyd support: +0.0400 (+0.0000 to +0.1000), 60% to hold" in page
        assert "→ reproduced ✓, measured " in page
        assert "● reproduced +" in page
        assert "2 pairs by eve" in page


async def test_the_lab_tells_what_the_device_seconds_went_for(tmp_path: Path) -> None:
    """Caps beside what is spent, and every account."""
    async with watching(tmp_path, whole(), (160, 48), "2") as (app, pilot):
        spend = lines_of(app, "#spend")
        assert "of 200" in spend
        assert "no cap" in spend
        for name in ("ada", "ben", "cyd", "eve", "lab"):
            assert f" {name} " in spend
        before = lines_of(app, "#slots").splitlines()[0]
        await press(pilot, app, "z")
        assert lines_of(app, "#slots").splitlines()[0] != before
        assert "0:00" in lines_of(app, "#slots").splitlines()[0]


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
