"""From logits to bits: the one formula behind a language model's score.

The scorer normalises, in float64; whatever the candidate calls its outputs, they become
probabilities that sum to one here. Used by `scoring.language_model`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scoring.errors import InvalidAnswersError
from scoring.grader import Logits, Tokens

_BITS_PER_NAT = 1 / math.log(2)


def target_bits(logits: Logits, targets: Tokens, cap: float) -> NDArray[np.float64]:
    """Return -log2 p of every target, in bits.

    With x the logits of one position and m their maximum:
    ``-log2 p = log2(sum(2^((x - m) / ln 2))) - (x_target - m) / ln 2``.

    Args:
        logits: float32, shape (rows, time, vocab).
        targets: uint8, shape (rows, time); the byte that follows each input.
        cap: Largest absolute logit that is accepted.

    Returns:
        float64, shape (rows, time).

    Raises:
        InvalidAnswersError: not_finite or range.
    """
    bits = np.empty(targets.shape, dtype=np.float64)
    for row in range(len(logits)):  # a row in float64 stays in the processor's cache
        answer = logits[row]  # (time, vocab)
        _check(answer, cap)
        scaled = answer.astype(np.float64)
        scaled -= scaled.max(axis=-1, keepdims=True)
        picked = np.take_along_axis(scaled, targets[row, :, None].astype(np.intp), axis=-1)[:, 0]
        np.exp(scaled, out=scaled)
        bits[row] = np.log2(scaled.sum(axis=-1)) - picked * _BITS_PER_NAT
    return bits


def likely_bits(logits: Logits, floor_bits: float) -> NDArray[np.float64]:
    """Return -log2 p of every byte of the vocabulary, those beyond `floor_bits` cut to that.

    Cut, because rounding grows with the distance from the likely bytes, and nothing else is there.

    Args:
        logits: float32, shape (rows, vocab), accepted by `target_bits` before.
        floor_bits: Bits at which two unlikely bytes are alike.

    Returns:
        float64, shape (rows, vocab).
    """
    scaled = logits.astype(np.float64)
    scaled -= scaled.max(axis=-1, keepdims=True)
    total = np.log2(np.exp(scaled).sum(axis=-1, keepdims=True))
    bits: NDArray[np.float64] = np.minimum(total - scaled * _BITS_PER_NAT, floor_bits)
    return bits


def _check(answer: Logits, cap: float) -> None:
    """Refuse NaN, infinities and logits beyond `cap`."""
    high, low = float(answer.max()), float(answer.min())
    if not (math.isfinite(high) and math.isfinite(low)):
        raise InvalidAnswersError("not_finite")
    if high > cap or low < -cap:
        raise InvalidAnswersError("range")
