"""The walls around a command: a root of named files, a network without a way out, no privileges.

Called by the first process of a new PID namespace (`trainer.commands.keeper`), in this order:
mounts need capabilities, which are dropped before Landlock and seccomp.
"""

from __future__ import annotations

import fcntl
import os
import resource
import socket
import struct
from typing import Final

from trainer.commands import calls
from trainer.commands.records import HOME, PROXY_PORT, WORK, Order
from trainer.sandbox import landlock
from trainer.sandbox.kernel import (
    ATTR_NODEV,
    ATTR_NOSUID,
    ATTR_RDONLY,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_REC,
    drop_capabilities,
    enter_root,
    mount,
    set_mount_attributes,
)

DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_SCRATCH: Final = {"/tmp": 256 << 20, "/dev/shm": 64 << 20}  # noqa: S108 - private mounts
_STAGE: Final = "/proc"
"""Where the new root grows, as in `trainer.sandbox.mounts`."""
_EXECUTE: Final = 1
_FILE_BYTES: Final = 256 << 20
_OPEN_FILES: Final = 4096
_ACCOUNT: Final = {
    "/etc/passwd": f"agent:x:1000:1000::{HOME}:/bin/sh\n",
    "/etc/group": "agent:x:1000:\n",
    "/etc/hosts": "127.0.0.1 localhost\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def open_door() -> socket.socket:
    """Bring this network namespace's loopback up; return a socket that listens there.

    Whoever holds the socket accepts from within, wherever he is himself: the only way out.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(control, _SIOCGIFFLAGS, request))[1]
        up = struct.pack("16sh14x", b"lo", flags | _IFF_UP)
        fcntl.ioctl(control, _SIOCSIFFLAGS, up)
    door = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.bind(("127.0.0.1", PROXY_PORT))
    door.listen(64)
    return door


def enter(order: Order) -> None:
    """Shut this process in, with all it will start. There is no way back.

    Raises:
        OSError: the kernel refused a step, which the text names; nothing must be run then.
    """
    _replace_root(order)
    os.chdir(WORK)
    _limit(order)
    drop_capabilities()
    if landlock.version():
        whole = landlock.SCRATCH | _EXECUTE
        rules = [("/", landlock.READ | _EXECUTE)]
        rules += [(path, whole) for path in (*_SCRATCH, WORK, HOME)]
        rules += [(path, landlock.DEVICE) for path in (*DEVICES, "/dev/pts")]
        landlock.restrict(rules, network=False, processes=True)
    calls.restrict()


def _replace_root(order: Order) -> None:
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount("tmpfs", _STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "size=8m,mode=755")
    writable = ((order.work, WORK), (order.home, HOME))
    above = tuple(f"{path}/" for path in _SCRATCH)
    late = [pair for pair in order.shown if pair[1].startswith(above)]
    for source, target in order.shown:
        if (source, target) not in late:
            _place(target, is_folder=os.path.isdir(source))
            mount(source, _STAGE + target, None, MS_BIND | MS_REC)
    for path in (*_SCRATCH, "/proc", "/dev/pts", *(target for _, target in writable)):
        _place(path, is_folder=True)
    for node in DEVICES:
        _place(node, is_folder=False)
    for path, target in (*order.links, ("/dev/fd", "/proc/self/fd"), ("/dev/ptmx", "pts/ptmx")):
        os.symlink(target, _STAGE + path)
    for path, text in _ACCOUNT.items():
        _place(path, is_folder=False)
        with open(_STAGE + path, "w") as stream:
            stream.write(text)
    quiet = ATTR_NOSUID | ATTR_NODEV
    set_mount_attributes(_STAGE, ATTR_RDONLY | quiet, recursive=True)
    for node in DEVICES:
        mount(node, _STAGE + node, None, MS_BIND)
    for path, size in _SCRATCH.items():
        options = f"size={size},nr_inodes=20000,mode=700"
        mount("tmpfs", _STAGE + path, "tmpfs", MS_NOSUID | MS_NODEV, options)
    for source, target in late:  # an installation in /tmp, which the private one would hide
        _place(target, is_folder=os.path.isdir(source))
        mount(source, _STAGE + target, None, MS_BIND | MS_REC)
        set_mount_attributes(_STAGE + target, ATTR_RDONLY | quiet, recursive=True)
    for source, target in writable:
        mount(source, _STAGE + target, None, MS_BIND)
        set_mount_attributes(_STAGE + target, quiet, recursive=False)
    _mount_terminals()
    _mount_proc()
    enter_root(_STAGE)


def _mount_terminals() -> None:
    """Pseudo-terminals of its own; programs do without where the kernel refuses."""
    options = "newinstance,ptmxmode=0666,mode=620,max=64"
    try:
        mount("devpts", _STAGE + "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, options)
    except OSError:
        return


def _mount_proc() -> None:
    """The own processes and nothing else; where a container's kernel refuses that there is none."""
    for options in ("subset=pid", None):
        try:
            mount("proc", _STAGE + "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, options)
        except OSError:
            continue
        return


def _place(target: str, *, is_folder: bool) -> None:
    """Make the empty file or folder that a mount needs."""
    path = _STAGE + target
    if is_folder:
        os.makedirs(path, exist_ok=True)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))


def _limit(order: Order) -> None:
    """Backstops per process; the keeper looks at all of them together."""
    pairs = (
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 8 * order.processes),
        (resource.RLIMIT_MEMLOCK, 0),
    )
    for kind, wanted in pairs:
        _, hard = resource.getrlimit(kind)
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (value, value))
