"""A trial with a commit that somebody else's git wrote: kinds of entries that no run writes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from community.attack.attack import Finding, Form, TwinFinding
from community.attack.bench import Bench
from community.attack.trees import around_train
from community.attack.trials.honest import accepted
from trainer.errors import RepositoryError
from trainer.task import ENTRY

_LOOK = """
import os
found = sorted(set(os.listdir(".")) - {"train.py"})
return [open(name).read() for name in found if os.path.isfile(name)] or found
"""


@dataclass(frozen=True, slots=True)
class Committed:
    """A commit with one odd entry; success is that it becomes a tree, and what that then shows."""

    path: str
    mode: FileMode
    content: str
    """Of the blob; words in ``<<>>`` are places of the bait."""
    is_secret: bool = True
    """Whether success is the bait's secret in the log, and not just that it was taken."""

    @property
    def form(self) -> Form:
        """A patch."""
        return "patch"

    async def cheat(self, bench: Bench, name: str) -> Finding:
        """Write the commit, have it read, and train what comes of it."""
        repository = bench.folder / f"foreign-{next(bench.numbers)}.git"
        entry = around_train(bench.task, _LOOK)[ENTRY]
        commit = await asyncio.to_thread(self._write, repository, entry, bench)
        try:
            tree = await asyncio.to_thread(bench.read, repository, commit)
        except RepositoryError as error:
            return Finding(False, "repository", str(error)[:120])
        if self.path not in tree:
            return Finding(False, "left out", f"{self.path} did not become part of the tree")
        attempt = await bench.attempt(name, tree)
        if self.is_secret and bench.bait.secret in attempt.log:
            return Finding(True, "", f"{self.path} holds the secret in its workspace")
        is_taken = attempt.outcome == "ok" and not self.is_secret
        return Finding(is_taken, "" if is_taken else attempt.reason, f"{self.path} was taken")

    async def be_honest(self, bench: Bench, name: str) -> TwinFinding:
        """Hand in regular files."""
        return await accepted(bench, name, around_train(bench.task, "return 'regular'"))

    def _write(self, folder: Path, entry: bytes, bench: Bench) -> str:
        """Write a bare repository with one commit, and return its id."""
        git = pygit2.init_repository(str(folder), bare=True)
        builder = git.TreeBuilder()
        builder.insert(ENTRY, git.create_blob(entry), FileMode.BLOB)
        blob = git.create_blob(bench.bait.filled(self.content).encode())
        builder.insert(self.path, blob, self.mode)
        who = pygit2.Signature("mallory", "mallory@community.invalid", 0, 0)
        return str(git.create_commit(None, who, who, "a gift", builder.write(), []))
