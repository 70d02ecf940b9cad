"""Going behind the walls: the order in which a fresh process shuts itself in.

Called by the process that will run candidate code, after `namespaces.leave` in its parent. The
order matters: mounts need capabilities, which are dropped before Landlock and seccomp, which need
none and refuse everything that came before.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from trainer.experiment import Isolation
from trainer.limits import Limits
from trainer.sandbox import landlock, mounts, seccomp
from trainer.sandbox.kernel import drop_capabilities

WORKSPACE: Final = "/workspace"
DATA: Final = "/data"


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

    @property
    def inner_workspace(self) -> str:
        """Where the workspace is once inside."""
        return WORKSPACE if self.isolation == "full" else self.workspace

    @property
    def inner_data(self) -> str | None:
        """Where the training data is once inside."""
        return DATA if self.isolation == "full" and self.data is not None else self.data


def enter(walls: Walls) -> None:
    """Shut this process in. There is no way back.

    Raises:
        OSError: the kernel refused a step, which the text names; candidate code must not run then.
    """
    cuda = bool(walls.devices)
    if walls.isolation == "full":
        folders = [(walls.workspace, WORKSPACE)]
        if walls.data is not None:
            folders.append((walls.data, DATA))
        mounts.replace_root(walls.code, folders, walls.devices, whole_proc=cuda)
    os.chdir(walls.inner_workspace)
    walls.limits.apply(count_processes=walls.isolation == "full")
    if walls.isolation == "none":
        return
    if walls.isolation == "full":
        drop_capabilities()
        if landlock.version():
            landlock.restrict(_full_rules(walls))
    else:
        landlock.restrict(_partial_rules(walls))
    seccomp.restrict(os.getpid(), cuda=cuda)


def _full_rules(walls: Walls) -> list[tuple[str, int]]:
    """Everything that is mounted may be read, scratch and devices written."""
    scratch = [(folder, landlock.SCRATCH) for folder in mounts.SCRATCH]
    devices = [(node, landlock.DEVICE) for node in (*mounts.PLAIN_DEVICES, *walls.devices)]
    return [("/", landlock.READ), *scratch, *devices]


def _partial_rules(walls: Walls) -> list[tuple[str, int]]:
    """No /proc, which would show other processes, and no scratch, which would be shared."""
    folders = [walls.workspace] if walls.data is None else [walls.workspace, walls.data]
    devices = [(node, landlock.DEVICE) for node in (*mounts.PLAIN_DEVICES, *walls.devices)]
    return [*((path, landlock.READ) for path in (*walls.code, *folders)), *devices]
