"""Finds windows of held-out text in bytes of any kind; numpy alone, so that a sandbox can run it.

Any 48 bytes hold 40 bytes that begin at a multiple of 8 of whatever they lie in. So the table has a
fingerprint for every 40 bytes of a window, wherever they begin, and a scan looks at every eighth
place only: a gigabyte in some seconds. What it finds may be chance; who holds the text compares.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WINDOW = 48
PART = 24
"""A window counts only if neither its first nor its last so many bytes occur in what is public."""
STEP = 8
CHUNK = 1 << 20
_WORDS = (WINDOW - STEP + 1) // STEP
_BITS = 27
_FACTORS = np.random.default_rng(48).integers(1, 1 << 63, size=_WORDS, dtype=np.uint64) | np.uint64(
    1
)

Fingerprints = NDArray[np.uint64]


def fingerprints(content: bytes, words: int = _WORDS) -> Fingerprints:
    """Of `words` times 8 bytes, at every multiple of 8."""
    text = np.frombuffer(content, "<u8", len(content) // STEP)
    count = len(text) - words + 1
    if count <= 0:
        return np.empty(0, np.uint64)
    mixed = np.zeros(count, np.uint64)
    for number in range(words):
        part = text[number : number + count]
        mixed += (part ^ (part >> np.uint64(29))) * _FACTORS[number]
    mixed ^= mixed >> np.uint64(32)
    return mixed * np.uint64(0x9E3779B97F4A7C15)


def at_every_byte(content: bytes, words: int = _WORDS) -> Fingerprints:
    """As `fingerprints`, at every byte."""
    found = np.empty(max(0, len(content) - STEP * words + 1), np.uint64)
    for start in range(STEP):
        place = found[start::STEP]
        place[:] = fingerprints(content[start:], words)[: len(place)]
    return found


def is_in(found: Fingerprints, table: Fingerprints) -> NDArray[np.bool_]:
    """Which of `found` are in the sorted `table`."""
    place = np.minimum(np.searchsorted(table, found), len(table) - 1)
    return table[place] == found


class Table:
    """Sorted fingerprints, ready to look up many."""

    def __init__(self, table: Fingerprints) -> None:
        self._table = table
        self._is_there = np.zeros(1 << _BITS, np.bool_)
        self._is_there[self._short(table)] = True

    def find(self, content: bytes) -> list[int]:
        """Offsets of `content` at which something may lie."""
        found = fingerprints(content)
        at = np.flatnonzero(self._is_there[self._short(found)])
        return [int(place) * STEP for place in at[is_in(found[at], self._table)]]

    @staticmethod
    def _short(found: Fingerprints) -> Fingerprints:
        return found >> np.uint64(64 - _BITS)


def counted(text: bytes, public: Fingerprints) -> NDArray[np.bool_]:
    """Which windows of `text` count, by offset.

    Args:
        text: a held-out file.
        public: sorted fingerprints of every `PART` bytes that are public.
    """
    is_new = ~is_in(at_every_byte(text, PART // STEP), public)
    last = max(0, len(text) - WINDOW + 1)
    return is_new[:last] & is_new[WINDOW - PART : WINDOW - PART + last]


def covered(text: bytes, counts: NDArray[np.bool_]) -> Fingerprints:
    """Fingerprints of the 40 bytes that a scan may meet inside a window that counts."""
    is_met = np.zeros(len(text) - STEP * _WORDS + 1, np.bool_)
    for start in range(STEP + 1):
        place = is_met[start : start + len(counts)]
        place |= counts[: len(place)]
    return at_every_byte(text)[is_met]
