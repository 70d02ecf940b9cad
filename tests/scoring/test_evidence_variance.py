"""Moderated variance: what replicated trees say of the next one's spread."""

import math

import numpy as np
import pytest
from scipy.special import polygamma, stdtr

from scoring.errors import StatisticsError
from scoring.evidence.variance import (
    LEAST_LOG_SD,
    LOG_SD,
    Prior,
    alike,
    fit_prior,
    inverse_trigamma,
    moderated,
)


def trees(rng: np.random.Generator, number: int, runs: int, log_sd: float) -> list[list[float]]:
    """Return trees whose sigma is 1 in the median."""
    sigma = np.exp(log_sd * rng.standard_normal(number))
    return (3 + sigma[:, None] * rng.standard_normal((number, runs))).tolist()


def test_the_inverse_trigamma_inverts():
    """Over all sizes that occur, and beyond."""
    x = np.array([1e-6, 0.01, 0.36, 1.0, 4.9, 100.0])
    assert polygamma(1, inverse_trigamma(x)) == pytest.approx(x, rel=1e-9)


def test_one_tree_gives_fewer_degrees_than_its_own():
    """Neither infinitely many, nor more than k - 1: one tree says little of another's spread."""
    for k in (2, 4, 8, 30):
        prior = fit_prior([np.random.default_rng(k).standard_normal(k).tolist()])
        assert 0.5 < prior.d0 < k - 1
    ceiling = 2 * float(inverse_trigamma(np.float64((2 * LOG_SD) ** 2)))
    assert fit_prior([np.random.default_rng(1).standard_normal(3000).tolist()]).d0 < ceiling


@pytest.mark.parametrize(("log_sd", "low", "high"), [(0.15, 15, 26), (0.3, 4.5, 9), (0.6, 1.5, 3)])
def test_many_trees_teach_how_alike_they_are(log_sd: float, low: float, high: float):
    """d0 follows the spread of log sigma between trees; s0 is near sigma."""
    prior = fit_prior(trees(np.random.default_rng(2), 2000, 4, log_sd))
    assert low < prior.d0 < high
    assert 0.6 < prior.s0 < 1.05


def test_alike_trees_are_not_taken_for_equal():
    """However alike, d0 stays finite."""
    prior = fit_prior(trees(np.random.default_rng(3), 500, 8, 0.0))
    ceiling = 2 * float(inverse_trigamma(np.float64((2 * LEAST_LOG_SD) ** 2)))
    assert ceiling * 0.9 < prior.d0 <= ceiling
    assert prior.s0 == pytest.approx(1, abs=0.05)


def test_predicted_degrees_are_honest():
    """A new tree's difference from its parent, over what 4 baseline runs say, is no wider than t.

    Of 4,000 communities with one replicated tree each, no more pass the 1 % point than 1 %.
    """
    rng = np.random.default_rng(4)
    passed = 0
    for _ in range(4000):
        prior = fit_prior(trees(rng, 1, 4, 0.3))
        (child,), (parent,) = trees(rng, 1, 1, 0.3)[0], trees(rng, 1, 1, 0.3)[0]
        passed += stdtr(prior.d0, -(child - parent) / (prior.s0 * math.sqrt(2))) < 0.01
    assert passed / 4000 < 0.015


def test_moderation_weighs_by_degrees_of_freedom():
    """``(d0 s0^2 + squares) / (d0 + d)``; trees of one run or none add nothing."""
    prior = Prior(0.2, 6.0)
    spread = moderated([[1.0, 3.0], [5.0], [], [2.0, 2.0, 2.0]], prior)
    assert spread.df == 9
    assert spread.s == pytest.approx(math.sqrt((6 * 0.04 + 2) / 9))
    assert moderated([[4.0]], prior).s == pytest.approx(0.2)
    assert moderated([[1.0, 3.0]], Prior(0.2, math.inf)).s == 0.2


def test_no_noise_is_believed_only_until_there_is_some():
    """Equal runs give sigma 0; a tree that varies then speaks for itself."""
    prior = fit_prior([[3.0, 3.0], [2.0, 2.0, 2.0]])
    assert (prior.s0, prior.d0) == (0.0, math.inf)
    assert moderated([[3.0, 3.0]], prior).s == 0
    varied = moderated([[1.0, 3.0]], prior)
    assert (varied.s, varied.df) == (pytest.approx(math.sqrt(2)), 1)
    mixed = fit_prior([[3.0, 3.0], [1.0, 3.0, 2.0]])
    assert mixed == fit_prior([[1.0, 3.0, 2.0]])


@pytest.mark.parametrize("groups", [[], [[3.0]], [[3.0, 3.1], []], [[3.0, math.nan]]])
def test_what_gives_no_spread_is_refused(groups):
    """No tree, a tree with one run, or no number."""
    with pytest.raises(StatisticsError):
        fit_prior(groups)


def test_trees_that_spread_unlike_the_baseline_do_not_say_how_the_next_one_does():
    """Three with next to no spread, or wild ones, move nothing; honest ones are kept."""
    baseline = [0.9, 1.1, -0.8, 0.2, -1.2, 0.4, -0.6, 0.1]
    honest = [0.7, -0.9, 0.5, -0.2]
    for by in (1e-3, 100.0):
        others = [[by * score for score in baseline[:6]]] * 3
        assert alike([baseline, honest, *others], baseline) == [baseline, honest]
    assert alike([[5.0, 5.0]], [1.0, 1.0]) == [[5.0, 5.0]]
