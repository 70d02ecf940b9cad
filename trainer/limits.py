"""What one sandboxed process may take from the machine, set by itself before candidate code runs.

Backstops: the budget's clock is watched from outside by the executor, these hold even if it dies.
All are per process, which is exact because the sandbox refuses a second one.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass
from math import ceil
from typing import Final

OPEN_FILES: Final = 256
FILE_BYTES: Final = 64 << 20
"""Largest file in the private /tmp."""
SCRATCH_BYTES: Final = 64 << 20
"""Size of the private /tmp, and of /dev/shm."""
THREADS: Final = 256
"""More threads than this and the executor kills; RLIMIT_NPROC does not bind root's processes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one sandboxed process."""

    memory_bytes: int
    """Private writable memory (RLIMIT_DATA); the executor also watches resident memory."""
    cpu_s: float
    """CPU seconds, rounded up, after which the kernel kills."""

    def apply(self, *, count_processes: bool) -> None:
        """Set the limits of this process, soft and hard alike.

        Args:
            count_processes: also limit processes; only in a user namespace of its own, because
                elsewhere the kernel counts all processes of this user.
        """
        cpu_s = max(1, ceil(self.cpu_s))
        pairs = [
            (resource.RLIMIT_DATA, self.memory_bytes),
            (resource.RLIMIT_CPU, cpu_s),
            (resource.RLIMIT_FSIZE, FILE_BYTES),
            (resource.RLIMIT_NOFILE, OPEN_FILES),
            (resource.RLIMIT_CORE, 0),
        ]
        if count_processes:
            pairs.append((resource.RLIMIT_NPROC, THREADS))
        for kind, wanted in pairs:
            _, hard = resource.getrlimit(kind)
            value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(kind, (value, value))
