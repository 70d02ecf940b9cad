"""Workspaces: a commit's tree as plain files in a fresh folder, for the sandbox to mount read-only.

Only regular files are written, and nothing that stands there already is followed or replaced. The
content comes from `trainer.repository`; the folder goes to an executor as `Job.workspace`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from trainer.errors import WorkspaceError
from trainer.patch_policy import check_tree

_FILE_MODE = 0o644
_FOLDER_MODE = 0o755  # the sandboxed process may run under another user id


def write_workspace(files: Mapping[str, bytes], folder: Path) -> Path:
    """Write `files` into the new folder `folder` and return it.

    The folder appears whole or not at all: it is written beside its place and renamed.

    Args:
        files: content by path.
        folder: must not exist; its parent is made where it is missing. The name with ``.part``
            appended is this function's own, and what a killed process left there is removed.

    Raises:
        PatchRefusedError: a path is not a plain relative path (see `trainer.patch_policy`).
        WorkspaceError: `folder` exists or cannot be written.
    """
    check_tree(files, tree_bytes=sum(map(len, files.values())))
    part = folder.with_name(folder.name + ".part")
    if os.path.lexists(folder):
        raise WorkspaceError(f"workspace {folder} exists already; give each attempt its own folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(part):
            shutil.rmtree(part)
        _make_folder(part)
        for path in sorted(files):
            _write(part, path, files[path])
        part.rename(folder)
    except OSError as error:
        raise WorkspaceError(
            f"workspace {folder} cannot be written ({error.strerror}: {error.filename});"
            " check the run folder's rights and free space"
        ) from error
    return folder


def _write(root: Path, path: str, content: bytes) -> None:
    """Create one regular file; O_EXCL refuses whatever already has its name, links included."""
    *folders, name = path.split("/")
    place = root
    for part in folders:
        place = place / part
        if not place.is_dir():
            _make_folder(place)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(place / name, flags, _FILE_MODE), "wb") as stream:
        os.fchmod(stream.fileno(), _FILE_MODE)  # whatever the umask says
        stream.write(content)


def _make_folder(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(_FOLDER_MODE)
