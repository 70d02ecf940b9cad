"""The figure of a transfer: each change's gain at the size it was found at, and at the other one.

It draws what `community.transfer.findings` computed and computes nothing.
"""

from __future__ import annotations

from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from community.report.drawing import BLUE, DARK, GREEN, GREY, RED, STYLE, cut
from community.transfer.findings import Carried, Findings, Gain

_LOOKS: Final = {
    "carried": (GREEN, "o"),
    "reversed": (RED, "s"),
    "lost": (RED, "X"),
    "open": (GREY, "o"),
    "none": (GREY, "o"),
    "invalid": (GREY, "x"),
}


def transfer_figure(found: Findings, unit: str) -> Figure:
    """Draw two intervals a row, the whole gain first."""
    rows = [found.whole, *found.groups]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.5, 1.9 + 0.5 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        for place, row in enumerate(rows):
            _draw(axes, row, -place)
        axes.axvline(0, color=DARK, linewidth=1, zorder=1)
        axes.set_yticks([-place for place in range(len(rows))],
                        [cut(row.title) for row in rows], fontsize=8.5)  # fmt: skip
        axes.set_ylim(-len(rows) + 0.4, 0.6)
        axes.set_xlabel(f"gain in {unit}, 95 % interval; right of 0 is better")
        axes.grid(visible=False, axis="y")
        axes.set_title(
            f"upper, blue diamond: before ({found.before.label}, {found.before.budget}). Lower: "
            f"there ({found.after.label}, {found.after.budget});\ngreen circle carries over, red "
            "cross does not, red square is a loss, grey cannot be told", loc="left", fontsize=8,
        )  # fmt: skip
        return figure


def _draw(axes: Axes, row: Carried, at: float) -> None:
    _interval(axes, row.before, at + 0.15, BLUE, "D")
    colour, marker = _LOOKS[row.outcome]
    _interval(axes, row.after, at - 0.15, colour, marker)


def _interval(axes: Axes, gain: Gain | None, at: float, colour: str, marker: str) -> None:
    if gain is None:
        return
    axes.plot([gain.low, gain.high], [at, at], color=DARK, linewidth=1.2, zorder=2)
    axes.plot(gain.value, at, marker=marker, color=colour, markersize=6, zorder=3,
              markeredgecolor=DARK, markeredgewidth=0.5)  # fmt: skip
