"""NK landscapes against what is known of them exactly: counts, means, maxima, correlations."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest

from community.landscapes.nk import NK, Mode, genotypes_of, indices_of, local_optima
from community.landscapes.transforms import transformed

MODES = get_args(Mode)
SIGMAS = 3.5


def landscapes(n: int, k: int, count: int, mode: Mode = "random", seed: int = 1) -> list[NK]:
    """Return `count` landscapes of one seed."""
    rng = np.random.default_rng([seed, n, k])
    return [NK.draw(n, k, rng, mode) for _ in range(count)]


def is_near(samples: list[float], target: float) -> bool:
    """Whether the mean of `samples` is within 3.5 standard errors of `target`."""
    error = np.std(samples, ddof=1) / math.sqrt(len(samples))
    return abs(float(np.mean(samples)) - target) <= SIGMAS * error + 1e-12


def by_definition(landscape: NK, genotype: np.ndarray) -> float:
    """Look up each locus's worth in the plainest way; the mean of exact sums."""
    worth = []
    for links, table in zip(landscape.links, landscape.tables, strict=True):
        column = sum(int(genotype[locus]) << j for j, locus in enumerate(links))
        worth.append(float(table[column]))
    return math.fsum(worth) / len(worth)


@pytest.mark.parametrize("mode", MODES)
def test_fitness_is_what_the_definition_says(mode: Mode):
    """In every mode, for one genotype, some, and all of them, also with links drawn twice."""
    landscape = NK.draw(9, 2, np.random.default_rng(3), mode)
    every = genotypes_of(np.arange(512), 9)
    told = landscape.fitness(every)
    np.testing.assert_array_equal(told, landscape.all_fitness())
    expected = [by_definition(landscape, genotype) for genotype in every]
    np.testing.assert_allclose(told, expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(indices_of(every), np.arange(512))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_shortest_genotypes_are_enumerated_too(n: int):
    """One bit, two bits, an odd number: halves of unequal length."""
    landscape = NK.draw(n, n - 1, np.random.default_rng(n))
    every = genotypes_of(np.arange(2**n), n)
    np.testing.assert_array_equal(landscape.all_fitness(), landscape.fitness(every))


@pytest.mark.parametrize("mode", MODES)
def test_links_are_drawn_as_the_mode_says(mode: Mode):
    """Own locus first; distinct or not, itself or not, a ring or blocks."""
    n, k = 12, 3
    links = NK.draw(n, k, np.random.default_rng(5), mode).links
    np.testing.assert_array_equal(links[:, 0], np.arange(n))
    others = links[:, 1:]
    is_distinct = [len(set(row)) == k for row in others.tolist()]
    has_self = [i in row for i, row in enumerate(others.tolist())]
    assert others.min() >= 0
    assert others.max() < n
    assert all(is_distinct) == (mode != "random_with_replacement")
    assert any(has_self) == (mode == "random_incl_self")
    if mode == "adjacent":
        np.testing.assert_array_equal(others, (np.arange(n)[:, None] + [1, 2, 3]) % n)
    if mode == "block":
        np.testing.assert_array_equal(np.sort(links, axis=1) // (k + 1), links // (k + 1))
        assert len({tuple(sorted(row)) for row in links.tolist()}) == n // (k + 1)


@pytest.mark.parametrize(
    ("mode", "mean_self"),
    [("random_incl_self", 5 / 20), ("random", 0.0), ("random_with_replacement", 0.0)],
)
def test_every_locus_is_drawn_equally_often(mode: Mode, mean_self: float):
    """No locus is favoured, and of itself each is drawn as often as of any other, or never."""
    links = np.stack([x.links[:, 1:] for x in landscapes(20, 5, 400, mode)])
    counts = np.bincount(links.ravel(), minlength=20)
    error = math.sqrt(400 * 20 * 5 / 20)
    assert np.abs(counts - 400 * 20 * 5 / 20).max() < 4.5 * error
    own = (links == np.arange(20)[None, :, None]).any(axis=2).mean()
    assert own == pytest.approx(mean_self, abs=0.02)


@pytest.mark.parametrize(("n", "count"), [(6, 400), (10, 120)])
def test_without_order_there_are_2_to_the_n_by_n_plus_1_optima(n: int, count: int):
    """K = N - 1: each genotype is the best of n + 1 with probability 1 / (n + 1)."""
    peaks = [float(local_optima(x.all_fitness()).sum()) for x in landscapes(n, n - 1, count)]
    assert is_near(peaks, 2**n / (n + 1))


@pytest.mark.parametrize(("n", "most"), [(8, 0.77790), (10, 0.78395)])
def test_the_best_of_a_landscape_without_order(n: int, most: float):
    """The mean of the highest of 2^n means of n uniform numbers, by numerical integration."""
    assert is_near([float(x.all_fitness().max()) for x in landscapes(n, n - 1, 300)], most)


def test_the_smooth_hill_has_one_top():
    """K = 0: one optimum, of mean 2/3 and variance 1 / (18 n)."""
    n = 8
    every = [x.all_fitness() for x in landscapes(n, 0, 800)]
    assert {int(local_optima(values).sum()) for values in every} == {1}
    tops = [float(values.max()) for values in every]
    assert is_near(tops, 2 / 3)
    squares = [(top - 2 / 3) ** 2 for top in tops]
    assert is_near(squares, 1 / (18 * n))


@pytest.mark.parametrize("mode", ["random", "adjacent", "block", "random_with_replacement"])
def test_one_genotype_is_as_good_as_the_mean_of_n_numbers(mode: Mode):
    """Over landscapes: mean 1/2 and variance 1 / (12 n), whatever depends on what."""
    first = np.zeros((1, 12), dtype=np.uint8)
    values = [float(x.fitness(first)[0]) for x in landscapes(12, 3, 1500, mode)]
    assert is_near(values, 0.5)
    assert is_near([(value - 0.5) ** 2 for value in values], 1 / (12 * 12))


@pytest.mark.parametrize("mode", ["random", "adjacent", "block"])
def test_neighbours_resemble_one_another_as_the_formula_says(mode: Mode):
    """Correlation at Hamming distance d: C(n - k - 1, d) / C(n, d), where the k are distinct."""
    n, k = 12, 3
    one = np.zeros(n, dtype=np.uint8)
    for distance in (1, 2, 4):
        expected = math.comb(n - k - 1, distance) / math.comb(n, distance)
        products = []
        rng = np.random.default_rng(distance)
        for landscape in landscapes(n, k, 1500, mode, seed=distance):
            other = one.copy()
            other[rng.permutation(n)[:distance]] = 1
            pair = landscape.fitness(np.stack([one, other])) - 0.5
            products.append(float(pair[0] * pair[1]) * 12 * n)
        assert is_near(products, expected)


def test_rounded_tables_tie_to_the_bit():
    """With one decimal, what is equal on paper is equal: no move is better by a rounding."""
    landscape = NK.draw(12, 2, np.random.default_rng(8), decimals=1)
    values = landscape.all_fitness()
    steps = np.unique(np.rint(values * 120))
    assert len(np.unique(values)) == len(steps)


def test_one_seed_gives_one_landscape():
    """The same generator, the same landscape; another, another."""
    one, same, other = (NK.draw(8, 3, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.tables, same.tables)
    np.testing.assert_array_equal(one.links, same.links)
    assert not np.array_equal(one.tables, other.tables)


@pytest.mark.parametrize(
    ("n", "k", "mode", "word"),
    [
        (0, 0, "random", "at least"),
        (5, 5, "random", "too many"),
        (5, -1, "random", "at least"),
        (10, 3, "block", "do not divide"),
        (1, 1, "random_with_replacement", "too many"),
        (5, 6, "random_incl_self", "too many"),
        (5, 2, "sideways", "no mode"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(n: int, k: int, mode: Mode, word: str):
    """Each with what would fit."""
    with pytest.raises(ValueError, match=word):
        NK.draw(n, k, np.random.default_rng(0), mode)


def test_what_cannot_be_listed_is_refused():
    """Too many genotypes, and genotypes of another length."""
    with pytest.raises(ValueError, match="at most 22"):
        NK.draw(23, 0, np.random.default_rng(0)).all_fitness()
    with pytest.raises(ValueError, match="not"):
        NK.draw(5, 0, np.random.default_rng(0)).fitness(np.zeros((2, 4), dtype=np.uint8))


def test_transforms_are_what_their_names_say():
    """Raw, a share, its eighth power, a range; and nothing to scale by is refused."""
    values = np.array([0.2, 0.5, 0.8])
    np.testing.assert_array_equal(transformed(values, "raw", 0.2, 0.8), values)
    np.testing.assert_allclose(transformed(values, "share_of_max", 0.2, 0.8), values / 0.8)
    np.testing.assert_allclose(transformed(values, "eighth_power", 0.2, 0.8), (values / 0.8) ** 8)
    np.testing.assert_allclose(transformed(values, "rescaled", 0.2, 0.8), [0, 0.5, 1])
    with pytest.raises(ValueError, match="no range"):
        transformed(values, "rescaled", 0.8, 0.8)
    with pytest.raises(ValueError, match="above 0"):
        transformed(values, "eighth_power", -1.0, 0.0)
