"""The watch screen through Textual's pilot, on real ledgers: finished, live, absent, broken."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from archive_script import (
    BASE,
    CHILD,
    S,
    hypothesis,
    opened,
    proposed,
    queued,
    run_whole,
    story,
)
from rich.text import Text
from textual.pilot import Pilot

from community import events as ev
from community.archive.ledger import Ledger
from community.run_folder import RunFolder
from community.tui.app import WatchApp
from community.tui.feed import BATCH_ROWS, LedgerFeed, RowsRead
from community.tui.widgets.board_table import BoardTable
from community.tui.widgets.forum_feed import ForumFeed
from community.tui.widgets.help_screen import HelpScreen
from community.tui.widgets.progress_plot import ProgressPlot
from community.tui.widgets.text_lines import TextLines

SIZES = [(80, 24), (160, 48)]
HOSTILE = "[bold red]boo[/] [link=x]\x1b[2J\u202egnp.\x07[@click=app.quit]new\nline"
LITERAL = "[bold red]boo[/] [link=x] [2J gnp. [@click=app.quit]new line"
Told = list[tuple[int, ev.Event]]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Give an empty ledger that is open for writing: the run counts as live."""
    with Ledger.create(tmp_path / "ledger.db") as ledger:
        yield ledger


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


async def until(pilot: Pilot[Any], holds: Callable[[], bool]) -> None:
    """Let the screen work until `holds`; a failure after ten seconds."""
    async with asyncio.timeout(10):
        while not holds():
            await pilot.pause(0.01)


async def until_shown(pilot: Pilot[Any], app: WatchApp, ledger: Ledger) -> None:
    """Wait until the ledger's last row is on the screen."""
    await until(pilot, lambda: app.shown_seq == ledger.last_seq)
    await pilot.pause()


def screen_text(app: WatchApp) -> str:
    """Return what a person sees, line by line."""
    width, height = app.size
    lines = app.screen._compositor.render_strips()
    assert len(lines) == height
    assert all(line.cell_length == width for line in lines)
    return "\n".join(line.text for line in lines)


def feed_text(app: WatchApp) -> str:
    """Return all lines of the forum feed."""
    return "\n".join(line.plain for line in app.query_one(ForumFeed).lines)


@pytest.mark.parametrize("size", SIZES)
async def test_a_finished_run_is_shown_whole(ledger: Ledger, size: tuple[int, int]) -> None:
    """Header, forum, leaderboard and slots of the scripted run, on a small and a large screen."""
    write(ledger, story())
    ledger.close()
    app = WatchApp(ledger.path)
    async with app.run_test(size=size) as pilot:
        await until_shown(pilot, app, ledger)
        seen = screen_text(app)
        assert "r1  nanolm  seed 7  1:40" in seen
        assert "ended: experiments" in seen
        assert "experiments 5  vault: baseline 3.3000  best reproduced 2.7000 (+18.2 %)" in seen
        assert "turn p3" in seen
        assert "idle" in seen
        assert "queue 0  busy 37.5%" in seen
        assert "lost attempts 1" in seen
        for title in ("turn p1", "turn p2", "turn p3"):
            assert title in feed_text(app)
        assert "karl" not in seen
        board = [[cell.plain for cell in row] for row in app.query_one(BoardTable).cells]
        assert board == [
            ["1", "● reproduced", "2.7000", "+18.2 ±88.2 %", "ada +ben", "turn p1"],
            ["2", "• not improved", "3.4000", "-6.5 ±93.9 %", "ben", "turn p2"],
            ["3", "× invalid", "", "", "ada", "turn p3"],
        ]
        assert "● reproduced" in seen
        assert app.query_one(ProgressPlot).display == (size == SIZES[1])
        assert ("Best so far: val_bpb (bits per byte, lower is better)" in seen) == (
            size == SIZES[1]
        )


async def test_the_feed_tells_posts_and_what_came_of_them(ledger: Ledger) -> None:
    """Author, kind and words of a post; statuses and the new best; nobody's verdicts twice."""
    write(ledger, story())
    app = WatchApp(ledger.path)
    async with app.run_test(size=(160, 48)) as pilot:
        await until_shown(pilot, app, ledger)
        lines = [line.plain for line in app.query_one(ForumFeed).lines]
        assert "   0:20  ada      hypothesis p1   turn p1 (expects +0.400, 80% sure)" in lines
        assert (
            "   0:30  ben      review     p4   on p1: support, expects +0.700, 60% to hold" in lines
        )
        assert '   0:50  ★ new best 2.7000 (+18.2 %) by ada: "turn p1"' in lines
        assert any("● p1" in line and "is reproduced" in line for line in lines)
        assert not any("e0001" in line for line in lines)
        colours = {
            str(span.style)
            for line in app.query_one(ForumFeed).lines
            for span in line.spans
            if line.plain[span.start : span.end].strip() in ("ada", "ben")
        }
        assert len(colours) == 2


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_text_is_shown_literally(ledger: Ledger, size: tuple[int, int]) -> None:
    """Markup, escape codes and bidi overrides do nothing in feed, leaderboard or slots."""
    write(ledger, [*beginning(), *titled("p1", HOSTILE, 2)])
    screen = queued("e2", "screen", "p1" * 4, "t-p1", hypothesis="p1", measurement=2)
    write(ledger, [(20, screen), (20, ev.AttemptStarted("e2", 1, "cpu1"))])
    talk = {"kind": "comment", "text": HOSTILE}
    ledger.append(21 * S, ev.Posted("p2", "m2", HOSTILE[:40], None, talk, {}))
    app = WatchApp(ledger.path)
    async with app.run_test(size=size) as pilot:
        await until_shown(pilot, app, ledger)
        assert feed_text(app).count(LITERAL) == 2
        assert app.query_one(BoardTable).cells[0][-1].plain == LITERAL
        assert LITERAL in "\n".join(line.plain for line in app.query_one("#slots", TextLines).lines)
        seen = screen_text(app)
        assert seen.count("[bold red]boo[/]") >= 3
        assert not set("\x1b\x07\u202e") & set(seen)
        assert "\x1b[2J" not in app.export_screenshot()


async def test_new_rows_appear_while_the_run_goes_on(ledger: Ledger) -> None:
    """A live run: forum, leaderboard, slots and header follow the ledger, until it ends."""
    write(ledger, beginning())
    app = WatchApp(RunFolder(ledger.path.parent))
    async with app.run_test(size=(160, 48)) as pilot:
        await until_shown(pilot, app, ledger)
        assert "● live" in screen_text(app)
        assert "experiments 0/9" in screen_text(app)
        write(ledger, titled("p1", "wider window", 2))
        running = queued("e0002", "screen", CHILD, "t-2", hypothesis="p1", requested_by="ben")
        waiting = queued("e0003", "screen", BASE, "t-3", hypothesis="p1")
        write(ledger, [(20, running), (20, waiting), (20, ev.AttemptStarted("e0002", 1, "cpu1"))])
        await until_shown(pilot, app, ledger)
        seen = screen_text(app)
        assert "ada      hypothesis p1   wider window" in seen
        assert "experiments 1/9" in seen
        assert "best, not reproduced 2.9000 (+6.5 %)" in seen
        slots = [line.plain for line in app.query_one("#slots", TextLines).lines]
        assert slots[0].startswith("cpu0") and slots[0].endswith("idle")  # noqa: PT018
        assert slots[1].startswith("cpu1") and "e0002" in slots[1]  # noqa: PT018
        assert slots[1].endswith("ben tries: wider window")
        assert slots[2].startswith("queue 1 ")
        assert app.query_one(BoardTable).row_count == 1
        ledger.append(30 * S, ev.RunStopped("target"))
        await until_shown(pilot, app, ledger)
        assert "ended: target" in screen_text(app)


async def test_the_header_shows_the_limit_last_given(ledger: Ledger) -> None:
    """A run that was resumed with another limit goes on under that."""
    write(ledger, [*beginning(), (2, ev.RunResumed((), {}, 12))])
    app = WatchApp(ledger.path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, app, ledger)
        assert "experiments 0/12" in screen_text(app)
        ledger.append(30 * S, ev.RunStopped("nobody left to propose"))
        await until_shown(pilot, app, ledger)
        assert "ended: nobody left to propose" in screen_text(app)


async def test_a_killed_run_is_not_called_live(ledger: Ledger) -> None:
    """Without a stop in the ledger and without a writer the screen says so, and how to go on."""
    write(ledger, beginning())
    app = WatchApp(ledger.path)
    async with app.run_test(size=(160, 48)) as pilot:
        await until(pilot, lambda: "● live" in screen_text(app))
        ledger.close()
        await until(pilot, lambda: "not running" in screen_text(app))
        assert "--resume" in screen_text(app)


@pytest.mark.parametrize("size", SIZES)
async def test_it_waits_for_a_ledger_that_does_not_exist_yet(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """Absent, then empty, then begun: each has its message, and then the run."""
    path = tmp_path / "ledger.db"
    app = WatchApp(path)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "does not exist yet" in screen_text(app))
        assert "community run" in screen_text(app)
        with Ledger.create(path) as ledger:
            await until(pilot, lambda: "no row yet" in screen_text(app))
            ledger.append(0, opened())
            await until_shown(pilot, app, ledger)
            assert "not measured yet" in screen_text(app)
            assert "r1  nanolm" in screen_text(app)
            assert "no row yet" not in screen_text(app)


async def test_a_file_that_is_no_ledger_is_told(tmp_path: Path) -> None:
    """The reader's own words, not a traceback."""
    path = tmp_path / "ledger.db"
    sqlite3.connect(path).execute("CREATE TABLE t (x)").connection.close()
    app = WatchApp(path)
    async with app.run_test(size=(160, 48)) as pilot:
        await until(pilot, lambda: "is an SQLite file but no ledger" in screen_text(app))


async def test_a_ledger_that_contradicts_itself_is_told_and_left(ledger: Ledger) -> None:
    """What came before stays on the screen; nothing after the contradiction is believed."""
    write(ledger, [*beginning(), *titled("p1", "wider window", 2)])
    app = WatchApp(ledger.path)
    async with app.run_test(size=(160, 48)) as pilot:
        await until_shown(pilot, app, ledger)
        good = ledger.last_seq
        ledger.append(40 * S, ev.AttemptStarted("e9999", 1, "cpu0"))
        await until(pilot, lambda: "e9999 was never admitted" in screen_text(app))
        assert app.state.last_seq == good
        assert "wider window" in screen_text(app)


async def test_pause_holds_the_picture_and_resumes_where_the_run_is(ledger: Ledger) -> None:
    """While it is paused rows are read and counted, not shown; then all of them are."""
    write(ledger, beginning())
    app = WatchApp(ledger.path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, app, ledger)
        await pilot.press("p")
        assert "paused, 0 new" in screen_text(app)
        events = titled("p1", "wider window", 2)
        write(ledger, events)
        await until(pilot, lambda: f"paused, {len(events)} new" in screen_text(app))
        assert "wider window" not in screen_text(app)
        await pilot.press("p")
        await until_shown(pilot, app, ledger)
        assert "wider window" in screen_text(app)
        assert "paused" not in screen_text(app)


async def test_keys_do_what_the_footer_says(ledger: Ledger) -> None:
    """Focus, theme, help and quit."""
    write(ledger, story())
    app = WatchApp(ledger.path)
    async with app.run_test(size=(160, 48)) as pilot:
        await until_shown(pilot, app, ledger)
        for key in ("Quit", "Pause", "Forum", "Leaderboard", "Dark/light", "Help"):
            assert key in screen_text(app).splitlines()[-1]
        await pilot.press("l")
        assert app.focused is app.query_one(BoardTable)
        await pilot.press("f")
        assert app.focused is app.query_one(ForumFeed)
        assert app.current_theme.dark
        await pilot.press("d")
        assert not app.current_theme.dark
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        assert "hold the picture still" in screen_text(app)
        ledger.append(200 * S, ev.RunResumed(()))
        await until_shown(pilot, app, ledger)  # the screen below goes on
        await pilot.press("escape")
        assert not isinstance(app.screen, HelpScreen)
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)
    assert app.return_code == 0


async def test_a_long_ledger_is_drawn_by_the_batch_and_not_by_the_row(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two thousand rows cost a handful of frames, and the newest post is at the bottom."""
    events = beginning()
    for number in range(350):
        events += titled(f"p{number}", f"idea {number}", 2 + 10 * number, 3.0 - number / 1000)
    assert len(events) > 2_000
    ledger.append(0, *(event for _, event in events))
    drawn: list[int] = []
    show = BoardTable.show

    def counted(board: BoardTable, rows: list[tuple[Text, ...]]) -> None:
        drawn.append(len(rows))
        show(board, rows)

    monkeypatch.setattr(BoardTable, "show", counted)
    app = WatchApp(ledger.path)
    async with app.run_test(size=(160, 48)) as pilot:
        await until_shown(pilot, app, ledger)
        assert len(drawn) <= 1 + len(events) // BATCH_ROWS + 1
        assert drawn[-1] == 200
        assert "idea 349 " in screen_text(app)
        assert app.query_one(BoardTable).row_count == 200


async def test_who_scrolled_up_stays_where_he_reads(ledger: Ledger) -> None:
    """New lines move the feed only while its end is in sight, and the oldest are forgotten."""
    write(ledger, beginning())
    app = WatchApp(ledger.path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, app, ledger)

        def talk(first: int, count: int) -> list[ev.Event]:
            texts = (f"word {n}." for n in range(first, first + count))
            bodies: list[dict[str, Any]] = [{"kind": "comment", "text": text} for text in texts]
            return [
                ev.Posted(f"p{first + n}", f"m{first + n}", "ada", None, body, {})
                for n, body in enumerate(bodies)
            ]

        ledger.append(S, *talk(0, 50))
        await until(pilot, lambda: "word 49." in screen_text(app))
        await pilot.press("home")
        await until(pilot, lambda: "word 49." not in screen_text(app))
        top = app.query_one(ForumFeed).scroll_offset
        ledger.append(S, *talk(50, 50))
        await until_shown(pilot, app, ledger)
        assert app.query_one(ForumFeed).scroll_offset == top
        await pilot.press("end")
        await until(pilot, lambda: "word 99." in screen_text(app))
        ledger.append(S, *talk(100, 2_500))
        await until(pilot, lambda: "word 2599." in screen_text(app))
        assert len(app.query_one(ForumFeed).lines) == 2_000


async def test_panes_fit_every_size(ledger: Ledger) -> None:
    """From tiny to wide nothing fails, and the header stays."""
    write(ledger, story())
    app = WatchApp(ledger.path)
    async with app.run_test(size=(160, 48)) as pilot:
        await until_shown(pilot, app, ledger)
        for size in [(20, 6), (80, 24), (80, 48), (109, 31), (110, 32), (240, 70), (160, 24)]:
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert "r1" in screen_text(app).splitlines()[0]
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert "reproduced" in screen_text(app)


def test_the_reading_thread_ends_when_it_is_closed(ledger: Ledger) -> None:
    """Closing ends it also while it waits for the application to take batches in."""
    ledger.append(0, opened(), *(ev.Noticed("start", str(n)) for n in range(5_000)))
    posted: list[RowsRead] = []

    def post(message: object) -> None:
        assert isinstance(message, RowsRead)
        posted.append(message)
        if len(posted) == 4:
            feed.close()

    feed = LedgerFeed(ledger.path, post)
    feed.follow()
    assert 4 <= len(posted) <= 5
    assert all(len(message.rows) <= 500 for message in posted)
    assert posted[0].is_live
