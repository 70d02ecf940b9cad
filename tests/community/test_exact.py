"""The exact numbers themselves, against print and against brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from community.classics import exact
from community.classics.draws import below, keys_from, unit
from community.landscapes.nk import NK, local_optima


@pytest.mark.parametrize(
    ("n", "count", "expected"),
    [
        (10, 11, 0.64439),
        (15, 16, 0.63115),
        (20, 21, 0.62150),
        (8, 2**8, 0.77790),
        (10, 2**10, 0.78395),
        (12, 2**12, 0.78814),
        (15, 2**15, 0.79250),
        (1, 2, 2 / 3),
        (3, 1, 0.5),
    ],
)
def test_the_mean_of_the_highest(n: int, count: int, expected: float):
    """Of means of n uniform numbers; of one number the highest is itself."""
    assert exact.mean_of_highest(n, count) == pytest.approx(expected, abs=6e-6)


def test_correlations_and_the_climber_have_their_printed_numbers():
    """N = 20, K = 5, and the lone agent on one hill."""
    told = [exact.neighbour_correlation(20, 5, "random", d) for d in (1, 2, 3, 4)]
    assert told == pytest.approx([0.7, 0.4789, 0.3193, 0.2066], abs=6e-5)
    assert exact.climber_mean(20, 10) == pytest.approx(0.56688, abs=6e-6)
    assert exact.climber_mean(20, 50) == pytest.approx(0.65384, abs=6e-6)
    assert exact.climber_rounds(10) == pytest.approx(22.359, abs=6e-4)
    assert exact.climber_rounds(15) == pytest.approx(39.376, abs=6e-4)


def test_correlations_of_drawn_links_are_means_over_all_draws():
    """N = 4, K = 2: every way to draw the links, counted."""
    n, k = 4, 2
    with_replacement = itertools.product((1, 2, 3), repeat=k)
    kept = [1 - len({0, *drawn}) / n for drawn in with_replacement]
    expected = sum(kept) / len(kept)
    told = exact.neighbour_correlation(n, k, "random_with_replacement")
    assert told == pytest.approx(expected, abs=1e-12)
    incl_self = [1 - len({0, *drawn}) / n for drawn in itertools.permutations(range(n), k)]
    told = exact.neighbour_correlation(n, k, "random_incl_self")
    assert told == pytest.approx(sum(incl_self) / len(incl_self), abs=1e-12)
    with pytest.raises(ValueError, match="no one number"):
        exact.neighbour_correlation(n, k, "random_incl_self", 2)


def test_walks_end_at_optima_uphill_all_the_way():
    """Steepest ones follow the best neighbour; on one hill each wrong bit is one step."""
    rng = np.random.default_rng(6)
    values = NK.draw(9, 4, rng).all_fitness()
    starts = np.arange(512)
    for kind in ("random fitter", "steepest"):
        steps, ends = exact.walk(values, starts, kind, rng)
        assert local_optima(values)[ends].all()
        assert (values[ends] >= values[starts]).all()
        assert ((steps == 0) == local_optima(values)).all()
    here, count = 5, 0
    while not local_optima(values)[here]:
        here = max((here ^ (1 << bit) for bit in range(9)), key=lambda state: values[state])
        count += 1
    assert (steps[5], ends[5]) == (count, here)
    hill = NK.draw(9, 0, rng).all_fitness()
    top = int(hill.argmax())
    for kind in ("random fitter", "steepest"):
        steps, ends = exact.walk(hill, starts, kind, rng)
        assert (ends == top).all()
        assert steps.tolist() == [bin(start ^ top).count("1") for start in range(512)]


def test_numbers_that_are_looked_up_are_even_and_independent():
    """Uniform, uncorrelated with the next turn, agent and index, and others by another key."""
    keys = keys_from(np.random.default_rng(3))
    count = 40
    table = np.array(
        [
            [
                [unit(keys[0], turn, agent, index) for index in range(count)]
                for agent in range(count)
            ]
            for turn in range(count)
        ]
    )
    assert table.min() >= 0
    assert table.max() < 1
    error = 1 / math.sqrt(12 * table.size)
    assert abs(table.mean() - 0.5) < 4 * error
    counts = np.bincount((table.ravel() * 16).astype(int), minlength=16)
    expected = table.size / 16
    assert float(((counts - expected) ** 2 / expected).sum()) < 45  # chi squared of 15
    for axis in range(3):
        one = np.take(table, range(count - 1), axis=axis).ravel()
        following = np.take(table, range(1, count), axis=axis).ravel()
        assert abs(np.corrcoef(one, following)[0, 1]) < 4 / math.sqrt(one.size)
    assert unit(keys[1], 0, 0, 0) != table[0, 0, 0]
    assert {int(below(keys[0], turn, 0, 0, 3)) for turn in range(60)} == {0, 1, 2}
