"""A sketch of an artefact: a few bits of each tensor that tell which of two runs is like which.

Two runs of one tree under two seeds of the lab start from other weights and end in other ones. A
tree that draws its first weights from a seed of its own leaves much of them in what it ends with,
even where the order of its data is the lab's. What follows from that is `community.seed_rule`'s
business; this compares, and judges nothing. It looks at the end of whole runs, so there is no
trial that a tree could recognise and behave for.
"""

from __future__ import annotations

import base64
import hashlib
import math
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainer.artefact import float_tensors

BITS: Final = 512
"""Of one tensor."""
FEWEST_VALUES: Final = 1024
"""Tensors with fewer values that differ from their median are left out: biases, norms, gates."""
MOST_TENSORS: Final = 256
"""The largest; in 8 MiB no others can push out one of more than 8,192 values."""
TAG_BYTES: Final = 8
"""What stands for a tensor's name and size."""

_ENTRY_BYTES: Final = TAG_BYTES + BITS // 8


def sketch(path: Path) -> str:
    """Return the sketch of the artefact at `path`; empty if there is nothing to be told by.

    Of each tensor the values' signs about the median are dealt to `BITS` sums, each sign turned or
    not by a fixed draw; a bit says whether its sum is positive. Signs make it blind to scale and to
    a few huge values, and all values count. Random projections: Charikar, M. S. (2002), Similarity
    estimation techniques from rounding algorithms, STOC, section 3.
    """
    found: list[tuple[int, bytes]] = []
    try:
        for name, values in float_tensors(path):
            signs = _signs(values)
            if np.count_nonzero(signs) >= FEWEST_VALUES:
                tag = hashlib.sha256(f"{values.size} {name}".encode()).digest()
                found.append((values.size, tag[:TAG_BYTES] + _bits(signs, tag)))
    except ValueError:
        return ""
    found.sort(key=lambda entry: (-entry[0], entry[1]))
    return base64.b64encode(b"".join(entry for _, entry in found[:MOST_TENSORS])).decode()


def likenesses(one: str, other: str) -> dict[bytes, float]:
    """Return how alike two runs ended in each tensor of both sketches: 0 not at all, 1 quite.

    It is ``r = sin(pi/2 (2q - 1))``, not below 0, with q the share of equal bits (Blomqvist 1950,
    On a measure of dependence between two random variables, Annals of Mathematical Statistics
    21:593): the correlation of two normal variables whose signs agree that often.
    """
    mine, yours = _entries(one), _entries(other)
    apart = {tag: int.bit_count(mine[tag] ^ yours[tag]) / BITS for tag in mine.keys() & yours}
    return {tag: max(0.0, math.sin(math.pi / 2 * (1 - 2 * p))) for tag, p in apart.items()}


def distance(one: str, other: str) -> float | None:
    """Return how far apart two sketches are: 1 of runs with nothing in common, 0 of equal ones.

    The most alike tensor decides, so that further tensors hide none.

    Returns:
        None where they have no tensor in common.
    """
    found = likenesses(one, other)
    return 1 - max(found.values()) if found else None


def _signs(values: NDArray[np.float32]) -> NDArray[np.int8]:
    """Return -1, 0 or 1 of each value about the median."""
    if values.size < FEWEST_VALUES:
        return np.zeros(0, np.int8)
    middle = np.partition(values, values.size // 2)[values.size // 2]
    signs: NDArray[np.int8] = np.subtract(values > middle, values < middle, dtype=np.int8)
    return signs


def _bits(signs: NDArray[np.int8], tag: bytes) -> bytes:
    """Return the signs of `BITS` sums over `signs`, packed."""
    chance = np.random.Generator(np.random.PCG64(int.from_bytes(tag, "big")))
    turn = np.unpackbits(np.frombuffer(chance.bytes(-(-signs.size // 8)), np.uint8))
    turned = np.where(turn[: signs.size], signs, -signs)
    padded = np.zeros(-(-signs.size // BITS) * BITS, np.int8)
    padded[: signs.size] = turned
    dealt = padded.reshape(-1, BITS)
    sums = 2 * dealt.sum(axis=0, dtype=np.int64) + dealt[0]  # so that none is 0
    return np.packbits(sums > 0).tobytes()


@lru_cache(maxsize=4096)
def _entries(text: str) -> dict[bytes, int]:
    """Take a sketch apart: tag of the tensor to its bits; nothing where it is no sketch."""
    try:
        body = base64.b64decode(text, validate=True)
    except ValueError:
        return {}
    if len(body) % _ENTRY_BYTES:
        return {}
    return {
        body[at : at + TAG_BYTES]: int.from_bytes(body[at + TAG_BYTES : at + _ENTRY_BYTES], "big")
        for at in range(0, len(body), _ENTRY_BYTES)
    }
