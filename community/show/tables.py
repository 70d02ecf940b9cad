"""The record as tables, for a terminal. Numbers and names stay whole; what wraps is titles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from community.archive.leaderboard import Contribution, Researcher
from community.show.evidence_lines import (
    LEGEND,
    against_baseline,
    against_parent,
    class_lines,
    finals_lines,
    number,
    skill_words,
    status_words,
    sure,
    who,
)
from community.show.records import Shown
from community.show.text import summary_lines

Side = Literal["left", "right"]

WIDE = 120
"""From so many columns on the tables have room for every column."""
_LEFT = {"status", "commit", "by", "reproducer", "agent", "role"}


def rendered(record: Shown, top: int = 10, width: int = 80) -> Group:
    """Return the same for a rich console of `width` columns; agents' words are never markup.

    Numbers and names are never cut; titles are what wraps, and a narrow table has fewer columns.
    """
    is_wide = width >= WIDE
    board = _table(
        "Contributions",
        [_cells(entry, record.metric, is_wide=is_wide) for entry in record.leaderboard[:top]],
        [entry.title for entry in record.leaderboard[:top]],
    )
    people = _table("Researchers", [_researcher(one, is_wide=is_wide) for one in record.agents])
    last = finals_lines(record.finals, record.unit)
    parts: list[RenderableType] = [
        *(Text(line) for line in summary_lines(record)),
        *(Text(line) for line in ([""] if last else []) + last),
        Text(),
        board,
        *(Text(line, style="dim") for line in LEGEND),
        *(Text(line) for line in class_lines(record.leaderboard[:top])),
        Text(),
        people,
    ]
    return Group(*parts)


def _table(title: str, rows: list[dict[str, str]], titles: Sequence[str] = ()) -> Table:
    """Return `rows` as a table; what is under "title" wraps, nothing else does."""
    table = Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, padding=0, show_edge=False,
    )  # fmt: skip
    for heading in rows[0] if rows else ():
        side: Side = "left" if heading in _LEFT else "right"
        table.add_column(heading, justify=side, no_wrap=True)
    if titles:
        table.add_column("title")
    for index, cells in enumerate(rows):
        words = [Text(titles[index])] if titles else []
        table.add_row(*(Text(cell) for cell in cells.values()), *words)
    return table


def _cells(entry: Contribution, metric: str, *, is_wide: bool) -> dict[str, str]:
    """Return one contribution's cells by heading."""
    cells = {"#": str(entry.rank), "status": status_words(entry)}
    if is_wide:
        cells[metric] = number(entry.score)
    cells["vs baseline"] = against_baseline(entry)
    if is_wide:
        cells["vs parent"] = against_parent(entry)
    cells |= {"q": sure(entry.q_value), "pairs": str(entry.pairs or "")}
    return cells | {"commit": entry.commit[:7], "by": who(entry)}


def _researcher(one: Researcher, *, is_wide: bool) -> dict[str, str]:
    cells = {"agent": one.agent}
    if is_wide:
        cells |= {"role": one.role, "posts": str(one.posts)}
    return cells | {
        "runs": str(one.experiments),
        "improved": str(one.improved),
        "reproduced": str(one.reproduced),
        "confirmed": str(one.reproductions),
        "reviews": str(one.reviews),
        "skill": skill_words(one),
        "off by": number(one.prediction_error),
        "credit": number(one.credit),
    }
