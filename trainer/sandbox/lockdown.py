"""Locking a running program in, from outside: the keeper's side of the filter in two classes.

While the program loads, every call beyond the minimum is announced on a listener and let through
unseen. When the program closes its end of the link, the listener is closed for good: nothing in the
process can open, map, start or signal anything any more, whatever it did to the code that runs in
it. Then the process is stopped, so that no call is under way, and its descriptors are counted.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Iterable, Mapping
from errno import EINPROGRESS, EINTR, ENOENT
from typing import Final

_RECEIVE: Final = 0xC0502100
_SEND: Final = 0xC0182101
_CONTINUE: Final = 1
_NOTICE_BYTES: Final = 80
_ACCESS: Final = os.O_RDONLY | os.O_WRONLY | os.O_RDWR
_CPU_CLOCK: Final = 2
CARD_LINKS: Final = ("/dev/nvidia", "anon_inode:", "pipe:", "socket:", "/memfd:")
"""What the driver of a card keeps open: none of it is shared with another process."""

Descriptors = Mapping[int, tuple[str, int]]
"""What each number refers to, and how it was opened (O_RDONLY, O_WRONLY or O_RDWR)."""


def describe(descriptors: Iterable[int]) -> Descriptors:
    """Note what these descriptors of this process are, to know them again in its child."""
    return {
        descriptor: (
            os.readlink(f"/proc/self/fd/{descriptor}"),
            fcntl.fcntl(descriptor, fcntl.F_GETFL) & _ACCESS,
        )
        for descriptor in descriptors
    }


def open_proc() -> int:
    """A descriptor of /proc, for after the child has changed the root of both."""
    return os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def attend(child: int, link: socket.socket, *, has_listener: bool) -> bool:
    """Let calls through until the program wants to be locked in; then none beyond the minimum.

    Args:
        child: the process, this one's child.
        link: comes with the listener, then with whatever means "lock me": its end, or any byte.
        has_listener: False where the program's filter is of one class.

    Returns:
        False if the program ended before.
    """
    listener = _receive_listener(link) if has_listener else None
    ended = os.pidfd_open(child)
    poll = select.poll()
    if listener is not None:
        poll.register(listener, select.POLLIN)
    poll.register(link.fileno(), select.POLLIN)
    poll.register(ended, select.POLLIN)
    try:
        while True:
            for descriptor, event in poll.poll():
                if descriptor == listener and event & select.POLLIN:
                    _let_through(listener)
                elif descriptor == listener:
                    poll.unregister(listener)  # nobody is left who could ask
                else:
                    return descriptor != ended
    finally:
        link.close()
        os.close(ended)
        if listener is not None:
            os.close(listener)


def stop(child: int) -> bool:
    """Stop all of the child's threads, each outside of any call; False if it ended instead."""
    os.kill(child, signal.SIGSTOP)
    state = os.waitid(os.P_PID, child, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    return state is not None and state.si_code == os.CLD_STOPPED


def go_on(child: int) -> None:
    """Let a stopped child run again."""
    os.kill(child, signal.SIGCONT)


def cpu_s(child: int) -> float:
    """CPU seconds of the child until now; exact while it is stopped."""
    return time.clock_gettime((~child << 3) | _CPU_CLOCK)


def surplus(child: int, stays: Descriptors, proc: int, *, cuda: bool) -> str:
    """Whether the stopped child holds exactly the descriptors `stays`.

    Args:
        child: the process.
        stays: what is to be open, and nothing else.
        proc: as `open_proc` gave it.
        cuda: also expect what the driver of a card keeps open.

    Returns:
        Empty if so; else what is missing, other than it was, or too much.
    """
    tables = [_table(f"{child}/task/{thread}/fd", proc) for thread in _threads(child, proc)]
    found = _table(f"{child}/fd", proc)
    if any(table != found for table in tables):
        return "a thread has descriptors of its own"
    for descriptor, (target, access) in stays.items():
        if found.pop(descriptor, None) != target:
            return f"descriptor {descriptor} is closed or another"
        if _access(child, descriptor, proc) != access:
            return f"descriptor {descriptor} was opened anew"
    extra = {n for n, target in found.items() if not (cuda and target.startswith(CARD_LINKS))}
    return f"{len(extra)} descriptors too many are open" if extra else ""


def _threads(child: int, proc: int) -> list[str]:
    """The ids of all of the child's threads."""
    folder = os.open(f"{child}/task", os.O_RDONLY | os.O_DIRECTORY, dir_fd=proc)
    try:
        return os.listdir(folder)
    finally:
        os.close(folder)


def _table(path: str, proc: int) -> dict[int, str]:
    """A table of descriptors: what each number refers to."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY, dir_fd=proc)
    try:
        return {int(name): os.readlink(name, dir_fd=folder) for name in os.listdir(folder)}
    finally:
        os.close(folder)


def _access(child: int, descriptor: int, proc: int) -> int:
    """How a descriptor of the child was opened."""
    path = f"{child}/fdinfo/{descriptor}"
    with open(os.open(path, os.O_RDONLY, dir_fd=proc), "rb") as stream:
        for line in stream:
            name, _, value = line.partition(b":")
            if name == b"flags":
                return int(value, 8) & _ACCESS
    raise OSError(f"the kernel tells no flags in {path}")


def _receive_listener(link: socket.socket) -> int | None:
    """The listener; None if the child died before it had one."""
    _, descriptors, _, _ = socket.recv_fds(link, 1, 1)
    return descriptors[0] if descriptors else None


def _let_through(listener: int) -> None:
    """Take one announced call and have the kernel carry it out."""
    notice = bytearray(_NOTICE_BYTES)  # the kernel wants zeros
    try:
        fcntl.ioctl(listener, _RECEIVE, notice)
        (number,) = struct.unpack_from("=Q", notice)
        fcntl.ioctl(listener, _SEND, struct.pack("=QqiI", number, 0, 0, _CONTINUE))
    except OSError as error:
        if error.errno not in (ENOENT, EINTR, EINPROGRESS):  # who asked has died meanwhile
            raise
