"""Leaving the host's namespaces: users, mounts, processes, network, IPC, host name.

After `leave` this process owns a user namespace in which it is one ordinary user; its *next child*
is process 1 of a new PID namespace. The network has no interface that is up. What the new mount
namespace shows is `mounts`' business.
"""

from __future__ import annotations

import os
import socket
from typing import Final

from trainer.sandbox.kernel import (
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    unshare,
)

INNER_ID: Final = 1000
"""User and group as the sandbox sees itself; never 0, so that nothing inside looks like root."""


def leave(*, network: bool = True, processes: bool = True) -> None:
    """Leave all namespaces of the host. Works for root and for an ordinary user.

    Args:
        network: False stays in the host's network; for the attack suite.
        processes: False stays among the host's processes; for the attack suite.

    Raises:
        OSError: user namespaces are switched off here, or none are left.
    """
    user, group = os.getuid(), os.getgid()
    flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS
    unshare(flags | (CLONE_NEWNET if network else 0) | (CLONE_NEWPID if processes else 0))
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{INNER_ID} {user} 1")
    _write("/proc/self/gid_map", f"{INNER_ID} {group} 1")
    socket.sethostname("sandbox")


def _write(path: str, text: str) -> None:
    """Write a kernel file in one call, as it demands."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
