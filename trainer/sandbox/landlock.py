"""Landlock: which files this process may still open, whatever the mounts show.

An allow-list by path, and where the kernel is new enough also no TCP and no signal to anybody
outside. A second wall behind the namespaces; where namespaces are refused it is the first.
It does not cover UDP or unix sockets: `seccomp` refuses those.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from typing import Final

from trainer.sandbox.kernel import forbid_new_privileges, syscall

_WRITE_FILE = 1 << 1
_READ_FILE = 1 << 2
_READ_DIR = 1 << 3
_TRUNCATE = 1 << 14
_IOCTL_DEV = 1 << 15
READ: Final = _READ_FILE | _READ_DIR
DEVICE: Final = _READ_FILE | _WRITE_FILE | _IOCTL_DEV | _TRUNCATE
NAMES: Final = _READ_FILE | _READ_DIR | _WRITE_FILE | _TRUNCATE
"""To give threads names by their files."""
SCRATCH: Final = (1 << 16) - 1 - 1 - (1 << 6) - (1 << 11)
"""Everything below a folder but executing files and making device nodes."""

_FILE_RIGHTS = _READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL_DEV
_BITS_BY_ABI: Final = {1: 13, 2: 14, 3: 15, 4: 15}
_NET_TCP = 3
_SCOPE_UNIX_SOCKET = 1
_SCOPE_SIGNAL = 2


def version() -> int:
    """Landlock's interface version in this kernel; 0 where there is none."""
    try:
        return syscall("landlock_create_ruleset", None, ctypes.c_long(0), ctypes.c_long(1))
    except OSError:
        return 0


def restrict(
    rules: Iterable[tuple[str, int]] | None, *, network: bool = True, processes: bool = True
) -> None:
    """Refuse every file access but those in `rules`, for this process, for good.

    Args:
        rules: paths with the rights (READ, SCRATCH, DEVICE) granted at and below them; None leaves
            all files as they are, for the attack suite.
        network: also refuse TCP and abstract sockets.
        processes: also refuse signals to others.

    Raises:
        OSError: no Landlock here, or a path that does not exist.
    """
    abi = version()
    if not abi:
        raise OSError("this kernel has no Landlock")
    handled = (1 << _BITS_BY_ABI.get(abi, 16)) - 1 if rules is not None else 0
    fields = [handled]
    if abi >= 4:
        fields.append(_NET_TCP if network else 0)
    if abi >= 6:
        fields.append((_SCOPE_UNIX_SOCKET if network else 0) | (_SCOPE_SIGNAL if processes else 0))
    if not any(fields):
        return  # the kernel takes no empty ruleset
    request = struct.pack(f"={len(fields)}Q", *fields)
    ruleset = syscall(
        "landlock_create_ruleset", request, ctypes.c_long(len(request)), ctypes.c_long(0)
    )
    try:
        for path, rights in rules or ():
            _allow(ruleset, path, rights & handled)
        forbid_new_privileges()
        syscall("landlock_restrict_self", ctypes.c_long(ruleset), ctypes.c_long(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    """Add one path; rights that only make sense on folders are left out for files."""
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not os.path.isdir(path):
            rights &= _FILE_RIGHTS
        rule = struct.pack("=Qi", rights, descriptor)
        syscall(
            "landlock_add_rule", ctypes.c_long(ruleset), ctypes.c_long(1), rule, ctypes.c_long(0)
        )
    finally:
        os.close(descriptor)
