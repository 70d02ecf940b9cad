"""Which bytes a blind sandbox is asked about: as many as the grader says, where leaks would pay.

Asking about position t of a block means to send the block's first t bytes and nothing more: a true
prefix. What the last byte of it is answered cannot rest on the future; `scoring.language_model`
compares it with the answer inside the whole block. Half of the positions are drawn uniformly: of
every length alike, so that a model which cheats at some length alone is met. Half are drawn in
proportion to the squared surprise of a reference (`scoring.ngram`): whoever looks ahead at few
positions does so where the loss is high. Some rows at the edges come on top.

Prefixes are not padded to the length of the scored blocks. That would cost twice to four times as
much, and hide nothing worth hiding: a length tells a model in which sandbox it is, but it is the
answers of the other one that are compared, and those were all given before the first prefix was
asked, by a process that knew no more than the block. A model that behaves in blocks only is caught
by its honest answers to prefixes, and the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.bool_]
"""Shape (rows, time): which positions of all blocks are meant."""
Surprise = NDArray[np.float64]
"""Shape (rows, time): bits of the byte that follows each position, by the reference."""


@dataclass(frozen=True, slots=True)
class Prefixes:
    """Prefixes that are asked together; no two of one request come from one file."""

    length: int
    """Bytes of each: the 1-based position that is asked about."""
    rows: NDArray[np.intp]
    """Indices of their blocks, in the order they are asked."""


def draw_positions(
    surprise: Surprise,
    count: int,
    edges: Sequence[int],
    edge_rows: int,
    chance: np.random.Generator,
) -> Positions:
    """Draw `count` different positions, half of them by surprise, and `edge_rows` at each edge.

    Args:
        surprise: Of the reference.
        count: How many, without the edges; all there are, if there are no more.
        edges: Lengths that are asked in any case; those beyond the block are left out.
        edge_rows: Rows of each edge.
        chance: The only source of chance.
    """
    rows, longest = surprise.shape
    quotas = _quotas(count, rows, longest, chance)
    # in each column the rows with the lowest of random ranks
    drawn = chance.permuted(np.tile(np.arange(rows)[:, None], (1, longest)), axis=0) < quotas
    _race(drawn, np.square(surprise), min(count, drawn.size) - int(drawn.sum()), chance)
    for edge in edges:
        if edge <= longest:
            column = drawn[:, edge - 1 : edge]
            _race(column, np.ones(column.shape), min(edge_rows, int((~column).sum())), chance)
    return drawn


def deal(
    drawn: Positions, files: NDArray[np.intp], most: int, chance: np.random.Generator
) -> tuple[Prefixes, ...]:
    """Deal positions into requests of at most `most` rows and one length; lengths ascend.

    Args:
        drawn: As `draw_positions` returns them.
        files: Shape (rows,): the file each block comes from.
        most: Rows of the largest request.
        chance: Shuffles the rows.
    """
    requests: list[Prefixes] = []
    for column in range(drawn.shape[1]):
        rows = chance.permutation(np.flatnonzero(drawn[:, column])).astype(np.intp)
        if not len(rows):
            continue
        rows = rows[np.argsort(files[rows], kind="stable")]  # those of one file side by side
        _, of_each = np.unique(files[rows], return_counts=True)
        number = max(int(of_each.max()), -(-len(rows) // most))
        requests.extend(
            Prefixes(column + 1, chance.permutation(rows[start::number])) for start in range(number)
        )
    return tuple(requests)


def detection(leaks: Positions, surprise: Surprise, count: int) -> float:
    """Return the probability that `draw_positions` meets at least one of `leaks`.

    The edges are left out, and the positions drawn by surprise are counted as if they could repeat
    (they cannot, which only helps), so the truth lies a little above: with s leaks among the R rows
    of a column of which u are drawn, and the leaks' share m of all squared surprise,
    ``1 - prod(C(R - s, u) / C(R, u)) (1 - m)^(count / 2)``.

    Args:
        leaks: Where a model gives an answer that rests on the future.
        surprise: Of the reference.
        count: Of the drawing; u is count / 2 / time, between two whole numbers their mixture.
    """
    rows, longest = leaks.shape
    leaky = leaks.sum(axis=0)
    quota = count / 2 / longest
    low = int(quota)
    missed = [_none_of(rows, leaky, u) for u in (low, low + 1)]
    uniformly = missed[0] + (quota - low) * (missed[1] - missed[0])  # per column, over its quota
    weights = np.square(surprise)
    share = float(weights[leaks].sum() / weights.sum())
    return 1.0 - float(np.prod(uniformly)) * (1.0 - share) ** (count - count // 2)


def _quotas(count: int, rows: int, longest: int, chance: np.random.Generator) -> NDArray[np.intp]:
    """Return how many rows of each column are drawn uniformly: as even as can be."""
    each, over = divmod(min(count // 2, rows * longest), longest)
    quotas = np.full(longest, each, dtype=np.intp)
    quotas[chance.permutation(longest)[:over]] += 1
    return quotas


def _race(
    drawn: Positions, weights: NDArray[np.float64], count: int, chance: np.random.Generator
) -> None:
    """Mark `count` more, one after the other in proportion to the weights of those that are left.

    Each runs for a time that is exponential with its weight as rate; the first `count` win
    (Efraimidis & Spirakis 2006, "Weighted random sampling with a reservoir").
    """
    if count <= 0:
        return
    with np.errstate(divide="ignore"):
        times = chance.exponential(size=drawn.shape) / weights  # weight 0 is as good as never
    times[drawn] = np.nan  # sorts behind infinity
    drawn.flat[np.argpartition(times, count - 1, axis=None)[:count]] = True


def _none_of(rows: int, leaky: NDArray[np.intp], drawn: int) -> NDArray[np.float64]:
    """Return, per column, the probability that `drawn` of its rows are all clean."""
    clean = rows - leaky
    missed = np.ones(len(leaky))
    for step in range(min(drawn, rows)):
        missed *= np.maximum(clean - step, 0) / (rows - step)
    return missed
