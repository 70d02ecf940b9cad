"""Grades language models of tokens: bits per byte of held-out text, lower is better.

As `scoring.language_model` in all but this: a block is of tokens, and the sum of -log2 p over the
targets is divided by the bytes that they stand for (`scoring.token_shards` reads the table), so
that scores compare across tokenizers, and with those of bytes. The reference that says where
looking ahead would pay counts pairs of tokens in the beginning of the training text alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, get_args

import numpy as np

from scoring.block_draw import draw, generator
from scoring.errors import CorpusError
from scoring.grader import Division, Examination, Tokens
from scoring.language_model import ByteLanguageModel, Drawn, Examined
from scoring.ngram import NgramModel
from scoring.verdict import Split

REFERENCE_TOKENS: Final = 2_000_000
"""From how many tokens of the training text the reference is counted: a second's work."""
_PIECE_BLOCKS: Final = 8
"""Blocks of a piece: held-out shards are cut into such, no two of which share a request."""


@dataclass(frozen=True, slots=True)
class TokenLanguageModel(ByteLanguageModel):
    """The constants of the examination; implements `scoring.grader.Grader`.

    Fields are those of `scoring.language_model.ByteLanguageModel`, in tokens where it says bytes.
    """

    vocab: int = 8192
    block: int = 257
    """Tokens of a block: 256 inputs and 256 targets, near a kilobyte of text."""
    blocks: int = 256
    """Blocks of every split: 65,536 targets."""
    edges: tuple[int, ...] = (1, 2, 3, 127, 128, 129, 255, 256)

    def open(self, division: Division, run_secret: bytes) -> Examination:
        """Draw from all splits the blocks that this run asks, the same for all its scores.

        Raises:
            CorpusError: the shards are of another vocabulary, or a split is too small.
        """
        table = division.token_bytes
        if table is None or len(table) > self.vocab:
            found = "bytes" if table is None else f"{len(table)} different tokens"
            raise CorpusError(
                f"this task is about at most {self.vocab} different tokens, and the shards are of "
                f"{found}: make them with a smaller vocabulary, or change vocab in task.toml, in "
                "locked/grade.py and VOCAB in start/train.py"
            )
        train = np.frombuffer(
            division.train, "<u2", min(REFERENCE_TOKENS, len(division.train) // 2)
        )
        reference = NgramModel(train.astype(np.uint16, copy=False), order=2)
        drawn: dict[Split, Drawn] = {}
        for split in get_args(Split):
            pieces = self._pieces(division.heldout[split].values())
            chance = generator(run_secret, f"blocks/{split}")
            requests = draw(pieces, self.blocks, self.block, self.rows, chance)
            drawn[split] = Drawn.of(requests, reference, table)
        return Examined(self, drawn)

    def _pieces(self, shards: Iterable[bytes]) -> list[Tokens]:
        """Cut shards into texts of a few blocks each."""
        size = _PIECE_BLOCKS * self.block
        tokens = [np.frombuffer(shard, "<u2").astype(np.uint16, copy=False) for shard in shards]
        return [text[at : at + size] for text in tokens for at in range(0, len(text), size)]
