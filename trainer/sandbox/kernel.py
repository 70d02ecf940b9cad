"""The few system calls the sandbox needs that Python does not offer, through libc.

Not a policy: which of them are used when is decided by the modules beside this one.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from typing import Final

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8
MS_BIND: Final = 4096
MS_REC: Final = 16384
MS_PRIVATE: Final = 1 << 18

ATTR_RDONLY: Final = 1
ATTR_NOSUID: Final = 2
ATTR_NODEV: Final = 4
ATTR_NOEXEC: Final = 8

_MNT_DETACH = 2
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4
_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_FILTER_FLAG_NEW_LISTENER = 8
_CAPABILITY_VERSION_3 = 0x20080522

_NUMBERS: Final = {
    "x86_64": {"pivot_root": 155, "capset": 126, "seccomp": 317},
    "aarch64": {"pivot_root": 41, "capset": 91, "seccomp": 277},
}
_EVERYWHERE: Final = {
    "open_tree": 428,
    "move_mount": 429,
    "mount_setattr": 442,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.mount.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_ulong, ctypes.c_char_p]


def machine() -> str:
    """The processor family as the kernel names it: ``x86_64``, ``aarch64``."""
    return platform.machine()


def check(result: int, what: str) -> int:
    """`result`, unless it is negative.

    Raises:
        OSError: with the C library's errno and `what` in its text.
    """
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def syscall(name: str, *arguments: object) -> int:
    """Call the kernel directly, for calls without a wrapper in libc.

    Raises:
        OSError: the kernel refused, or this processor family is not known here.
    """
    number = _EVERYWHERE.get(name) or _NUMBERS.get(machine(), {}).get(name)
    if number is None:
        raise OSError(f"system call {name} has no known number on {machine()}")
    return check(_libc.syscall(ctypes.c_long(number), *arguments), name)


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` (CLONE_NEW...)."""
    check(_libc.unshare(flags), "unshare")


def mount(
    source: str | None, target: str, kind: str | None, flags: int, data: str | None = None
) -> None:
    """Mount something, with the target named in a failure's text."""
    arguments = [os.fsencode(x) if x is not None else None for x in (source, target, kind)]
    options = data.encode() if data is not None else None
    check(_libc.mount(*arguments, flags, options), f"mount {target}")


def set_mount_attributes(target: str, attributes: int, *, recursive: bool) -> None:
    """Add attributes (ATTR_...) to a mount, or to all mounts below it. Linux 5.12 or newer."""
    request = struct.pack("=QQQQ", attributes, 0, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    syscall(
        "mount_setattr",
        ctypes.c_long(_AT_FDCWD),
        os.fsencode(target),
        ctypes.c_long(flags),
        request,
        ctypes.c_long(len(request)),
    )


def copy_mounts(folder: str) -> int:
    """A descriptor of a copy of the mounts at and below `folder`, for `place_mounts`."""
    flags = _OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC
    return syscall("open_tree", ctypes.c_long(_AT_FDCWD), os.fsencode(folder), ctypes.c_long(flags))


def place_mounts(descriptor: int, target: str) -> None:
    """Mount what `copy_mounts` took at `target`; closes the descriptor."""
    try:
        syscall(
            "move_mount",
            ctypes.c_long(descriptor),
            b"",
            ctypes.c_long(_AT_FDCWD),
            os.fsencode(target),
            ctypes.c_long(_MOVE_MOUNT_F_EMPTY_PATH),
        )
    finally:
        os.close(descriptor)


def enter_root(folder: str) -> None:
    """Make the mount at `folder` the root and forget the old one."""
    os.chdir(folder)
    syscall("pivot_root", b".", b".")
    check(_libc.umount2(b".", _MNT_DETACH), "umount of the old root")
    os.chdir("/")


def die_with_parent(signal_number: int) -> None:
    """Ask for `signal_number` when the thread that forked this process ends."""
    check(_libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl(PDEATHSIG)")


def forbid_new_privileges() -> None:
    """No later call can gain privileges; Landlock and seccomp ask for it."""
    check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(NO_NEW_PRIVS)")


def drop_capabilities() -> None:
    """Give up every capability, also those of the own user namespace."""
    for capability in range(64):
        if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            break  # the first number the kernel does not know, or no right to drop: ends the list
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    syscall("capset", header, struct.pack("=6I", *[0] * 6))


def install_filter(instructions: bytes, *, with_listener: bool = False) -> int:
    """Install a seccomp program (array of sock_filter) for this thread and its children.

    Returns:
        With a listener its descriptor, on which calls that the program leaves open are announced
        (Linux 5.5 or newer; one in a chain of filters); otherwise 0.
    """
    code = ctypes.create_string_buffer(instructions, len(instructions))
    program = struct.pack("HxxxxxxQ", len(instructions) // 8, ctypes.addressof(code))
    flags = _SECCOMP_FILTER_FLAG_NEW_LISTENER if with_listener else 0
    return syscall(
        "seccomp", ctypes.c_long(_SECCOMP_SET_MODE_FILTER), ctypes.c_long(flags), program
    )
