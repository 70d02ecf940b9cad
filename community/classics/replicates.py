"""Replicates of a model: each with a stream of its own, spread over processes.

A replicate's stream follows from the seed, its index and a name, and from nothing else. So results
are the same whatever the number of processes and however the replicates are divided among them, and
two arms that draw from streams of one name begin alike (common random numbers).
"""

from __future__ import annotations

import hashlib
import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Final, TypeVar

import numpy as np

from trainer.sandbox.kernel import die_with_parent

T = TypeVar("T")
CHUNKS_PER_JOB: Final = 8
"""Replicates differ in length; smaller pieces even that out."""


@cache
def _words(name: str) -> tuple[int, ...]:
    """Return four 32-bit words that stand for `name`."""
    digest = hashlib.sha256(name.encode()).digest()
    return tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))


def stream(seed: int, replicate: int, name: str) -> np.random.Generator:
    """Return the stream `name` of one replicate of a simulation with this seed."""
    entropy = (seed % 2**64, replicate, *_words(name))
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


def spread(work: Callable[[range], T], replicates: int, jobs: int = 1) -> list[T]:
    """Call `work` on consecutive ranges of replicate indices and return what it said, in order.

    Args:
        work: Importable (a module's function, or a `functools.partial` of one) if `jobs` > 1.
        replicates: How many there are in all.
        jobs: Processes; with 1 everything happens in this one.
    """
    pieces = max(1, min(replicates, jobs * CHUNKS_PER_JOB)) if jobs > 1 else 1
    bounds = [replicates * i // pieces for i in range(pieces + 1)]
    ranges = [range(a, b) for a, b in itertools.pairwise(bounds)]
    if jobs <= 1:
        return [work(each) for each in ranges]
    return list(_processes(jobs).map(work, ranges))


def concatenated(
    work: Callable[[range], tuple[np.ndarray, ...]], replicates: int, jobs: int = 1
) -> tuple[np.ndarray, ...]:
    """Return the arrays of `spread`, each joined along its first axis, the replicates."""
    parts = spread(work, replicates, jobs)
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


@cache
def _processes(jobs: int) -> ProcessPoolExecutor:
    """Return the pool of `jobs` processes, kept for as long as this process lives."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=_ends_with_its_parent)


def _ends_with_its_parent() -> None:
    """Let this process end when its parent does, and at Ctrl-C at once and without a traceback."""
    die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(128 + number))
