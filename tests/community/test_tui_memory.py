"""What a watcher keeps of a run: equal parts once, and nothing of what lay over a screen."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace

from archive_script import hypothesis, opened, queued, rows, verdict
from hypothesis import given
from hypothesis import strategies as st
from tui_pilot import press, until

from community import events as ev
from community.archive.state import RunState
from community.tui import lean
from community.tui.app import WatchApp
from community.tui.feed import News, RowsRead
from community.tui.fold import SETTLED_ROWS
from community.tui.lean import Lean
from community.tui.screens.help import HelpScreen

READERS = {"ben": "diff", "cyd": "summary"}
TEXT = "a" * 100


def post(name: str, **body: object) -> ev.Posted:
    """Return a hypothesis whose parts are objects of its own."""
    posted = hypothesis(name, "".join("ada"), "c" * 40, 0.1, **READERS)
    return replace(posted, body={**posted.body, **body})


def test_equal_parts_are_one_object() -> None:
    """Readers, knobs, parents and texts that come again, in rows of one kind or several."""
    small = Lean()
    one, two = (small.row(ev.Row(n, n, post(f"p{n}", patch=f"{TEXT}-"))).event for n in (1, 2))
    assert isinstance(one, ev.Posted)
    assert isinstance(two, ev.Posted)
    assert one.readers is two.readers
    for name in ("knobs", "parents", "patch"):
        assert one.body[name] is two.body[name]
    other = small.row(ev.Row(3, 3, ev.Proposed("c" * 40, (), "t", "ada", TEXT, {"LR": 0.01})))
    assert isinstance(other.event, ev.Proposed)
    assert other.event.knobs is one.body["knobs"]


def test_what_is_equal_and_looks_different_is_kept_apart() -> None:
    """1, 1.0 and True are equal to Python; a screen shows them as they are."""
    small = Lean()
    values: list[object] = [1, 1.0, True, 0, False, 0.0, -0.0]
    for number, value in enumerate(values, start=1):
        event = small.row(ev.Row(number, 0, post(f"p{number}", knobs={"A": value}))).event
        assert isinstance(event, ev.Posted)
        assert repr(event.body["knobs"]) == repr({"A": value})


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
), st.integers(1, 3))  # fmt: skip
def test_a_row_says_what_it_said(body: object, times: int) -> None:
    """Whatever JSON a post holds, however often."""
    small = Lean()
    for number in range(times):
        row = ev.Row(number, 0, post("p", text=body))
        expected = repr(row)
        assert repr(small.row(row)) == expected


def test_a_sketch_is_left_out_and_the_state_is_the_same() -> None:
    """What screens look at is what the ledger says."""
    story = rows()
    small = Lean()
    whole, kept = RunState.from_rows(story), RunState.from_rows(map(small.row, story))
    for name, value in vars(whole).items():
        if not name.startswith("_"):
            assert getattr(kept, name) == value, name
    given_ = replace(verdict(queued("e", "screen", "c", "t"), 2.0), sketch="f" * 4_000)
    assert small.row(ev.Row(1, 0, given_)).event == replace(given_, sketch="")


def test_what_is_remembered_does_not_grow_with_the_run() -> None:
    """Of what came once, two generations at most."""
    small = Lean()
    for number in range(3 * lean.GENERATION):
        small.row(ev.Row(number, 0, post(f"p{number}", text=f"text {number}")))
    assert len(small._young) + len(small._old) <= 2 * lean.GENERATION


class Given:
    """A source that hands over what a test gives it."""

    def __init__(self) -> None:
        self._closing = threading.Event()
        self.post: Callable[[News], object] = print

    def follow(self, post: Callable[[News], object]) -> None:
        """Wait until the end."""
        self.post = post
        self._closing.wait()

    def close(self) -> None:
        """End."""
        self._closing.set()


async def test_nothing_stays_of_what_lay_over_a_screen() -> None:
    """Rows come while help is open; when it is closed it is gone, and what came is settled."""
    source = Given()
    app = WatchApp(source)
    many = [ev.Row(1, 0, opened())]
    many += [ev.Row(n, 0, ev.Noticed("start", "x")) for n in range(2, 3 * SETTLED_ROWS + 2)]
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: source.post is not print)
            source.post(RowsRead(tuple(many[:10])))
            await press(pilot, app, "question_mark")
            assert isinstance(app.screen, HelpScreen)
            seen = weakref.ref(app.screen)
            frozen = gc.get_freeze_count()
            source.post(RowsRead(tuple(many[10:-10])))
            source.post(RowsRead(()))
            assert gc.get_freeze_count() == frozen
            await press(pilot, app, "escape")
            await press(pilot, app, "1")
            source.post(RowsRead(tuple(many[-10:])))
            assert gc.get_freeze_count() > frozen
            await until(pilot, lambda: gc.collect() >= 0 and seen() is None)
    finally:
        gc.unfreeze()
