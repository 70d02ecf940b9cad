"""Which files of a repository a task's tree is made of: read, never followed out, never changed.

What git tracks, where there is git; else what lies there, but for what is known to be no source.
Every file that is left out is named with the reason. The repository is anybody's: links, devices,
huge files and secrets in it are met here.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from community.errors import WrappingError
from trainer.errors import PatchRefusedError
from trainer.patch_policy import check_path
from trainer.script.secret_names import looks_secret

FILE_BYTES: Final = 1 << 20
"""Larger files are data or weights, and belong into a data folder."""
TREE_BYTES: Final = 8 << 20
MOST_FILES: Final = 900
_MOST_LISTED: Final = 100_000
_GIT_S: Final = 30.0
_GIT: Final = (
    *("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"),
    *("-c", "core.untrackedCache=false", "ls-files", "-z"),
)
"""Nothing that the repository's own configuration names is started, and nothing is refreshed."""
_GITLINK, _LINK = "160000", "120000"
_IDLE_FOLDERS: Final = frozenset(
    {
        *("__pycache__", "node_modules", "venv", "env", "wandb", "mlruns", "runs", "outputs"),
        *("checkpoints", "build", "dist", "site-packages"),
    }
)
"""Where there is no git to say what is source."""
_PICTURES: Final = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".pdf", ".mp4", ".ipynb", ".webp")
_KEYS: Final = (b"-----BEGIN RSA PRIVATE", b"-----BEGIN PRIVATE", b"-----BEGIN OPENSSH PRIVATE")


@dataclass(slots=True)
class Found:
    """What a repository holds for a task."""

    root: Path
    is_git: bool
    files: dict[str, bytes] = field(default_factory=dict)
    """Content by path, of what goes into the tree."""
    beside: dict[str, bytes] = field(default_factory=dict)
    """Of what the tree cannot hold for its name, and a script may need: shown read-only."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Path -> why."""
    untracked: tuple[str, ...] = ()
    """Python files that git does not track."""


def find_files(root: Path) -> Found:
    """Read the repository at `root`.

    Raises:
        WrappingError: there is no such folder, or it holds too much; the text says what to do.
    """
    if not root.is_dir():
        raise WrappingError(f"{root} is no folder; name the one that holds your repository")
    tracked = _tracked(root)
    found = Found(root, is_git=tracked is not None)
    paths = tracked if tracked is not None else dict.fromkeys(_walked(root), "")
    if tracked is not None:
        others = _git(root, "--others", "--exclude-standard") or []
        found.untracked = tuple(sorted(p for p in others if p.endswith(".py")))[:20]
    size = 0
    for path, mode in sorted(paths.items()):
        content = _content(found, path, mode)
        if content is None:
            continue
        size += len(content)
        if size > TREE_BYTES or len(found.files) + len(found.beside) >= MOST_FILES:
            raise WrappingError(
                f"{root} has more source than a task holds ({MOST_FILES} files, "
                f"{TREE_BYTES >> 20} MiB): at {path}; name the folder of the one project alone, or "
                "keep data and weights out of git"
            )
        (found.files if _is_plain(path) else found.beside)[path] = content
    if not any(path.endswith(".py") for path in found.files):
        where = "tracked by git" if found.is_git else "there"
        raise WrappingError(f"no Python file is {where} in {root}{_hint(found)}")
    return found


def _hint(found: Found) -> str:
    if found.untracked:
        return f"; {found.untracked[0]} is not tracked: git add it first"
    return "; name the folder that holds your training script"


def _content(found: Found, path: str, mode: str) -> bytes | None:
    """Return a file's content, or None and a word in `left_out`."""
    name = path.rsplit("/", 1)[-1]
    if any(looks_secret(part) for part in path.split("/")):
        return _skip(found, path, "looks secret; candidates would read it")
    if mode == _GITLINK:
        return _skip(found, path, "a submodule; show it as data (--data) if the script needs it")
    if any(part.startswith(".") for part in path.split("/")):
        return _skip(found, path, "hidden")
    if name.lower().endswith(_PICTURES):
        return _skip(found, path, "a picture or a notebook")
    place = found.root / path
    real = Path(os.path.realpath(place))
    if not real.is_relative_to(os.path.realpath(found.root)):
        return _skip(found, path, "a link that leads out of the repository")
    if real != place and looks_secret(real.name):
        return _skip(found, path, "a link to what looks secret")
    return _read(found, path, real)


def _read(found: Found, path: str, place: Path) -> bytes | None:
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(place, flags), "rb") as stream:
            facts = os.fstat(stream.fileno())
            if not stat.S_ISREG(facts.st_mode):
                return _skip(found, path, "no regular file")
            if facts.st_size > FILE_BYTES:
                return _skip(found, path, f"{facts.st_size >> 20} MiB large; data go by --data")
            content = stream.read(FILE_BYTES + 1)
    except OSError as error:
        return _skip(found, path, f"cannot be read: {error.strerror}")
    if any(key in content for key in _KEYS):
        return _skip(found, path, "holds a private key")
    return content


def _skip(found: Found, path: str, why: str) -> bytes | None:
    found.left_out[path] = why
    return None


def _is_plain(path: str) -> bool:
    """Whether a task's tree can hold a file of this path."""
    try:
        check_path(path)
    except PatchRefusedError:
        return False
    return True


def _tracked(root: Path) -> dict[str, str] | None:
    """Return what git tracks below `root`, with its mode; None where git does not say."""
    listed = _git(root, "--stage")
    if listed is None:
        return None
    found: dict[str, str] = {}
    for entry in listed:
        facts, _, path = entry.partition("\t")
        if path:
            found[path] = facts.split(" ", 1)[0]
    return found


def _git(root: Path, *options: str) -> list[str] | None:
    environment = {"PATH": os.environ.get("PATH", ""), "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    home = os.environ.get("HOME")
    if home is not None:  # its safe.directory holds
        environment["HOME"] = home
    try:
        done = subprocess.run(
            [*_GIT, *options],
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    entries = done.stdout.decode("utf-8", "surrogateescape").split("\0")
    if len(entries) > _MOST_LISTED:
        raise WrappingError(
            f"git tracks more than {_MOST_LISTED} files in {root}; name a part of it"
        )
    return [entry for entry in entries if entry]


def _walked(root: Path) -> Iterator[str]:
    """Yield the files below `root`, links to folders not followed."""
    count = 0
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(n for n in inner if n not in _IDLE_FOLDERS and not n.startswith("."))
        for name in sorted(names):
            count += 1
            if count > _MOST_LISTED:
                raise WrappingError(f"{root} has more than {_MOST_LISTED} files; name a part of it")
            yield os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/")
