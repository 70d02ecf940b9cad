"""NK landscapes: how good a string of bits is, where each bit's worth depends on K others.

A locus i has a table of 2^(K + 1) values drawn from U(0, 1), indexed by its own bit and K other
bits; the fitness of a genotype is the mean of the N values looked up. K = 0 is one smooth hill;
K = N - 1 has no order at all.

Sources:
    Kauffman, S. A. & Levin, S. (1987). Towards a general theory of adaptive walks on rugged
    landscapes. Journal of Theoretical Biology 128, 11-45.
    https://doi.org/10.1016/S0022-5193(87)80029-2.
    Kauffman, S. A. & Weinberger, E. D. (1989). The NK model of rugged fitness landscapes and its
    application to maturation of the immune response. Journal of Theoretical Biology 141, 211-245.

Differs:
    Table values are kept to 13 decimals, and their sums are exact: two genotypes that look up the
    same values at different loci are equally good to the bit, whatever the order of adding up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
from numba import njit
from numpy.typing import NDArray

Mode = Literal["random", "random_with_replacement", "random_incl_self", "adjacent", "block"]
"""Which K loci a locus depends on. ``random``: K distinct others. ``random_with_replacement``: K
draws from the others, so that some count twice and others not at all. ``random_incl_self``: K
distinct ones of all N, itself among them or not. ``adjacent``: the next K round a ring. ``block``:
the other K of its block, N / (K + 1) blocks that have nothing to do with one another."""

DECIMALS: Final = 13
_UNIT: Final = 10.0**DECIMALS
MOST_BITS: Final = 22
"""Longest genotype of which all are enumerated: 2^22 values are 32 MiB."""


@dataclass(frozen=True, slots=True)
class NK:
    """One landscape. A genotype's index has locus i as its bit i, the first locus the lowest."""

    links: NDArray[np.int64]
    """(n, k + 1): each locus itself first, then the k it depends on."""
    tables: NDArray[np.float64]
    """(n, 2^(k + 1)): the worth of each locus; the bit of `links[i, j]` is bit j of the column."""

    @classmethod
    def draw(
        cls,
        n: int,
        k: int,
        rng: np.random.Generator,
        mode: Mode = "random",
        decimals: int | None = None,
    ) -> NK:
        """Draw a landscape of `n` loci that each depend on `k` others.

        Args:
            n: loci, at least 1.
            k: dependencies of each, from 0; most modes allow at most n - 1.
            rng: where all chance comes from.
            mode: which loci depend on which.
            decimals: to how many the table values are rounded; None is 13.

        Raises:
            ValueError: numbers that do not fit together.
        """
        _must_fit(n, k, mode)
        links = np.concatenate([np.arange(n)[:, None], _others(n, k, rng, mode)], axis=1)
        values = rng.random((n, 2 ** (k + 1)))
        return cls(links, np.round(values, DECIMALS if decimals is None else decimals))

    @property
    def n(self) -> int:
        """Loci."""
        return int(self.links.shape[0])

    @property
    def k(self) -> int:
        """Loci that each depends on."""
        return int(self.links.shape[1]) - 1

    def fitness(self, genotypes: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return how good each genotype is.

        Args:
            genotypes: (m, n), zeros and ones.

        Returns:
            (m,), each from 0 to 1, equal to the bit to what `all_fitness` has for it.

        Raises:
            ValueError: another shape.
        """
        bits = np.ascontiguousarray(genotypes, dtype=np.uint8)
        if bits.ndim != 2 or bits.shape[1] != self.n:
            raise ValueError(f"genotypes of shape {bits.shape} are not (m, {self.n})")
        fitness: NDArray[np.float64] = _fitness(bits, self.links, self._in_units())
        return fitness

    def all_fitness(self) -> NDArray[np.float64]:
        """Return how good every genotype is: (2^n,), bit i of the index is locus i.

        Raises:
            ValueError: more than 22 loci.
        """
        n = self.n
        if n > MOST_BITS:
            raise ValueError(f"{n} loci have too many genotypes to list; at most {MOST_BITS}")
        low_bits = n // 2
        low = _offsets(self.links, 0, low_bits)
        high = _offsets(self.links, low_bits, n)
        last = self.links.max(axis=1)
        values: NDArray[np.float64] = _enumerated(low, high, last, self._in_units())
        return values

    def _in_units(self) -> NDArray[np.float64]:
        """Return the tables in whole units of the last decimal: their sums are exact."""
        return np.rint(self.tables * _UNIT)


def indices_of(genotypes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the index of each genotype of (m, n): (m,); bit i is locus i."""
    weights = np.int64(1) << np.arange(genotypes.shape[1], dtype=np.int64)
    return np.asarray(genotypes.astype(np.int64) @ weights)


def genotypes_of(indices: NDArray[np.int64], n: int) -> NDArray[np.uint8]:
    """Return the genotypes of `n` loci with these indices: (m,) -> (m, n)."""
    shifts = np.arange(n, dtype=np.int64)
    return np.asarray((indices[:, None] >> shifts) & 1, dtype=np.uint8)


def local_optima(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which genotypes no single flip makes better: (2^n,) values -> (2^n,).

    Equally good neighbours do not take anything from one another.
    """
    is_peak: NDArray[np.bool_] = _peaks(np.ascontiguousarray(values, dtype=np.float64))
    return is_peak


def _must_fit(n: int, k: int, mode: Mode) -> None:
    if mode not in get_args(Mode):
        raise ValueError(f"{mode} is no mode; there are {', '.join(get_args(Mode))}")
    if n < 1 or k < 0:
        raise ValueError(f"n = {n}, k = {k}: at least 1 and 0")
    most = {"random_with_replacement": 24 if n > 1 else 0, "random_incl_self": n}.get(mode, n - 1)
    if k > min(most, 24):
        raise ValueError(f"k = {k} is too many for {n} loci and {mode}; at most {min(most, 24)}")
    if mode == "block" and n % (k + 1):
        raise ValueError(f"blocks of {k + 1} do not divide {n} loci")


def _others(n: int, k: int, rng: np.random.Generator, mode: Mode) -> NDArray[np.int64]:
    """Draw the k loci that each depends on: (n, k)."""
    own = np.arange(n)[:, None]
    if mode == "adjacent":
        return np.asarray((own + np.arange(1, k + 1)) % n, dtype=np.int64)
    if mode == "block":
        size = k + 1
        members = own // size * size + np.arange(size)
        return np.asarray(members[members != own].reshape(n, k), dtype=np.int64)
    if mode == "random_incl_self":
        return np.asarray(np.argsort(rng.random((n, n)), axis=1)[:, :k], dtype=np.int64)
    if mode == "random_with_replacement":
        drawn = rng.integers(max(n - 1, 1), size=(n, k))
    else:
        drawn = np.argsort(rng.random((n, n - 1)), axis=1)[:, :k]
    return np.asarray(drawn + (drawn >= own), dtype=np.int64)  # steps over the locus itself


def _offsets(links: NDArray[np.int64], first: int, last: int) -> NDArray[np.int32]:
    """Return what bits first..last-1 add to each locus's column: (n, 2^(last - first)).

    A locus's column is a sum over bits, so that two halves of a genotype are looked up apart.
    """
    n, width = links.shape
    adds = np.zeros((n, n), dtype=np.int64)  # adds[bit, locus]
    np.add.at(adds, (links, np.arange(n)[:, None]), np.int64(1) << np.arange(width))
    codes = np.arange(1 << (last - first), dtype=np.int64)
    bits = (codes[:, None] >> np.arange(last - first)) & 1
    return np.ascontiguousarray((bits @ adds[first:last]).T, dtype=np.int32)


@njit(cache=True, nogil=True)
def _enumerated(low: Any, high: Any, last: Any, units: Any) -> Any:
    """Add up all genotypes; a locus is looked up once the highest bit it depends on is known."""
    n, width = units.shape
    flat = units.ravel()
    size = low.shape[1]
    values = np.zeros(high.shape[1] * size)
    for top in range(n):
        half = 1 << top
        values[half : 2 * half] = values[:half]
        codes = min(size, 2 * half)
        for h in range(max(1, 2 * half // size)):
            row = values[h * size : h * size + codes]
            for locus in range(n):
                if last[locus] == top:
                    part = flat[locus * width + high[locus, h] :]
                    for code in range(codes):
                        row[code] += part[low[locus, code]]
    values /= n * _UNIT
    return values


@njit(cache=True, nogil=True)
def _fitness(genotypes: Any, links: Any, units: Any) -> Any:
    n, width = links.shape
    values = np.empty(genotypes.shape[0])
    scale = n * _UNIT
    for row in range(genotypes.shape[0]):
        total = 0.0
        for locus in range(n):
            column = 0
            for j in range(width):
                if genotypes[row, links[locus, j]]:
                    column += 1 << j
            total += units[locus, column]
        values[row] = total / scale
    return values


@njit(cache=True, nogil=True)
def _peaks(values: Any) -> Any:
    is_peak = np.ones(values.size, np.bool_)
    for here in range(values.size):
        flip = 1
        while flip < values.size:
            if values[here ^ flip] > values[here]:
                is_peak[here] = False
                break
            flip <<= 1
    return is_peak
