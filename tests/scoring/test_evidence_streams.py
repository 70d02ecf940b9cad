"""Over time and over many: the CUSUM on sentinel runs, q-values, LORD++."""

import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from scoring.errors import StatisticsError
from scoring.evidence.drift import LIMIT, Cusum, has_drifted, residuals
from scoring.evidence.multiplicity import lord_levels, q_values
from scoring.evidence.variance import Prior


def run_length(rng: np.random.Generator, shift: float) -> int:
    """Return after how many residuals the alarm comes."""
    cusum = Cusum()
    for n in range(1, 10_000):
        if cusum.add(float(rng.normal(shift))):
            return n
    return 10_000


def test_the_alarm_is_rare_on_a_steady_machine_and_soon_on_a_moved_one():
    """Mean run lengths as in the tables: about 465, 10.4 and 4.0 (either way)."""
    rng = np.random.default_rng(0)
    means = [np.mean([run_length(rng, shift) for _ in range(400)]) for shift in (0.0, 1.0, -2.0)]
    assert 390 < means[0] < 540
    assert 9.4 < means[1] < 11.4
    assert 3.6 < means[2] < 4.6


def test_one_run_never_raises_the_alarm():
    """However far off it is; two may."""
    assert not has_drifted([1e9])
    assert not has_drifted([-math.inf])
    assert has_drifted([1e9, 1e9])
    assert not has_drifted([1e9, -1e9, 1e9])
    assert not has_drifted([])


def test_an_alarm_stays_seen():
    """A stream that came back is still one that drifted."""
    assert has_drifted([2.0] * 5 + [0.0] * 50)
    assert not has_drifted([0.4] * 100)
    with pytest.raises(StatisticsError):
        has_drifted([math.nan])


def test_residuals_are_standard_normal_whatever_the_tree():
    """Each run against those before it: mean 0, spread 1, also for the second run."""
    rng = np.random.default_rng(1)
    many = []
    for _ in range(3000):
        d0 = 8.0
        sigma = math.sqrt(0.04 * d0 / rng.chisquare(d0))
        many.append(residuals((5 + sigma * rng.standard_normal(4)).tolist(), Prior(0.2, d0)))
    found = np.array(many)
    assert found.shape == (3000, 3)
    assert np.abs(found.mean(axis=0)).max() < 0.06
    assert np.abs(found.std(axis=0) - 1).max() < 0.04


def test_a_step_in_scores_shows_in_the_residuals():
    """From the step on they lean to one side until the alarm; before it they do not."""
    prior = Prior(0.02, 8.0)
    steady = [3.0, 3.01, 2.99, 3.0, 3.01, 2.99, 3.0, 3.0]
    assert not has_drifted(residuals(steady, prior))
    assert has_drifted(residuals([*steady, *[3.08] * 4], prior))
    assert residuals([3.0], prior) == residuals([], prior) == []
    assert residuals([3.0, 3.0, 3.1], Prior(0.0, math.inf)) == [0.0, math.inf]
    assert Cusum().high < LIMIT


def test_q_values_are_those_of_benjamini_and_hochberg():
    """As statsmodels has them, in the order given; none of none."""
    p = [0.04, 0.001, 0.2, 0.03, 1.0, 0.0005]
    expected = multipletests(p, method="fdr_bh")[1]
    assert q_values(p) == pytest.approx(list(expected))
    assert q_values([]) == []
    assert q_values([0.3]) == [0.3]
    for wrong in ([-0.1], [1.1], [math.nan]):
        with pytest.raises(StatisticsError):
            q_values(wrong)


def test_lord_gives_the_next_level_and_earns_by_rejecting():
    """One more level than tests; a rejection raises the levels after it."""
    none, one = lord_levels([1.0] * 9), lord_levels([1.0, 0.0, *[1.0] * 7])
    assert len(none) == len(one) == 10
    assert none[:2] == one[:2]
    assert all(with_it > without for with_it, without in zip(one[2:], none[2:], strict=True))
    assert none == sorted(none, reverse=True)
    assert sum(lord_levels([1.0] * 3000)) < 0.025


def test_lord_keeps_the_false_discovery_rate():
    """Over 300 streams of 200 tests, 15 % true: below the 5 % it was given, and some are found."""
    rng = np.random.default_rng(2)
    shares, found = [], 0
    for _ in range(300):
        true = rng.random(200) < 0.15
        p = np.where(true, rng.random(200) * 1e-4, rng.random(200))
        rejected = p <= np.array(lord_levels(p.tolist())[:-1])
        shares.append((rejected & ~true).sum() / max(rejected.sum(), 1))
        found += (rejected & true).sum()
    assert np.mean(shares) < 0.05
    assert found > 300 * 15


def test_lord_refuses_what_is_no_wealth():
    """And what is no probability."""
    for alpha, w0 in ((0.05, 0.06), (0.05, 0.0), (1.0, None), (0.0, None)):
        with pytest.raises(StatisticsError):
            lord_levels([], alpha, w0)
    with pytest.raises(StatisticsError):
        lord_levels([2.0])
