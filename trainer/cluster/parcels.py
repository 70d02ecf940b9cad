"""Folders as contents: which files by which digest, and where each can be read here.

The institution's side of what travels; the node's side is `trainer.cluster.store`. Digests of large
data are computed once and kept by name, size and time of the file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trainer.cluster.records import Blob, Contents

PIECE_BYTES: Final = 4 << 20
"""A file travels in pieces of this size."""
_REMEMBERED: Final = 4096


@dataclass(frozen=True, slots=True)
class Parcel:
    """A folder, or one file, that a node may need."""

    contents: Contents
    sources: Mapping[str, Path | bytes]
    """Where each content is, by digest."""

    def pieces(self, digest: str) -> Iterator[bytes]:
        """Yield the content of one digest, a piece at a time; at least one, if it is empty."""
        source = self.sources[digest]
        if isinstance(source, bytes):
            yield from (source[at : at + PIECE_BYTES] for at in range(0, len(source), PIECE_BYTES))
            if not source:
                yield b""
            return
        with source.open("rb") as stream:
            piece = stream.read(PIECE_BYTES)
            yield piece
            while piece := stream.read(PIECE_BYTES):
                yield piece


def pack_files(files: Mapping[str, bytes]) -> Parcel:
    """Return files that are in memory, content by path, as a parcel."""
    blobs = {path: Blob(path, _hash(content), len(content)) for path, content in files.items()}
    sources = {blobs[path].digest: content for path, content in files.items()}
    return Parcel(tuple(blobs[path] for path in sorted(blobs)), sources)


class Packer:
    """Makes parcels of folders and files on this machine's disk."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, int, int], str] = {}

    def folder(self, folder: Path) -> Parcel:
        """Return what lies below `folder`; only regular files, and no link is followed."""
        found: dict[str, Path] = {}
        for place, _, names in os.walk(folder):
            for path in (Path(place, name) for name in names):
                if path.is_file() and not path.is_symlink():
                    found[path.relative_to(folder).as_posix()] = path
        blobs = tuple(self._blob(name, found[name]) for name in sorted(found))
        return Parcel(blobs, {blob.digest: found[blob.path] for blob in blobs})

    def file(self, path: Path) -> Parcel:
        """Return one file, by its own name."""
        blob = self._blob(path.name, path)
        return Parcel((blob,), {blob.digest: path})

    def _blob(self, name: str, path: Path) -> Blob:
        about = path.stat()
        key = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns)
        digest = self._known.get(key)
        if digest is None:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = digest
        return Blob(name, digest, about.st_size)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
