"""The report's figures of lineage and of the pool's use, drawn with matplotlib.

They draw what `community.report.points` and `community.archive.queries` computed and compute
nothing themselves.
"""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from community.archive.queries import PoolUse
from community.archive.state import RunState
from community.report.drawing import (
    AMBER,
    AUTHORS,
    BLUE,
    GREEN,
    GREY,
    RED,
    STYLE,
    metric_label,
    svg,
)
from community.report.points import Point, frame, points


def lineage_svg(state: RunState) -> str:
    """Draw the commit tree: who built on whom, by score."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 5), layout="constrained")
        axes = figure.add_subplot()
        shown = [point for point in points(state) if point.score is not None]
        low, high = frame(state, [point.score for point in shown if point.score is not None])
        if low < high:
            axes.set_ylim(low, high)
        place = {p.commit: (p.number, min(high, max(low, p.score or 0))) for p in shown}
        if state.opened is not None and state.noise is not None:
            place[state.opened.baseline_commit] = (0, state.noise.mean)
            axes.annotate("baseline", (0, state.noise.mean), fontsize=9, va="bottom", ha="left")
        _draw_lines(axes, shown, place)
        _draw_authors(axes, shown, place)
        kept = [place[p.commit] for p in shown if p.status == "reproduced"]
        if kept:
            axes.scatter(
                [x for x, _ in kept], [y for _, y in kept], s=120, facecolors="none",
                linewidths=1.6, edgecolors=GREEN, label="reproduced",
            )  # fmt: skip
        fallen = [place[p.commit] for p in shown if p.status in ("contested", "retracted")]
        if fallen:
            axes.scatter(
                [x for x, _ in fallen], [y for _, y in fallen], s=110, marker="x", color=RED,
                linewidths=1.6, label="contested or retracted",
            )  # fmt: skip
        axes.set_xlabel("experiment")
        axes.set_ylabel(metric_label(state))
        axes.set_title(
            "Lineage: solid lines lead to what was built on a commit, dotted to gains against it",
            loc="left",
        )
        if shown:
            figure.legend(loc="outside lower center", frameon=False, fontsize=9, ncols=8)
        return svg(figure)


def _draw_lines(axes: Axes, shown: list[Point], place: dict[str, tuple[int, float]]) -> None:
    for point in shown:
        # with several parents the first is what the gain is declared against
        built_on = point.parents[1:] or point.parents
        for parent in point.parents:
            if parent in place:
                (x0, y0), (x1, y1) = place[parent], place[point.commit]
                style, width = ("-", 0.9) if parent in built_on else (":", 0.6)
                axes.plot([x0, x1], [y0, y1], style, color=GREY, linewidth=width, zorder=1)


def _draw_authors(axes: Axes, shown: list[Point], place: dict[str, tuple[int, float]]) -> None:
    """Draw a dot per commit in its author's colour, a triangle where it lies beyond the frame."""
    for index, author in enumerate(sorted({point.author for point in shown})):
        colour = AUTHORS[index % len(AUTHORS)]
        label: str | None = author
        for marker, is_inside in (("o", True), ("^", False)):
            own = [
                place[p.commit]
                for p in shown
                if p.author == author and (place[p.commit][1] == p.score) == is_inside
            ]
            if own:
                axes.scatter(
                    [x for x, _ in own], [y for _, y in own], s=34, color=colour,
                    marker=marker, clip_on=False, label=label,
                )  # fmt: skip
                label = None


def pool_svg(use: PoolUse) -> str:
    """Draw each slot's time: training, answering the scorer, idle."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 0.9 + 0.55 * max(1, len(use.slots))), layout="constrained")
        axes = figure.add_subplot()
        for row, slot in enumerate(use.slots):
            for intervals, colour in ((slot.train, BLUE), (slot.answer, AMBER)):
                spans = [(begin / 1e6, (end - begin) / 1e6) for begin, end in intervals]
                axes.broken_barh(spans, (row - 0.35, 0.7), facecolors=colour)
        axes.set_yticks(range(len(use.slots)), [slot.slot for slot in use.slots])
        axes.set_xlabel("run time (s); blue: training, amber: answering the scorer")
        axes.grid(visible=False)
        for edge in use.window_us:
            axes.axvline(edge / 1e6, color="#555", linewidth=0.8, linestyle="--")
        return svg(figure)
