"""A Cholesky factor and what is solved with it, to the bit the same whatever runs beside.

LAPACK adds in another order when it has more threads; a modelled run must come out alike on one
core and on two. Some hundred rows take a tenth of a second this way.
"""

from __future__ import annotations

import numpy as np

from community.modelled.surrogate.space import Array


def factor(matrix: Array) -> Array:
    """Return the lower L with L L^T = `matrix`, shape (n, n).

    Raises:
        ValueError: it is not positive definite.
    """
    lower = np.zeros_like(matrix)
    for j in range(len(matrix)):
        column = matrix[j:, j] - np.einsum("ik,k->i", lower[j:, :j], lower[j, :j])
        if not column[0] > 0:
            raise ValueError("the covariance is not positive definite")
        lower[j:, j] = column / np.sqrt(column[0])
    return lower


def solve(lower: Array, right: Array) -> Array:
    """Return x with L L^T x = `right`, shape (n,)."""
    x = right.astype(np.float64, copy=True)
    for i in range(len(x)):
        x[i] = (x[i] - np.einsum("k,k->", lower[i, :i], x[:i])) / lower[i, i]
    upper = np.ascontiguousarray(lower.T)
    for i in reversed(range(len(x))):
        x[i] = (x[i] - np.einsum("k,k->", upper[i, i + 1 :], x[i + 1 :])) / lower[i, i]
    return x
