"""Mason & Watts's landscape: a peak where it is drawn, noise as high as told, scaled as told."""

from __future__ import annotations

import numpy as np
import pytest

from community.landscapes.mason_watts import MasonWatts, summits


def draw(seed: int = 1, side: int = 100, **options: object) -> MasonWatts:
    """Draw one landscape."""
    return MasonWatts.draw(side, np.random.default_rng(seed), **options)  # type: ignore[arg-type]


def test_the_peak_is_a_gaussian_of_the_told_variance():
    """Without noise: 100 at its middle, and the logarithm falls with the squared distance."""
    drawn = draw(persistence=0.0, variance=9.0)
    x, y = drawn.best
    assert drawn.values[x, y] == 100
    assert summits(drawn.values)[drawn.values > 1e-9].sum() == 1
    row = drawn.values[:, y]
    step = slice(max(x - 8, 0), x + 9)
    curve = np.diff(np.log(row[step]), n=2)
    np.testing.assert_allclose(curve, -1 / 9.0, rtol=1e-6)


def test_the_peak_is_anywhere():
    """Its middle is even over the grid in both directions."""
    middles = np.array([draw(seed, 40, persistence=0.0).best for seed in range(300)])
    means = middles.mean(axis=0)
    assert np.abs(means - 19.5).max() < 4 * 40 / np.sqrt(12 * 300)
    assert np.corrcoef(middles.T)[0, 1] == pytest.approx(0, abs=0.25)


def test_noise_is_as_high_as_its_octaves():
    """Higher octaves have more summits; persistence scales them against the peak."""
    counts = []
    for octave in (3, 4, 5):
        drawn = draw(side=129, peak=0.0, octaves=(octave, octave))
        counts.append(int(summits(drawn.values).sum()))
    assert counts[0] < counts[1] < counts[2]
    low = draw(peak=1.0, octaves=(3, 3), persistence=0.7).values
    high = draw(peak=1.0, octaves=(3, 3), persistence=0.35).values
    assert np.median(low) / 100 == pytest.approx(0.5 * 0.343 / 1.17, rel=0.35)
    assert np.median(high) < np.median(low) / 4


def test_the_published_landscape_is_rugged_and_has_one_best_place():
    """Hundreds of summits, one at 100, and what stands around it is far lower."""
    for seed in range(5):
        drawn = draw(seed)
        assert drawn.values.shape == (100, 100)
        assert drawn.values.max() == pytest.approx(100)
        assert 50 < summits(drawn.values).sum() < 2000
        x, y = drawn.best
        far = np.hypot(*(np.indices((100, 100)) - np.array([x, y])[:, None, None])) > 10
        assert drawn.values[far].max() < 80


def test_values_are_scaled_as_told():
    """Either 0 stays and the highest is 100, or they fill 1 to 100."""
    plain, filled = draw(3), draw(3, scale="range")
    assert plain.values.max() == pytest.approx(100)
    assert plain.values.min() > 1
    assert (filled.values.min(), filled.values.max()) == (1, pytest.approx(100))
    assert plain.best == filled.best


def test_places_are_looked_up():
    """X first, y second; what is not on the grid is refused."""
    drawn = draw(2, 30)
    places = np.array([[0, 0], [29, 3], list(drawn.best)])
    expected = [drawn.values[0, 0], drawn.values[29, 3], drawn.values.max()]
    np.testing.assert_array_equal(drawn.worth(places), expected)
    for beyond in ([[30, 0]], [[0, -1]]):
        with pytest.raises(ValueError, match="beyond"):
            drawn.worth(np.array(beyond))


def test_one_seed_gives_one_landscape():
    """The same generator, the same landscape; another, another."""
    np.testing.assert_array_equal(draw(4).values, draw(4).values)
    assert not np.array_equal(draw(4).values, draw(5).values)


@pytest.mark.parametrize(
    ("side", "options"),
    [
        (1, {}),
        (10, {"variance": 0.0}),
        (10, {"octaves": (1, 3)}),
        (10, {"octaves": (5, 4)}),
        (10, {"persistence": -0.1}),
        (10, {"peak": 0.0, "persistence": 0.0}),
    ],
)
def test_numbers_that_make_no_landscape_are_refused(side: int, options: dict[str, object]):
    """Before anybody searches it."""
    with pytest.raises(ValueError, match=r"side|octaves|flat"):
        draw(side=side, **options)
