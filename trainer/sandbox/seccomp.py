"""seccomp: the list of system calls candidate code may make; every other answers EPERM.

A program that will lock itself in gets the same list in two classes. What answering needs it may
always call; the rest is asked of a listener that its keeper holds (`trainer.sandbox.lockdown`), and
answers ENOSYS once that is closed: for every thread, whatever has been done to our code by then.

Threads are allowed, processes are not: no fork, no exec, no socket, no signal to another process,
no namespace. So one process is all there ever is, and limits per process are exact. Found by
tracing training on processors; a CUDA slot needs a few more calls and all of ioctl. Who waits on a
shared futex (pthread_join from C, say) gets EAGAIN and spins, on its own processor time.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Collection, Sequence
from typing import Final

from trainer.sandbox.kernel import forbid_new_privileges, install_filter, machine
from trainer.sandbox.syscall_numbers import AARCH64, NETWORK, PROCESSES, X86_64

_AUDIT_ARCH: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_TABLES: Final = {"x86_64": X86_64, "aarch64": AARCH64}
_CUDA_CALLS: Final = {
    "x86_64": {"memfd_create": 319, "eventfd2": 290, "pipe2": 293, "mlock": 149, "munlock": 150},
    "aarch64": {"memfd_create": 279, "eventfd2": 19, "pipe2": 59, "mlock": 228, "munlock": 229},
}

_CUDA_ADVICE: Final = (10, 11, 16, 17)
"""DONTFORK, DOFORK, DONTDUMP, DODUMP: the driver marks its mappings so, and nothing forks here."""
_CUDA_SOCKETS: Final = ("socket", "bind", "listen")
"""The driver gives up where it cannot listen on an abstract unix socket, on which it would hand out
descriptors; in a network namespace of one's own nobody else can name it. Connecting is refused."""

_KILL = 0x80000000
_EPERM = 0x00050001
_EAGAIN = 0x0005000B
_ENOSYS = 0x00050026
_ASK = 0x7FC00000
_ALLOW = 0x7FFF0000

_LOAD = 0x20  # A = word at offset of struct seccomp_data
_EQUAL = 0x15
_AT_LEAST = 0x35
_ANY_BIT = 0x45
_RETURN = 0x06

_X32_BIT = 0x40000000
_CLONE_THREAD = 0x00010000
_CLONE_FILES = 0x00000400
"""A thread with a descriptor table of its own would be one that nobody can look into."""
_FUTEX_PRIVATE = 128
_MAP_SHARED = 0x01
"""Set in MAP_SHARED_VALIDATE too."""
_MAP_ANONYMOUS = 0x20
_ARGUMENTS: Final = {
    # TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX: what files and isatty() ask
    "ioctl": (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451),
    # DUPFD, GETFD, SETFD, GETFL, SETFL, DUPFD_CLOEXEC; not SETOWN, which can send signals, and no
    # locks or leases, which another sandbox could see on a file that both may read
    "fcntl": (0, 1, 2, 3, 4, 1030),
    # SET_NAME, GET_NAME, SET_VMA; not PDEATHSIG, which holds the chain of death
    "prctl": (15, 16, 0x53564D41),
    # NORMAL, DONTNEED, FREE, HUGEPAGE, NOHUGEPAGE; not PAGEOUT and its like, which move what the
    # page cache holds of files that another sandbox may read
    "madvise": (0, 4, 8, 14, 15),
    # nothing, CLOEXEC; not UNSHARE, which gives a thread a table of descriptors of its own
    "close_range": (0, 4),
}
_ARGUMENT_INDEX: Final = {"ioctl": 1, "fcntl": 1, "prctl": 0, "madvise": 2, "close_range": 2}

_ANSWERING: Final = frozenset(
    {
        *("read", "write", "close"),
        *("mmap", "munmap", "mremap", "mprotect", "brk", "madvise"),
        *("futex", "sched_yield", "clock_gettime", "clock_getres", "gettimeofday", "time"),
        *("rt_sigreturn", "rt_sigprocmask", "restart_syscall", "exit", "exit_group"),
    }
)
"""What a locked program may still call, as far as the list allows it; of mmap only private memory.
Found by tracing models while they answered."""
_ANSWERING_CUDA: Final = frozenset({"ioctl", "poll", "ppoll"})
"""The driver is spoken to by these."""

_Instruction = tuple[int, int, int, int]
_ALLOWED: Final[_Instruction] = (_RETURN, 0, 0, _ALLOW)


FAMILIES: Final = tuple(_TABLES)
"""Processor families the filter can be written for."""


def is_known(family: str) -> bool:
    """Whether the filter can be written for this processor family."""
    return family in _TABLES


def restrict(own_pid: int, *, cuda: bool, without: Collection[str] = ()) -> None:
    """Install the filter in this process, for good; call it with one thread only.

    Args:
        own_pid: this process as it sees itself; the only target of a signal.
        cuda: whether the slot holds a CUDA device.
        without: "network" and "processes" also allow sockets, and signals and limits for others;
            for the attack suite.

    Raises:
        OSError: no seccomp here, or an unknown processor family.
    """
    program = filter_bytes(machine(), own_pid, cuda=cuda, without=without)
    forbid_new_privileges()
    install_filter(program)


def restrict_in_two_steps(
    own_pid: int, *, cuda: bool, link: socket.socket, without: Collection[str] = ()
) -> None:
    """Install the filter in two classes, and send its listener over `link`; none is kept here.

    Args:
        own_pid: as in `restrict`.
        cuda: as in `restrict`.
        link: to the keeper, who is to answer from now on.
        without: as in `restrict`.

    Raises:
        OSError: as in `restrict`, or this kernel has no listeners, or one further out.
    """
    program = filter_bytes(machine(), own_pid, cuda=cuda, without=without, link=link.fileno())
    forbid_new_privileges()
    listener = install_filter(program, with_listener=True)
    socket.send_fds(link, [b"l"], [listener])
    os.close(listener)


def filter_bytes(
    family: str,
    own_pid: int,
    *,
    cuda: bool,
    without: Collection[str] = (),
    link: int | None = None,
) -> bytes:
    """Return the filter for a processor family.

    In two classes if there is a `link` over which its listener is to be sent.
    """
    if family not in _TABLES:
        raise OSError(f"the seccomp filter has no system call table for {family}")
    table = _TABLES[family]
    steps: list[_Instruction] = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, _AUDIT_ARCH[family]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, _EPERM),
    ]
    special = {
        "clone": _only_threads(),
        "clone3": [(_RETURN, 0, 0, _ENOSYS)],  # its flags lie in memory: libc falls back to clone
        "tgkill": _only_values(0, (own_pid,)),
        "prlimit64": _only_reading_limits(),
        "futex": _only_private_futexes(),
        "mmap": _no_shared_memory(_ALLOW if link is None else _ASK),
        **{name: _only_values(_ARGUMENT_INDEX[name], x) for name, x in _ARGUMENTS.items()},
    }
    if cuda:
        del special["ioctl"], special["mmap"]  # the driver shares memory with itself
        special["madvise"] = _only_values(2, (*_ARGUMENTS["madvise"], *_CUDA_ADVICE))
        sockets = {name: NETWORK[family][name] for name in _CUDA_SOCKETS}
        table = {**table, **_CUDA_CALLS[family], **sockets}
        special["socket"] = _only_values(0, (socket.AF_UNIX,))
    if "network" in without:
        special.pop("socket", None)
        table = {**table, **NETWORK[family]}
    if "processes" in without:
        del special["tgkill"], special["prlimit64"]
        table = {**table, **PROCESSES[family]}
    free = _ANSWERING | _ANSWERING_CUDA if cuda else _ANSWERING
    if link is not None:  # a number that no socket will have again, once it is closed
        steps += _when(NETWORK[family]["sendmsg"], _only_values(0, (link,)))
    for name, number in table.items():
        body = special.get(name, [(_RETURN, 0, 0, _ALLOW)])
        if link is not None and name not in free:
            body = [(_RETURN, 0, 0, _ASK) if step == _ALLOWED else step for step in body]
        steps += _when(number, body)
    steps.append((_RETURN, 0, 0, _EPERM))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _when(number: int, body: Sequence[_Instruction]) -> list[_Instruction]:
    """Run `body`, which must return on every path, for system call `number`."""
    return [(_EQUAL, 0, len(body), number), *body]


def _low_word(argument: int) -> _Instruction:
    """Load the low half of an argument (both families are little-endian)."""
    return (_LOAD, 0, 0, 16 + 8 * argument)


def _only_values(argument: int, values: Sequence[int]) -> list[_Instruction]:
    """Allow if the argument is one of `values`."""
    steps = [_low_word(argument)]
    for value in values:
        steps += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
    return [*steps, (_RETURN, 0, 0, _EPERM)]


def _only_threads() -> list[_Instruction]:
    """Allow clone() if the new task shares this process and its descriptors."""
    return [
        _low_word(0),
        (_ANY_BIT, 0, 2, _CLONE_THREAD),
        (_ANY_BIT, 0, 1, _CLONE_FILES),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _EPERM),
    ]


def _only_private_futexes() -> list[_Instruction]:
    """Allow futex() within this process.

    A shared one is known by file and offset: threads of one sandbox would wait where another wakes
    and counts. EAGAIN means that the word has changed, so an honest waiter (pthread_join, a C++
    future) looks again.
    """
    return [
        _low_word(1),
        (_ANY_BIT, 0, 1, _FUTEX_PRIVATE),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _EAGAIN),
    ]


def _no_shared_memory(of_files: int) -> list[_Instruction]:
    """Allow mmap() of private memory, answer `of_files` for files, refuse shared memory.

    Neither RLIMIT_DATA nor, once its pages are given back, the resident size counts the latter.
    """
    return [
        _low_word(3),
        (_ANY_BIT, 0, 3, _MAP_ANONYMOUS),
        (_ANY_BIT, 0, 1, _MAP_SHARED),
        (_RETURN, 0, 0, _EPERM),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, of_files),
    ]


def _only_reading_limits() -> list[_Instruction]:
    """Allow prlimit64() if its new limit is a null pointer: both halves of argument 2."""
    return [
        (_LOAD, 0, 0, 32),
        (_EQUAL, 1, 0, 0),
        (_RETURN, 0, 0, _EPERM),
        (_LOAD, 0, 0, 36),
        (_EQUAL, 0, 1, 0),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _EPERM),
    ]
