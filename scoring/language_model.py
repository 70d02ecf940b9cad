"""Grades byte-level language models: bits per byte of held-out text, lower is better.

Every block is `block` bytes: all but the last are asked, all but the first are targets and stay
here. Every position is scored. Then prefixes of the same text are asked of a blind sandbox; where
the two answers differ, the model has used bytes it must not see (later ones, other rows, earlier
requests), and there is no score. What is asked is drawn in `scoring.block_draw`, the formula is in
`scoring.log_loss`; the result goes through `scoring.worker` into a `scoring.verdict.Score`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from scoring.block_draw import Request, draw, generator
from scoring.errors import InvalidAnswersError
from scoring.grader import Answerer, Examination, Heldout, Measured
from scoring.log_loss import target_bits
from scoring.verdict import Split

_FIXED_LENGTHS = (1, 2, 3, 64, 127, 128)
"""Prefix lengths every probe set has: the edges, an odd one, a power of two."""


@dataclass(frozen=True, slots=True)
class ByteLanguageModel:
    """The constants of the examination; implements `scoring.grader.Grader`."""

    vocab: int = 256
    block: int = 129
    """Bytes of a block: 128 inputs and 128 targets."""
    blocks: int = 508
    """Blocks of every split: 64 KiB."""
    rows: int = 8
    """Blocks asked together. Few, so that no two of one request come from one file."""
    random_lengths: int = 12
    """Prefix lengths drawn anew for every score, beside the fixed ones."""
    logit_cap: float = 1e4
    tolerance_nats: float = 1e-3
    """How far two answers about one byte may lie apart. Rounding of an honest float32 model under
    other batch shapes stays below 1e-4 on CPU, also with absurdly large weights (2e-5 with ordinary
    ones). Half precision would not stay below it."""

    def open(self, heldout: Heldout, run_secret: bytes) -> Examination:
        """Draw from all splits the blocks that this run asks, the same for all its scores."""
        drawn: dict[Split, tuple[Request, ...]] = {}
        for split in get_args(Split):
            files = heldout.get(split, {})
            texts = [files[path] for path in sorted(files, key=lambda path: path.split("/"))]
            chance = generator(run_secret, f"blocks/{split}")
            drawn[split] = draw(texts, self.blocks, self.block, self.rows, chance)
        return ByteExamination(self, drawn)


class ByteExamination:
    """The drawn blocks of one run; implements `scoring.grader.Examination`, keeps no state."""

    def __init__(
        self, constants: ByteLanguageModel, drawn: Mapping[Split, tuple[Request, ...]]
    ) -> None:
        self._constants = constants
        self._drawn = drawn

    def examine(
        self, split: Split, blocks: Answerer, blind: Answerer, chance: np.random.Generator
    ) -> Measured:
        """Return the mean of -log2 p over every target of `split`, in bits per byte.

        All blocks are answered before the first blind prefix is asked, so nothing that the blind
        sandbox is asked can have told the scored one where it will be compared.
        """
        requests = self._drawn[split]
        cap = self._constants.logit_cap
        asked = (request.blocks[:, :-1] for request in requests)
        bits = np.concatenate(
            [
                target_bits(logits, request.blocks[:, 1:], cap)
                for request, logits in zip(requests, blocks.answers(asked), strict=True)
            ]
        )
        text = np.concatenate([request.blocks for request in requests])
        files = np.concatenate([request.files for request in requests])
        probes = self._compare(text, files, bits, blind, chance)
        return Measured(math.fsum(bits.ravel()) / bits.size, int(bits.size), probes)

    def _compare(
        self,
        text: NDArray[np.uint8],
        files: NDArray[np.intp],
        bits: NDArray[np.float64],
        blind: Answerer,
        chance: np.random.Generator,
    ) -> int:
        """Ask prefixes blindly, compare with `bits`, return how many prefixes there were.

        Lengths ascend, and none is sent before the last one is answered, so that a row which is
        asked twice never shows its continuation first. The last byte of a prefix is the causality
        probe; the others come with it and are compared too.

        Raises:
            InvalidAnswersError: probe, where an answer about one true byte moved too far.
        """
        lengths = self._lengths(chance)
        picks = [self._distinct_files(files, chance) for _ in lengths]
        apart = self._constants.tolerance_nats / math.log(2)
        for pick, length in zip(picks, lengths, strict=True):
            (logits,) = blind.answers([text[pick, :length]])
            blindly = target_bits(logits, text[pick, 1 : length + 1], self._constants.logit_cap)
            if not np.abs(blindly - bits[pick, :length]).max() <= apart:
                raise InvalidAnswersError("probe")
        return sum(len(pick) for pick in picks)

    def _lengths(self, chance: np.random.Generator) -> list[int]:
        longest = self._constants.block - 1
        fixed = [length for length in _FIXED_LENGTHS if length <= longest]
        others = np.setdiff1d(np.arange(1, longest + 1), fixed)
        count = min(self._constants.random_lengths, len(others))
        drawn = chance.choice(others, size=count, replace=False)
        return sorted([*fixed, *(int(length) for length in drawn)])

    def _distinct_files(
        self, files: NDArray[np.intp], chance: np.random.Generator
    ) -> NDArray[np.intp]:
        """Return up to `rows` random rows of different files."""
        order = chance.permutation(len(files)).astype(np.intp)
        _, first = np.unique(files[order], return_index=True)
        return order[np.sort(first)[: self._constants.rows]]
