"""What every screen looks like, at 80x24 and 160x48, as SVG: no change goes unseen.

``UPDATE_SNAPSHOTS=1 python -m pytest tests/community/test_tui_snapshots.py`` takes new pictures;
look at each before it is committed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from screen_script import Told, scene_rows
from tui_pilot import SIZES, press, screen_text, until_shown

from community.tui.app import WatchApp

KEPT = Path(__file__).parent / "snapshots"
SCREENS = {
    "forum": (),
    "thread": ("enter",),
    "help": ("question_mark",),
    "lab": ("2",),
    "progress": ("3",),
    "leaderboard": ("4",),
    "topology": ("5",),
    "lineage": ("6",),
    "evidence": ("7",),
    "search": ("o", "p", "3"),
}
"""Name -> keys that lead there from the forum."""
LIGHT = ("forum", "topology")
"""Screens that are kept in the light theme as well, at the larger size."""


def picture(app: WatchApp) -> str:
    """Return the screen as SVG, without the fonts' addresses and with plain names of its parts."""
    svg = app.export_screenshot(title="community watch", simplify=True)
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    return re.sub(r"terminal-\d+-", "terminal-", svg)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_every_screen_looks_as_it_did(size: tuple[int, int]) -> None:
    """Cell by cell, colours included."""
    rows = scene_rows()
    app = WatchApp(Told(rows))
    found: dict[str, str] = {}
    async with app.run_test(size=size) as pilot:
        await until_shown(pilot, app, rows[-1].seq)
        for name, keys in SCREENS.items():
            for key in keys:
                await press(pilot, app, key)
            found[name] = picture(app)
            assert "merge the wider" in screen_text(app) or name not in ("forum", "thread")
            if name in ("thread", "help", "search"):
                await press(pilot, app, "escape")
            await press(pilot, app, "1")
            await until_shown(pilot, app, rows[-1].seq)
        if size == SIZES[1]:
            await press(pilot, app, "d")
            for name in LIGHT:
                for key in SCREENS[name]:
                    await press(pilot, app, key)
                found[f"{name}_light"] = picture(app)
    different = [
        name for name, svg in found.items() if not _is_kept(f"{name}_{size[0]}x{size[1]}", svg)
    ]
    assert not different, f"{different} changed: see {KEPT}/*.new.svg, and this file's docstring"


def _is_kept(name: str, svg: str) -> bool:
    path = KEPT / f"{name}.svg"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(svg, encoding="utf-8")
    if path.is_file() and path.read_text(encoding="utf-8") == svg:
        return True
    path.with_suffix(".new.svg").write_text(svg, encoding="utf-8")
    return False
