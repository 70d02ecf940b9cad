"""Grades byte-level language models: bits per byte of held-out text, lower is better.

Every block is `block` bytes: all but the last are asked, all but the first are targets and stay
here. Every position is scored. Then prefixes of the same text are asked of a blind sandbox; where
the two answers differ, the model has used bytes it must not see (later ones, other rows, earlier
requests), and there is no score. Which text is asked is drawn in `scoring.block_draw`, which
positions blindly in `scoring.probe_draw`, the formula is in `scoring.log_loss`; the result goes
through `scoring.worker` into a `scoring.verdict.Score`. Models of tokens are graded by the same
rules (`scoring.token_model`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from scoring.block_draw import Request, draw, generator
from scoring.errors import InvalidAnswersError
from scoring.grader import (
    Answerer,
    AnswerForm,
    Division,
    Examination,
    Logits,
    Measured,
    Tokens,
)
from scoring.log_loss import likely_bits, target_bits
from scoring.ngram import NgramModel
from scoring.probe_draw import Positions, Prefixes, Surprise, deal, draw_positions
from scoring.verdict import Split

_BITS_PER_NAT = 1 / math.log(2)


@dataclass(frozen=True, slots=True)
class ByteLanguageModel:
    """The constants of the examination; implements `scoring.grader.Grader`."""

    vocab: int = 256
    block: int = 129
    """Bytes of a block: 128 inputs and 128 targets."""
    blocks: int = 508
    """Blocks of every split: 64 KiB."""
    rows: int = 8
    """Rows asked together. Few, so that no two of one request come from one file."""
    dev_probes: int = 512
    """Positions asked blindly for a score on ``dev``. A model that looks ahead at the 0.1 % of
    positions where its loss is highest is met with a probability above 0.95."""
    vault_probes: int = 1056
    """The same for a run on ``vault``. A confirmation takes at least two such runs of a tree, each
    with positions of its own, and one that meets a leak refuses it: 2,112 positions in all."""
    seal_probes: int = 2048
    """The same for the one score on ``seal``."""
    edges: tuple[int, ...] = (1, 2, 3, 63, 64, 65, 127, 128)
    """Lengths that are asked beyond that: the first and the last, and both sides of boundaries."""
    edge_rows: int = 4
    logit_cap: float = 1e4
    tolerance_nats: float = 1e-3
    """How far two answers about one byte may lie apart. Rounding of an honest float32 model under
    other batch shapes stays below 1e-4 on CPU, also with absurdly large weights (2e-5 with ordinary
    ones). Half precision would not stay below it."""
    unlikely_bits: float = 20.0
    """Bytes less likely than 2^-20 are not told apart where whole distributions are compared."""
    gain_bits: float = 0.002
    """Most that the present future may gain per probe on average: a tenth of nanolm's sigma."""

    @property
    def answers(self) -> AnswerForm:
        """Every byte gets one: what follows it."""
        return "tokens"

    def probes(self, split: Split) -> int:
        """Return how many positions a score on `split` asks blindly, the edges left out."""
        return {
            "dev": self.dev_probes,
            "vault": self.vault_probes,
            "seal": self.seal_probes,
        }[split]

    def asked(self, split: Split) -> int:
        """Return how many bytes a score on `split` sends: every block, and prefixes as expected.

        Positions are drawn of every length alike, so a prefix has half a block on average.
        """
        edges = sum(edge for edge in self.edges if edge < self.block) * self.edge_rows
        return self.blocks * (self.block - 1) + self.probes(split) * self.block // 2 + edges

    def open(self, division: Division, run_secret: bytes) -> Examination:
        """Draw from all splits the blocks that this run asks, the same for all its scores."""
        reference = NgramModel(division.train)
        drawn: dict[Split, Drawn] = {}
        for split in get_args(Split):
            files = division.heldout.get(split, {})
            texts = [files[path] for path in sorted(files, key=lambda path: path.split("/"))]
            chance = generator(run_secret, f"blocks/{split}")
            requests = draw(texts, self.blocks, self.block, self.rows, chance)
            drawn[split] = Drawn.of(requests, reference)
        return Examined(self, drawn)


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one split is asked; rows are numbered through all requests."""

    requests: tuple[Request, ...]
    text: Tokens
    """Shape (rows, block)."""
    files: NDArray[np.intp]
    """Shape (rows,): the file of each block."""
    surprise: Surprise
    """Shape (rows, block - 1): the reference's, of every target."""
    sizes: NDArray[np.uint16] | None
    """Shape (rows, block - 1): bytes that each target stands for; None where each is one."""

    @classmethod
    def of(
        cls,
        requests: tuple[Request, ...],
        reference: NgramModel,
        token_bytes: NDArray[np.uint16] | None = None,
    ) -> Drawn:
        """Put the requests together."""
        text = np.concatenate([request.blocks for request in requests])
        files = np.concatenate([request.files for request in requests])
        sizes = token_bytes[text[:, 1:]] if token_bytes is not None else None
        return cls(requests, text, files, reference.surprise(text), sizes)

    def per_byte(self, bits: NDArray[np.float64]) -> Measured:
        """Return the bits of all targets per byte that these stand for.

        A target of no bytes (a mark between documents) is asked, and counts on neither side.
        """
        if self.sizes is None:
            return Measured(math.fsum(bits.ravel()) / bits.size, int(bits.size), 0)
        counted = self.sizes > 0
        total_bytes = int(self.sizes.sum(dtype=np.int64))
        return Measured(math.fsum(bits[counted]) / total_bytes, int(counted.sum()), 0)


@dataclass(frozen=True, slots=True)
class _Inside:
    """What was answered about the blocks, as far as it is compared."""

    bits: NDArray[np.float64]
    """Shape (rows, time): -log2 p of every target."""
    logits: Logits
    """Shape (probes, vocab): the whole answer at the positions that are asked blindly."""
    place: NDArray[np.intp]
    """Shape (rows, time): index of a position into `logits`, where it is one of them."""


class Examined:
    """The drawn blocks of one run; implements `scoring.grader.Examination`, keeps no state."""

    def __init__(self, constants: ByteLanguageModel, drawn: Mapping[Split, Drawn]) -> None:
        self._constants = constants
        self._drawn = drawn

    def examine(
        self, split: Split, blocks: Answerer, blind: Answerer, chance: np.random.Generator
    ) -> Measured:
        """Return the sum of -log2 p over every target of `split`, in bits per byte of them.

        All blocks are answered before the first blind prefix is asked, so nothing that the blind
        sandbox is asked can have told the scored one where it will be compared.
        """
        drawn, constants = self._drawn[split], self._constants
        count = constants.probes(split)
        positions = draw_positions(
            drawn.surprise, count, constants.edges, constants.edge_rows, chance
        )
        prefixes = deal(positions, drawn.files, constants.rows, chance)
        inside = self._ask_blocks(drawn.requests, positions, blocks)
        self._ask_prefixes(prefixes, drawn.text, inside, blind)
        return replace(drawn.per_byte(inside.bits), probes=len(inside.logits))

    def _ask_blocks(
        self, requests: Sequence[Request], positions: Positions, blocks: Answerer
    ) -> _Inside:
        """Ask every block; keep the loss of every position and whole answers at `positions`."""
        bits = np.empty(positions.shape)
        kept = np.empty((int(positions.sum()), self._constants.vocab), np.float32)
        place = np.cumsum(positions).reshape(positions.shape) - 1
        first = 0
        asked = (request.blocks[:, :-1] for request in requests)
        for request, logits in zip(requests, blocks.answers(asked), strict=True):
            rows = slice(first, first + len(request.blocks))
            bits[rows] = target_bits(logits, request.blocks[:, 1:], self._constants.logit_cap)
            kept[place[rows][positions[rows]]] = logits[positions[rows]]
            first = rows.stop
        return _Inside(bits, kept, place)

    def _ask_prefixes(
        self, prefixes: Sequence[Prefixes], text: Tokens, inside: _Inside, blind: Answerer
    ) -> None:
        """Ask `prefixes` blindly and compare with what was answered inside the blocks.

        Lengths ascend, and none is sent before the last one is answered, so that a row which is
        asked twice never shows its continuation first. At the last byte of a prefix, where nothing
        of the future is left, the whole distributions are compared: of the score only the true
        byte's part matters, but a model that uses what it must not see mostly moves the others too,
        where the true byte was certain anyway. The bytes before it come with it, and of them the
        true byte's loss is compared, which tells of other rows and earlier requests.

        Raises:
            InvalidAnswersError: probe, where an answer moved too far, or all of them together.
        """
        constants = self._constants
        apart = constants.tolerance_nats * _BITS_PER_NAT
        gained = 0.0
        for part in prefixes:
            rows, length = part.rows, part.length
            (logits,) = blind.answers([text[rows, :length]])
            blindly = target_bits(logits, text[rows, 1 : length + 1], constants.logit_cap)
            lost = blindly - inside.bits[rows, :length]
            whole = likely_bits(logits[:, -1], constants.unlikely_bits) - likely_bits(
                inside.logits[inside.place[rows, length - 1]], constants.unlikely_bits
            )
            if not (np.abs(lost).max() <= apart and np.abs(whole).max() <= apart):
                raise InvalidAnswersError("probe")
            gained += float(np.maximum(lost[:, -1], 0).sum())
        if not gained <= constants.gain_bits * len(inside.logits):
            raise InvalidAnswersError("probe")
