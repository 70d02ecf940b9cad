"""A user's private held-out text: where it lies and what it was, recorded in the locked folder.

The text itself is never copied: ``locked/heldout.toml`` holds an absolute path and a hash, written
by ``community lock write TASK --heldout DIR``, and the worker alone reads the folder. A task's
``grade.py`` gets the folder as the second argument of ``prepare``.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from scoring.errors import CorpusError

_Read = TypeVar("_Read")

RECORD = "heldout.toml"
"""Name of the record in a task's locked folder."""
MOST_BYTES = 64 << 20
"""Of a text that is read whole: the worker keeps it in memory."""
MOST_RECORDED_BYTES = 16 << 30
"""Of a folder that is recorded; whether a task can use so much is the task's to say."""


@dataclass(frozen=True, slots=True)
class PrivateText:
    """A folder of text as it was when it was recorded."""

    folder: Path
    """Absolute."""
    files: int
    size_bytes: int
    hash: str
    """SHA-256 over (path, SHA-256 of the file), sorted."""

    def record(self) -> str:
        """Return the text of the record."""
        return (
            "# Private held-out text, by `community lock write --heldout`. Show it to nobody.\n"
            f"folder = {json.dumps(str(self.folder))}\n"
            f"files = {self.files}\n"
            f"size_bytes = {self.size_bytes}\n"
            f'hash = "{self.hash}"\n'
        )


def recorded(locked: Path) -> PrivateText | None:
    """Return what a locked folder records, or None where the task brings its own text.

    Raises:
        CorpusError: the record cannot be read.
    """
    path = locked / RECORD
    if not path.exists():
        return None
    try:
        told = tomllib.loads(path.read_text("utf-8"))
        return PrivateText(
            Path(told["folder"]), int(told["files"]), int(told["size_bytes"]), str(told["hash"])
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorpusError(
            f"{path} cannot be read ({error}); write it again with `community lock write TASK "
            "--heldout DIR`"
        ) from error


def measure(folder: Path) -> PrivateText:
    """Read all of a folder and say what it is.

    Raises:
        CorpusError: it cannot be read, or holds what is no plain text of a bearable size.
    """
    found = _read_each(folder, MOST_RECORDED_BYTES, _size_and_hash)
    lines = sorted(f"{name}\t{digest}\n" for name, (_, digest) in found.items())
    return PrivateText(
        Path(os.path.abspath(folder)),
        len(found),
        sum(size for size, _ in found.values()),
        hashlib.sha256("".join(lines).encode()).hexdigest(),
    )


def must_be_as_recorded(text: PrivateText) -> None:
    """Read the folder again.

    Raises:
        CorpusError: it cannot be read, or is not what was recorded.
    """
    if measure(text.folder).hash != text.hash:
        raise CorpusError(
            f"the private held-out text in {text.folder} is not what was recorded; restore it, or "
            f"write the lock again: community lock write TASK --heldout {text.folder}"
        )


def read_texts(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below `folder` by its path there, sorted.

    Empty files and names that begin with a dot are left out.

    Raises:
        CorpusError: there is a link or a device, something unreadable, or too much.
    """
    return _read_each(folder, MOST_BYTES, Path.read_bytes)


def _size_and_hash(path: Path) -> tuple[int, str]:
    """Return a file's size and the SHA-256 of its content."""
    with path.open("rb") as stream:
        return os.fstat(stream.fileno()).st_size, hashlib.file_digest(stream, "sha256").hexdigest()


def _read_each(folder: Path, most_bytes: int, read: Callable[[Path], _Read]) -> dict[str, _Read]:
    """Return what `read` makes of every file below `folder`, by its path there, sorted."""
    found: dict[str, _Read] = {}
    total = 0

    def fail(error: OSError) -> None:
        raise CorpusError(f"held-out text {error.filename} cannot be read: {error.strerror}")

    for place, names, files in os.walk(folder, onerror=fail):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(file for file in files if not file.startswith(".")):
            path = Path(place, name)
            try:
                status = path.lstat()
                total += status.st_size
                if not stat.S_ISREG(status.st_mode):
                    raise CorpusError(f"held-out text {path} is a link or no regular file")
                if total > most_bytes:
                    raise CorpusError(f"held-out text of {folder} has more than {most_bytes} bytes")
                if status.st_size:
                    found[path.relative_to(folder).as_posix()] = read(path)
            except OSError as error:
                fail(error)
    return dict(sorted(found.items()))
