"""Statistics over landscapes against what is known exactly, or from another implementation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from community.study.statistics import (
    FEW,
    holm,
    interquartile_mean,
    mean,
    paired,
    pairs_needed,
    smallest_gap,
)

numbers = st.floats(-100, 100, allow_nan=False).map(lambda x: round(x, 6))
samples = st.lists(numbers, min_size=2, max_size=25)


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says():
    """Over 300 samples of 30 skewed numbers the true mean lies inside 95 in 100 times."""
    chance = np.random.default_rng(3)
    draws = chance.exponential(1.0, size=(300, 30))
    found = [mean(row, resamples=600) for row in draws]
    share = np.mean([one.low <= 1.0 <= one.high for one in found])
    assert 0.90 <= share <= 0.98


def test_in_small_samples_the_interval_is_students():
    """Five numbers: exactly what the t distribution gives."""
    values = [1.0, 2.0, 4.0, 7.0, 11.0]
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    found = mean(values)
    assert found.method == "t"
    assert (found.low, found.high) == pytest.approx((low, high))


def test_many_landscapes_are_resampled_and_the_seed_decides():
    """The same seed gives the same interval, another one nearly the same."""
    values = np.random.default_rng(1).normal(size=FEW + 5)
    assert mean(values, seed=4) == mean(values, seed=4)
    assert mean(values, seed=4).method == "bootstrap"
    assert mean(values, seed=4).low != mean(values, seed=5).low


def test_one_landscape_has_no_interval_and_equal_ones_an_exact_one():
    """What cannot be known is not made up."""
    assert math.isnan(mean([3.0]).low)
    assert mean([3.0]).method == "none"
    same = mean([0.1 + 0.2] * 20)
    assert (same.low, same.high, same.method) == (same.value, same.value, "exact")


def test_nearly_equal_landscapes_have_an_interval_too():
    """One landscape in forty differs, so that some resamples hold nothing else."""
    found = mean([0.0] * 39 + [1.0])
    assert 0 <= found.low <= found.value <= found.high


@pytest.mark.parametrize("values", [[], [[1.0]], [1.0, math.nan], [math.inf]])
def test_what_is_no_number_per_landscape_is_refused(values: list[float]):
    """A missing run must not become a mean."""
    with pytest.raises(ValueError):  # noqa: PT011 - two sentences
        mean(values)


@given(samples)
@settings(max_examples=40, deadline=None)
def test_the_interquartile_mean_is_the_mean_of_the_middle_half(values: list[float]):
    """By its definition: sorted, a quarter off each end, rounded down."""
    cut = len(values) // 4
    middle = sorted(values)[cut : len(values) - cut]
    found = interquartile_mean(values, resamples=200)
    assert found.value == pytest.approx(np.mean(middle))


@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=25))
@settings(max_examples=40, deadline=None)
def test_a_comparison_turned_round_says_the_opposite(pairs: list[tuple[float, float]]):
    """Wins and losses change places, the difference its sign, p-values stay."""
    first, second = zip(*pairs, strict=True)
    one, other = paired(first, second, resamples=100), paired(second, first, resamples=100)
    assert (one.wins, one.ties, one.losses) == (other.losses, other.ties, other.wins)
    assert one.wins + one.ties + one.losses == len(pairs)
    assert one.difference.value == pytest.approx(-other.difference.value)
    assert one.p == pytest.approx(other.p)
    assert one.p_sign == pytest.approx(other.p_sign)


@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=20), st.permutations(range(20)))
@settings(max_examples=30, deadline=None)
def test_the_order_of_landscapes_does_not_matter(
    pairs: list[tuple[float, float]], order: list[int]
):
    """Pairs stay pairs, however they are listed."""
    turned = [pairs[place] for place in order if place < len(pairs)]
    one = paired(*zip(*pairs, strict=True), resamples=100)
    other = paired(*zip(*turned, strict=True), resamples=100)
    assert (one.wins, one.ties, one.losses) == (other.wins, other.ties, other.losses)
    assert one.dz == pytest.approx(other.dz)


def test_the_sign_test_leaves_ties_out_and_counts_them():
    """Nine wins, one loss, ninety ties: 22 of 1,024 ways are as uneven as that."""
    gaps = [1.0] * 9 + [-1.0] + [0.0] * 90
    found = paired(gaps, np.zeros(100))
    assert (found.wins, found.ties, found.losses) == (9, 90, 1)
    assert found.p_sign == pytest.approx(22 / 1024)


def test_rounding_makes_no_win():
    """0.1 + 0.2 and 0.3 are the same solution."""
    found = paired([0.1 + 0.2, 0.5], [0.3, 0.5])
    assert (found.ties, found.difference.value, found.p, found.dz) == (2, 0.0, 1.0, 0.0)


def test_pairs_have_to_be_pairs():
    """Arms with missing landscapes are not compared silently."""
    with pytest.raises(ValueError, match="no pairs"):
        paired([1.0, 2.0], [1.0])


def test_holm_steps_down():
    """His own rule on five numbers, done by hand."""
    assert holm([0.01, 0.04, 0.03, 0.005, 0.2]) == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.2])
    assert holm([]) == []
    with pytest.raises(ValueError, match="outside"):
        holm([0.5, math.nan])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=12, deadline=None)  # statsmodels collects all garbage at each call
def test_holm_lies_between_none_and_bonferroni(values: list[float]):
    """Never below the p-value itself, never above Bonferroni's, in the same order."""
    for (p, adjusted), (q, other) in itertools.combinations(
        zip(values, holm(values), strict=True), 2
    ):
        assert p - 1e-12 <= adjusted <= min(1.0, p * len(values)) + 1e-12
        assert (p <= q) or (adjusted >= other - 1e-12)


def test_the_smallest_gap_is_the_one_that_the_test_finds():
    """From sd .2 and 60 pairs; then the share of simulated studies that find it is the power."""
    gap = smallest_gap(0.2, 60, power=0.8)
    assert gap == pytest.approx(0.0736, abs=0.0005)  # G*Power: d_z = 0.368
    chance = np.random.default_rng(7)
    draws = chance.normal(gap, 0.2, size=(4000, 60))
    found = np.mean(stats.ttest_1samp(draws, 0.0, axis=1).pvalue < 0.05)
    assert found == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("n", [2, 3, 5, 60, 5000])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 300])
def test_more_power_needs_a_larger_gap_at_any_size(n: int, alpha: float):
    """Also with two pairs at the first step of a large family."""
    assert 0 < smallest_gap(1.0, n, power=0.8, alpha=alpha) < smallest_gap(1.0, n, alpha=alpha)


def test_how_many_pairs_find_a_gap_is_the_smallest_number_that_does():
    """The inverse of the smallest gap."""
    needed = pairs_needed(0.2, 0.02)
    assert needed is not None
    assert smallest_gap(0.2, needed) <= 0.02 < smallest_gap(0.2, needed - 1)
    assert pairs_needed(0.2, 0.0) is None
    assert math.isnan(smallest_gap(0.2, 1))


def test_two_landscapes_that_differ_by_the_same_prove_nothing():
    """Success on both against failure on both is a coin thrown twice, whatever Student says."""
    found = paired([1.0, 1.0], [0.0, 0.0])
    assert (found.sd, found.wins, found.difference.method) == (0, 2, "exact")
    assert found.p == found.p_sign == 0.5
    assert math.isnan(found.smallest_gap(0.9))
    assert paired([1.0] * 12, [0.0] * 12).p == pytest.approx(2 * 0.5**12)
