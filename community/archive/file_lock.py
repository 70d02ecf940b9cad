"""A lock file that the kernel frees when its holder dies, however it dies.

Not a lock between tasks of one process. Next: `ledger` holds one for as long as it may write.
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path


class FileLock:
    """An exclusive ``flock`` on `path`, held from construction until `release`.

    Args:
        path: The lock file; it stays behind, empty locks mean nothing.

    Raises:
        BlockingIOError: another holder has it; `note` tells what that one wrote.
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._take()
        except BaseException:
            os.close(self._descriptor)
            raise
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"process {os.getpid()}\n".encode(), 0)

    def _take(self) -> None:
        """Try for up to 50 ms, because `is_held` takes the lock for some microseconds."""
        for _ in range(5):
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                threading.Event().wait(0.01)
            else:
                return
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def release(self) -> None:
        """Give it back; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @staticmethod
    def note(path: Path) -> str:
        """Return what the present or last holder wrote: ``process 4711``, or an empty text."""
        try:
            return path.read_text(errors="replace")[:80].strip()
        except OSError:
            return ""

    @staticmethod
    def is_held(path: Path) -> bool:
        """Whether somebody holds the lock on `path` at the moment."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False
