"""The keeper of one command: the process between its caller and its first process.

It leaves the host's namespaces, hands the door of the new network to the caller, forks the first
process of a new PID namespace, and watches from outside: deadline, memory, disk, processes. Killing
that first process ends all that was ever started in there. When the caller is gone it kills; when
it is killed itself, the first process dies with it. It runs nobody's code.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from trainer.commands import walls
from trainer.commands.folders import is_within
from trainer.commands.records import Order
from trainer.descriptors import close_all_but
from trainer.sandbox import namespaces
from trainer.sandbox.kernel import die_with_parent

TICK_S: Final = 0.1
_DISK_TICKS: Final = 5
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_PR_SET_DUMPABLE: Final = 4


def main(number: int) -> NoReturn:
    """Carry out the order that comes over a socket (descriptor `number`); never returns."""
    link = socket.socket(fileno=number)
    try:
        order = _receive(link)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.setsid()
        os.nice(10)  # experiments go first
        proc = os.open("/proc", _FOLDER)
        folders = [os.open(path, _FOLDER) for path in (order.work, order.home)]
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")  # the kernel's first choice
        namespaces.leave()
        with walls.open_door() as door:
            socket.send_fds(link, [b"d"], [door.fileno()])
        leash, held = os.pipe()
        child = os.fork()
    except BaseException as error:
        _tell(link, {"fault": f"{type(error).__name__}: {error}"[:500]})
        os._exit(1)
    if child == 0:
        _be_first(order, link, leash, held)
    for descriptor in (0, 1, 2, leash):
        os.close(descriptor)  # only those inside hold its output open
    how = _watch(child, link, order, proc, folders)
    _, status = os.waitpid(child, 0)
    _tell(link, {"how": how, "code": os.waitstatus_to_exitcode(status)})
    os._exit(0)


def _receive(link: socket.socket) -> Order:
    size = int.from_bytes(link.recv(4, socket.MSG_WAITALL), "big")
    return Order.unpacked(link.recv(size, socket.MSG_WAITALL))


def _tell(link: socket.socket, record: dict[str, object]) -> None:
    with suppress(OSError):  # the caller has gone
        link.sendall(json.dumps(record).encode() + b"\n")


def _watch(child: int, link: socket.socket, order: Order, proc: int, folders: list[int]) -> str:
    """Wait for the end of the first process, and bring it about where something is exceeded."""
    deadline = time.monotonic() + order.wall_s
    pidfd = os.pidfd_open(child)
    events = select.poll()
    events.register(link, select.POLLIN)
    events.register(pidfd, select.POLLIN)
    how, ticks = "exited", 0
    while True:
        ready = dict(events.poll(int(TICK_S * 1000)))
        if pidfd in ready:
            return how
        if link.fileno() in ready:
            how = "output"  # the caller has heard enough, or is gone
        elif time.monotonic() >= deadline:
            how = "deadline"
        else:
            how = _excess(child, order, proc, folders if ticks % _DISK_TICKS == 0 else [])
        ticks += 1
        if how != "exited":
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            events.unregister(link)
            events.poll(5000)
            return how


def _excess(child: int, order: Order, proc: int, folders: list[int]) -> str:
    """Return what it has more of than it may; ``exited`` if nothing."""
    members = _members(child, proc, 4 * order.processes)
    if len(members) > order.processes:
        return "processes"
    if sum(_held_bytes(pid, proc) for pid in members) > order.memory_bytes:
        return "memory"
    if folders and not is_within(folders, most_bytes=order.disk_bytes, most_files=order.files):
        return "disk"
    return "exited"


def _members(child: int, proc: int, most: int) -> list[int]:
    """Return the process ids of all that descends from the first process.

    In a PID namespace whoever loses its parent becomes a child of the first, so nobody is missed.
    """
    members = [child]
    for pid in members:
        if len(members) > most:
            break
        with suppress(OSError):
            for thread in _listed(f"{pid}/task", proc):
                members += map(int, _read(f"{pid}/task/{thread}/children", proc).split())
    return members


def _listed(path: str, proc: int) -> list[str]:
    """List a folder of the host's /proc, which is open since before the root was another."""
    descriptor = os.open(path, _FOLDER, dir_fd=proc)
    try:
        return os.listdir(descriptor)
    finally:
        os.close(descriptor)


def _held_bytes(pid: int, proc: int) -> int:
    """Return what a process holds of its own: pages, shared memory, what is swapped out."""
    wanted = (b"RssAnon", b"RssShmem", b"VmSwap")
    try:
        lines = _read(f"{pid}/status", proc).splitlines()
    except OSError:
        return 0
    said = dict(line.split(b":", 1) for line in lines if b":" in line)
    return sum(int(said[name].split()[0]) << 10 for name in wanted if name in said)


def _read(path: str, proc: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(1 << 20)


def _be_first(order: Order, link: socket.socket, leash: int, held: int) -> NoReturn:
    """Become the first process in there: build the walls, start the command, bury the dead."""
    try:
        os.close(held)
        die_with_parent(signal.SIGKILL)
        if select.select([leash], [], [], 0)[0]:
            os._exit(1)  # the keeper has died before this could be asked for
        os.setsid()
        prompt = os.memfd_create("stdin")
        os.write(prompt, order.input())
        os.lseek(prompt, 0, os.SEEK_SET)
        os.dup2(prompt, 0)
        walls.enter(order)
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # nobody in there looks into it
        command = os.fork()
    except BaseException as error:
        _tell(link, {"fault": f"{type(error).__name__}: {error}"[:500]})
        os._exit(1)
    if command == 0:
        _be_command(order)
    close_all_but((0, 1, 2))
    while True:
        pid, status = os.wait()
        if pid == command:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _be_command(order: Order) -> NoReturn:
    """Become the command."""
    try:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.setsid()
        close_all_but((0, 1, 2))
        os.execve(order.argv[0], order.argv, dict(order.environment))  # noqa: S606 - what this is for
    except BaseException as error:
        os.write(2, f"{order.argv[0]} cannot be started: {error}\n".encode())
    os._exit(127)
