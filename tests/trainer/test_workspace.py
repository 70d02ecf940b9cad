"""Workspaces are fresh folders of regular files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from trainer.errors import PatchRefusedError, WorkspaceError
from trainer.workspace import write_workspace

FILES = {"train.py": b"LR = 1\n", "model/layers.py": b"\x00\xff", "model/deep/x.py": b""}


def test_the_tree_is_written_as_regular_readable_files(tmp_path: Path):
    """Contents arrive byte for byte, readable for another user id whatever the umask."""
    old = os.umask(0o077)
    try:
        folder = write_workspace(FILES, tmp_path / "jobs" / "e0001-1" / "tree")
    finally:
        os.umask(old)
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if not p.is_dir()}
    assert {path: place.read_bytes() for path, place in found.items()} == FILES
    for place in found.values():
        assert stat.S_IMODE(place.lstat().st_mode) == 0o644
        assert stat.S_ISREG(place.lstat().st_mode)
    for inner in (folder, folder / "model", folder / "model" / "deep"):
        assert stat.S_IMODE(inner.stat().st_mode) == 0o755


def test_an_existing_folder_is_refused_and_left_alone(tmp_path: Path):
    """A second attempt may not write over the first one's tree."""
    folder = write_workspace({"train.py": b"old"}, tmp_path / "tree")
    with pytest.raises(WorkspaceError, match="exists already"):
        write_workspace({"train.py": b"new"}, folder)
    assert (folder / "train.py").read_bytes() == b"old"


def test_a_link_in_the_folders_place_is_not_followed(tmp_path: Path):
    """Even a dangling link that stands where the folder should be is refused."""
    (tmp_path / "tree").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WorkspaceError):
        write_workspace(FILES, tmp_path / "tree")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("path", ["../out.py", "/tmp/out.py", "a/../../out.py", ".git/hooks"])
def test_paths_that_would_leave_the_folder_write_nothing(tmp_path: Path, path: str):
    """A hostile path is refused before anything is made."""
    with pytest.raises(PatchRefusedError):
        write_workspace({"train.py": b"", path: b"x"}, tmp_path / "jobs" / "tree")
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_writer_are_replaced(tmp_path: Path):
    """What a process left half written does not end up in the new tree."""
    part = tmp_path / "tree.part"
    part.mkdir()
    (part / "stale.py").write_bytes(b"stale")
    folder = write_workspace(FILES, tmp_path / "tree")
    assert not (folder / "stale.py").exists()
    assert not part.exists()


def test_an_unwritable_place_says_which_and_what_to_do(tmp_path: Path):
    """A file where a folder is needed becomes this package's error, with the path in it."""
    (tmp_path / "jobs").write_bytes(b"")
    with pytest.raises(WorkspaceError, match=r"cannot be written .*rights and free space"):
        write_workspace(FILES, tmp_path / "jobs" / "tree")
