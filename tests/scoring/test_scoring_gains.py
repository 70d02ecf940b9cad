"""A gain from the runs of two trees, in slots and classes, and the gain a report leads with."""

import math

import numpy as np
import pytest
from scipy import stats

from scoring.errors import StatisticsError
from scoring.evidence.gains import Measured, gain_of
from scoring.evidence.headline import headline
from scoring.evidence.variance import Prior

KNOWN = Prior(s0=1.0, d0=math.inf)
"""A spread that is known."""


def test_slots_are_blocks():
    """A slot that is worse for everybody changes nothing; unmatched runs are left out."""
    child = [Measured(2.0, "cpu", "a"), Measured(12.0, "cpu", "b"), Measured(1.0, "gpu", "a")]
    parent = [*(Measured(s, "cpu", "a") for s in (3.0, 5.0)), Measured(13.0, "cpu", "b")]
    found = gain_of(child, parent, KNOWN, "lower")
    # weights: slot a 1*2/3, slot b 1*1/2
    a, b = (2 / 3) / (2 / 3 + 1 / 2), (1 / 2) / (2 / 3 + 1 / 2)
    assert found.estimate == pytest.approx(a * 2.0 + b * 1.0)
    assert found.variance == pytest.approx(a * a * (1 + 1 / 2) + b * b * 2)
    assert gain_of(child, parent, KNOWN, "higher").estimate == pytest.approx(-found.estimate)
    assert gain_of(child, [Measured(3.0, "cpu", "c")], KNOWN, "lower") is None


def test_runs_of_a_tree_that_ignores_its_seed_count_as_one():
    """On any number of slots."""
    child = [Measured(2.0, "cpu", slot) for slot in "aabb"]
    parent = [
        Measured(score, "cpu", slot) for score, slot in zip((3, 4, 3, 4), "aabb", strict=True)
    ]
    free = gain_of(child, parent, KNOWN, "lower")
    fixed = gain_of(child, parent, KNOWN, "lower", is_child_fixed=True)
    assert (free.variance, fixed.variance) == (pytest.approx(0.5), pytest.approx(1.25))
    both = gain_of(child, child, KNOWN, "lower", is_child_fixed=True, is_parent_fixed=True)
    assert both.variance == pytest.approx(2.0)


def test_classes_are_combined_and_never_compared():
    """A class that is faster all round adds nothing to the gain."""
    child = [Measured(s, c, "a") for c, s in (("x", 2.0), ("x", 2.2), ("y", 22.0), ("y", 22.2))]
    parent = [Measured(s, c, "a") for c, s in (("x", 3.0), ("x", 3.2), ("y", 23.0), ("y", 23.2))]
    found = gain_of(child, parent, Prior(0.1, 8), "lower")
    assert found.classes == 2
    assert found.estimate == pytest.approx(1.0)


def test_runs_without_any_spread_still_have_an_interval():
    """Fixed steps end in the same bytes; nothing divides by nothing."""
    runs = [Measured(3.0, "cpu", "a")] * 2
    found = gain_of([Measured(2.0, "cpu", "a")] * 2, runs, Prior(0.0, math.inf), "lower")
    assert found.estimate == 1.0
    assert 0 < found.variance < 1e-15


def test_the_headline_is_a_pooled_moderated_t_interval():
    """In units and in percent of the baseline, in either direction."""
    prior = Prior(s0=0.1, d0=4.0)
    candidate, baseline = [2.9, 3.1, 3.0, 3.0], [3.3, 3.2, 3.4, 3.3]
    found = headline(candidate, baseline, prior, "lower")
    s2 = (4 * 0.01 + 0.02 + 0.02) / (4 + 6)
    half = stats.t.isf(0.025, 10) * math.sqrt(s2 / 2)
    assert (found.gain, found.runs, found.df) == (pytest.approx(0.3), (4, 4), 10)
    assert (found.low, found.high) == (pytest.approx(0.3 - half), pytest.approx(0.3 + half))
    assert found.percent == pytest.approx(100 * 0.3 / 3.3)
    assert found.percent_low == pytest.approx(100 * found.low / 3.3)
    assert found.is_gain
    assert headline(candidate, baseline, prior, "higher").percent == pytest.approx(-found.percent)
    fixed = headline([3.0] * 4, baseline, prior, "lower", is_candidate_fixed=True)
    assert fixed.high - fixed.low > found.high - found.low


def test_the_headline_covers_the_true_gain():
    """95 % of the time, with a prior that knows the spread of trees like these."""
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(1000):
        sigma = 0.01 * math.exp(rng.normal(0, 0.3))
        candidate, baseline = rng.normal(2.99, sigma, 4), rng.normal(3.0, sigma, 4)
        found = headline(list(candidate), list(baseline), Prior(0.01, 6.0), "lower")
        hits += found.low <= 0.01 <= found.high
    assert 0.93 < hits / 1000 < 0.98


@pytest.mark.parametrize("scores", [([], [1.0]), ([1.0], []), ([math.inf], [1.0])])
def test_a_headline_needs_both_sides(scores):
    """Nothing is made up."""
    with pytest.raises(StatisticsError):
        headline(*scores, Prior(1.0, 4.0), "lower")
