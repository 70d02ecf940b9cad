"""Chance of one experiment, by name: the same name and seed give the same draw anywhere.

Draws come from SHA-256 instead of a generator: an experiment needs two or three, and no order
between them may matter.
"""

from __future__ import annotations

import hashlib
import math
from statistics import NormalDist

_NORMAL = NormalDist()


def uniform(name: str, seed: int | str) -> float:
    """Return a number evenly drawn from (0, 1)."""
    digest = hashlib.sha256(f"{name}/{seed}".encode()).digest()
    return ((int.from_bytes(digest[:8], "big") >> 11) + 0.5) * 2.0**-53


def normal(name: str, seed: int | str) -> float:
    """Return a number drawn from the standard normal distribution."""
    return _NORMAL.inv_cdf(uniform(name, seed))


def around(median: float, spread: float, name: str, seed: int | str) -> float:
    """Return a positive number whose logarithm is normal about that of `median`."""
    return median if spread == 0.0 else median * math.exp(spread * normal(name, seed))
