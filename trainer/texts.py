"""What is asked about candidate text, and the plain way to answer it.

`Texts` is the seam: runs ask `trainer.text_process.TextProcess`, which answers within limits
whatever the text is; `TrustedTexts` answers in this very process, for text of our own (start trees,
what built-in minds write, tests).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from trainer.experiment import Budget
from trainer.hunk_removal import without
from trainer.hunks import hunk_ids
from trainer.patch_policy import PatchPolicy
from trainer.tree_key import tree_key
from trainer.tree_text import DIFF_BYTES, MergedTree, diff_trees, merge_trees

Tree = Mapping[str, bytes]
"""Content by path."""


class Texts(Protocol):
    """Reads candidate text; no call raises anything but what it names."""

    async def check(
        self, policy: PatchPolicy, tree: Tree, parents: Sequence[Tree], start: Tree
    ) -> None:
        """Refuse a tree for what its text holds; see `PatchPolicy.read`.

        Raises:
            PatchRefusedError: also with rule ``time``, if it cannot be read within limits.
        """
        ...

    async def tree_key(
        self, files: Tree, *, lock_hash: str, budget: Budget, device_class: str
    ) -> str:
        """Return the tree's key; see `trainer.tree_key`. What cannot be read counts as bytes."""
        ...

    async def diff(self, older: Tree, newer: Tree, *, cap_bytes: int = DIFF_BYTES) -> str:
        """Return the unified patch; where lines cannot be compared, files are shown whole."""
        ...

    async def merge(self, base: Tree, ours: Tree, theirs: Tree) -> MergedTree:
        """Merge two trees three ways; see `merge_trees`.

        Raises:
            TextLimitError: that is too much for the limits.
        """
        ...

    async def hunks(self, start: Tree, tree: Tree) -> tuple[str, ...]:
        """Return the ids of what `tree` changes of `start`; see `trainer.hunks.hunk_ids`.

        Where the texts cannot be read there is one for each file.
        """
        ...

    async def without(self, start: Tree, tree: Tree, group: Collection[str]) -> Tree:
        """Return `tree` with some of its hunks taken back; see `trainer.hunk_removal.without`.

        Raises:
            HunksInseparableError: they cannot be taken back alone, or not within limits.
        """
        ...


class TrustedTexts:
    """Answers at once and without limits."""

    async def check(
        self, policy: PatchPolicy, tree: Tree, parents: Sequence[Tree], start: Tree
    ) -> None:
        """Refuse a tree for what its text holds."""
        policy.read(tree, parents, start)

    async def tree_key(
        self, files: Tree, *, lock_hash: str, budget: Budget, device_class: str
    ) -> str:
        """Return the tree's key."""
        return tree_key(files, lock_hash=lock_hash, budget=budget, device_class=device_class)

    async def diff(self, older: Tree, newer: Tree, *, cap_bytes: int = DIFF_BYTES) -> str:
        """Return the unified patch."""
        return diff_trees(older, newer, cap_bytes=cap_bytes)

    async def merge(self, base: Tree, ours: Tree, theirs: Tree) -> MergedTree:
        """Merge two trees three ways."""
        return merge_trees(base, ours, theirs)

    async def hunks(self, start: Tree, tree: Tree) -> tuple[str, ...]:
        """Return the ids of what `tree` changes of `start`."""
        return hunk_ids(start, tree)

    async def without(self, start: Tree, tree: Tree, group: Collection[str]) -> Tree:
        """Return `tree` with some of its hunks taken back."""
        return without(start, tree, group)
