"""What a task's grader is: it splits data, and turns a candidate's answers into one number.

A task's ``locked/grade.py`` exports ``prepare(source, heldout)`` (a `Prepare`) and ``GRADER`` (a
`Grader`). Both run in the scorer's worker process only. A grader never sees descriptors, processes
or deadlines: it asks through an `Answerer`. Implementations: `scoring.language_model` (bits per
byte) and `scoring.classification` (accuracy).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from scoring.verdict import Split

Tokens = NDArray[np.unsignedinteger[Any]]
"""uint8 where a token is a byte, uint16 where there are more than 256 of them."""
Logits = NDArray[np.float32]
AnswerForm = Literal["tokens", "rows"]
"""What gets an answer: each token of what is asked, or each row as a whole."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a task's data was split into; facts only, no text."""

    hash: str
    """SHA-256 over (split, relative path, SHA-256 of the file), sorted; scores compare only under
    one hash."""
    train_bytes: int
    dev_bytes: int
    vault_bytes: int
    seal_bytes: int
    hidden: tuple[str, ...]
    """Paths below the source folder that no sandbox may show."""


Heldout = Mapping[str, Mapping[str, bytes]]
"""Held-out text: split, then path below the source, then content."""


@dataclass(frozen=True, slots=True)
class Division:
    """A task's data, divided. It stays in memory: text in a file would outlive a killed worker."""

    corpus: Corpus
    train: bytes
    """Public: the content of ``train.bin``, two bytes a token where there are more than 256."""
    heldout: Heldout
    """Private to the worker."""
    token_bytes: NDArray[np.uint16] | None = None
    """Shape (vocab,): how many bytes of text each token stands for; None where it is a byte."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A grader's number for one artefact on one split."""

    value: float
    positions: int
    """How many held-out targets were scored."""
    probes: int
    """How many blind answers were compared."""
    measures: Mapping[str, float] = field(default_factory=dict)
    """Whatever else is bounded or worth knowing, by name; the metric among it. Most graders have
    nothing to add."""


class Answerer(Protocol):
    """One answering sandbox, as a grader sees it."""

    def answers(self, requests: Iterable[Tokens]) -> Iterator[Logits]:
        """Ask each block of `requests` in order and yield the logits for it.

        Args:
            requests: uint8 or uint16, shape (rows, time) each.

        Yields:
            float32, shape (rows, time, vocab), or (rows, vocab) where rows get answers; valid
            until the next one is taken.

        Raises:
            InvalidAnswersError: short, late or protocol.
        """
        ...


class Examination(Protocol):
    """Held-out data, read and drawn from, ready for any number of scores at the same time."""

    def examine(
        self, split: Split, blocks: Answerer, blind: Answerer, chance: np.random.Generator
    ) -> Measured:
        """Score one artefact on `split`.

        Args:
            split: Which held-out split.
            blocks: The sandbox that answers what is scored.
            blind: A second sandbox with the same artefact that never sees those blocks.
            chance: Where probes are drawn from; not the source of the scored blocks.

        Raises:
            InvalidAnswersError: the answers are refused.
        """
        ...


class Grader(Protocol):
    """The constants of a way to grade; its repr enters the lock."""

    @property
    def vocab(self) -> int:
        """How many logits one answer has."""
        ...

    @property
    def answers(self) -> AnswerForm:
        """What gets an answer."""
        ...

    def asked(self, split: Split) -> int:
        """Return about how many tokens a score on `split` sends, known before any is drawn."""
        ...

    def open(self, division: Division, run_secret: bytes) -> Examination:
        """Draw from the held-out splits what this run asks; the training text may help to choose.

        Raises:
            CorpusError: a split cannot be used.
        """
        ...


class Prepare(Protocol):
    """Divides a source into what is public and what is held out; writes nothing.

    One that takes `source` alone cannot use private text.
    """

    def __call__(self, source: Path, heldout: Path | None = None) -> Division:
        """Read and divide.

        Args:
            source: Where the task's own text lies.
            heldout: A user's private text, to be asked instead of the task's own.

        Raises:
            CorpusError: the source does not suffice.
        """
        ...
