"""Numbers that describe a topology; they are stored with the run for every graph it goes through.

Sources:
    Watts, D. J. & Strogatz, S. H. (1998). Collective dynamics of 'small-world' networks. Nature
    393, 440-442. https://doi.org/10.1038/30918. Path length L and clustering C are theirs.
    Chung, F. R. K. (1997). Spectral Graph Theory. American Mathematical Society. The spectral gap
    is her lambda_1, of the normalised Laplacian.
    Fagiolo, G. (2007). Clustering in complex directed networks. Physical Review E 76, 026107.
    https://doi.org/10.1103/PhysRevE.76.026107. C where edges go one way.
    Gini, C. (1912). Variabilita e mutabilita. Of readers per author, here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measures:
    """Of one graph."""

    density: float
    """Share of all ordered pairs that are edges, 0 to 1."""
    clustering: float
    """Mean share of an agent's neighbours who are neighbours (Watts & Strogatz's C), 0 to 1."""
    path_length: float | None
    """Mean number of edges between two agents (their L); None unless everybody can be reached."""
    spectral_gap: float
    """Second smallest eigenvalue of the normalised Laplacian, directions left out, 0 to 2: 0 where
    the graph is in parts; the larger, the sooner everybody knows what anybody does."""
    degree_inequality: float
    """Gini coefficient of the number of readers per author: 0 where all are heard by as many,
    towards 1 where all hear the same few."""
    is_connected: bool
    """Whether word from anybody can reach everybody, over others if need be."""

    def as_numbers(self) -> dict[str, float | None]:
        """Return them by name as the ledger keeps them; `is_connected` as 1 or 0."""
        named = dataclasses.asdict(self)
        return {name: None if value is None else float(value) for name, value in named.items()}


def measures_of(edges: Mapping[str, Collection[str]]) -> Measures:
    """Measure a graph, author -> readers; a single agent counts as connected, at distance 0.

    All of it in matrices and sets of bits: what networkx counts edge by edge takes a minute for a
    thousand agents who all hear one another, and this a second.
    """
    n = len(edges)
    if n <= 1:
        return Measures(0.0, 0.0, 0.0, 0.0, 0.0, is_connected=True)
    joined = _adjacency(edges)
    steps = _steps(joined)
    return Measures(
        density=int(joined.sum()) / (n * (n - 1)),
        clustering=_clustering(joined),
        path_length=None if steps is None else steps / (n * (n - 1)),
        spectral_gap=_spectral_gap(joined),
        degree_inequality=gini([int(count) for count in joined.sum(axis=1)]),
        is_connected=steps is not None,
    )


def _adjacency(edges: Mapping[str, Collection[str]]) -> Matrix:
    """Return who is heard by whom: 1 where the row's words reach the column."""
    places = {name: place for place, name in enumerate(edges)}
    joined = np.zeros((len(places), len(places)))
    for author, readers in edges.items():
        joined[places[author], [places[reader] for reader in readers]] = 1.0
    return joined


def _clustering(joined: Matrix) -> float:
    """Return the mean over agents; of directed graphs by Fagiolo (2007), which networkx goes by."""
    both = joined + joined.T
    mutual = (joined * joined.T).sum(axis=1)
    degrees = both.sum(axis=1)
    triangles = ((both @ both) * both).sum(axis=1)
    possible = 2 * (degrees * (degrees - 1) - 2 * mutual)
    counts = zip(triangles.tolist(), possible.tolist(), strict=True)
    return sum(closed / most if closed else 0.0 for closed, most in counts) / len(joined)


def _steps(joined: Matrix) -> int | None:
    """Return the sum over all ordered pairs of the edges between them; None unless all are."""
    n = len(joined)
    everybody = (1 << n) - 1
    readers = [_bits(row) for row in joined.astype(bool)]
    total = 0
    for author in range(n):
        known = newest = 1 << author
        distance = 0
        while known != everybody:
            distance += 1
            heard = 0
            for place in _places(newest):
                heard |= readers[place]
                if heard | known == everybody:
                    break
            newest = heard & ~known
            if not newest:
                return None
            known |= newest
            total += distance * newest.bit_count()
    return total


def _bits(row: npt.NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(row, bitorder="little").tobytes(), "little")


def _places(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def _spectral_gap(joined: Matrix) -> float:
    both_ways = np.maximum(joined, joined.T)
    if _parts(both_ways) > 1:
        return 0.0  # exactly; the eigenvalue would be a rounding error
    scale = 1 / np.sqrt(both_ways.sum(axis=1))
    laplacian = np.eye(len(joined)) - scale[:, None] * both_ways * scale
    return float(np.linalg.eigvalsh(laplacian)[1])


def _parts(both_ways: Matrix) -> int:
    return int(connected_components(csr_array(both_ways), directed=False)[0])


def gini(counts: Sequence[float]) -> float:
    """Return the Gini coefficient of `counts`, none below 0; 0 where all are 0."""
    total = sum(counts)
    if not total:
        return 0.0
    n = len(counts)
    ranked = sum(rank * count for rank, count in enumerate(sorted(counts), start=1))
    return 2 * ranked / (n * total) - (n + 1) / n
