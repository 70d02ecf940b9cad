"""Texts whose answers are kept: the same trees are compared and read again and again.

A hypothesis' patch is asked for when it is prepared, when it is posted and when its result is. What
is remembered is keyed by content, so it can never be stale; refusals are not kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from typing import Any, TypeVar

from trainer.experiment import Budget
from trainer.patch_policy import PatchPolicy
from trainer.texts import Texts
from trainer.tree_text import DIFF_BYTES, MergedTree

_KEPT = 512
"""Answers of each kind: some hundreds of small patches, a few MiB at most."""

Tree = Mapping[str, bytes]

_T = TypeVar("_T")


class RememberedTexts:
    """Asks another `trainer.texts.Texts`, once for each question.

    Args:
        inner: Who answers.
    """

    def __init__(self, inner: Texts) -> None:
        self._inner = inner
        self._kept: dict[str, OrderedDict[Hashable, Any]] = {}

    async def check(
        self, policy: PatchPolicy, tree: Tree, parents: Sequence[Tree], start: Tree
    ) -> None:
        """Refuse a tree for what its text holds; asked anew each time."""
        await self._inner.check(policy, tree, parents, start)

    async def tree_key(
        self, files: Tree, *, lock_hash: str, budget: Budget, device_class: str
    ) -> str:
        """Return the tree's key."""
        key = (_frozen(files), lock_hash, budget, device_class)

        async def ask() -> str:
            return await self._inner.tree_key(
                files, lock_hash=lock_hash, budget=budget, device_class=device_class
            )

        return await self._answer("key", key, ask)

    async def diff(self, older: Tree, newer: Tree, *, cap_bytes: int = DIFF_BYTES) -> str:
        """Return the unified patch."""
        key = (_frozen(older), _frozen(newer), cap_bytes)
        return await self._answer(
            "diff", key, lambda: self._inner.diff(older, newer, cap_bytes=cap_bytes)
        )

    async def merge(self, base: Tree, ours: Tree, theirs: Tree) -> MergedTree:
        """Merge two trees three ways; asked anew each time."""
        return await self._inner.merge(base, ours, theirs)

    async def hunks(self, start: Tree, tree: Tree) -> tuple[str, ...]:
        """Return the ids of what `tree` changes of `start`."""
        key = (_frozen(start), _frozen(tree))
        return await self._answer("hunks", key, lambda: self._inner.hunks(start, tree))

    async def without(self, start: Tree, tree: Tree, group: Collection[str]) -> Tree:
        """Return `tree` with some of its hunks taken back; asked anew each time."""
        return await self._inner.without(start, tree, group)

    async def _answer(self, kind: str, key: Hashable, ask: Callable[[], Awaitable[_T]]) -> _T:
        kept = self._kept.setdefault(kind, OrderedDict())
        if key not in kept:
            kept[key] = await ask()
            if len(kept) > _KEPT:
                kept.popitem(last=False)
        found: _T = kept[key]
        return found


def _frozen(tree: Tree) -> tuple[tuple[str, bytes], ...]:
    return tuple(sorted(tree.items()))
