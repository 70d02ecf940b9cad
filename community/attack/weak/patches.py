"""What stands in for the patch policy: any path is taken, and written where it says."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from trainer.patch_policy import PatchPolicy


@dataclass(frozen=True, slots=True)
class AnyPath(PatchPolicy):
    """A policy that takes whatever names come."""

    def apply(self, parent: Mapping[str, bytes], changed: Mapping[str, bytes]) -> dict[str, bytes]:
        """Lay `changed` over `parent`."""
        return {**parent, **changed}


def write_anywhere(files: Mapping[str, bytes], folder: Path) -> Path:
    """Write `files` below `folder`, or wherever their names lead."""
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder


def read_anything(repository: Path, commit: str) -> Mapping[str, bytes]:
    """Check a commit out, and read what lies there; where a link leads, it is followed."""
    found: pygit2.Commit = pygit2.Repository(str(repository))[commit].peel(pygit2.Commit)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for entry in found.tree:
            place = folder / str(entry.name)
            if entry.filemode == FileMode.LINK and isinstance(entry, pygit2.Blob):
                place.symlink_to(entry.data.decode())
            else:
                place.write_bytes(entry.data if isinstance(entry, pygit2.Blob) else b"")
        return {path.name: path.read_bytes() for path in folder.iterdir()}
