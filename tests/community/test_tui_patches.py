"""Diffs that are too long for a post: from the repository where there is one, else it is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from archive_script import proposed
from screen_script import Told as Source
from tui_pilot import Told, beginning, lines_of, press, until, until_shown, watching

from community import events as ev
from community.clerk import PATCH_CHARACTERS
from community.tui.app import WatchApp
from trainer.repository import Repository

LINES = [f"X_{number} = {number}" for number in range(7_000)]


def rows_with(commit: str, parent: str) -> list[ev.Row]:
    """Return a run with one hypothesis, whose diff its post could not hold."""
    body = {
        "kind": "hypothesis", "title": "all of it anew", "rationale": "", "parents": [parent],
        "knobs": {}, "prediction": {"gain": 0.1, "confidence": 0.8}, "commit": commit, "patch": "",
    }  # fmt: skip
    told: Told = [*beginning(), (2, proposed(commit, "t", "ada"))]
    told.append((3, ev.Posted("p1", "m1", "ada", None, body, {"ben": "everything"})))
    return [ev.Row(seq, at * 1_000_000, event) for seq, (at, event) in enumerate(told, start=1)]


def committed(folder: Path) -> tuple[str, str]:
    """Return a commit and its parent, in the repository of a run's folder."""
    repository = Repository.create(folder / "repo.git")
    who = "ada <ada@community.invalid>"
    parent = repository.commit({"train.py": b"A = 1\n"}, (), who, "start\n", 0)
    text = "\n".join(LINES).encode()
    return repository.commit({"train.py": text}, (parent,), who, "anew\n", 1), parent


async def test_a_diff_too_long_for_a_post_is_fetched_and_can_be_copied(tmp_path: Path) -> None:
    """By its commits, from the run's repository; the screen goes on meanwhile."""
    rows = rows_with(*committed(tmp_path))
    async with watching(tmp_path, rows, (160, 48)) as (app, pilot):
        await until(pilot, lambda: "X_17 = 17" in lines_of(app, "#thread"))
        assert "fetching" not in lines_of(app, "#thread")
        await press(pilot, app, "y")
        assert len(app.clipboard) > PATCH_CHARACTERS
        assert app.clipboard.startswith("diff --git")
        assert f"+{LINES[-1]}" in app.clipboard


async def test_a_watcher_elsewhere_is_told_that_commits_are_not_carried() -> None:
    """No repository: words in place of the diff, and nothing to copy."""
    rows = rows_with("c" * 40, "b" * 40)
    app = WatchApp(Source(rows))
    async with app.run_test(size=(160, 48)) as pilot:
        await until_shown(pilot, app, rows[-1].seq)
        await until(pilot, lambda: "commits are not carried" in lines_of(app, "#thread"))


@pytest.mark.parametrize("has_repository", [True, False])
async def test_a_commit_that_is_gone_is_told(tmp_path: Path, has_repository: bool) -> None:
    """The reason in place of the diff; the application goes on."""
    if has_repository:
        committed(tmp_path)
    rows = rows_with("c" * 40, "b" * 40)
    async with watching(tmp_path, rows, (160, 48)) as (app, pilot):
        await until(pilot, lambda: "cannot be read" in lines_of(app, "#thread"))
