"""Mason & Watts's landscape: one peak among hills of all sizes, on a square grid.

A narrow Gaussian peak, its middle drawn evenly, stands on pseudorandom noise: octaves of random
values on ever finer grids, each smoothed to the whole grid and lower than the one before. The peak
is the best place by far and tells nobody of it from afar; the hills lead astray.

Sources:
    Mason, W. & Watts, D. J. (2012). Collaborative learning in networks. PNAS 109, 764-769.
    https://doi.org/10.1073/pnas.1110069108. Theirs are the 100 x 100 grid, a unimodal bivariate
    Gaussian with a mean drawn from the grid and variance 3, Perlin noise of octaves 3 to 7 (2^3 to
    2^7 values a side, persistence 0.7, bicubic smoothing), and values up to 100.
    Barkoczi, D. & Galesic, M. (2016). Nature Communications 7, 13109; their code
    (``generate_MasonWatts.R`` at github.com/dnlbrkc/social_learning) is where the rest is from:
    the variance grows with the side, 3 side / 100; the peak is 1 high before noise is added (they
    were not sure); an octave counts persistence^octave; the sum is scaled to a maximum of 100.
    Perlin, K. (1985). An image synthesizer. SIGGRAPH 19, 287-296. The noise here is value noise,
    as in that code: random heights, where Perlin's own has random slopes.

Differs:
    Smoothing is by bicubic splines through the random values, where that code has Akima's local
    bicubics; both pass through the same values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline

Scale = Literal["max", "range"]


@dataclass(frozen=True, slots=True)
class MasonWatts:
    """One landscape."""

    values: NDArray[np.float64]
    """(side, side), indexed by x and y from 0; the highest is 100."""

    @classmethod
    def draw(
        cls,
        side: int,
        rng: np.random.Generator,
        *,
        variance: float | None = None,
        peak: float = 1.0,
        octaves: tuple[int, int] = (3, 7),
        persistence: float = 0.7,
        scale: Scale = "max",
    ) -> MasonWatts:
        """Draw a landscape of `side` x `side` places.

        Args:
            side: Places along each side, at least 2; the paper has 100.
            rng: Where all chance comes from.
            variance: Of the Gaussian, in squared places; None: 3 side / 100.
            peak: Its height before noise is added; 0 leaves noise alone.
            octaves: First and last; octave w has 2^w random values a side, at least 4.
            persistence: Octave w is `persistence`^w high; 0 is no noise at all.
            scale: ``max``: the highest value becomes 100 and 0 stays. ``range``: the lowest becomes
                1 and the highest 100, as the paper's game showed them.

        Raises:
            ValueError: numbers that make no landscape.
        """
        first, last = octaves
        width = 3 * side / 100 if variance is None else variance
        if side < 2 or width <= 0 or peak < 0 or persistence < 0:
            raise ValueError("side is at least 2, variance above 0, peak and persistence from 0")
        if not 2 <= first <= last <= 12:
            raise ValueError(f"octaves {first} to {last}; give two from 2 to 12")
        middle = rng.uniform(0, side - 1, size=2)
        apart = np.arange(side)[:, None] - middle
        slopes = np.exp(-(apart**2) / (2 * width))
        hill = np.outer(slopes[:, 0], slopes[:, 1])
        values = peak * hill / hill.max()
        for octave in range(first, last + 1):
            values = values + persistence**octave * _smooth(side, 2**octave, rng)
        return cls(_scaled(values, scale))

    @property
    def side(self) -> int:
        """Places along each side."""
        return len(self.values)

    @property
    def best(self) -> tuple[int, int]:
        """The highest place; the first of several."""
        x, y = np.unravel_index(int(self.values.argmax()), self.values.shape)
        return int(x), int(y)

    def worth(self, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return how high places (m, 2) are: (m,).

        Raises:
            ValueError: a place that is not on the grid.
        """
        if places.size and not 0 <= places.min() <= places.max() < self.side:
            raise ValueError(f"a place beyond the grid of {self.side} x {self.side}")
        return np.asarray(self.values[places[:, 0], places[:, 1]])


def summits(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which places of a grid none of their up to eight neighbours is higher than."""
    padded = np.pad(values, 1, constant_values=-np.inf)
    side_x, side_y = values.shape
    around = [
        padded[1 + dx : 1 + dx + side_x, 1 + dy : 1 + dy + side_y]
        for dx in (-1, 0, 1)
        for dy in (-1, 0, 1)
        if dx or dy
    ]
    return np.asarray(values >= np.max(around, axis=0))


def _smooth(side: int, nodes: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return `nodes` x `nodes` values of U(0, 1) smoothed to `side` x `side`, corner to corner."""
    at = np.linspace(0, side - 1, nodes)
    spline = RectBivariateSpline(at, at, rng.random((nodes, nodes)), kx=3, ky=3, s=0)
    places = np.arange(side)
    return np.asarray(spline(places, places))


def _scaled(values: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    least, most = float(values.min()), float(values.max())
    if most <= 0 or (scale == "range" and most <= least):
        raise ValueError("a flat landscape has no best place")
    if scale == "range":
        return np.asarray(1 + 99 * (values - least) / (most - least))
    return np.asarray(values * (100 / most))
