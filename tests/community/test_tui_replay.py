"""A finished run is played again: speed, going back and forth, jumping to the next improvement."""

from __future__ import annotations

from pathlib import Path

import pytest
from archive_script import S, opened
from evidence_script import whole
from tui_pilot import SIZES, listed, press, screen_text, until

from community import events as ev
from community.archive.ledger import Ledger
from community.archive.state import RunState
from community.tui.app import WatchApp
from community.tui.feed import News, RowsRead, Unread
from community.tui.fold import Fold
from community.tui.pictures.header import header
from community.tui.replay import SPEEDS, Replay


def recorded(folder: Path, rows: list[ev.Row]) -> Path:
    """Write a ledger; returns its path."""
    with Ledger.create(folder / "ledger.db") as ledger:
        for row in rows:
            ledger.append(row.at_us, row.event)
        return ledger.path


@pytest.mark.parametrize("size", SIZES)
async def test_a_replay_stops_goes_and_jumps_to_improvements(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """Paused it stands still; n shows the run as it was when something was improved."""
    rows = whole()
    app = WatchApp(Replay(recorded(tmp_path, rows), speed=1))
    first = next(
        row
        for row in rows
        if isinstance(row.event, ev.StatusChanged) and row.event.status == "improved"
    )
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "replay" in screen_text(app))
        await press(pilot, app, "space")
        assert app.replay is not None
        assert not app.replay.playing.is_playing
        await press(pilot, app, "n")
        await until(pilot, lambda: app.fold.told.state.last_seq >= first.seq)
        last = max(row.seq for row in rows if row.at_us <= first.at_us)
        assert app.fold.told.state.last_seq == last
        await until(pilot, lambda: "improved" in "".join(listed(app, "#threads")))
        assert len(listed(app, "#threads")) == 1
        assert "‖ 1x" in screen_text(app)
        await press(pilot, app, "right_square_bracket")
        assert "‖ 2x" in screen_text(app)
        await press(pilot, app, "greater_than_sign")
        await until(pilot, lambda: app.fold.told.state.last_seq > last)
        for _ in range(12):
            await press(pilot, app, "less_than_sign")
        await until(pilot, lambda: app.fold.told.state.last_us == rows[0].at_us)
        await until(pilot, lambda: listed(app, "#threads") == [])
        for _ in range(40):
            await press(pilot, app, "n")
        await until(pilot, lambda: app.fold.told.state.last_seq == rows[-1].seq)
        assert "Next gain" in screen_text(app) or size == SIZES[0]


def test_back_and_forth_gives_the_state_of_that_time(tmp_path: Path) -> None:
    """Whatever way a replay came to a time, the fold is that of the rows until then."""
    rows = whole()
    replay = Replay(recorded(tmp_path, rows), speed=1000)
    fold = Fold(lambda what: None, header)
    steps = iter([0.5, -0.3, 0.1, -0.05, 0.9])
    seen: list[int] = []

    def post(news: News) -> None:
        assert isinstance(news, RowsRead)
        fold.take(news)
        if replay.playing.is_playing:
            replay.toggle()
        at_us = replay.playing.at_us
        known = [row for row in rows if row.at_us <= at_us]
        if fold.told.state.last_seq != (known[-1].seq if known else 0):
            return  # another batch follows
        expected = RunState.from_rows(known)
        assert fold.told.state.last_seq == expected.last_seq
        assert list(fold.told.state.posts) == list(expected.posts)
        assert {h: s.status for h, s in fold.told.state.hypotheses.items()} == {
            h: s.status for h, s in expected.hypotheses.items()
        }
        seen.append(expected.last_seq)
        share = next(steps, None)
        if share is None:
            replay.close()
        else:
            replay.scrub(share)

    replay.follow(post)
    assert len(set(seen)) >= 4
    assert seen[-1] == rows[-1].seq


def test_speed_has_bounds_and_an_empty_ledger_is_no_error(tmp_path: Path) -> None:
    """From 1x to 1000x; without rows there is nothing to play, which is said by the header."""
    replay = Replay(recorded(tmp_path, []), speed=7)
    assert replay.playing.speed in SPEEDS
    for _ in range(20):
        replay.change_speed(1)
    assert replay.playing.speed == 1000
    for _ in range(20):
        replay.change_speed(-1)
    assert replay.playing.speed == 1
    told: list[News] = []

    def post(news: News) -> None:
        told.append(news)
        replay.close()

    replay.follow(post)
    assert isinstance(told[0], RowsRead)
    assert told[0].rows == ()


def test_a_damaged_ledger_is_told(tmp_path: Path) -> None:
    """The reader's own words."""
    (tmp_path / "ledger.db").write_text("nothing of the kind")
    told: list[News] = []
    Replay(tmp_path / "ledger.db").follow(told.append)
    assert isinstance(told[0], Unread)
    assert not told[0].is_absent


def test_the_bar_marks_improvements(tmp_path: Path) -> None:
    """As wide as it may be, with a sign for each."""
    moved = ev.FrontierMoved("c", "p1", 2.0)
    path = recorded(tmp_path, [ev.Row(1, 0, opened()), ev.Row(2, 10 * S, moved)])
    replay = Replay(path)
    replay.follow(lambda news: replay.close())
    bar = replay.playing.bar(60)
    assert bar.cell_len == 60
    assert bar.plain.count("◆") == 1
    assert "10x 0:0" in bar.plain
