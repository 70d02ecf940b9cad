"""What isolation this machine allows, found by trying it in a process of its own.

`probe()` is the face: it starts a bare Python, which shuts itself in and reports the step that
failed. Used by the executor at its start and by people asking what their machine gives.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.descriptors import close_all_but
from trainer.experiment import Isolation
from trainer.limits import Limits
from trainer.sandbox import landlock, lockdown, seccomp
from trainer.sandbox.entry import Walls, enter, leave_host
from trainer.sandbox.kernel import machine

_KINDS: tuple[Isolation, ...] = ("full", "partial")
_LOCKDOWN = "lockdown"
"""What the probing process calls partial isolation with a lockdown; full has one always."""
_TIMEOUT_S = 20.0
_BOOTSTRAP = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    " from trainer.sandbox.probe import report; report(sys.argv[2])"
)
_ADVICE = {
    "full": "allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, "
    "kernel.apparmor_restrict_unprivileged_userns=0, or a container without the default seccomp "
    "profile); needs Linux 5.12, and no seccomp listener around it",
    "partial": "needs Linux 5.13 with landlock among the boot parameter lsm=, and seccomp",
}


@dataclass(frozen=True, slots=True)
class SandboxReport:
    """What this machine gives."""

    isolation: Isolation
    """The best that works; ``none`` means that nothing does."""
    faults: tuple[tuple[Isolation, str], ...]
    """(isolation, the step that failed), for what does not work."""
    landlock_version: int
    """0 where the kernel has none."""
    machine: str
    locks_down: bool = True
    """Whether a program can be locked in once it is loaded; full isolation needs it, partial does
    without where it must."""

    def allows(self, isolation: Isolation) -> bool:
        """Whether candidate code can be isolated this well here."""
        return isolation not in dict(self.faults)

    def advice(self) -> tuple[str, ...]:
        """One line per kind of isolation that does not work: why, and what to do."""
        return tuple(
            f"{isolation} isolation failed at {fault}: {_ADVICE.get(isolation, '')}"
            for isolation, fault in self.faults
        )


def probe() -> SandboxReport:
    """Try every kind of isolation; takes about a tenth of a second.

    Never raises for what the machine lacks; that is what the report says.
    """
    if sys.platform != "linux":
        fault = f"the sandbox needs Linux, this is {sys.platform}"
        return SandboxReport("none", (("full", fault), ("partial", fault)), 0, machine())
    root = str(Path(__file__).resolve().parents[2])
    with tempfile.TemporaryDirectory(prefix="rc-probe-") as workspace:
        found = _run([sys.executable, "-s", "-P", "-c", _BOOTSTRAP, root, workspace])
    faults = tuple((kind, found[kind]) for kind in _KINDS if found[kind])
    best: Isolation = next((kind for kind in _KINDS if not found[kind]), "none")
    return SandboxReport(best, faults, landlock.version(), machine(), not found[_LOCKDOWN])


def _run(command: list[str]) -> dict[Any, str]:
    """What the probing process found, per kind of isolation."""
    try:
        done = subprocess.run(
            command,
            env={},
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        found: dict[Any, str] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        fault = f"the probe itself, which took more than {_TIMEOUT_S:.0f} s"
    except ValueError:
        fault = f"the probe itself, exit code {done.returncode}: {done.stderr[-300:]!r}"
    else:
        return found
    return dict.fromkeys((*_KINDS, _LOCKDOWN), fault)


def report(workspace: str) -> None:
    """Print as JSON, per kind of isolation, the step that failed, or nothing."""
    result: dict[str, str] = {
        "full": _attempt("full", workspace, locks=True),
        "partial": _attempt("partial", workspace, locks=False),
        _LOCKDOWN: _attempt("partial", workspace, locks=True),
    }
    os.write(1, json.dumps(result).encode())


def _attempt(isolation: Isolation, workspace: str, *, locks: bool) -> str:
    """Shut a forked process in; the error's text, or an empty one."""
    reading, writing = os.pipe()
    middle = os.fork()
    if middle == 0:
        os.close(reading)
        os._exit(_inside(isolation, workspace, writing, locks=locks))
    os.close(writing)
    with os.fdopen(reading) as stream:
        text = stream.read()
    os.waitpid(middle, 0)
    return "" if text == "ok" else text or "a process that vanished"


def _inside(isolation: Isolation, workspace: str, writing: int, *, locks: bool) -> int:
    """In the forked process: leave, fork once more, enter, and perhaps be locked in."""
    child = 0
    try:
        if not seccomp.is_known(machine()):
            raise OSError(f"no system call table for {machine()}")
        code = (str(Path(os.__file__).parent / "encodings"),)
        walls = Walls(isolation, code, workspace, None, (), Limits(1 << 30, 60))
        leave_host(walls)
        ours, theirs = socket.socketpair()
        gate, opened = os.pipe()
        stays, proc = lockdown.describe((gate, writing)), lockdown.open_proc()
        child = os.fork()
        if child == 0:
            os.close(opened)
            _be_locked(walls, theirs, gate, writing) if locks else enter(walls)
            os.write(writing, b"ok")
            return 0
        theirs.close()
        if locks and lockdown.attend(child, ours, has_listener=True) and lockdown.stop(child):
            fault = lockdown.surplus(child, stays, proc, cuda=False)
            lockdown.go_on(child)
            if fault:
                raise OSError(f"lockdown: {fault}")
        os.close(opened)
        os.waitpid(child, 0)
    except Exception as error:
        if child:
            os.kill(child, signal.SIGKILL)  # it may be stopped
        os.write(writing, f"{error}".encode())
    return 0


def _be_locked(walls: Walls, link: socket.socket, gate: int, writing: int) -> None:
    """Enter, make a call that the keeper lets through, ask to be locked in, make another.

    Raises:
        OSError: a wall could not be built, or the lockdown holds nothing back.
    """
    enter(walls, link)
    os.getcwd()
    number = link.detach()
    close_all_but((gate, writing, number))
    os.close(number)
    os.read(gate, 1)
    try:
        os.getcwd()
    except OSError:
        return
    raise OSError("lockdown: a call that should fail was carried out")
