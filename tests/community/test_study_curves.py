"""Crossings and times to a level against small cases that are known by hand, and statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.duration.survfunc import SurvfuncRight

from community.study.curves import band, crossing, first_reaching, survival, time_to
from community.study.regression import association, regress

TIMES = np.arange(5.0)


def curves(*rows: list[float]) -> np.ndarray:
    """Return curves of landscapes as an array."""
    return np.array(rows, dtype=float)


def test_the_band_is_about_the_mean_and_narrow_where_landscapes_agree():
    """Two landscapes that part: no width at the start, some at the end."""
    found = band(curves([0, 1, 2], [0, 1, 4]))
    assert found.mean == pytest.approx([0, 1, 3])
    assert found.low == pytest.approx([0, 1, 2])
    assert found.high == pytest.approx([0, 1, 4])


def test_a_curve_that_overtakes_does_so_when_it_stays_above():
    """Below, above, below, above: the last change counts, as in Lazer and Friedman's figure."""
    found = crossing(curves([0, 2, 0, 2, 3]), curves([1, 1, 1, 1, 1]), TIMES)
    assert (found.time, found.low, found.high, found.share) == (3, 3, 3, 1.0)
    assert found.is_seen


def test_no_crossing_is_told_from_one_that_has_not_come_yet():
    """Above all along, below all along, and equal at the start as pairs are."""
    flat = curves([1, 1, 1, 1, 1])
    assert crossing(curves([1, 2, 2, 2, 2]), flat, TIMES).time == -math.inf
    assert crossing(curves([0, 0, 0, 0, 1]), flat, TIMES).time == math.inf
    assert not crossing(flat, flat, TIMES).is_seen


def test_the_interval_of_a_crossing_is_open_where_some_landscapes_never_cross():
    """Half of the landscapes cross at 1, the others never: the resamples say both."""
    first = curves([0, 3, 3, 3, 3], [0, 0, 0, 0, 0]).repeat(10, axis=0)
    second = curves([1, 1, 1, 1, 1]).repeat(20, axis=0)
    found = crossing(first, second, TIMES)
    assert (found.time, found.low, found.high) == (1, 1, math.inf)
    assert 0.9 < found.share < 1


def test_curves_that_do_not_fit_are_refused():
    """Other landscapes or other times make no crossing."""
    with pytest.raises(ValueError, match="do not fit"):
        crossing(np.zeros((2, 5)), np.zeros((3, 5)), TIMES)
    with pytest.raises(ValueError, match="do not fit"):
        crossing(np.zeros((2, 5)), np.zeros((2, 5)), np.arange(4.0))
    with pytest.raises(ValueError, match="landscapes, times"):
        band(np.array([[math.nan]]))


def test_the_first_time_at_a_level_is_infinite_where_it_is_never_reached():
    """At the level counts as there."""
    found = first_reaching(curves([0, 1, 2, 2, 2], [0, 0, 0, 0, 0]), TIMES, 2.0)
    assert found.tolist() == [2, math.inf]


def test_freireichs_trial_gives_the_published_curve():
    """6-MP in acute leukaemia (Freireich et al. 1963), as printed in every textbook."""
    times = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    reached = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    at, left = survival(times, reached)
    known = dict(zip(at.tolist(), left.tolist(), strict=True))
    assert known[6.0] == pytest.approx(0.857, abs=0.001)
    assert known[10.0] == pytest.approx(0.753, abs=0.001)
    assert known[23.0] == pytest.approx(0.448, abs=0.001)
    waits = np.where(np.array(reached) == 1, times, math.inf)
    assert time_to(waits, times).median == 23


@given(st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=3, max_size=20))
@settings(max_examples=40, deadline=None)
def test_survival_is_the_one_of_statsmodels(seen: list[tuple[int, bool]]):
    """Another implementation, on any mixture of reached and censored."""
    times, reached = (np.array(part) for part in zip(*seen, strict=True))
    at, left = survival(times, reached)
    other = SurvfuncRight(times, reached.astype(int))
    ours = dict(zip(at.tolist(), left.tolist(), strict=True))
    for when, share in zip(other.surv_times, other.surv_prob, strict=True):
        assert ours[float(when)] == pytest.approx(share)


def test_runs_that_never_get_there_pull_the_restricted_mean_to_the_horizon():
    """Two of four at 10, two never in 100: 55 in the mean, and no median beyond 10."""
    found = time_to([10, 10, math.inf, math.inf], 100)
    assert (found.reached, found.n, found.median, found.horizon) == (2, 4, 10, 100)
    assert found.restricted_mean.value == 55
    assert time_to([10, math.inf, math.inf], 100).median == math.inf


def test_a_run_that_was_cut_short_counts_for_as_long_as_it_was_watched():
    """One watched to 5 only: Kaplan and Meier's area, by hand 1/3 * 2 + 2/3 * ... up to 10."""
    found = time_to([2, math.inf, math.inf], [10, 5, 10], horizon=10)
    assert found.restricted_mean.value == pytest.approx(2 + 8 * 2 / 3)
    assert found.restricted_mean.low <= found.restricted_mean.value <= found.restricted_mean.high
    with pytest.raises(ValueError, match="watched"):
        time_to([1.0], 0.0)


def test_a_regression_finds_the_slope_that_was_put_in_and_takes_landscapes_out():
    """Landscapes differ by far more than graphs do; the slope is per standard deviation."""
    chance = np.random.default_rng(2)
    landscape = np.repeat(np.arange(40), 6)
    density = np.tile([0.1, 0.2, 0.4, 0.6, 0.8, 1.0], 40)
    other = chance.normal(size=240)
    outcome = 10 * chance.normal(size=40)[landscape] - 0.5 * density
    outcome += 0.01 * chance.normal(size=240)
    fit = regress(outcome, landscape, {"density": density, "other": other, "flat": np.ones(240)})
    assert fit is not None
    slopes = {slope.measure: slope for slope in fit.alone}
    assert set(slopes) == {"density", "other"}
    assert slopes["density"].value == pytest.approx(-0.5 * density.std(), abs=0.003)
    assert slopes["density"].high < 0
    assert slopes["other"].low < 0 < slopes["other"].high
    assert {(s.graphs, s.runs) for s in fit.alone} == {(6, 240), (240, 240)}


def test_few_graphs_get_no_joint_fit_and_many_say_how_far_measures_repeat_each_other():
    """Path length that is density in disguise: an inflation beyond all bounds."""
    chance = np.random.default_rng(5)
    landscape = np.repeat(np.arange(10), 12)
    density = np.tile(np.linspace(0.1, 1, 12), 10)
    path = 3 - density + 0.01 * chance.normal(size=120)
    outcome = density + 0.1 * chance.normal(size=120)
    fit = regress(outcome, landscape, {"density": density, "path": path})
    assert fit is not None
    assert min(slope.inflation for slope in fit.jointly) > 10
    few = regress(outcome, landscape, {"density": np.round(2 * density), "path": np.round(path)})
    assert few is not None
    assert few.jointly == ()


def test_a_regression_leaves_out_graphs_without_the_measure():
    """Paths of a graph in parts are not known; alone, nothing is left."""
    lacking = [math.nan] * 8
    assert regress(np.arange(8.0), np.repeat([0, 1], 4), {"path": lacking}) is None


def test_a_graph_without_one_measure_counts_in_the_fits_of_the_others():
    """The graph in parts has no path length, and a density that all others are held against."""
    landscape, density = np.repeat(np.arange(9), 4), np.tile([0.0, 0.3, 0.6, 1.0], 9)
    path = np.where(density == 0, math.nan, 2 - density)
    outcome = np.where(density == 0, 0.0, 1.0) + 0.01 * np.random.default_rng(1).normal(size=36)
    fit = regress(outcome, landscape, {"density": density, "path": path})
    assert fit is not None
    slopes = {slope.measure: slope for slope in fit.alone}
    assert (slopes["density"].graphs, slopes["density"].runs) == (4, 36)
    assert (slopes["path"].graphs, slopes["path"].runs) == (3, 27)
    assert slopes["density"].low > 0.2
    two = {"density": np.where(density < 0.5, 0.0, 1.0)}
    assert regress(outcome, landscape, two) is None


def test_a_slope_over_few_landscapes_has_students_interval():
    """Three landscapes: two degrees of freedom, so 4.30 standard errors either way, not 1.96."""
    chance = np.random.default_rng(3)
    landscape, density = np.repeat(np.arange(3), 4), np.tile([0.0, 0.3, 0.6, 1.0], 3)
    fit = regress(density + 0.3 * chance.normal(size=12), landscape, {"density": density})
    assert fit is not None
    (slope,) = fit.alone
    error = (slope.high - slope.low) / 2 / stats.t.ppf(0.975, 2)
    assert slope.p == pytest.approx(2 * stats.t.sf(abs(slope.value) / error, 2))


def test_ranks_of_arms_follow_the_measure():
    """Outcomes that rise with the measure have rho 1, in every resample where gaps are clear."""
    chance = np.random.default_rng(1)
    measure = [1.0, 2.0, 3.0, 4.0, math.nan]
    outcomes = np.array([1.0, 2.0, 3.0, 4.0, 9.0])[:, None] + 0.01 * chance.normal(size=(5, 30))
    found = association("density", measure, outcomes)
    assert found is not None
    assert (found.rho, found.low, found.arms) == (pytest.approx(1), pytest.approx(1), 4)
    assert association("density", [1.0, 1.0, 1.0, 1.0], outcomes[:4]) is None
