"""Kernel: how alike the costs of two settings are expected to be, knob by knob and as a whole.

A sum over knobs (each has its own effect) plus one term for the setting as a whole. Settings come
as rows of numbers from 0 to 1 and of options by number. A turn asks of the same settings as the
turn before and a few more, and candidates differ from one another in a few knobs: so sums over
pairs of known settings are kept, and of a knob no distance is computed twice. Neither changes a
digit: knobs are added up one after the other, whoever asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from agents.closeness import OPTION_STEP

Array = NDArray[np.float64]
Encoded = tuple[Array, Array]
"""Numbers (n, numbers) and options (n, options) of n settings."""
Summed = Callable[[float | None], Array]
"""Length -> sums over knobs of what is lost at it; None -> of squared distances themselves."""

MOST_KEPT = 512
"""Settings of which sums over pairs are kept; with more they are begun anew."""
_FEW_PAIRS = 1024
"""Of so few pairs nothing is looked up."""


@dataclass(frozen=True, slots=True)
class Squares:
    """Squared distances of n settings to m others, knob by knob.

    A knob that takes no more than two values among them all is one bit: of such knobs any sum over
    what a distance makes is a matrix product.
    """

    bits: tuple[Array, Array]
    """(n, k), (m, k): 1 and -1."""
    gaps: Array
    """(k,): the squared distance between a bit's two values."""
    others: int
    """How many other knobs there are."""
    summed: Summed
    """(n, m): sums over the other knobs."""

    @classmethod
    def between(cls, one: Encoded, other: Encoded, *, is_kept: bool = False) -> Squares:
        """Return the squared distances of `one` to `other`.

        Args:
            one: Settings.
            other: Settings.
            is_kept: Whether both are settings that will be asked about again.
        """
        first = np.concatenate([one[0], one[1]], axis=1)
        second = np.concatenate([other[0], other[1]], axis=1)
        both = np.concatenate([first, second])
        low, high = both.min(axis=0), both.max(axis=0)
        is_bit = ((both == low) | (both == high)).all(axis=0)
        is_option = np.arange(first.shape[1]) >= one[0].shape[1]
        step = np.where(is_option, OPTION_STEP * (high > low), high - low)
        rest = ~is_bit
        signs = [np.where(part[:, is_bit] == high[is_bit], 1.0, -1.0) for part in (first, second)]
        summed = _summed(first[:, rest], second[:, rest], is_option[rest], is_kept=is_kept)
        return cls((signs[0], signs[1]), step[is_bit] ** 2, int(rest.sum()), summed)

    def shape(self, length: float) -> Array:
        """Return covariances of amplitude 1: a sum over knobs, and one term for all."""
        knobs = len(self.gaps) + self.others
        less = self._of_bits(-np.expm1(self.gaps / (-2 * length**2)))
        apart = self._of_bits(self.gaps)
        if self.others:
            less += self.summed(length)
            apart += self.summed(None)
        whole: Array = np.exp(apart / (-2 * (2 * length) ** 2))
        found: Array = knobs - less + whole
        return found

    def _of_bits(self, weights: Array) -> Array:
        """Return the sums over bits, (n, m), of what a bit weighs where it differs."""
        product = (self.bits[0] * (weights / 2)) @ self.bits[1].T
        found: Array = weights.sum() / 2 - product
        return found


def _summed(first: Array, second: Array, is_option: NDArray[np.bool_], *, is_kept: bool) -> Summed:
    if is_kept and len(first) + len(second) <= MOST_KEPT:
        return lambda length: _kept(is_option.tobytes()).sums(first, second, length)
    if len(first) * len(second) < _FEW_PAIRS:
        return lambda length: _few(first, second, is_option, length)
    return _Columns(first, second, is_option)


def _few(first: Array, second: Array, is_option: NDArray[np.bool_], length: float | None) -> Array:
    apart = first[:, None, :] - second[None, :, :]
    near = np.where(is_option, OPTION_STEP**2 * (apart != 0.0), apart**2)
    found: Array = _lost(near, length).sum(-1)
    return found


def _lost(near: Array, length: float | None) -> Array:
    """Return what squared distances cost at a length; None: themselves."""
    if length is None:
        return near
    lost: Array = -np.expm1(near / (-2 * length**2))
    return lost


class _Columns:
    """Sums over knobs of n settings beside m others, by the values that each knob has among them.

    Args:
        first: (n, knobs).
        second: (m, knobs).
        is_option: (knobs,): which are options.
    """

    def __init__(self, first: Array, second: Array, is_option: NDArray[np.bool_]) -> None:
        self._size = len(first), len(second)
        self._columns = [
            (_near(ours[:, None] - theirs[None, :], is_pick=bool(is_pick)), mine, yours)
            for (ours, mine), (theirs, yours), is_pick in zip(
                _values(first), _values(second), is_option, strict=True
            )
        ]

    def __call__(self, length: float | None) -> Array:
        """Return the sums, (n, m)."""
        found, plane = np.empty(self._size), np.empty(self._size)
        for number, (near, mine, yours) in enumerate(self._columns):
            wide = _lost(near, length).take(yours, axis=1)
            wide.take(mine, axis=0, out=plane if number else found, mode="clip")
            if number:
                found += plane
        return found


def _values(rows: Array) -> Sequence[tuple[Array, NDArray[np.intp]]]:
    """Return, of each column, its values and which of them each row has."""
    found = []
    for column in rows.T:
        values, places = np.unique(column, return_inverse=True)
        found.append((values, places))
    return found


def _near(apart: Array, *, is_pick: bool) -> Array:
    """Return squared distances of one knob."""
    near: Array = OPTION_STEP**2 * (apart != 0.0) if is_pick else apart**2
    return near


class _Kept:
    """Sums over pairs of settings, computed when a setting is first asked about.

    Args:
        is_option: (knobs,): which are options.
    """

    def __init__(self, is_option: NDArray[np.bool_]) -> None:
        self._is_option = is_option
        self._begin()

    def _begin(self) -> None:
        self._places: dict[bytes, int] = {}
        self._rows = np.empty((0, len(self._is_option)))
        self._sums: dict[float | None, Array] = {}

    def sums(self, first: Array, second: Array, length: float | None) -> Array:
        """Return the sums of `first` beside `second`, (n, m)."""
        ours, theirs = self._put(first), self._put(second)
        if len(self._places) > MOST_KEPT:
            self._begin()
            ours, theirs = self._put(first), self._put(second)
        found: Array = self._known(length)[np.ix_(ours, theirs)]
        return found

    def _put(self, rows: Array) -> list[int]:
        """Return the places of some rows; those that are new get one."""
        places, known = self._places, len(self._places)
        found = [places.setdefault(row.tobytes(), len(places)) for row in rows]
        if len(places) > known:
            new = {place: row for place, row in zip(found, rows, strict=True) if place >= known}
            self._rows = np.concatenate([self._rows, [new[at] for at in sorted(new)]])
        return found

    def _known(self, length: float | None) -> Array:
        """Return the sums of all rows beside all, those of new ones computed now."""
        known = self._sums.get(length, np.empty((0, 0)))
        before, count = len(known), len(self._rows)
        if before < count:
            block = _Columns(self._rows[before:], self._rows, self._is_option)(length)
            whole = np.empty((count, count))
            whole[:before, :before] = known
            whole[before:] = block
            whole[:before, before:] = block[:, :before].T
            known = self._sums[length] = whole
        return known


@lru_cache(maxsize=8)
def _kept(is_option: bytes) -> _Kept:
    return _Kept(np.frombuffer(is_option, dtype=np.bool_))
