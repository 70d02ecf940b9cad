"""A Gaussian process learnt from settings: its kernel by penalised likelihood, then its weights.

Source: Rasmussen & Williams 2006, "Gaussian Processes for Machine Learning", equations 5.8 and 5.9
(marginal likelihood and its gradient). Differs: a normal prior on the logarithm of every parameter,
and the kernel is learnt on `SAMPLE` settings, since the cost grows with their cube and a kernel has
some sixty parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize

from community.modelled.surrogate.kernel import Kernel, distances
from community.modelled.surrogate.learners import short, shorts
from community.modelled.surrogate.regressions import Process
from community.modelled.surrogate.space import Array, Space

SAMPLE = 400
STEPS = 60
CONSTANT = 1.0
"""Prior variance of the level; targets have a variance of 1."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each parameter's logarithm stands in one vector, and its prior."""

    knobs: int

    @property
    def mean(self) -> Array:
        """Prior mean: effects of half a range's length, of which single ones make up most."""
        each = np.zeros(self.knobs)
        pairs = max(self.knobs * (self.knobs - 1) / 2, 1)
        scales = np.log([0.6 / self.knobs, 0.2 / pairs, 0.1, 2.0, 0.02])
        return np.concatenate([each + np.log(0.7), each, scales])

    @property
    def deviation(self) -> Array:
        """Prior standard deviation."""
        return np.concatenate(
            [np.full(self.knobs, 0.7), np.full(self.knobs, 1.0), [1.5, 1.5, 1.5, 0.5, 1.5]]
        )

    def kernel(self, logs: Array) -> Kernel:
        """Return the kernel of a vector, without its last entry, the grain."""
        values = np.exp(logs)
        lengths, weights = values[: self.knobs], values[self.knobs : 2 * self.knobs]
        single, pair, whole, stretch, _ = values[2 * self.knobs :]
        return Kernel(lengths, weights, CONSTANT, single, pair, whole, stretch)


def learn_process(space: Space, columns: Array, targets: Array, noise: Array) -> Process:
    """Return a Gaussian process given all `columns`, shape (n, columns).

    Args:
        space: The knobs.
        columns: One row a point.
        targets: What was observed, shape (n,).
        noise: Variance of each of that, shape (n,).
    """
    centre, scale = float(targets.mean()), float(targets.std()) or 1.0
    y, variances = (targets - centre) / scale, noise / scale**2
    some = np.unique(np.linspace(0, len(y) - 1, min(len(y), SAMPLE)).astype(int))
    logs = _most_likely(space, columns[some], y[some], variances[some])
    layout = Layout(len(space.knobs))
    learnt = layout.kernel(logs)
    kernel = Kernel(
        np.array(shorts(learnt.lengths)), np.array(shorts(learnt.weights)), CONSTANT,
        short(learnt.single), short(learnt.pair), short(learnt.whole), short(learnt.stretch),
    )  # fmt: skip
    grain = short(float(np.exp(logs[-1])))
    gram = kernel.gram(space, columns, columns) + np.diag(variances + grain)
    alpha = linalg.cho_solve(linalg.cho_factor(gram, lower=True), y)
    return Process(
        centre=short(centre), scale=short(scale), lengths=kernel.lengths.tolist(),
        weights=kernel.weights.tolist(), constant=CONSTANT, single=kernel.single, pair=kernel.pair,
        whole=kernel.whole, stretch=kernel.stretch, grain=grain,
        targets=shorts(targets), noise=shorts(np.maximum(noise, 1e-12)), alpha=shorts(alpha),
    )  # fmt: skip


def spreads(process: Process, space: Space, points: Array, columns: Array) -> Array:
    """Return the standard deviations of the process at rows of columns, grain included."""
    kernel = process.kernel
    noise = np.array(process.noise) / process.scale**2 + process.grain
    gram = kernel.gram(space, points, points) + np.diag(noise)
    across = kernel.gram(space, points, columns)
    lower = linalg.cholesky(gram, lower=True)
    solved = linalg.solve_triangular(lower, across, lower=True)
    variance = kernel.constant + kernel.variance + process.grain - (solved**2).sum(0)
    deviations: Array = process.scale * np.sqrt(np.maximum(variance, 1e-12))
    return deviations


def _most_likely(space: Space, columns: Array, y: Array, noise: Array) -> Array:
    """Return the logarithms of the parameters under which `y` is most likely, prior included."""
    layout = Layout(len(space.knobs))
    apart = distances(space, columns, columns)
    mean, deviation = layout.mean, layout.deviation

    def loss(logs: Array) -> tuple[float, Array]:
        value, slope = unlikelihood(layout, apart, y, noise, logs)
        off = (logs - mean) / deviation
        return value + 0.5 * float(off @ off), slope + off / deviation

    found = optimize.minimize(
        loss, mean, jac=True, method="L-BFGS-B", options={"maxiter": STEPS},
        bounds=[(m - 4 * d, m + 4 * d) for m, d in zip(mean, deviation, strict=True)],
    )  # fmt: skip
    best: Array = found.x
    return best


def unlikelihood(
    layout: Layout, apart: list[Array], y: Array, noise: Array, logs: Array
) -> tuple[float, Array]:
    """Return the negative log likelihood and its gradient in the logarithms."""
    kernel, grain = layout.kernel(logs), float(np.exp(logs[-1]))
    count = layout.knobs
    singles = np.zeros((len(y), len(y)))
    squares, exponent = np.zeros_like(singles), np.zeros_like(singles)
    near: list[Array] = []
    for knob, each in enumerate(apart):
        scaled = each / (2 * kernel.lengths[knob] ** 2)
        part = kernel.weights[knob] * np.exp(-scaled)
        singles += part
        squares += part**2
        exponent += scaled
        near.append(part)
    exponent /= kernel.stretch**2
    whole = kernel.whole * np.exp(-exponent)
    pairs = (singles**2 - squares) / 2
    gram = CONSTANT + kernel.single * singles + kernel.pair * pairs + whole
    gram[np.diag_indices(len(y))] += noise + grain
    factor = linalg.cho_factor(gram, lower=True)
    alpha = linalg.cho_solve(factor, y)
    inverse = linalg.cho_solve(factor, np.eye(len(y)))
    value = 0.5 * float(y @ alpha) + float(np.log(np.diag(factor[0])).sum())
    pull = 0.5 * (inverse - np.outer(alpha, alpha))
    slope = np.zeros(len(logs))
    on_whole = pull * whole
    for knob, (part, each) in enumerate(zip(near, apart, strict=True)):
        effect = pull * (kernel.single + kernel.pair * (singles - part)) * part
        inverse_square = 1 / kernel.lengths[knob] ** 2
        slope[knob] = inverse_square * float(
            (effect * each).sum() + (on_whole * each).sum() / kernel.stretch**2
        )
        slope[count + knob] = float(effect.sum())
    slope[2 * count :] = (
        kernel.single * float((pull * singles).sum()),
        kernel.pair * float((pull * pairs).sum()),
        float(on_whole.sum()),
        2 * float((on_whole * exponent).sum()),
        grain * float(np.trace(pull)),
    )
    return value, slope
