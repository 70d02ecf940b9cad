"""Networks as arrays for the compiled models: whom each agent can look at.

Families that the community knows are drawn by `community.topology.families`; here are those that
the published models need besides.

Sources:
    Lazer, D. & Friedman, A. (2007). Administrative Science Quarterly 52, 667-694: a ring lattice
    with r links rewired, "a rewire that disconnects is skipped".
    Barkoczi, D. & Galesic, M. (2016). Social learning strategies modify the effect of network
    structure on group performance. Nature Communications 7, 13109.
    https://doi.org/10.1038/ncomms13109. Their lattice is stored directed: each of 100 samples the
    next 19. Their "max-mean-clustering" has clustering .984 and mean distance 3.828; so has
    `ring_of_caves` of 100 in caves of 20 (.98421 and 3.82828, all degrees 19).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, shortest_path

from community.classics.replicates import stream
from community.scenario import TopologySection
from community.topology.families import misfits, pairs_of


@dataclass(frozen=True, slots=True)
class Network:
    """Whom each of n agents can look at."""

    offsets: NDArray[np.int64]
    """(n + 1,): where each agent's part of `contacts` begins; all 0 where `is_complete`."""
    contacts: NDArray[np.int32]
    """Those whom it can look at, ascending, without itself."""
    is_complete: bool = False
    """Everybody sees everybody else; nothing is listed then."""

    @property
    def n(self) -> int:
        """Agents."""
        return len(self.offsets) - 1

    def contacts_of(self, agent: int) -> NDArray[np.int32]:
        """Return those whom `agent` can look at, ascending."""
        if self.is_complete:
            return np.delete(np.arange(self.n, dtype=np.int32), agent)
        return self.contacts[self.offsets[agent] : self.offsets[agent + 1]]

    def least_contacts(self) -> int:
        """Return how many the agent with the fewest can look at."""
        return self.n - 1 if self.is_complete else int(np.diff(self.offsets).min())

    def matrix(self) -> NDArray[np.bool_]:
        """Return (n, n): whether the row's agent can look at the column's."""
        sees = np.zeros((self.n, self.n), dtype=np.bool_)
        for agent in range(self.n):
            sees[agent, self.contacts_of(agent)] = True
        return sees


@dataclass(frozen=True, slots=True)
class Shape:
    """Numbers of a network, its directions left out; see Watts & Strogatz (1998)."""

    clustering: float
    """Mean share of an agent's neighbours who are neighbours."""
    mean_distance: float
    """Mean number of links between two agents; infinite in parts."""
    least_degree: int
    most_degree: int


Drawn = Callable[[np.random.Generator], Network]
"""A network with chance in it, drawn anew for each landscape."""


def from_matrix(sees: NDArray[np.bool_]) -> Network:
    """Return the network in which the row's agent can look at the column's; (n, n)."""
    others = np.array(sees, dtype=np.bool_)
    np.fill_diagonal(others, val=False)
    rows, columns = np.nonzero(others)
    offsets = np.searchsorted(rows, np.arange(len(others) + 1)).astype(np.int64)
    return Network(offsets, columns.astype(np.int32))


def from_links(n: int, links: Iterable[tuple[int, int]], *, is_directed: bool = False) -> Network:
    """Return the network of these links among 0..n-1.

    Args:
        n: Agents.
        links: Pairs; of a directed network the first looks at the second.
        is_directed: Whether looking goes one way only.
    """
    pairs = np.array(sorted(set(links)), dtype=np.int64).reshape(-1, 2)
    if not is_directed:
        pairs = np.concatenate([pairs, pairs[:, ::-1]])
    codes = np.unique(pairs[:, 0] * n + pairs[:, 1])
    rows, columns = codes // n, codes % n
    is_other = rows != columns
    offsets = np.searchsorted(rows[is_other], np.arange(n + 1)).astype(np.int64)
    return Network(offsets, columns[is_other].astype(np.int32))


def complete(n: int) -> Network:
    """Everybody sees everybody else."""
    nobody = np.zeros(n + 1, dtype=np.int64)
    return Network(nobody, np.zeros(0, dtype=np.int32), is_complete=True)


def isolated(n: int) -> Network:
    """Nobody sees anybody."""
    return from_links(n, ())


def line(n: int) -> Network:
    """Each sees the one before and the one after."""
    return family(n, TopologySection(family="line"))


def star(n: int) -> Network:
    """The first sees all, all others the first."""
    return family(n, TopologySection(family="star"))


def ring_lattice(n: int, k: int = 4) -> Network:
    """Each sees the `k` nearest round a ring, k even: 4 is Lazer & Friedman's lattice."""
    return family(n, TopologySection(family="lattice", k=k))


def directed_lattice(n: int, ahead: int = 19) -> Network:
    """Each looks at the next `ahead` round a ring, and is looked at by those before it."""
    if not 0 < ahead < n:
        raise ValueError(f"the next {ahead} of {n} agents; give 1 to {n - 1}")
    links = [(i, (i + step) % n) for i in range(n) for step in range(1, ahead + 1)]
    return from_links(n, links, is_directed=True)


def ring_of_caves(n: int, size: int) -> Network:
    """Caves in which all know one another, joined round a ring so that all have `size` - 1 links.

    In each cave one link is taken away, between its first and its second; the first is linked to
    the second of the next cave instead (Watts 1999, here with equal degrees).

    Raises:
        ValueError: fewer than three caves, or caves that do not divide the agents.
    """
    if size < 3 or n % size or n // size < 3:
        raise ValueError(f"{n} agents are not three or more caves of {size}, 3 or larger")
    links = {
        (cave + one, cave + other)
        for cave in range(0, n, size)
        for one in range(size)
        for other in range(one + 1, size)
    }
    for cave in range(0, n, size):
        links.remove((cave, cave + 1))
        links.add((cave, (cave + size) % n + 1))
    return from_links(n, links)


def family(n: int, section: TopologySection, rng: np.random.Generator | None = None) -> Network:
    """Return a network of a family of the community's own, such as ``caveman``.

    Args:
        n: Agents.
        section: Family and parameters, as in a scenario.
        rng: Where chance comes from in families that have any.

    Raises:
        ValueError: the section does not fit n agents.
    """
    lacks = misfits(section, n)
    if lacks:
        raise ValueError(lacks[0][1])
    if section.family == "complete":
        return complete(n)
    seed = 0 if rng is None else int(rng.integers(2**63))
    return from_links(n, pairs_of(n, section, random.Random(seed)))  # noqa: S311 - a simulation


def erdos_renyi(n: int, p: float) -> Drawn:
    """Every pair is linked with probability `p`."""
    section = TopologySection(family="erdos_renyi", p=p)
    return partial(family, n, section)


def small_world(n: int, k: int, p: float) -> Drawn:
    """A ring lattice in which each link is rewired with probability `p` (Watts & Strogatz)."""
    section = TopologySection(family="small_world", k=k, p=p)
    return partial(family, n, section)


def caveman(n: int, size: int, p: float) -> Drawn:
    """Caves of `size` in which each link leads anywhere with probability `p`."""
    section = TopologySection(family="caveman", size=size, p=p)
    return partial(family, n, section)


def rewired_lattice(n: int, k: int, rewired: int) -> Drawn:
    """A ring lattice of which `rewired` links lead elsewhere (Lazer & Friedman 2007).

    The links are distinct; one end of each is moved to an agent to whom the other end is not
    linked. A move that would part the network is skipped and does not count as one of them.

    Raises:
        ValueError: more links than there are.
    """
    if not 0 <= rewired <= n * k // 2:
        raise ValueError(f"{rewired} links to rewire; the lattice has {n * k // 2}")
    return partial(_rewired, ring_lattice(n, k), rewired)


def _rewired(lattice: Network, rewired: int, rng: np.random.Generator) -> Network:
    sees = lattice.matrix()
    links = rng.permutation(np.argwhere(np.triu(sees)))
    done = 0
    for one, other in links:
        if done == rewired:
            break
        strangers = np.flatnonzero(~sees[one])
        strangers = strangers[strangers != one]
        if not len(strangers):
            continue
        moved = sees.copy()
        moved[one, other] = moved[other, one] = False
        to = strangers[rng.integers(len(strangers))]
        moved[one, to] = moved[to, one] = True
        if connected_components(csr_array(moved), directed=False)[0] == 1:
            sees, done = moved, done + 1
    return from_matrix(sees)


def for_landscape(given: Network | Drawn, seed: int, index: int, name: str) -> Network:
    """Return the network called `name` on one landscape of a simulation, drawn if need be."""
    if isinstance(given, Network):
        return given
    return given(stream(seed, index, f"network {name}"))


def shape_of(network: Network) -> Shape:
    """Measure a network."""
    sees = network.matrix()
    both_ways = sees | sees.T
    n = network.n
    degrees = both_ways.sum(axis=1)
    as_numbers = both_ways.astype(np.float64)
    closed = np.einsum("ij,ji->i", as_numbers @ as_numbers, as_numbers)
    possible = np.maximum(degrees * (degrees - 1), 1)
    distances = shortest_path(csr_array(both_ways), unweighted=True, directed=False)
    return Shape(
        clustering=float(np.mean(closed / possible)),
        mean_distance=float(distances.sum() / max(n * (n - 1), 1)),
        least_degree=int(degrees.min()),
        most_degree=int(degrees.max()),
    )
