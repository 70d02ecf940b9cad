"""Going behind the walls: the order in which a fresh process shuts itself in.

Called by the process that will run candidate code, after `namespaces.leave` in its parent. The
order matters: mounts need capabilities, which are dropped before Landlock and seccomp, which need
none and refuse everything that came before.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import Final, Literal

from trainer.experiment import Isolation
from trainer.limits import Limits
from trainer.sandbox import landlock, mounts, namespaces, seccomp
from trainer.sandbox.kernel import drop_capabilities

WORKSPACE: Final = "/workspace"
DATA: Final = "/data"

Part = Literal["files", "network", "processes", "syscalls", "limits", "lockdown"]
"""What a sandbox consists of: the list of visible files (mounts, Landlock); the network of its own;
the PID namespace, with what refuses signals to others; the seccomp list as a whole, and with it the
lockdown; the kernel's limits; and the shorter seccomp list that a served program answers behind."""


@dataclass(frozen=True, slots=True)
class Walls:
    """Everything that differs between sandboxes."""

    isolation: Isolation
    """full: namespaces, Landlock if there is one, seccomp; partial: the latter two; none: limits
    alone."""
    code: tuple[str, ...]
    """Absolute paths of the code it sees."""
    workspace: str
    """The candidate's folder."""
    data: str | None
    """Training data, or None where there must be none."""
    devices: tuple[str, ...]
    """Device nodes beside the harmless ones; not empty on CUDA slots only."""
    limits: Limits
    without: tuple[Part, ...] = ()
    """Parts left out, so that the attack suite can show what each is for; otherwise empty."""

    @property
    def hides_files(self) -> bool:
        """Whether it has a root of its own."""
        return self.isolation == "full" and "files" not in self.without

    @property
    def locks_down(self) -> bool:
        """Whether a program that asks for it can be locked in."""
        return self.isolation != "none" and not {"syscalls", "lockdown"} & set(self.without)

    @property
    def inner_workspace(self) -> str:
        """Where the workspace is once inside."""
        return WORKSPACE if self.hides_files else self.workspace

    @property
    def inner_data(self) -> str | None:
        """Where the training data is once inside."""
        return DATA if self.hides_files and self.data is not None else self.data


def leave_host(walls: Walls) -> None:
    """Leave the host's namespaces, in the process whose child will `enter`.

    Raises:
        OSError: user namespaces are switched off here, or none are left.
    """
    if walls.isolation == "full":
        namespaces.leave(
            network="network" not in walls.without, processes="processes" not in walls.without
        )


def enter(walls: Walls, link: socket.socket | None = None) -> None:
    """Shut this process in. There is no way back.

    Args:
        walls: what to build.
        link: for a program that will lock itself in, to its keeper, who gets the listener.

    Raises:
        OSError: the kernel refused a step, which the text names; candidate code must not run then.
    """
    cuda = bool(walls.devices)
    if walls.isolation == "full":
        _mount(walls)
    os.chdir(walls.inner_workspace)
    if "limits" not in walls.without:
        walls.limits.apply(count_processes=walls.isolation == "full")
    if walls.isolation == "none":
        return
    if walls.isolation == "full":
        drop_capabilities()
    if walls.isolation == "partial" or landlock.version():
        _restrict_files(walls)
    if link is not None and walls.locks_down:
        seccomp.restrict_in_two_steps(os.getpid(), cuda=cuda, link=link, without=walls.without)
    elif "syscalls" not in walls.without:
        seccomp.restrict(os.getpid(), cuda=cuda, without=walls.without)


def _mount(walls: Walls) -> None:
    """Show what may be seen, and nothing else."""
    if not walls.hides_files:
        if "processes" not in walls.without:
            mounts.cover_proc()
        return
    folders = [(walls.workspace, WORKSPACE)]
    if walls.data is not None:
        folders.append((walls.data, DATA))
    proc: mounts.Proc = "processes"
    if "processes" in walls.without:
        proc = "host"
    mounts.replace_root(walls.code, folders, walls.devices, proc=proc)


def _restrict_files(walls: Walls) -> None:
    """Landlock, which also knows TCP and signals."""
    rules = _full_rules(walls) if walls.isolation == "full" else _partial_rules(walls)
    landlock.restrict(
        rules if "files" not in walls.without else None,
        network="network" not in walls.without,
        processes="processes" not in walls.without,
    )


def _full_rules(walls: Walls) -> list[tuple[str, int]]:
    """Everything that is mounted may be read, scratch and devices written."""
    scratch = [(folder, landlock.SCRATCH) for folder in mounts.SCRATCH]
    devices = [(node, landlock.DEVICE) for node in (*mounts.PLAIN_DEVICES, *walls.devices)]
    return [("/", landlock.READ), *scratch, *devices, *_own_threads(walls)]


def _own_threads(walls: Walls) -> list[tuple[str, int]]:
    """The driver of a card names its threads by their files, and gives up where it cannot."""
    own = "/proc/self/task"
    return [(own, landlock.NAMES)] if walls.devices and os.path.isdir(own) else []


def _partial_rules(walls: Walls) -> list[tuple[str, int]]:
    """No /proc, which would show other processes, and no scratch, which would be shared."""
    folders = [walls.workspace] if walls.data is None else [walls.workspace, walls.data]
    devices = [(node, landlock.DEVICE) for node in (*mounts.PLAIN_DEVICES, *walls.devices)]
    return [*((path, landlock.READ) for path in (*walls.code, *folders)), *devices]
