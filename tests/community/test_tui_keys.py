"""What keys do beside changing screens: filter, follow, search, copy, act, the palette."""

from __future__ import annotations

from pathlib import Path

import pytest
from screen_script import PATCH, Told, scene_rows
from tui_pilot import SIZES, lines_of, listed, press, screen_text, until, until_shown, watching

from community.tui import person
from community.tui.app import WatchApp
from community.tui.screens.page import PageScreen
from community.tui.screens.write import WriteScreen
from community.tui.widgets.pick_list import PickList


@pytest.mark.parametrize("size", SIZES)
async def test_a_filter_leaves_what_has_all_the_words(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """On every list at once; a minus leaves out; Esc brings everything back."""
    async with watching(tmp_path, scene_rows(), size) as (app, pilot):
        whole = listed(app, "#threads")
        await press(pilot, app, "slash")
        for key in "reproduced":
            await press(pilot, app, key)
        left = listed(app, "#threads")
        assert 0 < len(left) < len(whole)
        assert all("reproduced" in line for line in left)
        for key in ("space", "minus", "m", "u", "o", "n"):
            await press(pilot, app, key)
        fewer = listed(app, "#threads")
        assert len(fewer) == len(left) - 1
        assert not any("Muon" in line for line in fewer)
        await press(pilot, app, "enter")
        assert "/reproduced -muon" in screen_text(app)
        await press(pilot, app, "6")
        assert all("reproduced" in line for line in listed(app, "#tree"))
        await press(pilot, app, "escape")
        await press(pilot, app, "1")
        assert listed(app, "#threads") == whole


async def test_following_an_agent_shows_what_it_has_a_part_in(tmp_path: Path) -> None:
    """Threads in which it wrote, lines about it; Esc follows nobody again."""
    async with watching(tmp_path, scene_rows(), (160, 48)) as (app, pilot):
        whole = listed(app, "#threads")
        await press(pilot, app, "f")
        for key in "cyd":
            await press(pilot, app, key)
        await press(pilot, app, "enter")
        assert "only cyd" in screen_text(app)
        left = listed(app, "#threads")
        state = app.fold.told.state
        taking = {
            app.fold.told.threads.root(post_id)
            for post_id, record in state.posts.items()
            if record.posted.author == "cyd"
        }
        assert {line.split()[1] for line in left} == taking
        assert len(left) < len(whole)
        assert all("cyd" in line for line in listed(app, "#feed"))
        await press(pilot, app, "escape")
        assert listed(app, "#threads") == whole


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("p7", "Muon for the matrices"),
        ("e0900", "Experiment e0900"),
        ("v-e0012", "Verdict v-e0012"),
        ("ben", "hears"),
        ("~kim", "a person"),
        ("tie the head", "tie the head to the embedding"),
        ("nothing of it", "Nothing in this run is called nothing of it"),
    ],
)
async def test_whatever_has_an_id_can_be_opened(tmp_path: Path, typed: str, words: str) -> None:
    """Posts, experiments, verdicts, agents, people, by id or words; what is not is told."""
    async with watching(tmp_path, scene_rows(), (100, 30)) as (app, pilot):
        await press(pilot, app, "o")
        for letter in typed:
            await press(pilot, app, {" ": "space", "-": "minus", "~": "tilde"}.get(letter, letter))
        await press(pilot, app, "enter")
        await until(pilot, lambda: bool(app.screen.query("#page")))
        await until(pilot, lambda: words in lines_of(app, "#page"))
        await press(pilot, app, "escape")
        assert not isinstance(app.screen, PageScreen)


async def test_a_commit_is_opened_by_its_beginning(tmp_path: Path) -> None:
    """As `git` would take it."""
    async with watching(tmp_path, scene_rows(), (100, 30)) as (app, pilot):
        commit = app.fold.told.state.hypotheses["p7"].commit
        app.open_page(commit[:9])
        await until(pilot, lambda: bool(app.screen.query("#page")))
        await until(pilot, lambda: "Muon for the matrices" in lines_of(app, "#page"))


async def test_a_patch_is_copied_to_clipboard_and_file(tmp_path: Path) -> None:
    """The whole of it, and where it went is told; where there is none nothing is copied."""
    async with watching(tmp_path, scene_rows(), (160, 48)) as (app, pilot):
        await press(pilot, app, "y")
        assert app.clipboard == PATCH
        (written,) = (tmp_path / "patches").iterdir()
        assert written.name == "p30.patch"
        assert written.read_text() == PATCH
        threads = app.screen.query_one("#threads", PickList)
        assert threads.point_at("p32")
        await until(pilot, lambda: "nobody has tried" in lines_of(app, "#thread"))
        await press(pilot, app, "y")
        assert len(list((tmp_path / "patches").iterdir())) == 1


async def test_who_is_not_heard_is_told(tmp_path: Path) -> None:
    """A comment on a run that is over goes nowhere, and the screen says why."""
    async with watching(tmp_path, scene_rows(), (160, 48)) as (app, pilot):
        await press(pilot, app, "c")
        assert "Comment on p30" in screen_text(app)
        for key in ("h", "i", "ctrl+s"):
            await press(pilot, app, key)
        await until(pilot, lambda: any("is not running" in n.message for n in app._notifications))


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_a_comment_has_lines_and_is_not_cut(
    size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enter begins a line; what sends and leaves is on the screen; what is too long stays."""
    monkeypatch.setattr(person, "COMMENT_CHARACTERS", 6)
    async with watching(tmp_path, scene_rows(), size) as (app, pilot):
        await press(pilot, app, "c")
        assert "Ctrl+S sends, Esc leaves" in " ".join(screen_text(app).replace("│", "").split())
        said: list[str | None] = []
        writing = app.screen
        assert isinstance(writing, WriteScreen)
        monkeypatch.setattr(writing, "dismiss", said.append)
        for key in ("h", "i", "enter", "y", "o", "u", "q"):
            await press(pilot, app, key)
        assert "1 characters too long: 6 are taken" in screen_text(app)
        await press(pilot, app, "ctrl+s")
        assert said == []
        await press(pilot, app, "backspace")
        await press(pilot, app, "ctrl+s")
        assert said == ["hi\nyou"]


async def test_where_nobody_can_take_part_no_key_offers_it() -> None:
    """A source without a run behind it: a comment is not even begun."""
    rows = scene_rows()
    app = WatchApp(Told(rows))
    async with app.run_test(size=(160, 48)) as pilot:
        await until_shown(pilot, app, rows[-1].seq)
        before = app.screen
        for key in ("c", "plus", "minus", "P", "R"):
            await press(pilot, app, key)
            assert app.screen is before


async def test_the_palette_knows_every_screen_and_what_people_do(tmp_path: Path) -> None:
    """By name; choosing one goes there."""
    async with watching(tmp_path, scene_rows(), (160, 48)) as (app, pilot):
        names = {command.title for command in app.get_system_commands(app.screen)}
        assert {"Forum", "Lab", "Progress", "Leaderboard", "Topology", "Lineage"} <= names
        assert {"Comment", "Boost", "Veto", "Pause an agent", "Hold", "Help"} <= names
        await pilot.press("ctrl+p")
        await pilot.pause()
        for key in "lineage":
            await pilot.press(key)
        await until(pilot, lambda: "Show this screen (6)" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "lineage")
