"""What the worker does to itself: another user, no way in for others, and no right beyond.

As root it becomes a user that owns nothing before it reads a task's files, so that it can write and
signal nothing and no candidate's process is its equal. It may read whatever it is told to until the
data is in memory; afterwards only where its interpreter lies out of that user's reach (below /root,
say), since modules are imported late. As an ordinary user it stays who it is. Either way no process
of the same user can read its memory, it leaves no core file, and no program that it starts gains
rights.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
from typing import Final

import numpy as np

SCORER_ID: Final = 60_974
"""User and group: no distribution gives it away (systemd leaves 60706 to 61183 unused)."""

_PR_SET_DUMPABLE: Final = 4
_PR_SET_KEEPCAPS: Final = 8
_PR_SET_NO_NEW_PRIVS: Final = 38
_CAPABILITY_VERSION: Final = 0x20080522
_READS_ALL: Final = (2, 1)
"""CAP_DAC_READ_SEARCH, or CAP_DAC_OVERRIDE where a container grants that one alone."""


def withdraw() -> None:
    """Become the scorer's own user where that is possible, and shut others out.

    Call it with one thread only, and `renounce` once everything is read. Ordinary users, and root
    of a namespace without that identity, stay who they are.

    Raises:
        OSError: this process cannot be closed to others.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if os.geteuid() == 0:
        _change_user()
    _prctl(_PR_SET_DUMPABLE, 0)  # last: another identity sets it anew


def renounce() -> None:
    """Give up the right to read all, unless the interpreter itself could not be read without it.

    Root that could not change stays root.

    Raises:
        OSError: the kernel refused.
    """
    if os.geteuid() != SCORER_ID:
        return
    held = _permitted()
    _set_capabilities(0, held)
    libraries = (os.__file__, np.__file__)
    is_kept = not all(os.access(path, os.R_OK, effective_ids=True) for path in libraries)
    _set_capabilities(held if is_kept else 0)


def is_own_user(pid: int) -> bool:
    """Whether a worker runs as the scorer's own user.

    Raises:
        OSError: there is no such process.
    """
    with open(f"/proc/{pid}/status") as status:
        line = next(line for line in status if line.startswith("Uid:"))
    return set(line.split()[1:]) == {str(SCORER_ID)}


def _change_user() -> None:
    held = _permitted()
    kept = next((1 << bit for bit in _READS_ALL if held >> bit & 1), 0)
    try:
        os.setgroups([])
        os.setresgid(SCORER_ID, SCORER_ID, SCORER_ID)
        _prctl(_PR_SET_KEEPCAPS, 1)
        os.setresuid(SCORER_ID, SCORER_ID, SCORER_ID)
    except OSError:
        return
    _set_capabilities(kept)
    _prctl(_PR_SET_KEEPCAPS, 0)


def _permitted() -> int:
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("CapPrm:"))
    return int(line.split()[1], 16)


def _set_capabilities(effective: int, permitted: int | None = None) -> None:
    """Hold exactly these, all of them below bit 32; as many permitted as effective by default."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    held = effective if permitted is None else permitted
    sets = struct.pack("=IIIIII", effective, held, 0, 0, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "capset is refused")


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value}) is refused")
