"""The record as tables, for a terminal. Numbers and names stay whole; what wraps is titles."""

from __future__ import annotations

from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from community.archive.leaderboard import Contribution
from community.show.records import Shown
from community.show.text import number, signed, skill_words, status_words, summary_lines

Side = Literal["left", "right"]

WIDE = 110
"""From so many columns on the table has room for every column."""
_LEFT = {"status", "commit", "by", "reproducer"}


def rendered(record: Shown, top: int = 10, width: int = 80) -> Group:
    """Return the same for a rich console of `width` columns; agents' words are never markup.

    Numbers and names are never cut; titles are what wraps, and a narrow table has fewer columns.
    """
    board = Table(
        title="Contributions", title_justify="left", box=SIMPLE_HEAD, padding=0, show_edge=False
    )
    for index, entry in enumerate(record.leaderboard[:top]):
        cells = _cells(entry, record.metric, is_wide=width >= WIDE)
        if index == 0:
            for heading in cells:
                side: Side = "left" if heading in _LEFT else "right"
                board.add_column(heading, justify=side, no_wrap=True)
            board.add_column("title")
        board.add_row(*(Text(cell) for cell in cells.values()), Text(entry.title))
    people = Table(
        title="Researchers", title_justify="left", box=SIMPLE_HEAD, padding=0, show_edge=False
    )
    counted = ("experiments", "posts", "improved", "reproduced", "reproductions", "reviews")
    headings = (
        "runs",
        "posts",
        "improved",
        "reproduced",
        "confirmed",
        "reviews",
        "skill",
        "off by",
    )
    people.add_column("agent")
    people.add_column("role")
    for heading in headings:
        people.add_column(heading, justify="right", no_wrap=True)
    for one in record.agents:
        counts = (str(getattr(one, name)) for name in counted)
        measured = (skill_words(one), number(one.prediction_error))
        people.add_row(Text(one.agent), Text(one.role), *counts, *measured)
    lines = (Text(line) for line in summary_lines(record))
    return Group(*lines, Text(), board, Text(), people)


def _cells(entry: Contribution, metric: str, *, is_wide: bool) -> dict[str, str]:
    """Return one contribution's cells by heading."""
    cells = {
        "#": str(entry.rank),
        "status": status_words(entry),
        metric: number(entry.score),
        "vs baseline": signed(entry.baseline_gain),
    }
    if is_wide:
        cells["vs parent"] = signed(entry.gain)
    cells |= {"commit": entry.commit[:7], "by": entry.author}
    if is_wide:
        cells["reproducer"] = entry.reproduced_by or ""
    return cells
