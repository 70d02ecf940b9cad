"""seccomp for commands: everything an ordinary program calls, and nothing that changes the machine.

A list of what is refused, since nobody can list what other people's programs call. Behind it the
process has no capability in any namespace, and cannot make a namespace in which it had.
"""

from __future__ import annotations

import struct
from typing import Final

from trainer.sandbox.kernel import forbid_new_privileges, install_filter, machine

REFUSED: Final = {
    "x86_64": (
        *(101, 103, 153, 155, 159, 161, 163, 164, 165, 166, 167, 168, 169, 170, 171, 172, 173),
        *(175, 176, 179, 180, 212, 227, 237, 246, 248, 249, 250, 256, 272, 279, 298, 300, 303),
        *(304, 305, 308, 310, 311, 312, 313, 320, 321, 323),
    ),
    "aarch64": (
        *(18, 39, 40, 41, 42, 51, 58, 60, 89, 97, 104, 105, 106, 112, 116, 117, 142, 161, 162),
        *(170, 171, 217, 218, 219, 224, 225, 235, 238, 239, 241, 262, 264, 265, 266, 268, 270),
        *(271, 272, 273, 280, 282, 294),
    ),
}
"""ptrace, syslog, vhangup, pivot_root, adjtimex, chroot, acct, settimeofday, mount, umount2, swapon
and swapoff, reboot, the host's names, iopl, ioperm, modules, quotactl, nfsservctl, lookup_dcookie,
clock_settime, mbind, kexec, keys, move and migrate_pages, unshare, perf_event_open, fanotify_init,
file handles, clock_adjtime, setns, process_vm_readv and writev, kcmp, bpf, userfaultfd."""
_REFUSED_EVERYWHERE: Final = (
    *(425, 426, 427),  # io_uring, whose calls no filter sees
    *(428, 429, 430, 431, 432, 433, 442, 467),  # mounts, the newer calls
    *(438, 440, 443, 447),  # pidfd_getfd, process_madvise, quotactl_fd, memfd_secret
)
_NUMBERS: Final = {
    "x86_64": {"clone": 56, "socket": 41, "ioctl": 16, "clone3": 435},
    "aarch64": {"clone": 220, "socket": 198, "ioctl": 29, "clone3": 435},
}
_AUDIT_ARCH: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_NAMESPACES: Final = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET."""
_SOCKETS: Final = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6, AF_NETLINK."""
_TERMINAL: Final = (0x5412, 0x541C)
"""TIOCSTI, TIOCLINUX: typing into somebody's terminal."""

_KILL, _EPERM, _ENOSYS, _ALLOW = 0x80000000, 0x00050001, 0x00050026, 0x7FFF0000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_Step = tuple[int, int, int, int]


def restrict() -> None:
    """Install the filter in this process, for good, and for all it starts.

    Raises:
        OSError: no seccomp here, or an unknown processor family.
    """
    program = filter_bytes(machine())
    forbid_new_privileges()
    install_filter(program)


def filter_bytes(family: str) -> bytes:
    """Return the filter for a processor family.

    Raises:
        OSError: the family is not known.
    """
    if family not in REFUSED:
        raise OSError(f"there is no list of system calls for {family}")
    numbers = _NUMBERS[family]
    steps: list[_Step] = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, _AUDIT_ARCH[family]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, 0, 1, 0x40000000),  # x32
        (_RETURN, 0, 0, _EPERM),
    ]
    for number in (*REFUSED[family], *_REFUSED_EVERYWHERE):
        steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _EPERM)]
    steps += [(_EQUAL, 0, 1, numbers["clone3"]), (_RETURN, 0, 0, _ENOSYS)]  # flags lie in memory
    namespaces = [(_ANY_BIT, 0, 1, _NAMESPACES), (_RETURN, 0, 0, _EPERM), (_RETURN, 0, 0, _ALLOW)]
    steps += _when(numbers["clone"], [_argument(0), *namespaces])
    kinds: list[_Step] = [_argument(0)]
    for kind in _SOCKETS:
        kinds += [(_EQUAL, 0, 1, kind), (_RETURN, 0, 0, _ALLOW)]
    steps += _when(numbers["socket"], [*kinds, (_RETURN, 0, 0, _EPERM)])
    requests: list[_Step] = [_argument(1)]
    for request in _TERMINAL:
        requests += [(_EQUAL, 0, 1, request), (_RETURN, 0, 0, _EPERM)]
    steps += _when(numbers["ioctl"], [*requests, (_RETURN, 0, 0, _ALLOW)])
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _when(number: int, body: list[_Step]) -> list[_Step]:
    """Run `body`, which returns on every path, for system call `number`."""
    return [(_EQUAL, 0, len(body), number), *body]


def _argument(index: int) -> _Step:
    """Load the low half of an argument (both families are little-endian)."""
    return (_LOAD, 0, 0, 16 + 8 * index)
