"""A tree's gain over its parent from the runs of both: blocked by slot, within device classes.

Scores of two classes or of two slots are never set against each other. What gains of many trees
mean together is `scoring.evidence.standing`.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from scoring.evidence.effects import Combined, Effect, combine
from scoring.evidence.sequential import gain_over
from scoring.evidence.variance import Prior, moderated
from scoring.verdict import Direction

LEAST = 1e-9
"""A mean is not known better than to this part of it, however alike its runs are."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One valid run of a tree."""

    score: float
    device_class: str
    slot: str


def gain_of(
    child: Sequence[Measured],
    parent: Sequence[Measured],
    prior: Prior,
    direction: Direction,
    *,
    is_child_fixed: bool = False,
    is_parent_fixed: bool = False,
) -> Combined | None:
    """Return the child's gain over its parent, or None where no slot ran both.

    Within a device class the slots are blocks: ``sum(w_j (mean parent_j - mean child_j))`` with
    ``w_j`` in proportion to ``n_j m_j / (n_j + m_j)``, which is least squares with an effect of
    each slot (Montgomery, Design and Analysis of Experiments, section 4.1). Its variance is
    ``s^2 (sum w_j^2/n_j + sum w_j^2/m_j)``, s moderated (`scoring.evidence.variance`). Classes are
    combined by `scoring.evidence.effects.combine`.

    Args:
        child: Its runs, in any order.
        parent: Its parent's.
        prior: Of the spread between seeds.
        direction: Whether lower or higher scores are better.
        is_child_fixed: Whether the child ends in the same bytes under any seed; its runs count as
            one.
        is_parent_fixed: The same of the parent.
    """
    blocks = _blocks(child), _blocks(parent)
    shared: dict[str, list[str]] = defaultdict(list)
    for device_class, slot in blocks[0]:
        if (device_class, slot) in blocks[1]:
            shared[device_class].append(slot)
    effects = [
        _effect(
            device_class,
            [blocks[0][device_class, slot] for slot in slots],
            [blocks[1][device_class, slot] for slot in slots],
            prior,
            direction,
            (is_child_fixed, is_parent_fixed),
        )
        for device_class, slots in sorted(shared.items())
    ]
    return combine(effects) if effects else None


def _blocks(runs: Sequence[Measured]) -> dict[tuple[str, str], list[float]]:
    blocks: dict[tuple[str, str], list[float]] = defaultdict(list)
    for run in runs:
        blocks[run.device_class, run.slot].append(run.score)
    return dict(blocks)


def _effect(
    device_class: str,
    child: list[list[float]],
    parent: list[list[float]],
    prior: Prior,
    direction: Direction,
    are_fixed: tuple[bool, bool],
) -> Effect:
    """Return the gain within one class; the lists have one entry for each slot, in the same order.

    A side whose runs do not depend on the seed adds nothing to the spread and s^2 once.
    """
    raw = [len(c) * len(p) / (len(c) + len(p)) for c, p in zip(child, parent, strict=True)]
    weights = [w / math.fsum(raw) for w in raw]
    gains = [
        gain_over(statistics.fmean(c), statistics.fmean(p), direction)
        for c, p in zip(child, parent, strict=True)
    ]
    sides = list(zip((child, parent), are_fixed, strict=True))
    spread = moderated([group for side, is_fixed in sides if not is_fixed for group in side], prior)
    inverse_n = math.fsum(
        1.0 if is_fixed else math.fsum(w * w / len(g) for w, g in zip(weights, side, strict=True))
        for side, is_fixed in sides
    )
    size = max(abs(score) for side in (child, parent) for group in side for score in group)
    least = (LEAST * size) ** 2 or LEAST**2
    return Effect(
        device_class,
        math.fsum(w * gain for w, gain in zip(weights, gains, strict=True)),
        max(spread.s**2 * inverse_n, least),
        spread.df,
    )
