"""What a node holds, by content: files that have travelled once, and folders made of them.

Each file is written beside its place, hashed, and renamed; one that is not what it is called is
refused. Folders are hard links, so a tree that has been here takes no room twice. What nobody has
asked for in an hour goes when there is much of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from trainer.cluster.records import Blob, Contents
from trainer.errors import ExecutorError, WorkspaceError

MOST_BYTES: Final = 8 << 30
"""Beyond this, what has not been asked for lately is removed."""
_LATELY_S: Final = 3600.0


class Store:
    """The contents that one node holds, in a folder of its own.

    Args:
        root: An empty folder that nobody else writes to.
    """

    def __init__(self, root: Path) -> None:
        self._blobs, self._trees = root / "blobs", root / "trees"
        for folder in (self._blobs, self._trees):
            folder.mkdir()
        self._asked_s: dict[Path, float] = {}
        self._held_bytes = 0

    def missing(self, digests: Iterable[str]) -> list[str]:
        """Return those that are not here; the others stay for at least an hour."""
        return [digest for digest in digests if not self._note(self._blobs / digest)]

    def take(self, digest: str, piece: bytes, at: int, *, is_last: bool) -> None:
        """Take one piece of a file; the pieces come in order, each file from one sender at a time.

        Raises:
            ExecutorError: what has come is not what it is called, or cannot be written.
        """
        place = self._blobs / digest
        part = place.with_name(f"{digest}.part")
        try:
            with part.open("r+b" if at else "wb") as stream:
                stream.truncate(at)
                stream.seek(at)
                stream.write(piece)
            if not is_last:
                return
            with part.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise ExecutorError(f"{part} cannot be written: {error.strerror}") from error
        if found != digest:
            part.unlink()
            raise ExecutorError(f"a file came as {digest[:12]} and is {found[:12]}; send it again")
        self._keep(part, place)

    def adopt(self, path: Path) -> None:
        """Make a file that was written here one of the contents, by a link; it stays where it is.

        Nobody writes to it any more.
        """
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        place = self._blobs / digest
        if not self._note(place):
            part = place.with_name(f"{digest}.part")
            part.unlink(missing_ok=True)
            os.link(path, part)
            self._keep(part, place)

    def file(self, blob: Blob) -> Path:
        """Return where a content lies.

        Raises:
            ExecutorError: it is not here.
        """
        place = self._blobs / blob.digest
        if not self._note(place):
            raise ExecutorError(f"the node lacks {blob.path} ({blob.digest[:12]}); send it first")
        return place

    def folder(self, contents: Contents) -> Path:
        """Return a folder with these files, made where there is none yet.

        Raises:
            ExecutorError: one of them is not here, or has a path that leads elsewhere.
        """
        listed = json.dumps([(blob.path, blob.digest) for blob in contents])
        place = self._trees / hashlib.sha256(listed.encode()).hexdigest()
        files = [(self._inside(blob.path), self.file(blob)) for blob in contents]
        if self._note(place):
            return place
        part = place.with_name(f"{place.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o755)
        try:
            for inside, source in files:
                (part / inside).parent.mkdir(parents=True, exist_ok=True)
                os.link(source, part / inside)
            part.rename(place)
        except OSError as error:
            raise WorkspaceError(f"{part} cannot be made: {error.strerror}") from error
        self._note(place)
        return place

    def _inside(self, path: str) -> Path:
        """Check that a path of the contents stays inside their folder."""
        relative = Path(path)
        if relative.is_absolute() or not relative.parts or ".." in relative.parts:
            raise ExecutorError(f"{path[:80]!r} is no path inside a folder")
        return relative

    def _keep(self, part: Path, place: Path) -> None:
        part.chmod(0o444)
        part.rename(place)
        self._note(place)
        self._held_bytes += place.stat().st_size
        if self._held_bytes > MOST_BYTES:
            self._forget()

    def _note(self, place: Path) -> bool:
        """Whether it is here; remembers that it was asked for."""
        if not place.exists():
            return False
        self._asked_s[place] = time.monotonic()
        return True

    def _forget(self) -> None:
        """Remove what was not asked for lately, the oldest first, down to half of the room."""
        before_s = time.monotonic() - _LATELY_S
        for place, asked_s in sorted(self._asked_s.items(), key=lambda each: each[1]):
            if asked_s > before_s or self._held_bytes < MOST_BYTES // 2:
                return
            del self._asked_s[place]
            if place.parent == self._blobs:
                self._held_bytes -= place.stat().st_size
                place.unlink()
            else:
                shutil.rmtree(place, ignore_errors=True)
