"""Closing descriptors: what both sides of a fork need, before candidate code can inherit any."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable


def close_all_but(keep: Iterable[int]) -> None:
    """Close every other descriptor of this process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    start = 0
    for descriptor in sorted(set(keep)):
        if start < descriptor:  # CPython takes an empty range for an endless one
            os.closerange(start, descriptor)
        start = descriptor + 1
    os.closerange(start, max(soft, start + 1))
