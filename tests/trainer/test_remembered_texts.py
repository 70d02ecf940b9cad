"""Answers about texts are kept by content: the same, asked once, and refusals never kept."""

from __future__ import annotations

import pytest

from trainer.errors import PatchRefusedError
from trainer.experiment import Budget
from trainer.patch_policy import PatchPolicy
from trainer.remembered_texts import RememberedTexts
from trainer.texts import TrustedTexts

START = {"train.py": b"RATE = 1.0\n# between\nDEPTH = 2\n"}
TREES = [{"train.py": START["train.py"].replace(b"1.0", f"1.{n}".encode())} for n in range(1, 9)]
KEY = {"lock_hash": "lock", "budget": Budget("steps", 3), "device_class": "cpu"}


class Counting(TrustedTexts):
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def tree_key(self, files, **kwargs):
        """Count, and answer."""
        self.asked.append("key")
        return await super().tree_key(files, **kwargs)

    async def diff(self, older, newer, **kwargs):
        """Count, and answer."""
        self.asked.append("diff")
        return await super().diff(older, newer, **kwargs)

    async def hunks(self, start, tree):
        """Count, and answer."""
        self.asked.append("hunks")
        return await super().hunks(start, tree)


async def test_the_same_question_is_asked_once_and_answered_alike() -> None:
    """Equal content counts, whichever object holds it; any other content is another question."""
    inner, plain = Counting(), TrustedTexts()
    texts = RememberedTexts(inner)
    for _ in range(3):
        for tree in TREES:
            copy = dict(tree)
            assert await texts.tree_key(copy, **KEY) == await plain.tree_key(tree, **KEY)
            assert await texts.diff(START, copy) == await plain.diff(START, tree)
            assert await texts.hunks(START, copy) == await plain.hunks(START, tree)
    assert sorted(inner.asked) == sorted(["key", "diff", "hunks"] * len(TREES))
    other = {**KEY, "lock_hash": "another"}
    assert await texts.tree_key(TREES[0], **other) != await texts.tree_key(TREES[0], **KEY)


async def test_a_tree_is_checked_each_time() -> None:
    """What was refused is refused again."""
    texts = RememberedTexts(TrustedTexts())
    policy = PatchPolicy(("train.py",), 4096, 4096, 4, 8, 4096)
    loud = {"train.py": START["train.py"] + b'WORDS = "far too many words for so small a cap"\n'}
    for _ in range(2):
        with pytest.raises(PatchRefusedError):
            await texts.check(policy, loud, [START], START)
    await texts.check(policy, TREES[0], [START], START)
