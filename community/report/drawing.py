"""What all figures share: style, colours that differ for everybody, and the way to SVG text.

Colours are those of Okabe and Ito (2008); every status also has a marker of its own, so that
nothing depends on telling colours apart.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from community.archive.state import RunState
from community.plain_text import one_line

GREEN, SKY, BLUE, AMBER, RED = "#009e73", "#56b4e9", "#0072b2", "#e69f00", "#d55e00"
GREY, DARK = "#b6bcc4", "#555555"
AUTHORS = (BLUE, AMBER, "#cc79a7", SKY, "#7a5c00", "#000000", "#8f7fd6")
"""Of researchers, in the order of their names; they repeat."""
LABEL_CHARACTERS = 45
"""Titles are cut here, as in autoresearch's plot."""
STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#eceff2",
    "svg.fonttype": "path",
    "svg.hashsalt": "research-community",
    "text.parse_math": False,
}


@dataclass(frozen=True, slots=True)
class Look:
    """How a status is drawn."""

    statuses: tuple[str, ...]
    label: str
    marker: str
    colour: str
    size: float
    is_filled: bool = True


LOOKS = (
    Look(("not_improved", "measured"), "not improved", "o", GREY, 20),
    Look(("undecided",), "undecided", "s", AMBER, 24, is_filled=False),
    Look(("improved",), "improved, not confirmed", "D", SKY, 26),
    Look(("contested", "retracted"), "contested or retracted", "X", RED, 48),
    Look(("reproduced",), "reproduced", "o", GREEN, 48),
)
"""In the order of drawing."""


def cut(title: str) -> str:
    """Return a title as one line of the length that a figure has room for."""
    return one_line(title, LABEL_CHARACTERS)


def metric_label(state: RunState) -> str:
    """Return the label of an axis of scores."""
    opened = state.opened
    return f"{opened.metric} ({opened.unit}, {opened.direction} is better)" if opened else ""


def svg(figure: Figure) -> str:
    """Return the figure as an ``<svg>`` element, the same text for the same figure."""
    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def png(figure: Figure, dpi: int = 160) -> bytes:
    """Return the figure as a PNG file, the same bytes for the same figure."""
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
