"""Forecasts of a single run: honest ones earn most, and what is said alone is held against it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.evidence.run_forecasts import (
    LARGEST_RATIO,
    PRIOR_INVALID,
    Ran,
    RunForecast,
    expected_s,
    run_points,
    usual_run,
)

chances = st.floats(0.01, 0.99)


@given(chances, chances, chances)
def test_the_true_probability_earns_most(truth: float, said: float, base: float) -> None:
    """Whatever the base rate, nobody expects more by saying anything but what he believes."""
    failed = [Ran(0, is_invalid=True, device_s=1.0)] * round(100 * base)
    usual = usual_run([*failed, *[Ran(0, is_invalid=False, device_s=1.0)] * 50], 1.0)

    def expected(chance: float) -> float:
        of = [run_points(RunForecast(chance, None), Ran(1, y, 1.0), usual) for y in (True, False)]
        return truth * of[0] + (1 - truth) * of[1]

    assert expected(said) <= expected(truth) + 1e-12
    assert expected(usual.invalid) == pytest.approx(0.0)


@given(st.lists(st.floats(0.1, 100), min_size=3, max_size=9), st.floats(0.1, 100))
def test_the_true_median_earns_most(takes: list[float], said: float) -> None:
    """Of seconds that may come out as any of a list, no other word earns more than the median."""
    usual = usual_run([], 5.0)
    middle = sorted(takes)[len(takes) // 2]

    def earned(seconds: float) -> float:
        return sum(
            run_points(RunForecast(None, seconds), Ran(1, False, each), usual) for each in takes
        )

    assert earned(said) <= earned(middle) + 1e-9
    assert earned(usual.median_s) == pytest.approx(0.0, abs=1e-9)


def test_no_single_run_decides_what_somebody_is_worth() -> None:
    """However long it took, it counts as the largest ratio."""
    usual = usual_run([], 2.0)
    points = [run_points(RunForecast(None, 8.0), Ran(1, False, s), usual) for s in (8.0, 8e6)]
    assert points == pytest.approx([1.0, 1.0])
    assert run_points(RunForecast(None, None), Ran(1, True, 8.0), usual) == 0.0


def test_what_a_likely_crash_takes() -> None:
    """It takes what failed runs take, as far as it is likely; words on seconds come first."""
    seen = [Ran(0, True, 0.5)] * 5 + [Ran(0, False, 2.0)] * 5
    usual = usual_run(seen, 2.0)
    assert usual.invalid == pytest.approx((10 * PRIOR_INVALID + 5) / 20)
    assert expected_s(RunForecast(1.0, None), usual) == pytest.approx(0.5)
    assert expected_s(RunForecast(0.0, None), usual) == pytest.approx(2.0)
    assert expected_s(RunForecast(1.0, 3.0), usual) == 3.0
    assert expected_s(RunForecast(None, 1e9), usual) == pytest.approx(
        LARGEST_RATIO * usual.median_s
    )
    assert expected_s(RunForecast(None, None), usual) == pytest.approx(usual.mean_s)


def test_a_screen_that_came_out_as_foretold_earns() -> None:
    """A narrow word near the truth beats the base rate, one far from it loses, silence is 0."""
    usual = usual_run([], 1.0)
    near, far = RunForecast(gain=(-0.5, 0.0, 0.5)), RunForecast(gain=(3.0, 3.5, 4.0))
    shown, failed = Ran(1, False, 1.0, 0.1), Ran(1, True, 1.0)
    assert run_points(far, shown, usual) < 0.0 < run_points(near, shown, usual)
    assert run_points(near, failed, usual) == 0.0
    assert usual_run([Ran(0, False, 1.0, -3.0)] * 40, 1.0).gain[1] == -3.0


@pytest.mark.parametrize(
    "said",
    [RunForecast(1.1, None), RunForecast(math.nan, None), RunForecast(None, 0.0)],
)
def test_what_is_no_forecast_is_refused(said: RunForecast) -> None:
    """A probability beyond 1 and a run without duration are faults of the caller."""
    with pytest.raises(ValueError, match="give"):
        run_points(said, Ran(1, True, 1.0), usual_run([], 1.0))
