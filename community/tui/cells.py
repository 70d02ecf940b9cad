"""Lines made of single cells, as few spans as they have changes of style: drawing costs by span."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from rich.text import Text


def line_of(cells: Iterable[tuple[str, str]]) -> Text:
    """Return (sign, style) pairs as one line."""
    line = Text(no_wrap=True, end="")
    for style, group in groupby(cells, key=lambda cell: cell[1]):
        line.append("".join(sign for sign, _ in group), style=style)
    return line
