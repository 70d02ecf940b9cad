"""seccomp for scripts: ordinary programs run, what reaches out of a sandbox does not.

The list of `trainer.sandbox.seccomp` allows what training needs and no second process. A user's own
command may start what it likes (compilers, loaders of data), so this one is a list of what is
refused: namespaces and mounts, other processes' memory, the kernel's own tables, keys, clocks,
memory that belongs to no process and is counted nowhere, every socket but unix ones, and whatever
is newer than the list. All of it holds within namespaces and without a capability, behind Landlock.
"""

from __future__ import annotations

import struct
from typing import Final

from trainer.sandbox.kernel import forbid_new_privileges, install_filter, machine

_AUDIT_ARCH: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_COLUMN: Final = {"x86_64": 0, "aarch64": 1}
_NEWEST: Final = 450
"""Linux 6.1; later calls are known to nobody here, and do not exist."""

_REFUSED: Final[dict[str, tuple[int | None, int | None]]] = {
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "process_madvise": (440, 440), "pidfd_getfd": (438, 438),
    # the kernel
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "syslog": (103, 116),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "create_module": (174, None),
    "reboot": (169, 142), "acct": (163, 89), "iopl": (172, None), "ioperm": (173, None),
    "modify_ldt": (154, None), "personality": (135, 92), "uselib": (134, None),
    "ustat": (136, None), "sysfs": (139, None), "_sysctl": (156, None), "nfsservctl": (180, 42),
    # files, mounts, namespaces
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "setns": (308, 268), "unshare": (272, 97),
    "swapon": (167, 224), "swapoff": (168, 225), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "lookup_dcookie": (212, 18),
    "fanotify_init": (300, 262), "fanotify_mark": (301, 263), "vhangup": (153, 58),
    "sethostname": (170, 161), "setdomainname": (171, 162), "mincore": (27, 232),
    # clocks
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    # memory of no process, and where memory lies
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "memfd_secret": (447, 447), "memfd_create": (319, 279), "move_pages": (279, 239),
    "migrate_pages": (256, 238), "mbind": (237, 235), "set_mempolicy": (238, 237),
}  # fmt: skip
"""Number on x86_64 and on aarch64, None where there is none."""
_OF_CARDS: Final = ("memfd_create", "mbind", "set_mempolicy", "move_pages")
"""What the driver of a card may need."""
_SOCKETS: Final = {"socket": (41, 198), "socketpair": (53, 199)}
_CLONE: Final = (56, 220)
_CLONE3: Final = 435
_PRCTL: Final = (157, 167)

_NAMESPACES: Final = 0x7E020000
"""All CLONE_NEW flags."""
_AF_UNIX: Final = 1
_PDEATHSIG: Final = 1
"""Asking for it would undo the chain of death by which a script ends with us."""

_KILL = 0x80000000
_EPERM = 0x00050001
_ENOSYS = 0x00050026
_EAFNOSUPPORT = 0x00050061
_ALLOW = 0x7FFF0000
_LOAD = 0x20
_EQUAL = 0x15
_AT_LEAST = 0x35
_ANY_BIT = 0x45
_RETURN = 0x06

_Step = tuple[int, int, int, int]
_NUMBER_AGAIN: Final[_Step] = (_LOAD, 0, 0, 0)


def restrict(*, cuda: bool) -> None:
    """Install the filter in this process and all that it starts, for good.

    Args:
        cuda: whether the slot holds a CUDA device.

    Raises:
        OSError: no seccomp here, or an unknown processor family.
    """
    program = filter_bytes(machine(), cuda=cuda)
    forbid_new_privileges()
    install_filter(program)


def filter_bytes(family: str, *, cuda: bool) -> bytes:
    """Return the filter for a processor family.

    Raises:
        OSError: its calls are not known here.
    """
    if family not in _AUDIT_ARCH:
        raise OSError(f"the filter for scripts has no system calls of {family}")
    column = _COLUMN[family]
    steps: list[_Step] = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, _AUDIT_ARCH[family]),
        (_RETURN, 0, 0, _KILL),
        _NUMBER_AGAIN,
        (_AT_LEAST, 0, 1, _NEWEST + 1),  # those of the x32 interface are higher still
        (_RETURN, 0, 0, _ENOSYS),
        *_when(_CLONE3, [(_RETURN, 0, 0, _ENOSYS)]),  # its flags lie in memory: libc takes clone
    ]
    for name, numbers in _REFUSED.items():
        number = numbers[column]
        if number is not None and not (cuda and name in _OF_CARDS):
            steps += _when(number, [(_RETURN, 0, 0, _EPERM)])
    steps += _when(_CLONE[column], _unless_bits(0, _NAMESPACES, _EPERM))
    steps += _when(_PRCTL[column], _unless_value(0, _PDEATHSIG, _EPERM))
    for numbers in _SOCKETS.values():
        steps += _when(numbers[column], _only_value(0, _AF_UNIX, _EAFNOSUPPORT))
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _when(number: int, body: list[_Step]) -> list[_Step]:
    """Run `body`, which must return on every path, for system call `number`."""
    return [(_EQUAL, 0, len(body), number), *body]


def _argument(index: int) -> _Step:
    """Load the low half of an argument (both families are little-endian)."""
    return (_LOAD, 0, 0, 16 + 8 * index)


def _unless_bits(index: int, bits: int, answer: int) -> list[_Step]:
    return [_argument(index), (_ANY_BIT, 0, 1, bits), _return(answer), _return(_ALLOW)]


def _unless_value(index: int, value: int, answer: int) -> list[_Step]:
    return [_argument(index), (_EQUAL, 0, 1, value), _return(answer), _return(_ALLOW)]


def _only_value(index: int, value: int, answer: int) -> list[_Step]:
    return [_argument(index), (_EQUAL, 0, 1, value), _return(_ALLOW), _return(answer)]


def _return(answer: int) -> _Step:
    return (_RETURN, 0, 0, answer)
