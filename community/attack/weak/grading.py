"""Weak graders: what a task's grade.py is made to use while a block of the scorer is off.

Each function runs in the scorer's worker of one lab, a process of its own, and changes that process
alone; the production worker never imports this.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

import scoring.language_model
import scoring.worker
from scoring.answering import HEADER
from scoring.errors import InvalidAnswersError
from scoring.grader import Logits, Tokens
from scoring.language_model import ByteLanguageModel
from scoring.pipe_answerer import PipeAnswerer

_BITS_PER_NAT = 1 / math.log(2)


def unprobed(grader: ByteLanguageModel) -> ByteLanguageModel:
    """Return `grader` with blind prefixes asked, and never compared."""
    return replace(grader, tolerance_nats=math.inf, gain_bits=math.inf)


def unnormalised(grader: ByteLanguageModel) -> ByteLanguageModel:
    """Return `grader`, taking answers for the log-probabilities that they are said to be."""
    vars(scoring.language_model)["target_bits"] = _said_bits
    return grader


def lenient(grader: ByteLanguageModel) -> ByteLanguageModel:
    """Return `grader`, leaving out of the mean what was not answered, or not with a number."""
    vars(scoring.language_model)["target_bits"] = _counted_bits
    vars(scoring.language_model)["likely_bits"] = _no_bits
    vars(scoring.worker)["PipeAnswerer"] = _PatientAnswerer
    return grader


def _picked(logits: Logits, targets: Tokens) -> NDArray[np.float64]:
    index = targets[..., None].astype(np.intp)
    said = np.take_along_axis(logits, index, axis=-1)
    return np.array(said[..., 0], dtype=np.float64)


def _said_bits(logits: Logits, targets: Tokens, cap: float) -> NDArray[np.float64]:
    """What the answer says of the target, in bits, whatever it says of the others."""
    return np.multiply(_picked(logits, targets), -_BITS_PER_NAT)


def _counted_bits(logits: Logits, targets: Tokens, cap: float) -> NDArray[np.float64]:
    """Bits in float32, with nothing counted where there is no number."""
    with np.errstate(all="ignore"):
        norm = np.log(np.exp(logits).sum(axis=-1))
        bits: NDArray[np.float64] = (norm - _picked(logits, targets)) * _BITS_PER_NAT
    bits[~np.isfinite(bits)] = 0.0
    return bits


def _no_bits(logits: Logits, unlikely: float) -> NDArray[np.float64]:
    """Whole distributions are not compared where there may be none."""
    return np.zeros(logits.shape, dtype=np.float64)


class _PatientAnswerer(PipeAnswerer):
    """An answerer that makes do with what comes, and puts NaN where nothing does."""

    is_over = False

    def answers(self, requests: Iterable[Tokens]) -> Iterator[Logits]:
        """Ask one by one, until something is wrong."""
        for tokens in requests:
            try:
                if self.is_over:
                    raise InvalidAnswersError("short")
                yield from super().answers([tokens])
            except InvalidAnswersError:
                self.is_over = True
                yield np.full((*tokens.shape, self._vocab), np.nan, dtype=np.float32)

    def _expect(self, shape: tuple[int, int]) -> None:
        """Look for the header, whatever comes before it."""
        header, seen = HEADER.pack(*shape), bytearray()
        while seen[-HEADER.size :] != header:
            one = bytearray(1)
            self._fill(memoryview(one))
            seen += one

    def finish(self) -> None:
        """End the conversation, with a blind eye to what comes beside it."""
        try:
            super().finish()
            return
        except InvalidAnswersError:
            pass
        with suppress(InvalidAnswersError):
            while True:
                self._fill(memoryview(bytearray(1 << 16)))
