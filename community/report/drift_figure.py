"""The drift plot: how far sentinel runs lay off, and the sums that raise an alarm.

It draws what `community.archive.yardstick` computed and computes nothing itself.
"""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from community.archive.state import RunState
from community.archive.yardstick import Alarm, Sentinel, alarms, sentinels
from community.report.drawing import AUTHORS, DARK, RED, STYLE, svg
from scoring.evidence.drift import LIMIT

_MARKERS = "osD^vP*X"


def drift_svg(state: RunState) -> str:
    """Draw sentinel runs over run time, a panel for each device class; empty without any."""
    shown = sentinels(state)
    classes = list(dict.fromkeys(one.device_class for one in shown))
    if not classes:
        return ""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 0.8 + 2.7 * len(classes)), layout="constrained")
        panels = figure.subplots(len(classes), 1, squeeze=False, sharex=True)[:, 0]
        for axes, name in zip(panels, classes, strict=True):
            own = [one for one in shown if one.device_class == name]
            _draw(axes, own, [a for a in alarms(state) if a.device_class == name])
            axes.set_title(f"device class {name}", loc="left", fontsize=10)
            axes.set_ylabel("sigmas (up is better)")
        panels[-1].set_xlabel("run time (s)")
        handles = {
            label: handle
            for axes in panels
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(
            handles.values(), handles.keys(), loc="outside lower center", frameon=False,
            fontsize=9, ncols=5,
        )  # fmt: skip
        return svg(figure)


def _draw(axes: Axes, own: list[Sentinel], raised: list[Alarm]) -> None:
    axes.axhline(0, color=DARK, linewidth=1)
    for index, slot in enumerate(dict.fromkeys(one.slot for one in own)):
        places = [(s.at_s, s.residual) for s in own if s.slot == slot and s.residual is not None]
        if places:
            axes.scatter(
                [x for x, _ in places], [y for _, y in places], s=30, zorder=3,
                marker=_MARKERS[index % len(_MARKERS)], color=AUTHORS[index % len(AUTHORS)],
                label=f"sentinel on {slot}",
            )  # fmt: skip
    times = [one.at_s for one in own]
    for sums, label in (
        ([one.up for one in own], "sum of deviations (CUSUM), up and down"),
        ([-one.down for one in own], None),
    ):
        axes.step(times, sums, where="post", color=DARK, linewidth=1.2, label=label)
    for index, limit in enumerate((LIMIT, -LIMIT)):
        axes.axhline(
            limit, color=RED, linewidth=1.2, linestyle="--",
            label=None if index else f"alarm at {LIMIT:g}",
        )  # fmt: skip
    for index, alarm in enumerate(raised):
        end = max([*times, alarm.raised_s]) if alarm.cleared_s is None else alarm.cleared_s
        axes.axvspan(
            alarm.raised_s, end, color=RED, alpha=0.15, linewidth=0,
            label=None if index else "alarm: nothing is decided",
        )  # fmt: skip
