"""A byte n-gram model: how surprising each byte of a text is to somebody who only counts.

The reference that tells where looking ahead would pay, so that `scoring.probe_draw` can ask there;
it judges nobody. Counts are sorted codes, not a table of 256^n cells: a trigram of 8 MB is fitted
in a fraction of a second and some tens of megabytes.

Sources:
    Witten & Bell (1991), "The zero-frequency problem", IEEE Transactions on Information Theory 37,
    method C; interpolated as in Chen & Goodman (1998), "An empirical study of smoothing techniques
    for language modeling", Harvard TR-10-98, section 2.6:
    ``p(c | h) = (n(hc) + t(h) p(c | h')) / (n(h) + t(h))``, where n counts, t(h) is how many
    different bytes were seen after h, and h' is h without its oldest byte.
    Differs: the strings shorter than the longest are counted where they begin one, so the last few
    of the text are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.grader import Tokens

_NARROW, _WIDE = 4, 8
"""Bytes that fit codes of 32 and of 64 bits; the former sort several times faster."""

Codes = NDArray[np.unsignedinteger[Any]]
"""Strings of one length, each read as a number to the base 256."""


@dataclass(frozen=True, slots=True)
class _Strings:
    """The strings of one length that occur, with what is known of each."""

    codes: Codes
    """Ascending."""
    counts: NDArray[np.int64]
    """How often each occurs."""
    followers: NDArray[np.int64]
    """How many different bytes were seen after each."""

    def find(self, codes: Codes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return counts and followers of `codes`, 0 for those that never occur."""
        if not len(self.codes):
            return np.zeros(codes.shape, np.int64), np.zeros(codes.shape, np.int64)
        place = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        is_known = self.codes[place] == codes
        return self.counts[place] * is_known, self.followers[place] * is_known


class NgramModel:
    """What followed each string of up to `order` - 1 bytes in a training text."""

    def __init__(self, train: bytes | Tokens, order: int = 3) -> None:
        """Count.

        Args:
            train: The text; one shorter than `order` teaches nothing, and all bytes are alike. Or
                tokens of two bytes each, of which a string then has bytes and what is said here of
                bytes holds.
            order: Bytes of the longest string that is counted, 1 to 8: a byte and its context; of
                tokens half as many.
        """
        text = np.frombuffer(train, np.uint8) if isinstance(train, bytes) else train
        self._bits = 8 * text.itemsize
        if not 1 <= order * text.itemsize <= _WIDE:
            raise ValueError(f"an n-gram has 1 to {_WIDE // text.itemsize} symbols, not {order}")
        is_narrow = order * text.itemsize <= _NARROW
        self._dtype: type[np.uint32 | np.uint64] = np.uint32 if is_narrow else np.uint64
        codes = self._codes(text, order)
        codes.sort()
        starts = _firsts(codes)
        counts = np.diff(starts, append=len(codes)).astype(np.int64)
        strings = _Strings(codes[starts], counts, np.zeros_like(counts))
        self._strings = [strings]  # by length, from no bytes to `order` of them
        for _ in range(order):
            strings = _contexts(strings, self._bits)
            self._strings.insert(0, strings)

    def surprise(self, blocks: Tokens) -> NDArray[np.float64]:
        """Return -log2 p of every byte but the first of each block, by the bytes before it there.

        Args:
            blocks: Shape (rows, block), of the training text's kind.

        Returns:
            float64, shape (rows, block - 1), in bits; never negative.
        """
        p = np.full(blocks.shape, 0.5**self._bits)
        for length in range(1, min(len(self._strings) - 1, blocks.shape[1]) + 1):
            codes = self._codes(blocks, length)  # (rows, block - length + 1)
            count, _ = self._strings[length].find(codes)
            total, kinds = self._strings[length - 1].find(np.right_shift(codes, self._bits))
            shorter = p[:, length - 1 :]  # stays where the context never occurred
            mixed = (count + kinds * shorter) / np.maximum(total + kinds, 1)
            p[:, length - 1 :] = np.where(total > 0, mixed, shorter)
        bits: NDArray[np.float64] = -np.log2(np.minimum(p[:, 1:], 1.0))
        return bits

    def _codes(self, text: Tokens, length: int) -> Codes:
        """Return every string of `length` bytes along the last axis."""
        size = max(text.shape[-1] - length + 1, 0)
        codes: Codes = np.zeros((*text.shape[:-1], size), dtype=self._dtype)
        for start in range(length if size else 0):
            codes <<= self._bits
            codes |= text[..., start : start + size]
        return codes


def _contexts(strings: _Strings, bits: int) -> _Strings:
    """Return the same strings without their last symbol."""
    codes: Codes = np.right_shift(strings.codes, bits)  # ascending like the others
    starts = _firsts(codes)
    followers = np.diff(starts, append=len(codes)).astype(np.int64)
    counts = np.add.reduceat(strings.counts, starts) if len(starts) else strings.counts
    return _Strings(codes[starts], counts, followers)


def _firsts(codes: Codes) -> NDArray[np.intp]:
    """Return where each run of equal codes begins."""
    is_first = np.ones(len(codes), dtype=bool)
    np.not_equal(codes[1:], codes[:-1], out=is_first[1:])
    return np.flatnonzero(is_first)
