"""A root file system that holds nothing but what was named.

Everything named is bound read-only at its own path (the workspace and the data at fixed short
ones); /tmp and /dev/shm are private and small; /proc shows this PID namespace alone. A file that
is not named has no name in there: hiding is done by leaving out, not by covering up.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final, Literal

from trainer.limits import SCRATCH_BYTES
from trainer.sandbox.kernel import (
    ATTR_NODEV,
    ATTR_NOEXEC,
    ATTR_NOSUID,
    ATTR_RDONLY,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_REC,
    copy_mounts,
    enter_root,
    mount,
    place_mounts,
    set_mount_attributes,
)

PLAIN_DEVICES: Final = ("/dev/null", "/dev/urandom")
"""Not /dev/zero: mapped as shared it is memory that no limit counts."""
SCRATCH: Final = ("/tmp", "/dev/shm")  # noqa: S108 - private mounts, not the host's folders

_STAGE = "/proc"
"""Where the new root grows: exists everywhere and is above nothing that gets bound."""

Proc = Literal["processes", "host"]
"""What /proc shows: this PID namespace's processes, which is all that a card's driver asks for,
or all that the host's shows, for the attack suite."""


def replace_root(
    code: Iterable[str],
    folders: Iterable[tuple[str, str]],
    devices: Iterable[str],
    *,
    proc: Proc,
) -> None:
    """Make a new root of these paths and enter it, in a mount namespace of one's own.

    Args:
        code: files and folders kept at their own path; their libraries may be loaded.
        folders: (folder, its path inside) pairs of plain data.
        devices: further device nodes, beside the harmless ones.
        proc: what /proc shows.

    Raises:
        OSError: the kernel refused a step; its text names the path.
    """
    code, folders = tuple(code), tuple(folders)
    covered = [path for path in code if path.startswith(tuple(f"{each}/" for each in SCRATCH))]
    nodes = (*PLAIN_DEVICES, *devices)
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    host_proc = copy_mounts("/proc") if proc == "host" else None  # before the stage covers it
    mount("tmpfs", _STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "size=4m,mode=755")
    for path in sorted({*code} - {*covered}):
        _bind(path, path)
    for source, target in folders:
        _bind(source, target)
    for node in nodes:
        _place(node, is_folder=False)
    for folder in (*SCRATCH, "/proc"):
        _place(folder, is_folder=True)
    set_mount_attributes(_STAGE, ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV, recursive=True)
    for _, target in folders:
        set_mount_attributes(_STAGE + target, ATTR_NOEXEC, recursive=True)
    for node in nodes:
        mount(node, _STAGE + node, None, MS_BIND)
    for folder in SCRATCH:
        options = f"size={SCRATCH_BYTES},nr_inodes=4096,mode=700"
        mount("tmpfs", _STAGE + folder, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options)
    for path in covered:  # an installation in /tmp, which the private one would hide
        _bind(path, path)
        attributes = ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV
        set_mount_attributes(_STAGE + path, attributes, recursive=True)
    if host_proc is not None:
        place_mounts(host_proc, _STAGE + "/proc")
    else:
        _mount_proc(_STAGE + "/proc")
    enter_root(_STAGE)


def cover_proc() -> None:
    """Keep the host's files and show only the own PID namespace's processes; for attacks."""
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    _mount_proc("/proc")


def _bind(source: str, target: str) -> None:
    """Show `source` at `target` of the new root."""
    _place(target, is_folder=os.path.isdir(source))
    mount(source, _STAGE + target, None, MS_BIND | MS_REC)


def _place(target: str, *, is_folder: bool) -> None:
    """Make the empty file or folder that a mount needs."""
    path = _STAGE + target
    if is_folder:
        os.makedirs(path, exist_ok=True)
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o644)
    except FileNotFoundError:  # the first of its folder; there are two hundred files in a few
        os.makedirs(os.path.dirname(path))
        descriptor = os.open(path, flags, 0o644)
    os.close(descriptor)


def _mount_proc(target: str) -> None:
    """Mount /proc of the own PID namespace.

    Inside a container whose /proc is partly covered the kernel refuses; training does without.
    """
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
    for options in ("subset=pid", None):
        try:
            mount("proc", target, "proc", flags, options)
        except OSError:
            continue
        return
