"""Looking into a folder that somebody else writes: bounded, and never through a link."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

DEEPEST: Final = 48
"""Folders within folders; deeper ones count as too many files."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class TooMuchError(Exception):
    """A folder holds more than is looked through."""


def entries(folder: int, depth: int = 0) -> Iterator[tuple[int, str, os.stat_result]]:
    """Yield (folder's descriptor, name, stat) of all below `folder`; what vanishes is left out.

    Raises:
        TooMuchError: it is deeper than `DEEPEST`.
    """
    if depth > DEEPEST:
        raise TooMuchError
    with os.scandir(folder) as found:
        for entry in found:
            try:
                facts = os.stat(entry.name, dir_fd=folder, follow_symlinks=False)
                yield folder, entry.name, facts
                if not stat.S_ISDIR(facts.st_mode):
                    continue
                inner = os.open(entry.name, _FOLDER, dir_fd=folder)
            except OSError:
                continue
            try:
                yield from entries(inner, depth + 1)
            finally:
                os.close(inner)


def is_within(folders: list[int], *, most_bytes: int, most_files: int) -> bool:
    """Whether folders (descriptors) hold no more than so many bytes and files together."""
    size = count = 0
    try:
        for folder in folders:
            for _, _, facts in entries(folder):
                count += 1
                size += facts.st_blocks * 512
                if count > most_files or size > most_bytes:
                    return False
    except TooMuchError:
        return False
    return True


def read_file(root: Path, path: str, most_bytes: int) -> bytes | str:
    """Return a regular file's content, or in words why there is none.

    Args:
        root: the folder.
        path: relative, with slashes.
        most_bytes: longer ones are not read.
    """
    *folders, name = path.split("/")
    try:
        at = os.open(root, _FOLDER)
    except OSError:
        return "the folder is gone"
    try:
        for part in folders:
            inner = os.open(part, _FOLDER, dir_fd=at)
            os.close(at)
            at = inner
        descriptor = os.open(name, _FILE, dir_fd=at)
    except FileNotFoundError:
        return "it is gone"
    except OSError:
        return "it is no regular file (a link, or behind one?)"
    finally:
        os.close(at)
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        return "it is no regular file"
    with os.fdopen(descriptor, "rb") as stream:
        if facts.st_size > most_bytes:
            return f"it has {facts.st_size} bytes; at most {most_bytes} are read"
        content = stream.read(most_bytes + 1)
    return content if len(content) <= most_bytes else f"it has more than {most_bytes} bytes"


def forget_files(root: Path, is_secret: Callable[[bytes], bool], most_bytes: int) -> int:
    """Delete the files below `root` whose content `is_secret`; returns how many those were."""
    forgotten = 0
    at = os.open(root, _FOLDER)
    try:
        for folder, name, facts in entries(at):
            if stat.S_ISREG(facts.st_mode) and _is_to_go(folder, name, is_secret, most_bytes):
                with suppress(OSError):
                    os.unlink(name, dir_fd=folder)
                    forgotten += 1
    except TooMuchError:
        remove(root)
    finally:
        os.close(at)
    return forgotten


def _is_to_go(folder: int, name: str, is_secret: Callable[[bytes], bool], most_bytes: int) -> bool:
    """Whether a file's content is secret; one that cannot be read whole is taken to be."""
    try:
        with os.fdopen(os.open(name, _FILE, dir_fd=folder), "rb") as stream:
            content = stream.read(most_bytes + 1)
    except OSError:
        return True
    return len(content) > most_bytes or is_secret(content)


def remove(folder: Path) -> None:
    """Remove a folder however deep it is and whatever its modes are; best effort."""
    for program in (("chmod", "-R", "u+rwX"), ("rm", "-rf")):
        subprocess.run(
            [*program, "--", str(folder)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
