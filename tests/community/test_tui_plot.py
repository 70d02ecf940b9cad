"""The progress plot as characters: pure functions, no screen."""

from __future__ import annotations

import pytest

from community.tui.plot import Plot, drawn


def test_the_plot_shows_band_steps_and_experiments() -> None:
    """Lower is better and below: the line falls from the baseline to the best reproduced score."""
    plot = Plot(
        direction="lower",
        points=((1, 2.5, "reproduced"), (5, 9.0, "not_improved"), (9, 2.9, "improved")),
        steps=((0, 3.0), (4, 2.4), (7, 2.2)),
        baseline=(3.0, 0.02),
        last=10,
    )
    lines = [line.plain for line in drawn(plot, 60, 12, band_style="on #222222")]
    assert len(lines) == 12
    assert all(len(line) <= 60 for line in lines)
    assert lines[-1].endswith("10 experiments")
    picture = "\n".join(lines)
    assert [picture.count(sign) for sign in "●◆▴"] == [1, 1, 1]
    assert "▴" in lines[0]
    assert [picture.count(sign) for sign in "╮╰"] == [2, 2]
    assert "3│" in picture
    falls = [line.index("╰") for line in lines if "╰" in line]
    assert falls == sorted(falls)


def test_the_plot_turns_over_when_higher_is_better() -> None:
    """The line rises, and what is beyond the edge is so below."""
    plot = Plot(
        "higher", ((1, 0.1, "x"), (3, 0.9, "improved")), ((0, 0.5), (2, 0.9)), (0.5, 0.01), 3
    )
    lines = [line.plain for line in drawn(plot, 40, 10, band_style="")]
    assert "▾" in lines[-2]
    assert "╯" in "".join(lines)
    assert "╭" in "".join(lines)


@pytest.mark.parametrize("size", [(0, 0), (10, 3), (24, 4), (200, 60)])
def test_the_plot_survives_odd_data_and_sizes(size: tuple[int, int]) -> None:
    """No data, one score, equal scores, no noise: lines that fit, or none."""
    odd = [
        Plot("lower", (), (), None, 0),
        Plot("lower", (), (), (3.0, 0.0), 0),
        Plot("lower", ((1, 3.0, "measured"),), (), None, 1),
        Plot("higher", ((1, 0.0, "measured"), (2, 0.0, "improved")), ((2, 0.0),), (0.0, 0.0), 2),
    ]
    for plot in odd:
        lines = drawn(plot, *size, band_style="on #222222")
        assert len(lines) <= max(1, size[1])


def test_intervals_stand_behind_steps_and_experiments() -> None:
    """A bar goes from one end of its interval to the other, where nothing else is."""
    plot = Plot(
        direction="lower",
        points=((5, 2.0, "reproduced"),),
        steps=((0, 3.0), (5, 2.0)),
        baseline=(3.0, 0.01),
        last=10,
        bars=((8, 1.95, 2.6),),
    )
    lines = [line.plain for line in drawn(plot, 60, 24, band_style="")]
    rows = [row for row, line in enumerate(lines) if "┊" in line]
    assert len(rows) > 4
    columns = {lines[row].index("┊") for row in rows}
    assert len(columns) == 1
    step = next(row for row, line in enumerate(lines) if line.endswith("─"))
    assert step not in rows
    assert min(rows) < step
