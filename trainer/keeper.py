"""The keeper: the process between the warm parent and the sandboxed one.

It leaves the host's namespaces, forks the process that runs candidate code, and waits outside its
PID namespace to tell how it ended (its status pipe is out of the candidate's reach). A served
program that asks for it is locked in from here. It runs no candidate code. When it dies its child
dies, and it dies with the warm parent.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from trainer import harness, hosting
from trainer.descriptors import close_all_but
from trainer.launch import ARTEFACT, LOG, MARK, ORDER, STATUS, Launch, TrainOrder, from_descriptor
from trainer.sandbox import lockdown
from trainer.sandbox.entry import enter, leave_host
from trainer.sandbox.kernel import die_with_parent


@dataclass(frozen=True, slots=True)
class _Lock:
    """What is needed to lock the child in."""

    link: socket.socket
    """The keeper's end; the child's is called `theirs`."""
    theirs: socket.socket
    stays: lockdown.Descriptors
    proc: int
    is_real: bool
    """False where that part of the sandbox is left out."""
    cuda: bool


def run(descriptors: Sequence[int], parent: int) -> NoReturn:
    """Carry out one request; never returns.

    Args:
        descriptors: as `trainer.launch` orders them.
        parent: process id of the warm parent that forked this one.
    """
    status, mark = descriptors[STATUS], descriptors[MARK]
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()  # a signal to the own process group must not reach the warm parent
        _die_with(parent)
        launch = from_descriptor(descriptors[ORDER])
        leave_host(launch.walls)
        _die_with(parent)  # new credentials have cleared it
        leash, held = os.pipe()
        lock = _lock(launch, descriptors)
        child = os.fork()
    except BaseException as error:
        report_fault(mark, error)
        os._exit(1)
    if child == 0:
        os.close(held)
        _be_child(launch, descriptors, leash, lock.theirs if lock is not None else None)
    _keep(child, status, held, lock)


def _die_with(parent: int) -> None:
    """Die with the warm parent, also if it has died before this could be asked for."""
    die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _lock(launch: Launch, descriptors: Sequence[int]) -> _Lock | None:
    """Prepare to lock in a served program; None for others."""
    if isinstance(launch.order, TrainOrder) or launch.order.stays is None:
        return None
    own = descriptors[MARK + 1 :]
    ours, theirs = socket.socketpair()
    return _Lock(
        link=ours,
        theirs=theirs,
        stays=lockdown.describe(own[position] for position in launch.order.stays),
        proc=lockdown.open_proc(),
        is_real=launch.walls.locks_down,
        cuda=bool(launch.walls.devices),
    )


def _keep(child: int, status: int, held: int, lock: _Lock | None) -> NoReturn:
    """Tell the child's id, wait, tell its end. `held` stays open as long as this process lives."""
    link, proc = (lock.link.fileno(), lock.proc) if lock is not None else (held, held)
    close_all_but((status, held, link, proc))
    _tell(status, {"pid": child})
    try:
        if lock is not None and lockdown.attend(child, lock.link, has_listener=lock.is_real):
            _lock_in(child, status, lock)
    except OSError:
        os._exit(1)  # nobody's fault: the child dies with this process, and is lost
    _, code, usage = os.wait4(child, 0)
    end = {
        "exit": os.waitstatus_to_exitcode(code),
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "most_bytes": usage.ru_maxrss << 10,
    }
    _tell(status, end)
    os._exit(0)


def _lock_in(child: int, status: int, lock: _Lock) -> None:
    """Count what the child holds and tell that it is locked in, or end it."""
    if not lockdown.stop(child):
        return
    too_much = ""
    if lock.is_real:
        too_much = lockdown.surplus(child, lock.stays, lock.proc, cuda=lock.cuda)
    if too_much:
        _tell(status, {"refused": too_much})
        os.kill(child, signal.SIGKILL)
        return
    _tell(status, {"locked_cpu_s": lockdown.cpu_s(child)})
    lockdown.go_on(child)


def _tell(descriptor: int, line: Mapping[str, object]) -> None:
    """Write one JSON line; a reader that has gone away is no error."""
    try:
        os.write(descriptor, json.dumps(line).encode() + b"\n")
    except BrokenPipeError:
        os._exit(0)


def _be_child(
    launch: Launch, descriptors: Sequence[int], leash: int, link: socket.socket | None
) -> NoReturn:
    """Become the sandboxed process: tidy up, go behind the walls, run the phase."""
    mark = descriptors[MARK]
    try:
        _tie(leash)
        os.setsid()
        os.close(descriptors[STATUS])
        os.sched_setaffinity(0, launch.cpus)
        _refuse_loaded(launch.hidden_modules)
        phase = _prepare(launch, descriptors, link)
        enter(launch.walls, link)
        phase.prepare()
    except BaseException as error:
        report_fault(mark, error)
        os._exit(1)
    os._exit(phase.run())


def _prepare(
    launch: Launch, descriptors: Sequence[int], link: socket.socket | None
) -> harness.TrainPhase | hosting.ServePhase:
    """Set descriptors, environment and module paths, while the host can still be seen."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    is_training = isinstance(launch.order, TrainOrder)
    output = descriptors[LOG] if is_training else nowhere
    os.dup2(output, 1)
    os.dup2(output, 2)
    own = (descriptors[ARTEFACT],) if is_training else tuple(descriptors[MARK + 1 :])
    phase: harness.TrainPhase | hosting.ServePhase
    if isinstance(launch.order, TrainOrder):
        phase = harness.TrainPhase(launch.order, launch.walls.inner_data, descriptors[MARK], own[0])
    else:
        phase = hosting.ServePhase(launch.order, descriptors[MARK], own, link)
    links = (link.fileno(),) if link is not None else ()
    close_all_but((0, 1, 2, descriptors[MARK], *own, *links))
    _scrub(launch)
    return phase


def _scrub(launch: Launch) -> None:
    """An environment that tells nothing, and an import path without our own code."""
    os.environ.clear()
    os.environ.update({"HOME": "/tmp", "TMPDIR": "/tmp", "OMP_NUM_THREADS": "1"})  # noqa: S108
    os.environ["LOGNAME"] = "candidate"  # torch's compiler asks for it, and there is no passwd
    if launch.cuda_uuid:  # an index would count the bound cards, in an order of CUDA's own
        os.environ["CUDA_VISIBLE_DEVICES"] = launch.cuda_uuid
    sys.dont_write_bytecode = True
    sys.argv = [""]
    sys.path.insert(0, launch.walls.inner_workspace)
    sys.path_importer_cache.clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "trainer"]:
        del sys.modules[name]


def _tie(leash: int) -> None:
    """Die with the keeper, also if it has died before this could be asked for."""
    die_with_parent(signal.SIGKILL)
    if select.select([leash], [], [], 0)[0]:
        os._exit(1)
    os.close(leash)


def _refuse_loaded(hidden_modules: Iterable[str]) -> None:
    """Raise if the warm parent holds a module whose source is held out."""
    loaded = sorted(set(hidden_modules) & sys.modules.keys())
    if loaded:
        raise RuntimeError(f"held-out modules {', '.join(loaded)} are loaded by torch itself")


def report_fault(mark: int, error: BaseException) -> None:
    """Tell the executor that the sandbox could not be set up: our fault, not the candidate's."""
    text = f"{type(error).__name__}: {error}"[:2000]
    _tell(mark, {"fault": text})
