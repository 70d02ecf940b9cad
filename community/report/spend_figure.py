"""Progress per dollar: screens and the best confirmed score against what thinking had cost.

The band is the noise of the unmodified start, as in the progress plot. It draws what
`community.report.points` and `community.archive.progress` computed and computes nothing itself.
"""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from community.archive.progress import Confirmed, confirmed
from community.archive.state import RunState
from community.report.drawing import GREEN, GREY, STYLE, metric_label, svg
from community.report.points import frame, leads, points, usd_by, worths
from community.report.progress_figure import draw_band


def spend_svg(state: RunState) -> str:
    """Draw the run against dollars; empty where thinking cost nothing."""
    if not state.minds.paid:
        return ""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 4.5), layout="constrained")
        axes = figure.add_subplot()
        _draw(axes, state)
        axes.set_xlabel("dollars that thinking had cost")
        axes.set_ylabel(metric_label(state))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda usd, _: f"${usd:.4g}"))
        figure.legend(
            *axes.get_legend_handles_labels(),
            loc="outside lower center", frameon=False, fontsize=9, ncols=2,
        )  # fmt: skip
        return svg(figure)


def _draw(axes: Axes, state: RunState) -> None:
    shown, moves = points(state), worths(state)
    draw_band(axes, state)
    low, high = frame(state, [p.score for p in shown if p.score is not None], leads(state))
    if low < high:
        axes.set_ylim(low, high)
    total = usd_by(state, [state.last_us])[0]
    axes.set_xlim(-0.03 * total, 1.04 * total)
    spent = usd_by(state, [round(1e6 * p.at_s) for p in shown])
    inside = [
        (usd, p.score)
        for usd, p in zip(spent, shown, strict=True)
        if p.score is not None and low <= p.score <= high
    ]
    if inside:
        axes.scatter(
            [usd for usd, _ in inside], [score for _, score in inside], s=20, facecolors="none",
            edgecolors=GREY, linewidths=1.2, zorder=3, label="one run of one hypothesis (dev)",
        )  # fmt: skip
    if moves:
        axes.step(
            [move.usd for move in moves], [move.score for move in moves], where="post",
            color=GREEN, linewidth=1.6, zorder=2, label="best reproduced (mean on vault)",
        )  # fmt: skip
    _draw_bars(axes, state, confirmed(state))
    kept = sum(claim.status == "reproduced" for claim in state.hypotheses.values())
    said = f"${total:.4g} for {state.experiments_done} experiments, {kept} reproduced"
    axes.set_title(said, loc="left", fontsize=11)


def _draw_bars(axes: Axes, state: RunState, bars: tuple[Confirmed, ...]) -> None:
    """Draw the gains that were confirmed and stand, where they were known."""
    kept = [bar for bar in bars if bar.status == "reproduced"]
    if not kept:
        return
    axes.errorbar(
        usd_by(state, [bar.at_us for bar in kept]), [bar.centre for bar in kept],
        yerr=[[bar.centre - bar.low for bar in kept], [bar.high - bar.centre for bar in kept]],
        color=GREEN, marker="_", markersize=7, capsize=3, linewidth=1.4, linestyle="none",
        zorder=4, label="confirmed: gain over the baseline, 95 % (vault)",
    )  # fmt: skip
