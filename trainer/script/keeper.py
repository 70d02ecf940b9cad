"""The keeper of a script: a small process that shuts a child in and has it become the script.

Started anew for each attempt, without torch. It leaves the host's namespaces, forks the child that
goes behind the walls and executes the command, waits outside its PID namespace and tells how it
ended. The child is process 1 in there: all that it starts ends with it. It dies with the keeper,
and the keeper with whoever started it. It speaks the same lines as `trainer.keeper`, so that
`trainer.sandboxed_process` reads both.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import stat
import sys
import time
from collections.abc import Mapping
from math import ceil
from typing import Final, NoReturn

from trainer.descriptors import close_all_but
from trainer.sandbox import landlock, namespaces
from trainer.sandbox.kernel import die_with_parent, drop_capabilities
from trainer.script import filter as script_filter
from trainer.script.order import ScriptOrder
from trainer.script.root import NODES, SCRATCH, TREE, replace_root

OPEN_FILES: Final = 1024
PROCESSES: Final = 512
"""Processes and threads of one script."""
EXIT_NO_PROGRAM: Final = 127
_EXECUTE: Final = 1
"""Landlock's right to execute a file."""


def main(arguments: list[str]) -> NoReturn:
    """Carry out one order; never returns.

    Args:
        arguments: descriptors of the order, the status pipe, the hand-over pipe, the output pipe
            and the pipe for what it leaves, and the process id of whoever started this.
    """
    order_fd, status, mark, log, artefact, parent = (int(word) for word in arguments)
    try:
        _die_with(parent)
        os.setsid()
        order = ScriptOrder.from_descriptor(order_fd)
        namespaces.leave()
        _die_with(parent)  # new credentials have cleared it
        leash, held = os.pipe()
        child = os.fork()
    except BaseException as error:
        _report_fault(mark, error)
        os._exit(1)
    if child == 0:
        os.close(held)
        _be_script(order, status, mark, log, leash)
    close_all_but((status, held, artefact))
    _tell(status, {"pid": child})
    _, code, usage = os.wait4(child, 0)  # with it ended all that it had started
    if order.leaves and code == 0:
        _hand_over(order, artefact)
    end = {
        "exit": os.waitstatus_to_exitcode(code),
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "most_bytes": usage.ru_maxrss << 10,
    }
    _tell(status, end)
    os._exit(0)


def _be_script(order: ScriptOrder, status: int, mark: int, log: int, leash: int) -> NoReturn:
    """Go behind the walls and become the command."""
    try:
        _tie(leash)
        os.setsid()
        os.close(status)
        os.sched_setaffinity(0, order.cpus)
        nowhere = os.open(os.devnull, os.O_RDONLY)
        for number, descriptor in enumerate((nowhere, log, log)):
            os.dup2(descriptor, number)
        close_all_but((0, 1, 2, mark))
        os.set_inheritable(mark, False)
        replace_root(order.code, order.tree, order.data, order.devices, order.scratch_bytes)
        os.chdir(TREE)
        _limit(order)
        drop_capabilities()
        if landlock.version():
            _restrict_files(order)
        script_filter.restrict(cuda=bool(order.devices))
    except BaseException as error:
        _report_fault(mark, error)
        os._exit(1)
    held_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    _tell(mark, {"cpu_s": time.process_time(), "held_bytes": held_bytes})
    try:
        os.execve(order.command[0], order.command, order.environment)  # noqa: S606
    except OSError as error:
        os.write(2, f"cannot run {order.command[0]}: {error.strerror}\n".encode())
    os._exit(EXIT_NO_PROGRAM)


def _hand_over(order: ScriptOrder, artefact: int) -> None:
    """Send the file that the script left; its root, and so this process's, is still there.

    Nothing that is no plain file is opened, and no link followed: then nothing is sent.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        place = os.open(TREE, flags | os.O_DIRECTORY)
        *folders, name = order.leaves.split("/")
        for folder in folders:
            place = os.open(folder, flags | os.O_DIRECTORY, dir_fd=place)
        source = os.open(name, flags, dir_fd=place)
        if not stat.S_ISREG(os.fstat(source).st_mode):
            return
        left = order.leaves_bytes + 1
        while left and (data := os.read(source, min(left, 1 << 16))):
            left -= len(data)
            view = memoryview(data)
            while view:
                view = view[os.write(artefact, view) :]
    except OSError:
        return


def _limit(order: ScriptOrder) -> None:
    cpu_s = max(1, ceil(order.cpu_s))
    pairs = [
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, order.scratch_bytes),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_NPROC, PROCESSES),
        (resource.RLIMIT_CORE, 0),
    ]
    if not order.devices:  # the driver of a card reserves more than it takes
        pairs.append((resource.RLIMIT_DATA, order.memory_bytes))
    for kind, wanted in pairs:
        _, hard = resource.getrlimit(kind)
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (value, value))


def _restrict_files(order: ScriptOrder) -> None:
    """Landlock: everything shown may be read and run, scratch and devices written."""
    scratch = [(folder, landlock.SCRATCH | _EXECUTE) for folder in SCRATCH]
    devices = [(node, landlock.DEVICE) for node in (*NODES, *order.devices)]
    names = [("/proc", landlock.NAMES)] if order.devices else []
    landlock.restrict([("/", landlock.READ | _EXECUTE), *scratch, *devices, *names])


def _die_with(parent: int) -> None:
    """Die with whoever started this, also if he has died before this could be asked for."""
    die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _tie(leash: int) -> None:
    """Die with the keeper, also if it has died before this could be asked for."""
    die_with_parent(signal.SIGKILL)
    if select.select([leash], [], [], 0)[0]:
        os._exit(1)
    os.close(leash)


def _tell(descriptor: int, line: Mapping[str, object]) -> None:
    """Write one JSON line; a reader that has gone away is no error."""
    try:
        os.write(descriptor, json.dumps(line).encode() + b"\n")
    except BrokenPipeError:
        os._exit(0)


def _report_fault(mark: int, error: BaseException) -> None:
    """Tell that the sandbox could not be set up: our fault or the machine's, not the script's."""
    _tell(mark, {"fault": f"{type(error).__name__}: {error}"[:2000]})


if __name__ == "__main__":
    main(sys.argv[1:])
