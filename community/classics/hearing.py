"""Who hears whom, as the compiled models read it, and the small graphs that their papers compare.

A matrix (n, n) says in row i whom agent i hears. Any matrix does: directed, in parts, without
edges; nobody hears himself by it, since every model lets an agent know what is its own.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np


class Lists(NamedTuple):
    """Neighbours one after the other: agent i's are ``who[starts[i]:starts[i + 1]]``."""

    starts: np.ndarray
    who: np.ndarray


def lists(matrix: np.ndarray) -> Lists:
    """Return each row's True columns; of the transposed matrix, who hears i.

    Raises:
        ValueError: The matrix is not square.
    """
    hears = np.asarray(matrix, dtype=bool)
    if hears.ndim != 2 or hears.shape[0] != hears.shape[1]:
        raise ValueError(f"a square matrix says who hears whom, not one of shape {hears.shape}")
    hears = hears & ~np.eye(len(hears), dtype=bool)
    rows, columns = np.nonzero(hears)
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(hears)))])
    return Lists(starts.astype(np.int64), columns.astype(np.int64))


def complete(n: int) -> np.ndarray:
    """Return the matrix in which everybody hears everybody else."""
    return ~np.eye(n, dtype=bool)


def isolated(n: int) -> np.ndarray:
    """Return the matrix in which nobody hears anybody."""
    return np.zeros((n, n), dtype=bool)


def cycle(n: int) -> np.ndarray:
    """Return a ring: each hears one neighbour on either side."""
    hears, i = isolated(n), np.arange(n)
    hears[i, (i + 1) % n] = hears[i, (i - 1) % n] = True
    np.fill_diagonal(hears, False)
    return hears


def wheel(n: int) -> np.ndarray:
    """Return a cycle of n - 1 and a hub, the first, that all hear and that hears all."""
    hears = np.zeros((n, n), dtype=bool)
    hears[1:, 1:] = cycle(n - 1)
    hears[0, 1:] = hears[1:, 0] = True
    return hears


def wheel_with_hub_in_rim(n: int) -> np.ndarray:
    """Return a cycle of n whose first also hears all and is heard by all.

    A public replication of Zollman's model builds its wheel so.
    """
    hears = cycle(n)
    hears[0, 1:] = hears[1:, 0] = True
    return hears


def star(n: int) -> np.ndarray:
    """Return a hub, the first, and n - 1 others who hear it alone."""
    hears = np.zeros((n, n), dtype=bool)
    hears[0, 1:] = hears[1:, 0] = True
    return hears


def caves(number: int, size: int) -> np.ndarray:
    """Return a connected caveman graph: `number` cliques of `size` round a ring.

    Of each clique one edge, from its first to its second, leads from its first to the last of the
    clique before instead (Watts 1999), so the number of edges is that of the cliques.

    Raises:
        ValueError: Fewer than two cliques, or of fewer than two.
    """
    if number < 2 or size < 2:
        raise ValueError(f"caves: two cliques of two at least, not {number} of {size}")
    n = number * size
    clique = np.arange(n) // size
    hears = isolated(n)
    hears[clique[:, None] == clique] = True
    np.fill_diagonal(hears, False)
    for first in range(0, n, size):
        before = (first - 1) % n
        hears[first, first + 1] = hears[first + 1, first] = False
        hears[first, before] = hears[before, first] = True
    return hears


GRAPHS: Final = {
    "complete": complete,
    "isolated": isolated,
    "cycle": cycle,
    "wheel": wheel,
    "wheel_with_hub_in_rim": wheel_with_hub_in_rim,
    "star": star,
}
"""By name: graphs that need nothing but a number of agents."""


def named(network: str, n: int) -> np.ndarray:
    """Return the graph of this name among `n` agents.

    Raises:
        ValueError: The name is none of `GRAPHS`.
    """
    must_be_known(network)
    return GRAPHS[network](n)


def must_be_known(network: str, *more: str) -> None:
    """Refuse a name that is neither one of `GRAPHS` nor of `more`.

    Raises:
        ValueError: it is none.
    """
    if network not in (*GRAPHS, *more):
        known = ", ".join(sorted((*GRAPHS, *more)))
        raise ValueError(f"no graph is called {network!r}; there are {known}")
