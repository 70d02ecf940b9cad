"""The file system of a script: what it needs to run, its tree to write in, and its data.

Programs and libraries are read-only and may be executed, data are read-only and may not. The tree
is a copy in memory: a script may write beside its files, what it writes is gone afterwards, and all
that is written together is bounded. A file that is not named has no name in there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import Final

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
    enter_root,
    mount,
    set_mount_attributes,
)

TREE: Final = "/workspace"
HOME: Final = "/home/candidate"
SCRATCH: Final = (TREE, HOME, "/tmp", "/dev/shm")  # noqa: S108 - private mounts
NODES: Final = ("/dev/null", "/dev/urandom", "/dev/random")
_LINKS: Final = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
}
_STAGE = "/proc"
"""Where the new root grows: exists everywhere and is above nothing that gets bound."""


def replace_root(
    code: Sequence[str],
    tree: str,
    data: Sequence[tuple[str, str]],
    devices: Sequence[str],
    scratch_bytes: int,
) -> None:
    """Make the script's root and enter it, in a mount namespace of one's own.

    Args:
        code: files and folders of programs, kept at their own path.
        tree: the candidate's folder, which is copied.
        data: (file or folder, its path inside) pairs.
        devices: further device nodes.
        scratch_bytes: of each place that can be written.

    Raises:
        OSError: the kernel refused a step; its text names the path.
    """
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount("tmpfs", _STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "size=4m,mode=755")
    late = [path for path in code if is_in_scratch(path)]
    for path in code:
        if path not in late:
            _show(path)
    outside = [(source, target) for source, target in data if not is_in_scratch(target)]
    for source, target in outside:
        _bind(source, target)
    for node in (*NODES, *devices):
        _place(node, is_folder=False)
    for folder in (*SCRATCH, "/proc"):
        _place(folder, is_folder=True)
    for name, target in _LINKS.items():
        os.symlink(target, _STAGE + name)
    set_mount_attributes(_STAGE, ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV, recursive=True)
    for _, target in outside:
        set_mount_attributes(_STAGE + target, ATTR_NOEXEC, recursive=True)
    for node in (*NODES, *devices):
        mount(node, _STAGE + node, None, MS_BIND)
    for folder in SCRATCH:
        options = f"size={scratch_bytes},nr_inodes=65536,mode=700"
        mount("tmpfs", _STAGE + folder, "tmpfs", MS_NOSUID | MS_NODEV, options)
    for path in late:  # an installation in /tmp, which the private one would hide
        _show(path)
        if not os.path.islink(path):
            attributes = ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV
            set_mount_attributes(_STAGE + path, attributes, recursive=True)
    shutil.copytree(tree, _STAGE + TREE, dirs_exist_ok=True, symlinks=True)
    for source, target in data:
        if is_in_scratch(target):
            _bind(source, target)
            attributes = ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC
            set_mount_attributes(_STAGE + target, attributes, recursive=True)
    _mount_proc(has_card=bool(devices))
    enter_root(_STAGE)


def is_in_scratch(target: str) -> bool:
    """Whether a path inside lies where the script may write."""
    return target.startswith(tuple(f"{folder}/" for folder in SCRATCH))


def _show(path: str) -> None:
    """Show a program's file or folder at its own path; a link as a link."""
    if os.path.islink(path):
        os.makedirs(os.path.dirname(_STAGE + path), exist_ok=True)
        os.symlink(os.readlink(path), _STAGE + path)
    else:
        _bind(path, path)


def _bind(source: str, target: str) -> None:
    """Show `source` at `target` of the new root."""
    _place(target, is_folder=os.path.isdir(source))
    mount(source, _STAGE + target, None, MS_BIND | MS_REC)


def _place(target: str, *, is_folder: bool) -> None:
    """Make the empty file or folder that a mount needs."""
    path = _STAGE + target
    os.makedirs(path if is_folder else os.path.dirname(path), exist_ok=True)
    if not is_folder and not os.path.exists(path):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))


def _mount_proc(*, has_card: bool) -> None:
    """Mount /proc of the own PID namespace, read-only; the tree within a script's files is its own.

    Inside a container whose /proc is partly covered the kernel refuses; most scripts do without.

    Args:
        has_card: the driver names its threads by their files in /proc, and gives up where it
            cannot. Then processes alone are shown, the script's own, and may be written.
    """
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
    if has_card:
        mount("proc", _STAGE + "/proc", "proc", flags, "subset=pid")
        return
    for options in (None, "subset=pid"):
        try:
            mount("proc", _STAGE + "/proc", "proc", flags, options)
        except OSError:
            continue
        set_mount_attributes(_STAGE + "/proc", ATTR_RDONLY, recursive=False)
        return
