"""The progress plot: every screened experiment, the frontier with its intervals, and the end.

It follows the plot that autoresearch made known (grey discards, green keeps with their titles, a
running best as steps) and adds what that one lacks: the noise band, an interval for every commit
that was confirmed, and what the leaders came to on text by which nothing was decided. It draws
what `community.report.points` computed and computes nothing itself.
"""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from community.archive.finals import Final, finals
from community.archive.progress import Confirmed, confirmed
from community.archive.state import RunState
from community.archive.yardstick import dev_looks
from community.report.drawing import (
    AMBER,
    DARK,
    GREEN,
    GREY,
    LOOKS,
    RED,
    STYLE,
    Look,
    cut,
    metric_label,
    svg,
)
from community.report.points import Lead, Point, frame, leads, points

_OUTLINE = [withStroke(linewidth=2.5, foreground="w")]


def progress_svg(state: RunState) -> str:
    """Draw the run: screens and intervals against the experiment's number, the end beside them."""
    with mpl.rc_context(STYLE):
        last = [final for final in finals(state) if final.seal is not None]
        figure = Figure(figsize=(11, 6), layout="constrained")
        if len(last) > 1:
            axes, end = figure.subplots(1, 2, width_ratios=(3.6, 1))
            _draw_end(end, state, last)
        else:
            axes = figure.add_subplot()
        _draw_run(axes, state)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("experiment (in the order of verdicts, reproductions counted)")
        axes.set_ylabel(metric_label(state))
        figure.legend(
            *axes.get_legend_handles_labels(),
            loc="outside lower center", frameon=False, fontsize=9, ncols=4,
        )  # fmt: skip
        return svg(figure)


def _draw_run(axes: Axes, state: RunState) -> None:
    shown, moves, bars = points(state), leads(state), confirmed(state)
    draw_band(axes, state)
    low, high = frame(state, [p.score for p in shown if p.score is not None], moves)
    if low < high:
        axes.set_ylim(low, high)
    last = max(1, state.experiments_done)
    axes.set_xlim(-0.03 * last, 1.04 * last)
    _draw_screens(axes, shown)
    for look in LOOKS:
        _draw_points(axes, shown, look)
    _draw_titles(axes, shown)
    _draw_steps(axes, state, moves)
    _draw_bars(axes, bars)
    kept = sum(claim.status == "reproduced" for claim in state.hypotheses.values())
    axes.set_title(
        f"{state.experiments_done} experiments, {dev_looks(state)} trees looked at on dev, "
        f"{kept} reproduced", loc="left", fontsize=11,
    )  # fmt: skip


def draw_band(axes: Axes, state: RunState) -> None:
    """Draw the baseline's mean on dev in a band of two sigmas."""
    if state.noise is None:
        return
    mean, sigma = state.noise.mean, state.noise.sigma
    axes.axhline(mean, color=DARK, linewidth=1)
    axes.axhspan(
        mean - 2 * sigma, mean + 2 * sigma, color=DARK, alpha=0.12, linewidth=0,
        label=f"baseline {mean:.3f} ± 2 sigma ({2 * sigma:.3f})",
    )  # fmt: skip


def _draw_points(axes: Axes, shown: tuple[Point, ...], look: Look) -> None:
    """Draw the screens of one look; triangles on the edge stand for what lies beyond it."""
    low, high = axes.get_ylim()
    chosen = [p for p in shown if p.status in look.statuses and p.score is not None]
    style: dict[str, Any] = {
        "s": look.size,
        "linewidths": 1.2,
        "edgecolors": "white" if look.marker == "o" and look.size > 40 else look.colour,
        "facecolors": look.colour if look.is_filled else "none",
    }
    if chosen:
        axes.scatter([], [], marker=look.marker, label=look.label, **style)
    for is_inside in (True, False):
        places = [
            (p.number, min(high, max(low, p.score or 0)))
            for p in chosen
            if (low <= (p.score or 0) <= high) == is_inside
        ]
        if places:
            axes.scatter(
                [x for x, _ in places], [y for _, y in places], zorder=3, clip_on=is_inside,
                marker=look.marker if is_inside else "^", **style,
            )  # fmt: skip


def _draw_screens(axes: Axes, shown: tuple[Point, ...]) -> None:
    """Draw the interval that each screen gave, faintly: one run says little."""
    low, high = axes.get_ylim()
    chosen = [p for p in shown if p.low is not None and p.score is not None]
    inside = [p for p in chosen if low <= (p.score or 0) <= high]
    if not inside:
        return
    axes.vlines(
        [p.number for p in inside], [max(low, p.low or 0) for p in inside],
        [min(high, p.high or 0) for p in inside], color=GREY, alpha=0.45, linewidth=1, zorder=1,
        label="one run's gain, 95 %",
    )  # fmt: skip


def _draw_titles(axes: Axes, shown: tuple[Point, ...]) -> None:
    """Write the titles of what was reproduced: below the dot, to the side where there is room."""
    width = axes.get_xlim()[1]
    last = {point.commit: point for point in shown}
    for point in last.values():
        if point.status == "reproduced" and point.score is not None:
            is_late = point.number > 0.6 * width
            axes.annotate(
                cut(point.title), (point.number, point.score), xytext=(-4 if is_late else 4, -14),
                textcoords="offset points", ha="right" if is_late else "left", fontsize=8,
                color="#00664a", path_effects=_OUTLINE, zorder=5,
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


def _draw_bars(axes: Axes, bars: tuple[Confirmed, ...]) -> None:
    """Draw the confirmed gains, a little to the right of where the frontier moved by them."""
    beside = 0.008 * max([*(bar.number for bar in bars), 1])
    label: str | None = "confirmed: gain over the baseline, 95 % (vault)"
    for bar in bars:
        is_kept = bar.status == "reproduced"
        colour = GREEN if is_kept else RED if bar.status in ("contested", "retracted") else AMBER
        axes.errorbar(
            bar.number + beside, bar.centre, yerr=[[bar.centre - bar.low], [bar.high - bar.centre]],
            color=colour, marker="_", markersize=7, capsize=3, linewidth=1.4, zorder=4,
            label=label if is_kept else None,
        )  # fmt: skip
        label = None if is_kept else label


def _draw_end(axes: Axes, state: RunState, last: list[Final]) -> None:
    """Draw the leaders' gains over the baseline: the look that chose them, vault, seal."""
    leaders = [final for final in last if final.hypothesis]
    unit = state.opened.unit if state.opened else ""
    axes.axhline(0, color=DARK, linewidth=1)
    if state.noise is not None:
        axes.axhspan(
            -2 * state.noise.sigma, 2 * state.noise.sigma, color=DARK, alpha=0.12, linewidth=0
        )
    for name, marker, colour, shift, is_filled in (
        ("dev", "o", GREY, -0.22, False), ("vault", "s", GREEN, 0.0, True),
        ("seal", "D", "black", 0.22, True),
    ):  # fmt: skip
        label: str | None = {"dev": "dev, its screen"}.get(name, name)
        for place, final in enumerate(leaders):
            split = getattr(final, name)
            if split is None or split.gain is None:
                continue
            axes.scatter(
                place + shift, split.gain, s=34, marker=marker, label=label, zorder=3,
                edgecolors=DARK if not is_filled else colour,
                facecolors=colour if is_filled else "none",
            )  # fmt: skip
            label = None
            if name == "seal" and (found := final.headline) is not None:
                axes.vlines(place + shift, found.low, found.high, color=colour, linewidth=1.6)
    axes.set_xticks(
        range(len(leaders)), [f"{final.hypothesis}\n{final.author}" for final in leaders]
    )
    axes.set_xlim(-0.6, len(leaders) - 0.4)
    low, high = min(0.0, axes.get_ylim()[0]), axes.get_ylim()[1]
    axes.set_ylim(low, high + 0.25 * (high - low))  # room for the legend
    axes.set_ylabel(f"gain over the baseline ({unit})")
    axes.set_title("at the end: dev against seal", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=8, loc="upper right")
