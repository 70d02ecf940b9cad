"""The landscape a fitted score stands for: its mean, or one function drawn from what is not known.

The draw follows Matheron: a function of the prior, corrected by what the points say against it. It
passes as near to every point as noise allows and is a fresh one where nothing was measured, so that
landscapes differ there as the truth might. Neither leaves the range of the file's `Response`.

Source: Wilson et al. 2020, "Efficiently Sampling Functions from Gaussian Process Posteriors", ICML.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache

import numpy as np

from community.errors import ModelFileError
from community.modelled.surrogate.algebra import factor, solve
from community.modelled.surrogate.kernel import Row, Wave
from community.modelled.surrogate.model_file import ModelFile
from community.modelled.surrogate.regressions import Predictor, Process
from community.modelled.surrogate.space import Array, Values

_factors: dict[str, Array] = {}
"""Of the covariance of a file's points, by the file: the same for every draw."""
MOST_FACTORS = 4


class Landscape:
    """Costs without noise, by setting.

    Args:
        model: The fitted model.
        seed: Which landscape is drawn; None for the mean of all.

    Raises:
        ModelFileError: a draw is asked of a kind of regression that knows no doubt.
    """

    def __init__(self, model: ModelFile, seed: int | None = None) -> None:
        self._space = model.space()
        self._response = model.score
        points = self._space.encode(model.settings())
        if seed is None:
            self._log: Predictor = model.score.regression.predictor(self._space, points)
        elif isinstance(model.score.regression, Process):
            self._log = _drawn(model, model.score.regression, points, seed)
        else:
            raise ModelFileError(
                f"a {model.score.regression.kind} regression knows no doubt, so there is one "
                'landscape only: use posterior = "mean", or fit with --score process'
            )
        self.cost = lru_cache(maxsize=4096)(self._cost)

    def _cost(self, values: Values) -> float:
        """Return the cost of a setting."""
        columns = self._space.encode([values])[0]
        # What processors differ in lies beyond the tenth digit.
        return float(f"{float(self._response.value(self._log(columns))):.10g}")


def _drawn(model: ModelFile, process: Process, points: Array, seed: int) -> Predictor:
    """Return one function of the process given its points, as a logarithm above the floor."""
    space, kernel = model.space(), process.kernel
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 0x1A2D])))
    wave = Wave.draw(kernel, space, rng)
    noise = np.array(process.noise) / process.scale**2
    observed = (np.array(process.targets) - process.centre) / process.scale
    grains = np.array([_grain(seed, row) for row in points]) * np.sqrt(process.grain)
    imagined = wave.at(points) + grains + np.sqrt(noise) * rng.standard_normal(len(points))
    weights = solve(_factor(model, process, points, noise), observed - imagined)
    row = Row(kernel, space, points)
    known = {point.tobytes(): number for number, point in enumerate(points)}

    def predict(columns: Array) -> float:
        value = float(wave.at(columns[None, :])[0])
        value += float(np.einsum("k,k->", row(columns), weights))
        value += float(np.sqrt(process.grain)) * _grain(seed, columns)
        if (number := known.get(columns.tobytes())) is not None:
            value += process.grain * float(weights[number])
        return process.centre + process.scale * float(value)

    return predict


def _factor(model: ModelFile, process: Process, points: Array, noise: Array) -> Array:
    """Return the factor of the points' covariance; computed once a file and process."""
    name = hashlib.sha256(points.tobytes() + np.array(process.alpha).tobytes()).hexdigest()
    if name not in _factors:
        gram = process.kernel.gram(model.space(), points, points)
        gram[np.diag_indices(len(points))] += noise + process.grain
        try:
            lower = factor(gram)
        except ValueError as error:
            raise ModelFileError(f"the model's kernel is broken: {error}; fit it again") from error
        while len(_factors) >= MOST_FACTORS:
            _factors.pop(next(iter(_factors)))
        _factors[name] = lower
    return _factors[name]


def _grain(seed: int, columns: Array) -> float:
    """Return a standard normal number that belongs to a setting on one landscape."""
    text = json.dumps([seed, [f"{column:.12g}" for column in columns.tolist()]])
    word = hashlib.sha256(text.encode()).digest()
    one, two = (int.from_bytes(word[at : at + 8], "big") + 0.5 for at in (0, 8))
    angle, size = 2 * np.pi * two / 2**64, np.sqrt(-2 * np.log(one / 2**64))
    return float(size * np.cos(angle))
