"""Diffs that are too long for a post, fetched from the run's repository by their commits.

A thread asks while it is painted and gets an answer at once: the diff, or why there is none, yet or
at all. What is missing is fetched in a thread of its own, compared by a child process (the text is
a candidate's), and the picture is painted again. A watcher elsewhere has no repository.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KEPT: Final = 16
"""Diffs that are kept, the newest; others are fetched again."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A diff, or why there is none."""

    text: str = ""
    why: str = ""
    """In words, where there is no text."""


NOT_HERE: Final = Patch(
    why="Its diff is too long for a post, and commits are not carried to where this is watched; "
    "see it where the run's folder is."
)
_COMING: Final = Patch(why="Its diff is too long for a post; fetching it from the repository ...")


class Patches:
    """The diffs of one run's commits.

    Args:
        repository: The run's bare repository; None where there is none at hand.
        changed: Called from another thread when a diff that was asked for is there.
    """

    def __init__(self, repository: Path | None, changed: Callable[[], object]) -> None:
        self._repository = repository
        self._changed = changed
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], Patch] = OrderedDict()

    def of(self, parent: str, commit: str) -> Patch:
        """Return what `commit` changes of `parent`, as far as it is known by now."""
        path = self._repository
        if path is None:
            return NOT_HERE
        with self._lock:
            if (known := self._known.get((parent, commit))) is not None:
                return known
            self._known[parent, commit] = _COMING
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        fetching = threading.Thread(
            target=self._fetch, args=(path, parent, commit), name=f"diff of {commit}", daemon=True
        )
        fetching.start()
        return _COMING

    def _fetch(self, path: Path, parent: str, commit: str) -> None:
        from trainer.errors import TrainerError

        try:
            text = asyncio.run(_diff(path, parent, commit))
            patch = Patch(text, "" if text else "Its diff is empty.")
        except (TrainerError, OSError) as error:
            patch = Patch(why=f"Its diff is too long for a post, and cannot be read: {error}")
        with self._lock:
            self._known[parent, commit] = patch
        self._changed()


async def _diff(path: Path, parent: str, commit: str) -> str:
    from trainer.repository import Repository  # git only where a diff is fetched
    from trainer.text_process import TextProcess

    repository = Repository.open(path, writer=False)
    older, newer = repository.read(parent), repository.read(commit)
    async with TextProcess() as texts:
        return await texts.diff(older, newer)
