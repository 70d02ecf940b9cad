"""The kernel of surrogates: fast as slow, drawn as stated, its likelihood's slope the true one."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from surrogate_world import anywhere, knobs

from community.modelled.surrogate.algebra import factor, solve
from community.modelled.surrogate.kernel import Kernel, Row, Wave, distances
from community.modelled.surrogate.process_learner import Layout, unlikelihood
from community.modelled.surrogate.space import Array, Space

KERNEL = Kernel(
    np.array([0.3, 0.5, 0.8, 1.0]), np.array([1.0, 0.5, 2.0, 0.3]), 0.7, 0.4, 0.2, 0.5, 1.5
)


def points(count: int) -> tuple[Space, Array]:
    """Return settings as columns."""
    rng, space = Random(5), Space(knobs())
    settings = [anywhere(rng) for _ in range(count)]
    return space, space.encode([tuple(each[k.name] for k in space.knobs) for each in settings])


def test_a_row_is_the_grams() -> None:
    """What predicts at once is what was learnt with."""
    space, columns = points(30)
    gram = KERNEL.gram(space, columns, columns)
    row = Row(KERNEL, space, columns[:20])
    for number, each in enumerate(columns):
        np.testing.assert_allclose(row(each), gram[number, :20], rtol=1e-12)
    np.testing.assert_allclose(np.diag(gram), KERNEL.constant + KERNEL.variance)
    assert (np.linalg.eigvalsh(gram) > -1e-9).all()


def test_draws_covary_as_the_kernel_says() -> None:
    """Over many of them."""
    space, columns = points(6)
    rng = np.random.default_rng(0)
    draws = np.array([Wave.draw(KERNEL, space, rng).at(columns) for _ in range(1000)])
    expected = KERNEL.gram(space, columns, columns)
    size = float(expected.max())
    np.testing.assert_allclose(draws.T @ draws / len(draws), expected, atol=0.15 * size)


def test_the_slope_of_the_likelihood_is_its_slope() -> None:
    """Every parameter's, by differences."""
    space, columns = points(25)
    layout, rng = Layout(len(space.knobs)), np.random.default_rng(1)
    y, noise = rng.standard_normal(25), rng.uniform(0.01, 0.1, 25)
    apart = distances(space, columns, columns)
    logs = layout.mean + 0.3 * rng.standard_normal(len(layout.mean))
    _, slope = unlikelihood(layout, apart, y, noise, logs)
    for place in range(len(logs)):
        step = np.zeros_like(logs)
        step[place] = 1e-5
        above, _ = unlikelihood(layout, apart, y, noise, logs + step)
        below, _ = unlikelihood(layout, apart, y, noise, logs - step)
        assert slope[place] == pytest.approx((above - below) / 2e-5, rel=1e-4, abs=1e-6)


def test_what_is_solved_is_solved() -> None:
    """With the factor of a covariance; what is none is refused."""
    space, columns = points(40)
    gram = KERNEL.gram(space, columns, columns) + 0.01 * np.eye(40)
    right = np.arange(40.0)
    np.testing.assert_allclose(gram @ solve(factor(gram), right), right, atol=1e-8)
    with pytest.raises(ValueError, match="not positive definite"):
        factor(-gram)
