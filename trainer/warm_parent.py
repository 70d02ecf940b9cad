"""The executor's side of the warm parent: start it, send it requests, end it.

One object per process; a dead one is replaced, never revived. What the process does is
`trainer.zygote`.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from trainer.errors import ExecutorError
from trainer.zygote_protocol import MOST_DESCRIPTORS, REQUEST

READY_S: Final = 120.0
"""Importing torch takes 2 s warm and much longer from a cold or busy disk."""
_QUEUE_S: Final = 5.0
_END_S: Final = 1.0
_BOOTSTRAP = (
    "import sys; sys.path.insert(0, sys.argv[1]); from trainer.zygote import main;"
    " del sys.path[0]; main(int(sys.argv[2]), int(sys.argv[3]))"
)
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",  # sets of strings iterate alike in every run
}
_PASSED_ON = ("LD_LIBRARY_PATH",)
"""Where some installations keep torch's libraries; says nothing else."""


class WarmParent:
    """A running warm parent; made by `start`."""

    prelude: ClassVar[str] = ""
    """Code that the process runs first: none. The attack suite spoils one with it."""

    def __init__(self, process: subprocess.Popen[bytes], connection: socket.socket) -> None:
        self._process = process
        self._connection = connection

    @classmethod
    async def start(cls) -> WarmParent:
        """Start the process and wait until it is warm, about three seconds.

        Raises:
            ExecutorError: it ended or did not get ready; the text holds its last words.

        Cancellation: the process is killed.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        words = os.memfd_create("warm-parent-stderr", os.MFD_CLOEXEC)
        try:
            try:
                parent = cls(_spawn(cls.prelude, theirs, words), ours)
            except OSError as error:
                ours.close()
                raise ExecutorError(f"cannot start {sys.executable}: {error}") from error
            finally:
                theirs.close()  # so that the end of the process ends the waiting below
            try:
                await parent._get_ready(words)
            except BaseException:
                await parent.close(grace_s=0.0)
                raise
        finally:
            os.close(words)
        return parent

    @property
    def pid(self) -> int:
        """Process id of the warm parent."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    async def request(self, descriptors: Sequence[int]) -> bool:
        """Ask for one child that gets `descriptors`; False if the process is gone.

        Raises:
            ExecutorError: too many descriptors, or the process lives but takes no request.
        """
        if len(descriptors) > MOST_DESCRIPTORS:
            raise ExecutorError(f"{len(descriptors)} descriptors, at most {MOST_DESCRIPTORS} pass")
        deadline = asyncio.get_running_loop().time() + _QUEUE_S
        while asyncio.get_running_loop().time() < deadline:
            try:
                socket.send_fds(self._connection, [REQUEST], list(descriptors))
            except BlockingIOError:
                await asyncio.sleep(0.005)  # its queue of requests is full; it forks 100 a second
            except OSError:
                return False
            else:
                return True
        raise ExecutorError(f"the warm parent (process {self.pid}) takes no requests; restart it")

    async def close(self, grace_s: float = _END_S) -> None:
        """End the process, and with it all its children; within `grace_s` and a little."""
        self._connection.close()
        try:
            if grace_s > 0 and self.is_alive():
                await _exit_of(self.pid, grace_s)
        finally:
            self.kill()

    def kill(self) -> None:
        """SIGKILL the process; its children die with it."""
        if self.is_alive():
            self._process.kill()
        self._process.wait()

    async def _get_ready(self, words: int) -> None:
        """Wait for the message that says it is warm, and check it."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(READY_S):
                message = await loop.sock_recv(self._connection, 4096)
        except TimeoutError:
            raise ExecutorError(f"the warm parent was not ready within {READY_S:.0f} s") from None
        except OSError:
            message = b""
        if not message:
            self._process.wait()
            os.lseek(words, 0, os.SEEK_SET)
            last = os.read(words, 1 << 16).decode(errors="replace").strip()[-2000:]
            raise ExecutorError(f"the warm parent ended before it was ready: {last or 'no output'}")
        threads = json.loads(message)["threads"]
        if threads != 1:
            raise ExecutorError(
                f"the warm parent has {threads} threads, so forked children could hang; "
                "is something imported with torch that starts threads?"
            )


async def _exit_of(pid: int, timeout_s: float) -> None:
    """Wait until our child `pid` has ended, not yet buried, or `timeout_s` have passed."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    descriptor = os.pidfd_open(pid)
    loop.add_reader(descriptor, ended.set)
    try:
        async with asyncio.timeout(timeout_s):
            await ended.wait()
    except TimeoutError:
        return
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _spawn(prelude: str, control: socket.socket, words: int) -> subprocess.Popen[bytes]:
    """Start the process: isolated from the user's Python settings, nearly no environment."""
    root = str(Path(__file__).resolve().parents[1])
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return subprocess.Popen(
        [
            sys.executable,
            "-s",
            "-P",
            "-c",
            prelude + _BOOTSTRAP,
            root,
            str(control.fileno()),
            str(os.getpid()),
        ],
        env={**_ENVIRONMENT, **passed_on},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=words,
        pass_fds=[control.fileno()],
        start_new_session=True,  # Ctrl-C is for the community, which then ends this in order
    )
