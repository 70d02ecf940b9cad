"""A private, read-only copy of everything a worker runs, hashed while it is made.

What was hashed is what runs: the worker imports `scoring` and loads ``grade.py`` from here, so an
edit of the originals cannot reach it between the check and the use. It holds code, never held-out
text. Made and removed by `scoring.worker_process`; what a killed process left, the next removes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scoring.lock import locked_files
from scoring.own_user import SCORER_ID

_PREFIX = "rc-scorer-"
_YOUNG_S = 60.0
"""A folder that is younger may be one that is being made, not held yet."""


@dataclass(frozen=True, slots=True)
class PrivateCopy:
    """A folder with ``scoring/`` and ``locked/``; made by `PrivateCopy.make`."""

    folder: Path
    hashes: dict[str, str]
    """SHA-256 by name (``scoring/<file>``, ``locked/<path>``) of the bytes that were copied."""

    hold: int
    """Descriptor of the folder with a lock on it, while it is in use."""

    @property
    def locked(self) -> Path:
        """The copy of the task's locked folder."""
        return self.folder / "locked"

    @classmethod
    def make(cls, locked: Path) -> PrivateCopy:
        """Copy our package and `locked` into a new folder that nobody may write.

        As root it is the scorer's own group that may read it, else its owner alone.

        Raises:
            OSError: something cannot be read, or there is no room.
        """
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        hold = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        hashes: dict[str, str] = {}
        try:
            fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _sweep(folder)
            (folder / "locked").mkdir()
            for name, path in locked_files(locked).items():
                content = path.read_bytes()
                hashes[name] = hashlib.sha256(content).hexdigest()
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            _close(folder)
        except BaseException:
            _remove(folder)
            os.close(hold)
            raise
        return cls(folder, hashes, hold)

    def remove(self) -> None:
        """Delete it; once."""
        _remove(self.folder)
        os.close(self.hold)


def _sweep(newest: Path) -> None:
    """Remove folders of ours beside `newest` that nobody holds any more."""
    now = newest.stat().st_mtime
    for folder in newest.parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            found = folder.lstat()
            if found.st_uid != os.geteuid() or now - found.st_mtime < _YOUNG_S:
                continue
            hold = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)
            finally:
                os.close(hold)


def _remove(folder: Path) -> None:
    for place, _, _ in os.walk(folder):
        with suppress(OSError):
            os.chmod(place, 0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _close(folder: Path) -> None:
    """Take away every right but reading."""
    is_root = os.geteuid() == 0
    for place, _, files in os.walk(folder, topdown=False):
        for path in (*(os.path.join(place, name) for name in files), place):
            if is_root:
                with suppress(OSError):  # a namespace without that group: the worker stays root
                    os.chown(path, 0, SCORER_ID)
            rights = 0o550 if path == place else 0o440
            os.chmod(path, rights if is_root else rights & 0o700)
