"""Covariance between settings: each knob has its own effect, pairs of knobs too, and the whole.

With z_d the squared-exponential similarity of two settings in knob d and w_d its weight,

    k = constant + single * sum_d w_d z_d + pair * sum_{d<e} w_d z_d w_e z_e + whole * z

where z is one similarity in all knobs, with lengths `stretch` times as long.

Sources: Duvenaud, Nickisch & Rasmussen 2011, "Additive Gaussian Processes", NeurIPS 24, section 2
(kernels of first and second order by power sums); Rahimi & Recht 2007, "Random Features for
Large-Scale Kernel Machines", NeurIPS 20 (a draw from the prior as a sum of cosines). Differs: of
the orders only the first two and the last, since higher ones cannot be told apart by some hundred
measurements.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from community.modelled.surrogate.space import Array, Index, Space

FEATURES = 512
"""Cosines for each of the three orders of a draw."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A covariance over a space of knobs."""

    lengths: Array
    """Shape (knobs,); in units of a number's range."""
    weights: Array
    """Shape (knobs,)."""
    constant: float
    single: float
    pair: float
    whole: float
    stretch: float

    @property
    def variance(self) -> float:
        """Of the value at one setting, the constant left out."""
        total, squares = float(self.weights.sum()), float((self.weights**2).sum())
        return self.single * total + self.pair * (total**2 - squares) / 2 + self.whole

    def gram(self, space: Space, one: Array, other: Array) -> Array:
        """Return the covariances of two sets of rows of columns, shape (len(one), len(other))."""
        singles = np.zeros((len(one), len(other)))
        squares, exponent = np.zeros_like(singles), np.zeros_like(singles)
        for knob, apart in enumerate(distances(space, one, other)):
            scaled = apart / (2 * self.lengths[knob] ** 2)
            near = self.weights[knob] * np.exp(-scaled)
            singles += near
            squares += near**2
            exponent += scaled
        whole = np.exp(-exponent / self.stretch**2)
        pairs = (singles**2 - squares) / 2
        gram: Array = self.constant + self.single * singles + self.pair * pairs + self.whole * whole
        return gram


def distances(space: Space, one: Array, other: Array) -> list[Array]:
    """Return for each knob the squared distances, shape (len(one), len(other))."""
    found: list[Array] = []
    begin = 0
    for width in space.widths:
        a, b = one[:, begin : begin + width], other[:, begin : begin + width]
        found.append(((a[:, None, :] - b[None, :, :]) ** 2).sum(-1))
        begin += width
    return found


class Row:
    """Covariances of one setting with a fixed set of points, fast: what a prediction needs.

    Args:
        kernel: The covariance.
        space: The knobs.
        points: Rows of columns, shape (n, columns).
    """

    def __init__(self, kernel: Kernel, space: Space, points: Array) -> None:
        self._kernel = kernel
        is_number = np.zeros(sum(space.widths), dtype=bool)
        is_number[space.numbers] = True
        owner = space.owner
        self._numbers = np.flatnonzero(is_number)
        self._places = np.ascontiguousarray(points[:, self._numbers].T)  # (numbers, n)
        of_numbers = owner[self._numbers]
        self._scales = 1 / (2 * kernel.lengths[of_numbers, None] ** 2)
        self._weights = kernel.weights[of_numbers, None]
        self._options: list[tuple[Index, Array]] = []
        """Of each option its columns, and what each of its values adds, shape (values, 3, n)."""
        for knob in np.unique(owner[~is_number]):
            at = np.flatnonzero(owner == knob)
            same = points[:, at].T > 0  # (values, n)
            far = 0.5 / float(kernel.lengths[knob]) ** 2
            part = float(kernel.weights[knob]) * np.where(same, 1.0, np.exp(-far))
            rows = np.stack([part, part * part, np.where(same, 0.0, far)], axis=1)
            self._options.append((at, rows))

    def __call__(self, columns: Array) -> Array:
        """Return the covariances of a setting, given as columns of shape (columns,), shape (n,)."""
        kernel = self._kernel
        exponents = self._places - columns[self._numbers, None]
        exponents *= exponents
        exponents *= self._scales
        near = np.exp(-exponents)
        near *= self._weights
        singles, exponent = near.sum(0), exponents.sum(0)
        near *= near
        squares = near.sum(0)
        for at, rows in self._options:
            single, square, far = rows[int(columns[at].argmax())]
            singles += single
            squares += square
            exponent += far
        row: Array = kernel.constant + kernel.single * singles
        row += kernel.pair / 2 * (singles * singles - squares)
        row += kernel.whole * np.exp(exponent * (-1 / kernel.stretch**2))
        return row


@dataclass(frozen=True, slots=True)
class Wave:
    """One function drawn from the prior: a level and a sum of cosines."""

    level: float
    frequencies: Array
    """Shape (features, columns)."""
    phases: Array
    sizes: Array

    @classmethod
    def draw(cls, kernel: Kernel, space: Space, rng: np.random.Generator) -> Wave:
        """Draw one; its covariance over many draws is the kernel's."""
        owner, count = space.owner, len(space.knobs)
        weights = kernel.weights / kernel.weights.sum()
        total, squares = float(kernel.weights.sum()), float((kernel.weights**2).sum())
        one = np.zeros((FEATURES, count), dtype=bool)
        one[np.arange(FEATURES), rng.choice(count, FEATURES, p=weights)] = True
        first, second = np.triu_indices(count, 1)
        both = weights[first] * weights[second]
        two = np.zeros((FEATURES, count), dtype=bool)
        if len(both):
            picks = rng.choice(len(both), FEATURES, p=both / both.sum())
            two[np.arange(FEATURES), first[picks]] = True
            two[np.arange(FEATURES), second[picks]] = True
        every = np.ones((FEATURES, count), dtype=bool)
        uses = np.concatenate([one, two, every])
        lengths = np.where(uses, kernel.lengths, np.inf)
        lengths[2 * FEATURES :] *= kernel.stretch
        variances = (
            kernel.single * total, kernel.pair * (total**2 - squares) / 2, kernel.whole
        )  # fmt: skip
        sizes = np.repeat(np.sqrt(2 * np.array(variances) / FEATURES), FEATURES)
        frequencies = rng.standard_normal((3 * FEATURES, len(owner))) / lengths[:, owner]
        phases = rng.uniform(0, 2 * np.pi, 3 * FEATURES)
        level = float(np.sqrt(kernel.constant) * rng.standard_normal())
        return cls(level, frequencies, phases, sizes)

    def at(self, columns: Array) -> Array:
        """Return its values at rows of columns, shape (rows,)."""
        # einsum and not @, whose order of adding depends on how many threads there are.
        angles = np.einsum("mc,fc->mf", columns, self.frequencies) + self.phases
        values: Array = self.level + np.einsum("mf,f->m", np.cos(angles), self.sizes)
        return values
