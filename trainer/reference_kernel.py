"""The reference kernel: a fixed piece of work that tells how fast the machine is at this moment.

A budget in seconds buys less training on a machine that has slowed down: its neighbours fill the
caches, its clock sinks. So the same work is timed before and after each timed job, on the slot's
own processors and by the processor's clock, in a thread of ours that candidate code cannot reach.
It holds no interpreter lock, so the event loop goes on. What follows from a reading is decided by
`trainer.timed_run`.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import statistics
import time
import zlib
from collections import deque
from collections.abc import Iterable
from typing import Final

REPEATS: Final = 5
"""The fastest of so many counts: whatever interrupts the work makes it slower, nothing faster."""
TOLERANCE: Final = 1.10
"""A machine this much slower than usual voids a timing."""
BIN: Final = 1.05
"""Machines whose readings differ by more than this factor are of different device classes."""
READINGS: Final = 5
"""So many on each slot say how fast a machine is."""

_USUAL_OF: Final = 32
"""So many readings, the newest ones, say what is usual on a slot."""
_FEWEST: Final = 3
"""With fewer than this nothing is usual yet."""
_HASHED: Final = bytes(range(256)) * (1 << 13)  # 2 MiB: streams through the caches
_PACKED: Final = b"".join(hashlib.sha256(b"%d" % n).hexdigest().encode() for n in range(1 << 11))
"""128 KiB of digits: branches and look-ups."""


class ReferenceKernel:
    """Readings on this machine, and what is usual of them."""

    def __init__(self) -> None:
        self._readings: dict[frozenset[int], deque[float]] = {}

    async def read_s(self, cpus: Iterable[int]) -> float:
        """Time the work on these processors: CPU seconds of its fastest repeat."""
        places = frozenset(cpus)
        reading_s = await asyncio.to_thread(_measure_s, places)
        self._readings.setdefault(places, deque(maxlen=_USUAL_OF)).append(reading_s)
        return reading_s

    def usual_s(self, cpus: Iterable[int]) -> float | None:
        """The median of the newest readings on these processors; None while there are too few."""
        readings = self._readings.get(frozenset(cpus), ())
        return statistics.median(readings) if len(readings) >= _FEWEST else None


async def machine_s(places: Iterable[Iterable[int]]) -> float:
    """Say how fast this machine is: the median reading over all slots, read side by side.

    Args:
        places: The processors of each slot.
    """
    readings: list[float] = []

    async def read(cpus: frozenset[int]) -> None:
        readings.extend([await asyncio.to_thread(_measure_s, cpus) for _ in range(READINGS)])

    async with asyncio.TaskGroup() as group:
        for cpus in places:
            group.create_task(read(frozenset(cpus)))
    return statistics.median(readings)


def settled_s(reading_s: float, known_s: float | None) -> float:
    """Return an earlier reading that this one differs from by less than 5 %, else this one.

    So a machine at the edge of two bins does not change its class with every start.
    """
    if known_s is not None and max(reading_s / known_s, known_s / reading_s) < BIN:
        return known_s
    return reading_s


def kernel_bin(reading_s: float) -> str:
    """Name the bin of 5 % that a reading falls in, for people: ``kernel 10.2 ms``, its middle.

    Args:
        reading_s: CPU seconds, above 0.
    """
    middle_s = BIN ** round(math.log(reading_s) / math.log(BIN))
    return f"kernel {1e3 * middle_s:.3g} ms"


def _measure_s(cpus: frozenset[int]) -> float:
    """Do the work on `cpus`; affinity is a thread's own, and given back."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        return min(_once_s() for _ in range(REPEATS))
    finally:
        os.sched_setaffinity(0, before)


def _once_s() -> float:
    """CPU seconds of this thread for the work, done once: about 10 ms."""
    begin = time.thread_time_ns()
    hashlib.sha256(_HASHED).digest()
    zlib.compress(_PACKED, 6)
    return (time.thread_time_ns() - begin) / 1e9
