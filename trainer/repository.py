"""The run's bare git repository: every experiment a commit, parents the lineage.

Through pygit2, without a work tree and without the git program, and the same for everybody: the
user's and the system's git configuration is not read. Objects are written before the refs that name
them, so a kill at any moment leaves at worst an unnamed commit. Trees go to `trainer.workspace`.
Not here: what a researcher may change (`trainer.patch_policy`), how two texts compare or merge
(`trainer.tree_text`: git reads no candidate text), who may see which commit (the lab).
"""

from __future__ import annotations

import re
import shutil
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pygit2
from pygit2.enums import ConfigLevel, FileMode

from trainer.errors import RepositoryError, UnknownCommitError
from trainer.patch_policy import check_tree

BEST = "refs/heads/best"
"""What HEAD points to: a clone shows the frontier."""
MESSAGE_CHARACTERS = 8192
"""Cap on a commit message; it comes from a mind and is shown to people."""

_KEPT_TREES = 256
"""Of 40 KiB each at most, by a task's default cap."""
_BRANCHES = "refs/heads/"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_AUTHOR = re.compile(
    r"(?P<name>[^<>\x00-\x1f\x7f]{1,200}) <(?P<email>[^<>\s\x00-\x1f\x7f]{1,200})>"
)
_UNSHOWABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_FOREIGN = (ConfigLevel.PROGRAMDATA, ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL)


class Repository:
    """One run's commits and the names given to them. One process writes; any may read."""

    def __init__(self, git: pygit2.Repository) -> None:
        self._git = git
        self._read: OrderedDict[str, dict[str, bytes]] = OrderedDict()
        """Trees that were read lately: a commit's never changes."""

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make an empty bare repository at `path`; it appears whole or not at all.

        Raises:
            RepositoryError: something is at `path` already, or the folder cannot be written.
        """
        _isolate()
        if path.exists():
            raise RepositoryError(f"{path} exists already; open it, or choose another run folder")
        part = path.with_name(path.name + ".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if part.exists():
                shutil.rmtree(part)
            pygit2.init_repository(str(part), bare=True, initial_head=BEST)
            part.rename(path)
        except (OSError, pygit2.GitError) as error:
            raise RepositoryError(f"no repository can be made at {path}: {error}") from error
        return cls(pygit2.Repository(str(path)))

    @classmethod
    def open(cls, path: Path, *, writer: bool = True) -> Self:
        """Open the repository at `path`.

        Args:
            path: the bare repository's folder.
            writer: whether the caller is the run's one writer, which then removes the lock files
                that a killed predecessor left. Readers beside a living run pass False.

        Raises:
            RepositoryError: there is no bare repository at `path`.
        """
        _isolate()
        try:
            git = pygit2.Repository(str(path))
        except pygit2.GitError as error:
            raise RepositoryError(f"{path} is no git repository: {error}") from error
        if not git.is_bare or Path(git.path).resolve() != path.resolve():
            raise RepositoryError(f"{path} is no bare repository; give the run's repo.git")
        if writer:
            stale = [*path.glob("*.lock"), *path.glob("refs/**/*.lock")]
            for lock in stale:
                lock.unlink(missing_ok=True)
        return cls(git)

    def commit(
        self,
        files: Mapping[str, bytes],
        parents: Sequence[str],
        author: str,
        message: str,
        at_s: int,
    ) -> str:
        """Store `files` as a commit and return its id; the same arguments give the same id.

        The commit has no name yet: `set_ref` gives it one.

        Args:
            files: the whole tree, content by path.
            parents: ids of the commits it builds on, the declared parent first; none for a root.
            author: ``ada <ada@community.invalid>``; also the committer.
            message: free text; control characters are replaced, length is capped.
            at_s: whole seconds since the epoch, as git records them.

        Raises:
            UnknownCommitError: a parent is not in the repository.
            PatchRefusedError: a path is not a plain relative path.
            RepositoryError: the author is malformed, or git refuses to write.
        """
        check_tree(files, tree_bytes=sum(map(len, files.values())))
        matched = _AUTHOR.fullmatch(author)
        if matched is None:
            raise RepositoryError(f"author {author[:80]!r} is malformed; write 'name <name@host>'")
        parent_ids = [self._find(parent).id for parent in parents]
        text = _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", message[:MESSAGE_CHARACTERS])
        try:
            who = pygit2.Signature(matched["name"], matched["email"], at_s, 0, "utf-8")
            tree = self._write_tree(files)
            oid = self._git.create_commit(None, who, who, text.strip() + "\n", tree, parent_ids)
        except (pygit2.GitError, ValueError, OSError) as error:
            raise RepositoryError(f"git cannot write a commit by {author}: {error}") from error
        return str(oid)

    def read(self, commit: str) -> dict[str, bytes]:
        """Return the commit's files: content by path, in path order.

        Raises:
            UnknownCommitError: no such commit.
        """
        files = self._read.get(commit)
        if files is None:
            files = self._read[commit] = dict(sorted(_files(self._find(commit).tree, "")))
            if len(self._read) > _KEPT_TREES:
                self._read.popitem(last=False)
        return dict(files)

    def common_ancestor(self, first: str, second: str) -> str:
        """Return the id of the latest commit that both descend from; a commit descends from itself.

        Raises:
            UnknownCommitError: no such commit.
            RepositoryError: there is none, so there is nothing to merge over.
        """
        base = self._git.merge_base(self._find(first).id, self._find(second).id)
        if base is None:
            raise RepositoryError(f"commits {first} and {second} have no common ancestor")
        return str(base)

    def set_ref(self, name: str, commit: str) -> None:
        """Name a commit by a branch, such as ``refs/heads/exp/e0001``.

        Branches, because a plain clone brings them all and ``git log --graph --all`` shows them.
        A name that exists moves.

        Raises:
            UnknownCommitError: no such commit.
            RepositoryError: the name is not one that git takes, or clashes with another.
        """
        if not name.startswith(_BRANCHES) or not pygit2.reference_is_valid_name(name):
            raise RepositoryError(
                f"ref {name[:80]!r} is no branch's full name; write it like {_BRANCHES}exp/e0001"
            )
        target = self._find(commit).id
        try:
            self._git.references.create(name, target, force=True)
        except (pygit2.GitError, ValueError, OSError) as error:
            raise RepositoryError(f"ref {name} cannot be set to {commit}: {error}") from error

    def set_best(self, commit: str) -> None:
        """Point ``refs/heads/best`` at the frontier's commit.

        Raises:
            UnknownCommitError: no such commit.
        """
        self.set_ref(BEST, commit)

    def refs(self) -> dict[str, str]:
        """Return the commit ids by full branch name, in name order."""
        return {
            name: str(self._git.references[name].target)
            for name in sorted(self._git.references)
            if name.startswith(_BRANCHES)
        }

    def _find(self, commit: str) -> pygit2.Commit:
        """Return the commit object; only full ids count, so that no name can stand for another."""
        if not _COMMIT.fullmatch(commit):
            raise UnknownCommitError(commit)
        found: object = self._git.get(commit)
        if not isinstance(found, pygit2.Commit):
            raise UnknownCommitError(commit)
        return found

    def _write_tree(self, files: Mapping[str, bytes]) -> pygit2.Oid:
        """Store blobs, then the folders that hold them, and return the root's id."""
        builder = self._git.TreeBuilder()
        folders: dict[str, dict[str, bytes]] = {}
        for path, content in files.items():
            folder, separator, rest = path.partition("/")
            if separator:
                folders.setdefault(folder, {})[rest] = content
            else:
                builder.insert(path, self._git.create_blob(content), FileMode.BLOB)
        for folder, inside in folders.items():
            builder.insert(folder, self._write_tree(inside), FileMode.TREE)
        return builder.write()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One commit of a throw-away repository."""

    name: str
    """What it is called elsewhere; it gets an id of its own."""
    parents: tuple[str, ...]
    """Names of snapshots before it."""
    title: str
    files: Mapping[str, bytes]


def write_checkout(
    folder: Path, commits: Sequence[Snapshot], base: str, *, tag_letters: int
) -> None:
    """Make a repository with a work tree at `folder` that holds these commits and nothing else.

    Each is tagged with the beginning of its name; `base` is checked out on a branch ``main``. It is
    for somebody to play with: nothing is ever read from it through git.

    Args:
        folder: must not exist.
        commits: parents before children.
        base: name of the one that is checked out; empty for an empty work tree.
        tag_letters: how much of a name its tag has.

    Raises:
        PatchRefusedError: a path is not a plain relative path.
        RepositoryError: it cannot be written.
    """
    _isolate()
    if folder.exists() or folder.is_symlink():
        raise RepositoryError(f"{folder} exists already; what somebody left there is not reused")
    who = pygit2.Signature("community", "community@community.invalid", 0, 0, "utf-8")
    ids: dict[str, pygit2.Oid] = {}
    try:
        git = pygit2.init_repository(str(folder), initial_head="refs/heads/main")
        writer = Repository(git)
        for each in commits:
            check_tree(each.files, tree_bytes=sum(map(len, each.files.values())))
            title = _UNSHOWABLE.sub(" ", f"{each.name[:tag_letters]}: {each.title[:200]}")
            parents = [ids[name] for name in each.parents if name in ids]
            tree = writer._write_tree(each.files)
            ids[each.name] = git.create_commit(None, who, who, title + "\n", tree, parents)
            git.references.create(
                f"refs/tags/{each.name[:tag_letters]}", ids[each.name], force=True
            )
        if base:
            git.references.create("refs/heads/main", ids[base])
            git.checkout("refs/heads/main")
    except (pygit2.GitError, KeyError, ValueError, OSError) as error:
        raise RepositoryError(f"no work tree can be made at {folder}: {error}") from error


def _files(tree: pygit2.Tree, prefix: str) -> list[tuple[str, bytes]]:
    """Return the regular files below `tree`; whatever else it holds did not come from us."""
    found: list[tuple[str, bytes]] = []
    for entry in tree:
        path = f"{prefix}{entry.name}"
        if isinstance(entry, pygit2.Tree):
            found += _files(entry, path + "/")
        elif isinstance(entry, pygit2.Blob) and entry.filemode == FileMode.BLOB:
            found.append((path, entry.data))
        else:
            raise RepositoryError(f"{path} is no regular file; the repository is not one of ours")
    return found


def _isolate() -> None:
    """Keep the user's and the system's git configuration out of this process."""
    for level in _FOREIGN:
        pygit2.settings.search_path[level] = ""
    # Owner checks guard against hooks and filters, which libgit2 does not run; containers that
    # mount a run folder of another user would otherwise be refused.
    pygit2.settings.owner_validation = False
