"""The progress plot as characters: every experiment, the best reproduced one as steps, the noise.

Pure functions: `plots_of` takes from a folded run what is plotted, `drawn` puts it on a grid of
cells: steps are box-drawing characters, which every font has, experiments are one sign each. Next:
`community.tui.widgets.progress_plot` shows the grid.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from rich.text import Text

from community.archive.leaderboard import Contribution
from community.archive.progress import confirmed, each_point, verdict_ends
from community.archive.queries import baseline_mean, standing_moves
from community.archive.state import RunState
from community.tui.cells import line_of
from community.tui.colours import GREEN, GREY, status_look

_IMPORTANCE = ("reproduced", "improved", "undecided")
"""Where two experiments share a cell, the first of these is seen."""


@dataclass(frozen=True, slots=True)
class Plot:
    """What is plotted."""

    direction: str
    points: tuple[tuple[float, float, str], ...]
    """(number of the experiment, score on dev, present status); on the other axis the
    device-seconds spent by then."""
    steps: tuple[tuple[float, float], ...]
    """(experiments done by then, mean on vault) of each move of the frontier; where vault has the
    baseline, that first."""
    baseline: tuple[float, float] | None
    """(mean, sigma)."""
    last: float
    """Where the axis ends: how many have a verdict, or what was spent."""
    unit: str = "experiments"
    bars: tuple[tuple[float, float, float], ...] = ()
    """(experiments done by then, low, high): the 95 % intervals of what was reproduced, on vault.
    """
    labels: tuple[tuple[float, float, str], ...] = ()
    """(experiments done by then, score on dev, post id) of what is reproduced now."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The part of the plane that is shown, and the cells it is shown on."""

    low: float
    high: float
    last: float
    """Where the axis ends."""
    width: int
    height: int

    def row(self, score: float) -> int:
        """Return the row of a score, from 0 at the top; beyond the frame it is the edge's."""
        share = (self.high - score) / (self.high - self.low)
        return round(min(1.0, max(0.0, share)) * (self.height - 1))

    def column(self, number: float) -> int:
        """Return the column of an experiment; 0 is where the baseline stands."""
        return round(min(1.0, number / max(1.0, self.last)) * (self.width - 1))


def plots_of(state: RunState, board: Iterable[Contribution]) -> tuple[Plot, Plot]:
    """Return a run against experiments and against device-seconds; `board`: its contributions."""
    moves = standing_moves(state)
    start = baseline_mean(state, "vault") if moves else None
    ends = verdict_ends(state)
    kept = [bar for bar in confirmed(state, board) if bar.status == "reproduced"]
    points: list[tuple[float, float, str]] = []
    labels: list[tuple[float, float, str]] = []
    for point in each_point(state):
        points.append((point.experiments, point.score, point.status))
        if point.status == "reproduced":
            labels.append((point.experiments, point.score, point.hypothesis))
    by_number = Plot(
        direction=state.opened.direction if state.opened else "lower",
        points=tuple(points),
        steps=(
            *([] if start is None else [(0, start)]),
            *((bisect_right(ends, at_us), moved.score) for at_us, moved in moves),
        ),
        baseline=(state.noise.mean, state.noise.sigma) if state.noise else None,
        last=state.experiments_done,
        bars=tuple((bar.number, bar.low, bar.high) for bar in kept),
        labels=tuple(labels),
    )
    spent = _spent_by(state, ends)
    return by_number, _against(by_number, lambda number: spent[round(number)])


def _spent_by(state: RunState, ends: Sequence[int]) -> list[float]:
    """Return the device-seconds spent when so many experiments had a verdict, from 0 on."""
    charges = sorted(
        (attempt.ended_us or 0, attempt.charge_s)
        for experiment in state.experiments.values()
        for attempt in experiment.attempts
        if not attempt.is_running and not experiment.is_apart
    )
    spent, total, place = [0.0], 0.0, 0
    for end_us in ends:
        while place < len(charges) and charges[place][0] <= end_us:
            total += charges[place][1]
            place += 1
        spent.append(total)
    return spent


def _against(plot: Plot, spent: Callable[[float], float]) -> Plot:
    """Return the same plot with device-seconds below."""
    return replace(
        plot,
        points=tuple((spent(x), score, status) for x, score, status in plot.points),
        steps=tuple((spent(x), score) for x, score in plot.steps),
        last=spent(plot.last),
        unit="device-seconds",
        bars=tuple((spent(x), low, high) for x, low, high in plot.bars),
        labels=tuple((spent(x), score, name) for x, score, name in plot.labels),
    )


def drawn(plot: Plot, width: int, height: int, *, band_style: str) -> list[Text]:
    """Return the plot as `height` lines of `width` cells; too small a pane or no data gives few.

    Args:
        plot: What to draw.
        width: Cells, axis labels included.
        height: Lines, the axis below included.
        band_style: Style of the cells within two sigmas of the baseline's mean.
    """
    span = _span(plot)
    if span is None or width < 24 or height < 4:
        return [Text("nothing measured yet", style=GREY)] if span is None else []
    high, low = (f"{value:.4g}" for value in (span[1], span[0]))
    mean = f"{plot.baseline[0]:.4g}" if plot.baseline else ""
    margin = max(len(high), len(low), len(mean)) + 1
    frame = Frame(*span, plot.last, width - margin, height - 1)
    labels = {0: high, frame.height - 1: low}
    if plot.baseline is not None:
        labels[frame.row(plot.baseline[0])] = mean
    cells = _cells(plot, frame, band_style)
    lines = []
    for row, inner in enumerate(cells):
        line = Text(f"{labels.get(row, ''):>{margin - 1}}", style=GREY, no_wrap=True, end="")
        line.append("│", style=GREY)
        lines.append(line.append_text(line_of(inner)))
    last = f"{plot.last:.0f} {plot.unit}"
    gap = frame.width - 1 - len(last)
    lines.append(Text(f"{'':>{margin}}0{'':<{max(1, gap)}}{last}"[:width], style=GREY, end=""))
    return lines


def _span(plot: Plot) -> tuple[float, float] | None:
    """Return the interesting part of the scores: the best, the baseline, and a margin."""
    values = [score for _, score, _ in plot.points] + [score for _, score in plot.steps]
    if plot.baseline is not None:
        values.append(plot.baseline[0])
    if not values:
        return None
    sign = 1.0 if plot.direction == "lower" else -1.0
    best = min(values) if plot.direction == "lower" else max(values)
    mean, sigma = plot.baseline or (values[0], 0.0)
    size = max(abs(mean - best), 4 * sigma, 1e-9 * max(1.0, abs(mean)))
    worst = sign * max(sign * score for score in (mean, *(s for _, s in plot.steps[:1])))
    edges = (best - sign * 0.08 * size, worst + sign * max(0.25 * size, 3 * sigma))
    return min(edges), max(edges)


def _cells(plot: Plot, frame: Frame, band_style: str) -> list[list[tuple[str, str]]]:
    """Return (sign, style) of every cell: band, baseline, steps and experiments, in this order."""
    signs = [[(" ", "")] * frame.width for _ in range(frame.height)]
    band: set[int] = set()
    if plot.baseline is not None:
        mean, sigma = plot.baseline
        band = set(range(frame.row(mean + 2 * sigma), frame.row(mean - 2 * sigma) + 1))
        signs[frame.row(mean)] = [("╌", GREY)] * frame.width
    for number, low, high in plot.bars:
        for row in range(frame.row(high), frame.row(low) + 1):
            signs[row][frame.column(number)] = ("┊", GREEN)
    for (row, column), sign in _steps(plot, frame).items():
        signs[row][column] = (sign, f"bold {GREEN}")
    for number, score, status in sorted(plot.points, key=lambda point: _importance(point[2])):
        sign, style = status_look(status)
        if not frame.low <= score <= frame.high:
            sign = "▴" if score > frame.high else "▾"
        signs[frame.row(score)][frame.column(number)] = (sign, style)
    _label(plot, frame, signs)
    for row in band:
        signs[row] = [(sign, f"{style} {band_style}".strip()) for sign, style in signs[row]]
    return signs


def _label(plot: Plot, frame: Frame, signs: list[list[tuple[str, str]]]) -> None:
    """Write the ids of what was kept beside the dots, where there is room."""
    for number, score, name in reversed(plot.labels):
        row, dot = frame.row(score), frame.column(number)
        for start in (dot + 1, dot - len(name)):
            cells = signs[row][max(0, start) : start + len(name)]
            if start >= 0 and len(cells) == len(name) and all(s in " ╌─┊" for s, _ in cells):
                for offset, letter in enumerate(name):
                    signs[row][start + offset] = (letter, f"bold {GREEN}")
                break


def _importance(status: str) -> int:
    """Return the place in the order of drawing; what is drawn last is seen."""
    return -_IMPORTANCE.index(status) if status in _IMPORTANCE else -len(_IMPORTANCE)


def _steps(plot: Plot, frame: Frame) -> dict[tuple[int, int], str]:
    """Return the signs, by (row, column), of the line of the best reproduced score."""
    if not plot.steps:
        return {}
    path = [*plot.steps, (plot.last, plot.steps[-1][1])]
    cells: dict[tuple[int, int], str] = {}
    for (number, score), (following, next_score) in pairwise(path):
        start, turn = frame.column(number), frame.column(following)
        level, goal = frame.row(score), frame.row(next_score)
        for column in range(start, turn + 1):
            cells.setdefault((level, column), "─")
        if goal == level:
            continue
        is_down = goal > level
        for row in range(min(level, goal) + 1, max(level, goal)):
            cells[row, turn] = "│"
        cells[goal, turn] = "╰" if is_down else "╭"
        is_corner = (level, turn) in cells and cells[level, turn] != "─"
        cells[level, turn] = "│" if is_corner or start == turn else "╮" if is_down else "╯"
    return cells
