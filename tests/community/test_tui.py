"""The watch application through Textual's pilot: finished, live, absent and broken ledgers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from archive_script import BASE, CHILD, S, opened, queued, story
from tui_pilot import (
    HOSTILE,
    LITERAL,
    SIZES,
    beginning,
    lines_of,
    listed,
    press,
    screen_text,
    titled,
    until,
    until_shown,
    write,
)

from community import events as ev
from community.archive.ledger import Ledger
from community.run_folder import RunFolder
from community.tui.app import WatchApp
from community.tui.feed import LedgerFeed, RowsRead
from community.tui.scene import FEED_LINES
from community.tui.screens.help import HelpScreen
from community.tui.widgets.pick_list import PickList


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Give an empty ledger that is open for writing: the run counts as live."""
    with Ledger.create(tmp_path / "ledger.db") as ledger:
        yield ledger


@pytest.mark.parametrize("size", SIZES)
async def test_a_finished_run_is_shown_whole(ledger: Ledger, size: tuple[int, int]) -> None:
    """Header, threads, feed, lab and leaderboard of the scripted run, small and large."""
    write(ledger, story())
    ledger.close()
    app = WatchApp(ledger.path)
    async with app.run_test(size=size) as pilot:
        await until_shown(pilot, app, ledger.last_seq)
        seen = screen_text(app)
        assert "r1  nanolm  seed 7  1:40" in seen
        assert "ended: experiments" in seen
        assert "experiments 5  vault: baseline 3.3000  best reproduced 2.7000 (+18.2 %)" in seen
        for title in ("turn p1", "turn p2", "turn p3"):
            assert any(title in line for line in listed(app, "#threads"))
        await press(pilot, app, "2")
        seen = screen_text(app)
        assert "idle" in seen
        assert "busy 37.5%" in seen
        assert "lost attempts 1" in seen
        await press(pilot, app, "4")
        board = [line.split() for line in listed(app, "#board")]
        assert board == [
            ["1", "●", "reproduced", "2.7000", "+18.2", "±88.2", "%", "ada", "+ben", "turn", "p1"],
            ["2", "•", "not", "improved", "3.4000", "-6.5", "±93.9", "%", "ben", "turn", "p2"],
            ["3", "×", "invalid", "ada", "turn", "p3"],
        ]
        assert "● reproduced" in screen_text(app)
        await press(pilot, app, "3")
        assert "Best so far: val_bpb (bits per byte, lower is better)" in screen_text(app)


async def test_the_feed_tells_posts_and_what_came_of_them(ledger: Ledger) -> None:
    """Author, kind and words of a post; statuses and the new best; nobody's verdicts twice."""
    write(ledger, story())
    app = WatchApp(ledger.path)
    async with app.run_test(size=(160, 48)) as pilot:
        await until_shown(pilot, app, ledger.last_seq)
        lines = listed(app, "#feed")
        assert "   0:20  ada      hypothesis p1   turn p1 (expects +0.400, 80% sure)" in lines
        assert (
            "   0:30  ben      review     p4   on p1: support, expects +0.700, 60% to hold" in lines
        )
        assert '   0:50  ★ new best 2.7000 (+18.2 %) by ada: "turn p1"' in lines
        assert any("● p1" in line and "is reproduced" in line for line in lines)
        assert not any("e0001" in line for line in lines)
        colours = {
            str(span.style)
            for item in app.screen.query_one("#feed", PickList).items
            for span in item.text.spans
            if item.text.plain[span.start : span.end].strip() in ("ada", "ben")
        }
        assert len(colours) == 2


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_text_is_shown_literally(ledger: Ledger, size: tuple[int, int]) -> None:
    """Markup, escape codes and bidi overrides do nothing, on no screen and no page."""
    write(ledger, [*beginning(), *titled("p1", HOSTILE, 2)])
    screen = queued("e2", "screen", "p1" * 4, "t-p1", hypothesis="p1", measurement=2)
    write(ledger, [(20, screen), (20, ev.AttemptStarted("e2", 1, "cpu1"))])
    talk = {"kind": "comment", "text": HOSTILE}
    ledger.append(21 * S, ev.Posted("p2", "m2", HOSTILE[:40], "p1", talk, {}))
    app = WatchApp(ledger.path)
    async with app.run_test(size=size) as pilot:
        await until_shown(pilot, app, ledger.last_seq)
        assert sum(LITERAL in line for line in listed(app, "#feed")) == 2
        assert any(LITERAL in line for line in listed(app, "#threads"))
        pictures = [screen_text(app)]
        for key in ("2", "3", "4", "5", "6", "7"):
            await press(pilot, app, key)
            pictures.append(screen_text(app))
            assert "\x1b[2J" not in app.export_screenshot()
        await press(pilot, app, "4")
        assert any(LITERAL in line for line in listed(app, "#board"))
        await press(pilot, app, "enter")
        assert LITERAL in lines_of(app, "#page")
        pictures.append(screen_text(app))
        assert sum("[bold red]boo[/]" in seen for seen in pictures) >= 4
        assert not set("\x1b\x07\u202e") & set("".join(pictures))


async def test_new_rows_appear_while_the_run_goes_on(ledger: Ledger) -> None:
    """A live run: forum, leaderboard, lab and header follow the ledger, until it ends."""
    write(ledger, beginning())
    app = WatchApp(RunFolder(ledger.path.parent))
    async with app.run_test(size=(160, 48)) as pilot:
        await until_shown(pilot, app, ledger.last_seq)
        assert "● live" in screen_text(app)
        assert "experiments 0/9" in screen_text(app)
        write(ledger, titled("p1", "wider window", 2))
        running = queued("e0002", "screen", CHILD, "t-2", hypothesis="p1", requested_by="ben")
        waiting = queued("e0003", "screen", BASE, "t-3", hypothesis="p1")
        write(ledger, [(20, running), (20, waiting), (20, ev.AttemptStarted("e0002", 1, "cpu1"))])
        await until_shown(pilot, app, ledger.last_seq)
        seen = screen_text(app)
        assert "ada      hypothesis p1   wider window" in seen
        assert "experiments 1/9" in seen
        assert "best, not reproduced 2.9000 (+6.5 %)" in seen
        await press(pilot, app, "2")
        slots = lines_of(app, "#slots").splitlines()
        assert slots[1].startswith("cpu0")
        assert slots[2].strip() == "idle"
        assert slots[3].startswith("cpu1")
        assert "e0002" in slots[4]
        assert slots[4].endswith("ben tries: wider window")
        (turn,) = listed(app, "#queue")
        assert turn.split()[:2] == ["1", "e0003"]
        assert "class 3 of 5: nobody with skill has spoken" in turn
        ledger.append(30 * S, ev.RunStopped("target"))
        await until_shown(pilot, app, ledger.last_seq)
        assert "ended: target" in screen_text(app)


async def test_the_header_shows_the_limit_last_given(ledger: Ledger) -> None:
    """A run that was resumed with another limit goes on under that."""
    write(ledger, [*beginning(), (2, ev.RunResumed((), {}, 12))])
    app = WatchApp(ledger.path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, app, ledger.last_seq)
        assert "experiments 0/12" in screen_text(app)
        ledger.append(30 * S, ev.RunStopped("nobody left to propose"))
        await until_shown(pilot, app, ledger.last_seq)
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
        await until(pilot, lambda: "community run" in screen_text(app))
        with Ledger.create(path) as ledger:
            await until(pilot, lambda: "no row yet" in screen_text(app))
            ledger.append(0, opened())
            await until_shown(pilot, app, ledger.last_seq)
            await until(pilot, lambda: "not measured yet" in screen_text(app))
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
        await until_shown(pilot, app, ledger.last_seq)
        good = ledger.last_seq
        ledger.append(40 * S, ev.AttemptStarted("e9999", 1, "cpu0"))
        await until(pilot, lambda: "e9999 was never admitted" in screen_text(app))
        ledger.append(41 * S, ev.RunStopped("target"))
        assert app.fold.told.state.last_seq == good
        assert "wider window" in screen_text(app)


async def test_space_holds_the_picture_and_goes_on_where_the_run_is(ledger: Ledger) -> None:
    """Meanwhile rows are read and counted, not shown; then all of them are."""
    write(ledger, beginning())
    app = WatchApp(ledger.path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, app, ledger.last_seq)
        await press(pilot, app, "space")
        await until(pilot, lambda: "held still, 0 new rows" in screen_text(app))
        events = titled("p1", "wider window", 2)
        write(ledger, events)
        await until(pilot, lambda: f"held still, {len(events)} new rows" in screen_text(app))
        assert "wider window" not in screen_text(app)
        await press(pilot, app, "space")
        await until_shown(pilot, app, ledger.last_seq)
        assert "wider window" in screen_text(app)
        assert "held" not in screen_text(app)


async def test_keys_do_what_the_footer_says(ledger: Ledger) -> None:
    """Theme, help on every screen, and quit."""
    write(ledger, story())
    app = WatchApp(ledger.path)
    async with app.run_test(size=(160, 48)) as pilot:
        await until_shown(pilot, app, ledger.last_seq)
        for number, name in enumerate(
            ("Forum", "Lab", "Progress", "Leaderboard", "Topology", "Lineage", "Evidence"), start=1
        ):
            await press(pilot, app, str(number))
            for key in ("Filter", "Hold", "Open", "Follow", "Help", "Quit"):
                assert key in screen_text(app).splitlines()[-1], name
            await press(pilot, app, "question_mark")
            assert isinstance(app.screen, HelpScreen)
            assert f"Help: {name}" in screen_text(app)
            assert "hold the picture still" in screen_text(app)
            await press(pilot, app, "escape")
        assert app.current_theme.dark
        await pilot.press("d")
        assert not app.current_theme.dark
        await pilot.press("question_mark")
        ledger.append(200 * S, ev.RunResumed(()))
        await until_shown(pilot, app, ledger.last_seq)  # the screen below goes on
        await pilot.press("escape")
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)
    assert app.return_code == 0


async def test_who_moved_up_stays_where_he_reads(ledger: Ledger) -> None:
    """New lines move the feed only while the cursor is at its end; the oldest are forgotten."""
    write(ledger, beginning())
    app = WatchApp(ledger.path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, app, ledger.last_seq)
        feed = app.screen.query_one("#feed", PickList)

        def talk(first: int, count: int) -> list[ev.Event]:
            texts = (f"word {n}." for n in range(first, first + count))
            bodies: list[dict[str, Any]] = [{"kind": "comment", "text": text} for text in texts]
            return [
                ev.Posted(f"p{first + n}", f"m{first + n}", "ada", None, body, {})
                for n, body in enumerate(bodies)
            ]

        ledger.append(S, *talk(0, 50))
        await until_shown(pilot, app, ledger.last_seq)
        feed.focus()
        assert feed.chosen is not None
        assert "word 49." in feed.chosen.text.plain
        for _ in range(20):
            await pilot.press("up")
        kept, seen = feed.chosen, screen_text(app)
        assert "word 29." in kept.text.plain
        ledger.append(S, *talk(50, 50))
        await until_shown(pilot, app, ledger.last_seq)
        assert feed.chosen is not None
        assert feed.chosen.key == kept.key
        assert "word 29." in seen
        assert "word 29." in screen_text(app)
        await pilot.press("end")
        assert "word 99." in feed.chosen.text.plain
        ledger.append(S, *talk(100, FEED_LINES + 500))
        await until_shown(pilot, app, ledger.last_seq)
        assert len(feed.items) == FEED_LINES
        assert f"word {FEED_LINES + 599}." in feed.items[-1].text.plain
        assert feed.chosen.key == feed.items[-1].key


async def test_panes_fit_every_size(ledger: Ledger) -> None:
    """From tiny to wide nothing fails on any screen, and the header stays."""
    write(ledger, story())
    app = WatchApp(ledger.path)
    async with app.run_test(size=(160, 48)) as pilot:
        await until_shown(pilot, app, ledger.last_seq)
        for key in "1234567":
            await press(pilot, app, key)
            for size in [(20, 6), (80, 24), (80, 48), (119, 33), (120, 34), (240, 70), (160, 24)]:
                await pilot.resize_terminal(*size)
                await pilot.pause()
                assert "r1" in screen_text(app).splitlines()[0]


def test_the_reading_thread_ends_when_it_is_closed(ledger: Ledger) -> None:
    """It hands over bounded batches and ends between two of them."""
    ledger.append(0, opened(), *(ev.Noticed("start", str(n)) for n in range(5_000)))
    posted: list[RowsRead] = []

    def post(news: object) -> None:
        assert isinstance(news, RowsRead)
        posted.append(news)
        if len(posted) == 4:
            feed.close()

    feed = LedgerFeed(ledger.path)
    feed.follow(post)
    assert len(posted) == 4
    assert all(len(news.rows) <= 500 for news in posted)
    assert posted[0].is_live
