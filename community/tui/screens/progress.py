"""Progress: best so far against experiments and against device-seconds, every experiment a dot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget

from community.archive.leaderboard import each_contribution
from community.archive.state import RunState
from community.plain_text import one_line
from community.tui.fold import Look
from community.tui.plot import Plot, plots_of
from community.tui.scene import Scene
from community.tui.screens.run_screen import Keys, RunScreen
from community.tui.widgets.pick_list import titled
from community.tui.widgets.progress_plot import ProgressPlot

_TALL = 34
"""From so many lines on both plots fit."""


@dataclass(frozen=True, slots=True)
class _Progress:
    plots: tuple[Plot, Plot]
    title: str


class ProgressScreen(RunScreen):
    """Two plots of one run."""

    MODE = "progress"
    ABOUT = (
        "Every experiment is a dot, at its score on dev, with the sign of its hypothesis' status; "
        "▴ ▾ lie beyond the edge. What is reproduced now has its post id. The line is the best "
        "reproduced score on vault, ┊ the 95 % interval of a reproduced gain over the baseline; "
        "╌ the baseline's mean on dev, in a band of two sigmas."
    )
    KEYS: ClassVar[Keys] = (("x", "experiments, or device-seconds, where only one plot fits"),)
    BINDINGS: ClassVar[list[BindingType]] = [Binding("x", "axis", "Axis")]

    def __init__(self) -> None:
        super().__init__()
        self._is_spent_first = False

    def body(self) -> Iterator[Widget]:
        """Yield both plots."""
        yield Vertical(ProgressPlot(id="by_number"), ProgressPlot(id="by_spend"), id="progress")

    def on_mount(self) -> None:
        """Show one plot, or both."""
        self._choose()

    def on_resize(self) -> None:
        """Show both where they fit."""
        self._choose()

    def look(self) -> Look:
        """Paint both plots."""
        return _picture

    def show(self, picture: object) -> None:
        """Show them."""
        assert isinstance(picture, _Progress)
        for name, plot in zip(("#by_number", "#by_spend"), picture.plots, strict=True):
            pane = self.query_one(name, ProgressPlot)
            pane.border_title = titled(f"{picture.title} against {plot.unit}")
            pane.show(plot)

    def action_axis(self) -> None:
        """Show the other plot, where only one fits."""
        self._is_spent_first = not self._is_spent_first
        self._choose()

    def _choose(self) -> None:
        is_tall = self.app.size.height >= _TALL
        self.query_one("#by_number").display = is_tall or not self._is_spent_first
        self.query_one("#by_spend").display = is_tall or self._is_spent_first


def _picture(scene: Scene) -> _Progress:
    opened = scene.state.opened
    what = "score"
    if opened is not None:
        what = f"{opened.metric} ({opened.unit}, {opened.direction} is better)"
    return _Progress(scene.view(_plots), one_line(f"Best so far: {what}", 120))


def _plots(state: RunState) -> tuple[Plot, Plot]:
    return plots_of(state, each_contribution(state))
