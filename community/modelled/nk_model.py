"""An NK landscape as a modelled task: bits are knobs, the optimum is known where 2^n allows.

Noise is added to what the transform gives, and is drawn anew for every measurement. Which solutions
do not run is drawn once for a landscape; the optimum is that of those that do.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from community.landscapes.nk import MOST_BITS, NK, Mode
from community.landscapes.transforms import transformed
from community.modelled.bits import PATH, bits_knobs_toml, bits_text, read_bits
from community.modelled.circumstances import Circumstances
from community.modelled.model import Modelled, Tree
from community.modelled.parameters import NkSection

_MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


class NkModel:
    """The model; see `community.modelled.model.Model`.

    Args:
        section: Its parameters.
        seed: The landscape's.
    """

    direction = "higher"

    def __init__(self, section: NkSection, seed: int) -> None:
        self._section = section
        self._seed = seed
        self.landscape = landscape_of(section, seed)
        self._circumstances = Circumstances(section, 1.0)
        self._is_listed = section.n <= MOST_BITS
        self._known: dict[bytes, float | None] = {}

    def start(self) -> Tree:
        """Return the tree of a solution of zeros, as good as any drawn by chance."""
        return {PATH: bits_text(np.zeros(self._section.n, np.uint8)).encode()}

    def knobs_toml(self) -> str:
        """Return one knob a bit."""
        return bits_knobs_toml(self._section.n)

    def run(self, files: Tree, *, seed: int, split: str, device: str) -> Modelled:
        """Return what running `files` comes to."""
        return self._circumstances.modelled(self.truth(files), seed, split, device)

    def truth(self, files: Tree) -> float | None:
        """Return what the solution is worth without noise; None where it does not run."""
        bits = read_bits(files.get(PATH, b""), self._section.n)
        if bits is None:
            return None
        key = bits.tobytes()
        if key not in self._known:
            self._known[key] = self._worth(bits)
        return self._known[key]

    def best(self) -> float | None:
        """Return the best that runs; None where there are too many solutions to list."""
        if not self._is_listed:
            return None
        return float(_runnable_best(self._section, self._seed))

    def _worth(self, bits: NDArray[np.uint8]) -> float | None:
        if crashes(bits[None, :], self._section.crash, self._seed)[0]:
            return None
        value = self.landscape.fitness(bits[None, :])
        if self._section.transform == "raw":
            return float(value[0])
        least, most = _extremes(self._section, self._seed)
        return float(transformed(value, self._section.transform, least, most)[0])


def landscape_of(section: NkSection, seed: int) -> NK:
    """Return the landscape that a seed stands for."""
    return _drawn(section.n, section.k, section.mode, section.decimals, seed)


def landscape_rng(seed: int) -> np.random.Generator:
    """Return the stream from which the landscape of a seed is drawn."""
    digest = hashlib.sha256(f"landscape/{seed}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def crashes(genotypes: NDArray[np.uint8], share: float, seed: int) -> NDArray[np.bool_]:
    """Return which solutions, (m, n), do not run: a `share` of all, never that of zeros."""
    if share == 0.0:
        return np.zeros(len(genotypes), dtype=np.bool_)
    lots = np.full(len(genotypes), np.uint64(seed % 2**64), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for column in genotypes.T:
            lots = _mixed(lots * np.uint64(2) + column.astype(np.uint64) + _MIX[0])
    bar = np.uint64(math.floor(share * 2.0**64)) if share < 1 else np.uint64(2**64 - 1)
    return np.asarray((lots < bar) & genotypes.any(axis=1))


def _mixed(lots: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return well-mixed bits of each number (the finaliser of splitmix64)."""
    lots = (lots ^ (lots >> np.uint64(30))) * _MIX[1]
    lots = (lots ^ (lots >> np.uint64(27))) * _MIX[2]
    return lots ^ (lots >> np.uint64(31))


@lru_cache(maxsize=64)
def _drawn(n: int, k: int, mode: Mode, decimals: int | None, seed: int) -> NK:
    return NK.draw(n, k, landscape_rng(seed), mode, decimals)


@lru_cache(maxsize=64)
def _listed(
    n: int, k: int, mode: Mode, decimals: int | None, seed: int
) -> tuple[float, float, int]:
    values = _drawn(n, k, mode, decimals, seed).all_fitness()
    return float(values.min()), float(values.max()), int(values.argmax())


def _extremes(section: NkSection, seed: int) -> tuple[float, float]:
    least, most, _ = _listed(section.n, section.k, section.mode, section.decimals, seed)
    return least, most


@lru_cache(maxsize=64)
def _runnable_best(section: NkSection, seed: int) -> float:
    """Return the best worth of all solutions that run, by listing them from the best on."""
    n = section.n
    least, most, top = _listed(n, section.k, section.mode, section.decimals, seed)
    shifts = np.arange(n)
    best = np.array([most])
    if crashes(((top >> shifts) & 1).astype(np.uint8)[None, :], section.crash, seed)[0]:
        values = landscape_of(section, seed).all_fitness()
        order = np.argsort(values, kind="stable")[::-1]
        for begin in range(0, len(order), 1024):
            chunk = order[begin : begin + 1024]
            genotypes = ((chunk[:, None] >> shifts) & 1).astype(np.uint8)
            runs = ~crashes(genotypes, section.crash, seed)
            if runs.any():
                best = values[chunk[runs][:1]]
                break
    return float(transformed(best, section.transform, least, most)[0])
