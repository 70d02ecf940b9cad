"""What a git tree can hold that a patch cannot: nobody reads it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from trainer.errors import RepositoryError
from trainer.repository import Repository

ADA = "ada <ada@community.invalid>"
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="the git program is missing")


def git(path: Path, *arguments: str, text: str = "") -> str:
    """Run the git program on the repository; returns the last word of what it says."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ("-c", "safe.directory=*", "-c", "user.name=x", "-c", "user.email=x@y")
    command = ["git", *who, "--git-dir", str(path), *arguments]
    done = subprocess.run(
        command, input=text, check=True, capture_output=True, text=True, env=environment, timeout=30
    )
    return done.stdout.split()[-1]


@pytest.mark.parametrize(
    ("mode", "kind"), [("120000", "blob"), ("100755", "blob"), ("160000", "commit")]
)
def test_links_programs_and_submodules_are_refused(tmp_path: Path, mode: str, kind: str):
    """A tree that did not come from us is not read, and so not compared, merged or run either."""
    path = tmp_path / "repo.git"
    repository = Repository.create(path)
    start = repository.commit({"train.py": b"A = 1\n"}, [], ADA, "start", 1)
    target = git(path, "rev-parse", f"{start}:train.py" if kind == "blob" else start)
    tree = git(path, "mktree", text=f"{mode} {kind} {target}\ttrain.py\n")
    odd = git(path, "commit-tree", "-p", start, "-m", "odd", tree)
    with pytest.raises(RepositoryError, match="no regular file"):
        repository.read(odd)
