"""The report's figures, drawn with matplotlib: progress, lineage, pool use.

They draw what `community.report.points` and `community.archive.queries` computed and compute
nothing themselves. The progress plot follows the one that autoresearch made known (grey discards,
green keeps with their titles, a running best as steps) and adds what that one lacks: the noise
band.
"""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from community.archive.queries import PoolUse
from community.archive.state import RunState
from community.report.points import Lead, Point, leads, points

GREEN, PALE, GREY, RED, BLUE = "#1a7f37", "#8ccf9b", "#b6bcc4", "#c93c37", "#2f6fb5"
LABEL_CHARACTERS = 45
"""Titles are cut here, as in autoresearch's plot."""
_STYLE: Any = {
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


def progress_svg(state: RunState) -> str:
    """Draw every screened experiment against the experiment's number, with the noise band."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11, 5.6), layout="constrained")
        axes = figure.add_subplot()
        shown, moves = points(state), leads(state)
        scored = [point for point in shown if point.score is not None]
        _draw_band(axes, state)
        top = _frame(axes, state, scored, moves)
        _draw_points(axes, scored, top)
        _draw_steps(axes, state, moves)
        kept = sum(1 for point in shown if point.status == "reproduced")
        axes.set_title(
            f"{state.experiments_done} experiments, {kept} reproduced improvements", loc="left"
        )
        axes.set_xlabel("experiment (in the order of verdicts, reproductions counted)")
        axes.set_ylabel(_metric(state))
        figure.legend(loc="outside lower center", frameon=False, fontsize=9, ncols=3)
        return _svg(figure)


def lineage_svg(state: RunState) -> str:
    """Draw the commit tree: who built on whom, by score."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11, 5), layout="constrained")
        axes = figure.add_subplot()
        shown = [point for point in points(state) if point.score is not None]
        _frame(axes, state, shown)
        low, high = axes.get_ylim()
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
        axes.set_xlabel("experiment")
        axes.set_ylabel(_metric(state))
        axes.set_title(
            "Lineage: solid lines lead to what was built on a commit, dotted to gains against it",
            loc="left",
        )
        if shown:
            figure.legend(loc="outside lower center", frameon=False, fontsize=9, ncols=8)
        return _svg(figure)


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
    colours = mpl.colormaps["tab10"]
    for index, author in enumerate(sorted({point.author for point in shown})):
        label: str | None = author
        for marker, is_inside in (("o", True), ("^", False)):
            own = [
                place[p.commit]
                for p in shown
                if p.author == author and (place[p.commit][1] == p.score) == is_inside
            ]
            if own:
                axes.scatter(
                    [x for x, _ in own], [y for _, y in own], s=34, color=colours(index % 10),
                    marker=marker, clip_on=False, label=label,
                )  # fmt: skip
                label = None


def pool_svg(use: PoolUse) -> str:
    """Draw each slot's time: training, answering the scorer, idle."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11, 0.9 + 0.55 * max(1, len(use.slots))), layout="constrained")
        axes = figure.add_subplot()
        for row, slot in enumerate(use.slots):
            for intervals, colour in ((slot.train, BLUE), (slot.answer, "#e0a030")):
                spans = [(begin / 1e6, (end - begin) / 1e6) for begin, end in intervals]
                axes.broken_barh(spans, (row - 0.35, 0.7), facecolors=colour)
        axes.set_yticks(range(len(use.slots)), [slot.slot for slot in use.slots])
        axes.set_xlabel("run time (s); blue: training, amber: answering the scorer")
        axes.grid(visible=False)
        for edge in use.window_us:
            axes.axvline(edge / 1e6, color="#555", linewidth=0.8, linestyle="--")
        return _svg(figure)


def _draw_band(axes: Axes, state: RunState) -> None:
    if state.noise is None:
        return
    mean, sigma = state.noise.mean, state.noise.sigma
    axes.axhline(mean, color="#555", linewidth=1)
    axes.axhspan(
        mean - 2 * sigma, mean + 2 * sigma, color="#555", alpha=0.12, linewidth=0,
        label=f"baseline {mean:.3f} ± 2 sigma ({2 * sigma:.3f})",
    )  # fmt: skip


def _frame(axes: Axes, state: RunState, scored: list[Point], moves: tuple[Lead, ...] = ()) -> float:
    """Show the interesting part, whatever lies far beyond; returns the worst score shown."""
    values = [p.score for p in scored if p.score is not None] + [lead.score for lead in moves]
    if state.noise is not None:
        values.append(state.noise.mean)
    if not values:
        return float("inf")
    is_lower = state.opened is None or state.opened.direction == "lower"
    baseline = state.noise.mean if state.noise else values[0]
    sigma = state.noise.sigma if state.noise else 0.0
    best = min(values) if is_lower else max(values)
    span = max(abs(baseline - best), 4 * sigma, 1e-9)
    sign = 1.0 if is_lower else -1.0
    start = [lead.score for lead in moves[:1]]
    worst = max(sign * score for score in (baseline, *start)) * sign
    worst += sign * max(0.25 * span, 3 * sigma)
    edges = sorted((best - sign * 0.08 * span, worst))
    axes.set_ylim(*edges)
    return worst


def _draw_points(axes: Axes, scored: list[Point], worst: float) -> None:
    kinds = (
        ("reproduced", GREEN, "reproduced", 46),
        ("improved", PALE, "improved, not confirmed", 34),
        ("undecided", "#d9c27a", "undecided", 26),
        ("", GREY, "not improved", 22),
    )
    low, high = axes.get_ylim()
    named = {kind for kind, *_ in kinds}
    for kind, colour, label, size in kinds:
        chosen = [p for p in scored if (p.status if p.status in named else "") == kind]
        if not chosen:
            continue
        inside = [(p.number, p.score or 0) for p in chosen if low <= (p.score or 0) <= high]
        beyond = [p.number for p in chosen if not low <= (p.score or 0) <= high]
        if inside:
            axes.scatter(
                [x for x, _ in inside], [y for _, y in inside], s=size, color=colour, label=label,
                zorder=3,
            )  # fmt: skip
        if beyond:
            axes.scatter(
                beyond, [worst] * len(beyond), s=size, color=colour, marker="^", clip_on=False,
                label=None if inside else label,
            )  # fmt: skip
    for point in scored:
        if point.status == "reproduced" and point.score is not None:
            title = point.title
            if len(title) > LABEL_CHARACTERS:
                title = title[: LABEL_CHARACTERS - 1] + "…"
            axes.annotate(
                title, (point.number, point.score), xytext=(4, -14), textcoords="offset points",
                fontsize=8, color=GREEN, path_effects=[withStroke(linewidth=2.5, foreground="w")],
            )  # fmt: skip


def _draw_steps(axes: Axes, state: RunState, moves: tuple[Lead, ...]) -> None:
    if not moves:
        return
    numbers = [*(lead.number for lead in moves), max(state.experiments_done, moves[-1].number)]
    scores = [*(lead.score for lead in moves), moves[-1].score]
    axes.step(
        numbers, scores, where="post", color=GREEN, linewidth=1.6,
        label="best reproduced (mean on vault)", zorder=2,
    )  # fmt: skip


def _metric(state: RunState) -> str:
    opened = state.opened
    return f"{opened.metric} ({opened.unit}, {opened.direction} is better)" if opened else ""


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
