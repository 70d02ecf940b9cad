"""Figures of a study as a journal would print them: curves with bands, paired differences, graphs.

They draw what `community.study.analysis` computed and compute nothing. Colours are those of Okabe
and Ito; controls are grey with dashes of their own, so that nothing depends on telling colours
apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from community.report.drawing import AMBER, BLUE, DARK, GREEN, GREY, RED, SKY, STYLE
from community.study.findings import Analysis, ArmSummary, Contrast, Family, Stratum
from community.study.wording import number, probability, verdict_word

COLOURS: Final = (BLUE, AMBER, GREEN, RED, "#cc79a7", SKY, "#000000", "#7a5c00", "#8f7fd6")
DASHES: Final[tuple[Any, ...]] = (
    *("--", ":", "-."),
    *((0, (10, 3)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 4))),
)
CONTROL: Final = "#6b7280"
COLUMNS: Final = 3
AXIS_LABELS: Final = {
    "experiments": "experiments (reproductions counted)",
    "device_seconds": "device-seconds",
    "run_s": "run time (s)",
    "usd": "dollars of thinking",
}
FOREST_ROWS: Final = 40
"""Contrasts with controls beyond which a forest becomes a table."""
MEASURE_LABELS: Final = (
    ("density", "density"),
    ("clustering", "clustering"),
    ("path_length", "path length"),
    ("spectral_gap", "spectral gap"),
)


@dataclass(frozen=True, slots=True)
class GraphPicture:
    """A graph to be drawn."""

    row: str
    """What it has in common with others beside it: the size, say."""
    label: str
    edges: Mapping[str, Mapping[str, object]]
    places: Mapping[str, tuple[float, float]]
    measures: Mapping[str, float | None]


def curves_figure(analysis: Analysis, along: Literal["budget", "clock"] = "budget") -> Figure:
    """Draw mean curves with 95 % bands, one panel per stratum.

    Args:
        analysis: What was computed.
        along: Against what was spent, or against run time.
    """
    with mpl.rc_context(STYLE):
        count = len(analysis.strata)
        columns = min(COLUMNS, count)
        rows = math.ceil(count / columns)
        size = (max(6.0, 3.9 * columns), 1.2 + 3.1 * rows)
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False, sharey=count > 1)
        colours = _colours(analysis)
        for place, axes in enumerate(panels.flat):
            if place >= count:
                axes.set_axis_off()
                continue
            _draw_curves(axes, analysis.strata[place], colours, along)
            is_left, is_bottom = place % columns == 0, place + columns >= count
            axes.set_ylabel(analysis.outcome if is_left else "")
            label = AXIS_LABELS["run_s" if along == "clock" else analysis.axis]
            axes.set_xlabel(label if is_bottom else "")
        handles: dict[str, Any] = {}
        for axes in panels.flat:
            for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
                handles.setdefault(name, handle)
        figure.legend(
            list(handles.values()), list(handles), loc="outside lower center", frameon=False,
            fontsize=9, ncols=_columns_that_fit(list(handles), size[0]),
        )  # fmt: skip
        return figure


def _columns_that_fit(names: Sequence[str], width: float) -> int:
    """Return how many columns a legend of size 9 has room for in a figure `width` inches wide."""
    longest = max(map(len, names), default=0)
    return max(1, min(6, len(names), int(width / (0.65 + 0.075 * longest))))


def _colours(analysis: Analysis) -> dict[str, str]:
    names = dict.fromkeys(
        arm.label for stratum in analysis.strata for arm in stratum.arms if not arm.is_control
    )
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}


def _draw_curves(
    axes: Axes, stratum: Stratum, colours: Mapping[str, str], along: Literal["budget", "clock"]
) -> None:
    grid = stratum.grid if along == "budget" else stratum.clock
    controls = [arm for arm in stratum.arms if arm.is_control]
    for arm in stratum.arms:
        curve = arm.curve if along == "budget" else arm.clock
        if arm.is_control:
            dash = DASHES[controls.index(arm) % len(DASHES)]
            axes.plot(grid, curve.mean, color=CONTROL, linestyle=dash, linewidth=1.1, zorder=2,
                      drawstyle="steps-post", label=arm.label)  # fmt: skip
            continue
        colour = colours[arm.label]
        axes.fill_between(grid, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0,
                          step="post")  # fmt: skip
        axes.plot(grid, curve.mean, color=colour, linewidth=1.6, label=arm.label, zorder=3,
                  drawstyle="steps-post")  # fmt: skip
    axes.set_xlim(0, float(grid[-1]))
    axes.set_title(f"{stratum.label or 'all'}, {stratum.landscapes} landscapes", loc="left",
                   fontsize=9.5)  # fmt: skip


def forest_figure(analysis: Analysis, family: Family, margin: float | None) -> Figure | None:
    """Draw paired differences with their intervals, one row per contrast; None without any."""
    chosen = [contrast for contrast in analysis.contrasts if contrast.family == family]
    if not chosen:
        return None
    with mpl.rc_context(STYLE):
        rows = len(chosen) + len({contrast.stratum for contrast in chosen})
        figure = Figure(figsize=(9.5, 1.5 + 0.235 * rows), layout="constrained")
        axes = figure.add_subplot()
        _draw_forest(axes, chosen, margin)
        axes.axvline(0, color=DARK, linewidth=1, zorder=1)
        axes.set_xlabel(f"difference in {analysis.outcome}, 95 % interval over landscapes")
        axes.grid(visible=False, axis="y")
        return figure


def _draw_forest(axes: Axes, chosen: Sequence[Contrast], margin: float | None) -> None:
    if margin is not None:
        axes.axvspan(-margin, margin, color=SKY, alpha=0.12, linewidth=0, zorder=0)
    looks = {"better": (GREEN, "o"), "worse": (RED, "s"), "negligible": (BLUE, "D"),
             "not shown": (GREY, "o")}  # fmt: skip
    row, ticks, labels = 0, [], []
    before: str | None = None
    for contrast in chosen:
        if contrast.stratum != before:
            before = contrast.stratum
            if contrast.stratum:
                axes.annotate(contrast.stratum, (0, row), xycoords=("axes fraction", "data"),
                              fontsize=9, fontweight="bold", va="center", xytext=(4, 0),
                              textcoords="offset points")  # fmt: skip
                row -= 1
        gap = contrast.gap.difference
        colour, marker = looks[verdict_word(contrast, margin)]
        smallest = contrast.gap.smallest_gap(0.9, contrast.level)
        if math.isfinite(smallest):
            axes.plot([-smallest, smallest], [row, row], color="#e3e7eb", linewidth=6, zorder=0.5,
                      solid_capstyle="butt")  # fmt: skip
        if math.isfinite(gap.low):
            axes.plot([gap.low, gap.high], [row, row], color=DARK, linewidth=1.2, zorder=2)
        axes.plot(gap.value, row, marker=marker, color=colour, markersize=5.5, zorder=3,
                  markeredgecolor=DARK, markeredgewidth=0.5)  # fmt: skip
        wins = f"{contrast.gap.wins}/{contrast.gap.ties}/{contrast.gap.losses}"
        axes.annotate(f"{wins}  {probability(contrast.p_holm)}", (1, row), fontsize=7.5,
                      xycoords=("axes fraction", "data"), xytext=(6, 0), va="center",
                      textcoords="offset points", annotation_clip=False)  # fmt: skip
        ticks.append(row)
        labels.append(f"{contrast.first} − {contrast.second}")
        row -= 1
    axes.set_yticks(ticks, labels, fontsize=8)
    axes.set_ylim(row + 0.3, 0.7)
    ends = [abs(end) for c in chosen for end in (c.gap.difference.low, c.gap.difference.high)]
    if widest := max((end for end in ends if math.isfinite(end)), default=0.0):
        axes.set_xlim(*(side * min(abs(axes.get_xlim()[0]), 3 * widest) for side in (-1, 1)))
    axes.set_title("green circle better, orange square worse, blue diamond negligible, grey not "
                   "shown. Grey bar: a true gap\nbeyond it is found in 90 of 100 studies. At the "
                   "right: wins/ties/losses over landscapes, Holm-adjusted p", loc="left",
                   fontsize=8)  # fmt: skip


def controls_figure(analysis: Analysis, margin: float | None) -> Figure | None:
    """Draw the differences to controls: a forest where they are few, else a table in colours."""
    chosen = [contrast for contrast in analysis.contrasts if contrast.family == "controls"]
    if len(chosen) <= FOREST_ROWS:
        return forest_figure(analysis, "controls", margin)
    controls = list(dict.fromkeys(contrast.second for contrast in chosen))
    rows = list(dict.fromkeys((contrast.stratum, contrast.first) for contrast in chosen))
    looks = {"better": "#bfe6d8", "worse": "#f6cdb4", "negligible": "#cfe3f5", "not shown": "#fff"}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.4 + 1.35 * len(controls), 1 + 0.2 * len(rows)),
                        layout="constrained")  # fmt: skip
        axes = figure.add_subplot()
        for contrast in chosen:
            x, y = controls.index(contrast.second), -rows.index((contrast.stratum, contrast.first))
            word, gap = verdict_word(contrast, margin), contrast.gap.difference
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=looks[word],
                                     edgecolor="white"))  # fmt: skip
            half = number(gap.half, scale=gap.half)
            said = f"{number(gap.value, scale=gap.half, is_signed=True)} ± {half}"
            axes.annotate(said, (x, y), ha="center", va="center", fontsize=6.5)
        axes.set_xlim(-0.5, len(controls) - 0.5)
        axes.set_ylim(-len(rows) + 0.5, 0.5)
        axes.set_xticks(range(len(controls)), controls)
        axes.xaxis.tick_top()
        names = [f"{stratum}: {first}" if stratum else first for stratum, first in rows]
        axes.set_yticks([-row for row in range(len(rows))], names, fontsize=7)
        axes.grid(visible=False)
        axes.set_xlabel(f"difference in {analysis.outcome} ± half its 95 % interval; green better, "
                        "orange worse,\nblue negligible, white not shown (Holm)",
                        fontsize=8)  # fmt: skip
        return figure


def ends_figure(analysis: Analysis) -> Figure:
    """Draw where every arm ended, with its interval: one panel per stratum."""
    with mpl.rc_context(STYLE):
        count = len(analysis.strata)
        columns = min(COLUMNS, count)
        rows = math.ceil(count / columns)
        most = max(len(stratum.arms) for stratum in analysis.strata)
        figure = Figure(
            figsize=(max(6.0, 3.9 * columns), 0.9 + (0.5 + 0.21 * most) * rows),
            layout="constrained",
        )
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True)
        colours = _colours(analysis)
        for place, axes in enumerate(panels.flat):
            if place >= count:
                axes.set_axis_off()
                continue
            _draw_ends(axes, analysis.strata[place], colours)
            if place + columns >= count:
                axes.set_xlabel(analysis.outcome)
        return figure


def _draw_ends(axes: Axes, stratum: Stratum, colours: Mapping[str, str]) -> None:
    for row, arm in enumerate(stratum.arms):
        colour = CONTROL if arm.is_control else colours[arm.label]
        low, high = arm.final.low, arm.final.high
        if math.isfinite(low):
            axes.plot([low, high], [-row, -row], color=colour, linewidth=1.6)
        axes.plot(arm.final.value, -row, "s" if arm.is_control else "o", color=colour, markersize=5)
        axes.plot(arm.middle.value, -row, "|", color=DARK, markersize=8)
    axes.set_yticks([-row for row in range(len(stratum.arms))],
                    [_short(arm) for arm in stratum.arms], fontsize=8)  # fmt: skip
    axes.set_title(stratum.label or "all", loc="left", fontsize=9.5)
    axes.grid(visible=False, axis="y")


def _short(arm: ArmSummary) -> str:
    return f"{arm.label} (control)" if arm.is_control else arm.label


def graphs_figure(pictures: Sequence[GraphPicture]) -> Figure | None:
    """Draw who hears whom at each level, with the measures of the graph; None without any."""
    if not pictures:
        return None
    with mpl.rc_context(STYLE):
        names = list(dict.fromkeys(picture.row for picture in pictures))
        lines = [[p for p in pictures if p.row == name] for name in names]
        columns = max(len(line) for line in lines)
        figure = Figure(figsize=(1.95 * columns, 2.75 * len(lines)), layout="constrained")
        panels = figure.subplots(len(lines), columns, squeeze=False)
        for axes in panels.flat:
            axes.set_axis_off()
        for row, line in zip(panels, lines, strict=True):
            for axes, picture in zip(row, line, strict=False):
                _draw_graph(axes, picture)
        return figure


def _draw_graph(axes: Axes, picture: GraphPicture) -> None:
    pairs = [
        (picture.places[author], picture.places[reader])
        for author, readers in picture.edges.items()
        for reader in readers
    ]
    shade = min(0.9, max(0.06, 12 / max(1, len(pairs)) ** 0.75))
    axes.add_collection(LineCollection(pairs, colors=DARK, linewidths=0.7, alpha=shade))
    spots = np.array([picture.places[name] for name in picture.edges])
    size = min(36.0, 420 / max(1, len(spots)))
    axes.scatter(spots[:, 0], spots[:, 1], s=size, color=BLUE, zorder=3, linewidths=0)
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.12)
    axes.set_title(f"{picture.label}\n{picture.row}" if picture.row else picture.label,
                   fontsize=8.5)  # fmt: skip
    told = [f"{label} {_shown(picture.measures.get(name))}" for name, label in MEASURE_LABELS]
    axes.annotate("\n".join([", ".join(told[:2]), ", ".join(told[2:])]), (0.5, -0.02),
                  xycoords="axes fraction", ha="center", va="top", fontsize=6)  # fmt: skip


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"
