"""Which held-out bytes a run asks: blocks drawn over all files, dealt into requests.

Pure functions of the texts and a generator; the generator is seeded from the run's secret, so that
nobody who does not hold it can tell which bytes count. Used by `scoring.language_model`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.errors import CorpusTooSmallError
from scoring.grader import Tokens


@dataclass(frozen=True, slots=True)
class Request:
    """Blocks that are asked together; no two of one request come from one file."""

    blocks: Tokens
    """Shape (rows, block): inputs and, shifted by one, targets."""
    files: NDArray[np.intp]
    """Shape (rows,): index of the file each row was cut from."""


def generator(run_secret: bytes, purpose: str) -> np.random.Generator:
    """Return the generator of `purpose`, by HMAC-SHA256 of the run's secret."""
    key = hmac.new(run_secret, purpose.encode(), hashlib.sha256).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(key, "big")))


def draw(
    texts: Sequence[bytes | Tokens], count: int, block: int, rows: int, chance: np.random.Generator
) -> tuple[Request, ...]:
    """Draw `count` disjoint blocks over all `texts` and deal them into requests of about `rows`.

    Every text of at least `block` bytes gives one block if there are enough to go round; the others
    are drawn from what is left, so a text's share follows its length up to one block per request.

    Args:
        texts: One per file.
        count: Blocks to draw.
        block: Bytes, or tokens, of a block.
        rows: Most blocks of one request.
        chance: The only source of chance.

    Raises:
        CorpusTooSmallError: the texts do not hold that many blocks under the cap.
    """
    requests = -(-count // rows)
    cells = _cells(texts, block, chance)
    files = np.array([file for file, _ in cells], dtype=np.intp)
    chosen = _choose(files, count, requests, chance)
    if len(chosen) < count:
        size = len(chosen) * block
        raise CorpusTooSmallError("usable", size, count * block, f"a split of {len(texts)} files")
    rank = chance.permutation(len(texts))  # files in random order, blocks of one side by side
    chosen = chosen[np.argsort(rank[files[chosen]], kind="stable")]
    dealt = [chosen[start::requests] for start in range(requests)]
    return tuple(
        _cut(texts, cells, files, chance.permutation(dealt[index]), block)
        for index in chance.permutation(requests)
    )


def _cells(
    texts: Sequence[bytes | Tokens], block: int, chance: np.random.Generator
) -> list[tuple[int, int]]:
    """Return (file, offset) of side-by-side blocks, each file from a random phase."""
    cells: list[tuple[int, int]] = []
    for file, text in enumerate(texts):
        phase = int(chance.integers(0, len(text) % block + 1))
        cells.extend((file, phase + block * index) for index in range(len(text) // block))
    return cells


def _choose(
    files: NDArray[np.intp], count: int, cap: int, chance: np.random.Generator
) -> NDArray[np.intp]:
    """Return up to `count` cells: one of every file first, then any, at most `cap` of a file."""
    order = chance.permutation(len(files)).astype(np.intp)
    _, first = np.unique(files[order], return_index=True)
    is_first = np.zeros(len(order), dtype=bool)
    is_first[first] = True
    taken = dict.fromkeys(range(int(files.max(initial=-1)) + 1), 0)
    chosen: list[int] = []
    for cell in (*order[is_first], *order[~is_first]):
        file = int(files[cell])
        if len(chosen) < count and taken[file] < cap:
            taken[file] += 1
            chosen.append(int(cell))
    return np.array(chosen, dtype=np.intp)


def _cut(
    texts: Sequence[bytes | Tokens],
    cells: Sequence[tuple[int, int]],
    files: NDArray[np.intp],
    chosen: NDArray[np.intp],
    block: int,
) -> Request:
    """Cut the chosen cells out of their texts."""
    rows = [texts[cells[i][0]][cells[i][1] : cells[i][1] + block] for i in chosen]
    blocks = [np.frombuffer(row, np.uint8) if isinstance(row, bytes) else row for row in rows]
    return Request(blocks=np.stack(blocks), files=files[chosen])
