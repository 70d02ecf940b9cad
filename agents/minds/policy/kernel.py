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
Summed = Callable[[float | None], Array]
"""Length -> sums over knobs of what is lost at it; None -> of squared distances themselves."""

MOST_KEPT = 512
"""Settings of which sums over pairs are kept; with more they are begun anew."""
_FEW_PAIRS = 1024
"""Of so few pairs nothing is looked up."""


class Rows:
    """Settings as rows.

    Args:
        numbers: (n, numbers), from 0 to 1.
        options: (n, options), by number.
    """

    def __init__(self, numbers: Array, options: Array) -> None:
        self.numbers, self.options = numbers, options
        self.all: Array = np.concatenate([numbers, options], axis=1)
        """(n, knobs)."""
        self.is_option = np.arange(self.all.shape[1]) >= numbers.shape[1]
        self.low: Array = self.all.min(axis=0)
        self.high: Array = self.all.max(axis=0)
        self._is_bit = ((self.all == self.low) | (self.all == self.high)).all(axis=0)
        self._signs: tuple[bytes, bytes, Array] | None = None

    def and_also(self, others: Rows) -> Rows:
        """Return these rows with others after them."""
        return Rows(
            np.concatenate([self.numbers, others.numbers]),
            np.concatenate([self.options, others.options]),
        )

    def are_bits(self, low: Array, high: Array) -> NDArray[np.bool_]:
        """Return of which knobs all values are one of two that are this far apart or farther."""
        has_both = (self.low == low) & (self.high == high)
        is_one = (self.low == self.high) & ((self.low == low) | (self.low == high))
        found: NDArray[np.bool_] = np.where(has_both, self._is_bit, is_one)
        return found

    def signs(self, is_bit: NDArray[np.bool_], high: Array) -> Array:
        """Return of some knobs, (n, k), which values are the high one: 1, or -1."""
        ends = high[is_bit]
        key = is_bit.tobytes(), ends.tobytes()
        if self._signs is None or self._signs[:2] != key:
            found: Array = np.where(self.all[:, is_bit] == ends, 1.0, -1.0)
            self._signs = (*key, found)
        return self._signs[2]


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
    def between(cls, one: Rows, other: Rows, *, is_kept: bool = False) -> Squares:
        """Return the squared distances of `one` to `other`.

        Args:
            one: Settings.
            other: Settings.
            is_kept: Whether both are settings that will be asked about again.
        """
        low, high = np.minimum(one.low, other.low), np.maximum(one.high, other.high)
        is_bit = one.are_bits(low, high) & other.are_bits(low, high)
        step = np.where(one.is_option, OPTION_STEP * (high > low), high - low)
        signs = one.signs(is_bit, high), other.signs(is_bit, high)
        gaps = step[is_bit] ** 2
        if len(gaps) == len(step):
            return cls(signs, gaps, 0, _nothing)
        rest = ~is_bit
        summed = _summed(one.all[:, rest], other.all[:, rest], one.is_option[rest], is_kept=is_kept)
        return cls(signs, gaps, len(step) - len(gaps), summed)

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


def _nothing(length: float | None) -> Array:
    return np.zeros((1, 1))


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
        self._block: tuple[tuple[int, int], _Columns] | None = None
        """The newest rows beside all: (how many were known before, how many are)."""

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
            if self._block is None or self._block[0] != (before, count):
                columns = _Columns(self._rows[before:], self._rows, self._is_option)
                self._block = (before, count), columns
            block = self._block[1](length)
            whole = np.empty((count, count))
            whole[:before, :before] = known
            whole[before:] = block
            whole[:before, before:] = block[:, :before].T
            known = self._sums[length] = whole
        return known


@lru_cache(maxsize=8)
def _kept(is_option: bytes) -> _Kept:
    return _Kept(np.frombuffer(is_option, dtype=np.bool_))
