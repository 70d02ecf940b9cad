"""A run that is only watched: the same answers as the whole fold, out of a few bytes a row."""

from __future__ import annotations

import dataclasses
import tracemalloc
from pathlib import Path
from typing import NoReturn

import pytest
from archive_script import opened, rows
from hypothesis import given
from hypothesis import strategies as st
from tui_pilot import S, beginning, press, screen_text, titled, until, watching

from benchmarks.ledger_traffic import rows_of
from community import events as ev
from community.archive import shelf
from community.archive.codec import decode_event, encode_event
from community.archive.leaderboard import contributions, researchers
from community.archive.ledger import Ledger
from community.archive.queries import best_commit, pool_use
from community.archive.shelf import Form, Shelf, Shelved
from community.archive.state import RunState
from community.archive.watched import WatchedState
from community.archive.yardstick import sentinels, spend_by_purpose
from community.reviewing import first_runs, settlements, skills
from community.show import shown
from community.tui.app import WatchApp
from community.tui.pictures.lineage import tree_of
from community.tui.plot import plots_of
from community.tui.threads import Threads

BYTES_A_ROW = 100
"""What a watcher's fold may grow by; the whole one grows by some 600."""


@pytest.fixture
def few_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three records of a kind are objects, all others have to be read again."""
    monkeypatch.setattr(shelf, "LOADED", 3)


@pytest.fixture(scope="module")
def traffic() -> list[ev.Row]:
    """The beginning of a long run in a real run's mix."""
    return list(rows_of(2_500, 10.0))


def test_a_watched_run_says_what_the_run_says(few_loaded: None, traffic: list[ev.Row]) -> None:
    """Every part that is kept, and every view, on a run with everything in it and on a long one."""
    for story in (rows(), traffic):
        whole, watched = RunState.from_rows(story), WatchedState.from_rows(story)
        for name, value in vars(whole).items():
            if name in ("index", "reach", "delivered", "evidence", "minds", "forum"):
                continue
            other = getattr(watched, name)
            if isinstance(value, dict):
                assert list(value.items()) == list(other.items()), name
                assert list(reversed(value)) == list(reversed(other)), name
                assert all(other[key] == value[key] for key in value), name
            else:
                assert value == (list(other) if isinstance(value, list) else other), name
        assert whole.forum == watched.forum
        assert dataclasses.replace(whole.minds, entries=[], paid=[]) == dataclasses.replace(
            watched.minds, entries=[], paid=[]
        )
        for name in ("unjudged", "calibration", "admitted", "confirming", "screening", "moves"):
            assert getattr(whole.index, name) == getattr(watched.index, name), name
        for name in ("repeats", "hypotheses_by_tree"):
            assert getattr(whole.index, name) == dict(getattr(watched.index, name).items()), name
        for agent in whole.agents:
            assert whole.readable(agent) == watched.readable(agent)
        for view in (best_commit, contributions, researchers, settlements, first_runs, skills):
            assert view(whole) == view(watched), view.__name__
        for view in (pool_use, tree_of, sentinels, spend_by_purpose):
            assert view(whole) == view(watched), view.__name__
        assert shown(whole, "") == shown(watched, "")
        assert plots_of(whole, contributions(whole)) == plots_of(watched, contributions(watched))


def test_what_is_not_kept_is_refused(traffic: list[ev.Row]) -> None:
    """Nobody takes an empty answer for the truth."""
    watched = WatchedState.from_rows(traffic)
    with pytest.raises(LookupError, match="not kept in a run that is only watched"):
        watched.delivered.get("ada")
    with pytest.raises(LookupError, match=r"Reach\.heard"):
        len(watched.reach.heard)


def test_memory_hardly_grows_with_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the newest rows some records are objects; of all others an address is kept."""
    monkeypatch.setattr(shelf, "LOADED", 32)  # so that there soon are as many as there may be
    begin, count = 3_000, 8_000
    told = [(row.event.kind, encode_event(row.event)) for row in rows_of(count, 100.0)]
    state, before = WatchedState(), 0
    tracemalloc.start()
    try:
        for seq, (kind, body) in enumerate(told, start=1):
            state.apply(ev.Row(seq, seq, decode_event(kind, body)))
            if seq == begin:
                before = tracemalloc.get_traced_memory()[0]
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 0 < grown / (count - begin) < BYTES_A_ROW


@given(st.lists(st.tuples(st.sampled_from("smcgr"), st.integers(0, 12), st.integers(0, 99))))
def test_a_shelf_is_a_dict(steps: list[tuple[str, int, int]]) -> None:
    """In order of insertion; what is changed while it is written is kept."""
    place = Shelf()
    place.is_writing = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shelf, "LOADED", 2)
        form = Form[list[int]](lambda value: value, lambda value: value, is_changed=True)
        kept = Shelved[str, list[int]](place, form)
    wanted: dict[str, list[int]] = {}
    for what, number, value in steps:
        key = f"key {number}"
        if what == "s":
            kept[key], wanted[key] = [value], [value]
        elif what == "m":
            kept.setdefault(key, []).append(value)
            wanted.setdefault(key, []).append(value)
        elif what == "c" and not value:
            kept.clear()
            wanted.clear()
        elif what == "r":
            assert list(kept.values()) == list(wanted.values())
        assert kept.get(key) == wanted.get(key)
        assert (key in kept, len(kept)) == (key in wanted, len(wanted))
    assert list(kept.items()) == list(wanted.items())
    assert list(reversed(kept.items())) == list(reversed(wanted.items()))


def test_whoever_holds_a_record_holds_the_one_that_changes(few_loaded: None) -> None:
    """An experiment that runs is among those without a verdict, however long ago it was admitted.

    It has been pushed out of memory by then, and is still held by the list.
    """
    story = rows()
    watched = WatchedState()
    for row in story:
        watched.apply(row)
        for name, experiment in watched.index.unjudged.items():
            assert watched.experiments[name] is experiment


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=40))
def test_threads_are_in_order(steps: list[tuple[bool, int]]) -> None:
    """The one that was touched last comes first; each has its posts in order."""
    watched = WatchedState()
    watched.apply(ev.Row(1, 0, opened()))
    threads, wanted, root_of = Threads(watched.shelved_posts), dict[str, list[str]](), {}
    for seq, (is_post, number) in enumerate(steps, start=2):
        about = f"p{number}"
        if not is_post:
            threads.touch(about)
            if about in root_of:
                wanted[root_of[about]] = wanted.pop(root_of[about])
            continue
        name = f"p{len(root_of)}"
        event = ev.Posted(name, f"m{seq}", "ada", about, {"kind": "comment", "text": ""}, {})
        watched.apply(ev.Row(watched.last_seq + 1, 0, event))
        threads.take(event)
        root_of[name] = root_of.get(about, name)
        wanted[root_of[name]] = [*wanted.pop(root_of[name], []), name]
    assert list(threads.newest()) == list(reversed(wanted))
    assert threads.total == len(wanted)
    for root, posts in wanted.items():
        assert list(threads.posts(root)) == posts
        assert {threads.root(post) for post in posts} == {root}
        assert threads.count(root) == len(posts)
    assert not threads.root("nobody's")


async def test_a_post_that_was_pushed_out_opens(few_loaded: None, tmp_path: Path) -> None:
    """The oldest thread of many, with its words, from the list of threads."""
    told = beginning()
    for number in range(30):
        told += titled(f"p{number}", f"title number {number}", 10 + 10 * number)
    told = [(at, _worded(event)) for at, event in told]
    story = [ev.Row(seq, at * S, event) for seq, (at, event) in enumerate(told, start=1)]
    async with watching(tmp_path, story, (160, 48)) as (app, pilot):
        assert len(app.fold.told.state.shelved_posts._loaded) == shelf.LOADED < 30
        await press(pilot, app, "end")
        await press(pilot, app, "enter")
        await until(pilot, lambda: "words of p0." in screen_text(app))
        assert "title number 0" in screen_text(app)


def _worded(event: ev.Event) -> ev.Event:
    if isinstance(event, ev.Posted):
        body = {**event.body, "rationale": f"The words of {event.post_id}."}
        return dataclasses.replace(event, body=body)
    return event


async def test_no_room_for_temporary_files_is_said(
    few_loaded: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to do about it, and no traceback."""

    def full(*_: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Shelf, "put", full)
    with Ledger.create(tmp_path / "ledger.db") as ledger:
        for row in rows():
            ledger.append(row.at_us, row.event)
    app = WatchApp(ledger.path)
    async with app.run_test(size=(160, 48)) as pilot:
        await until(pilot, lambda: "No space left on device" in screen_text(app))
        assert "TMPDIR" in screen_text(app)
