"""The families of graphs: who is joined to whom among agents 0..n-1, and what has to fit.

Agents sit in the scenario's order: round a ring, along a line, from a hierarchy's head down. Each
family is drawn as pairs; which way they carry is decided in `drawing`.

Sources:
    Zollman, K. J. S. (2007). The communication structure of epistemic communities. Philosophy of
    Science 74, 574-587. https://doi.org/10.1086/525605. He compares ``complete``, ``ring`` (his
    cycle) and the wheel; ``star`` is a wheel without its rim.
    Watts, D. J. & Strogatz, S. H. (1998). Collective dynamics of 'small-world' networks. Nature
    393, 440-442. https://doi.org/10.1038/30918. ``small_world``: a ring in which everybody has k
    neighbours, each edge rewired with probability p. ``lattice`` is the ring they begin with.
    Barabasi, A.-L. & Albert, R. (1999). Emergence of scaling in random networks. Science 286,
    509-512. ``scale_free``: each newcomer joins m others, in proportion to their degree.
    Erdos, P. & Renyi, A. (1959). On random graphs I. Publicationes Mathematicae 6, 290-297.
    ``erdos_renyi``, in Gilbert's form: every pair with probability p.
    Watts, D. J. (1999). Networks, dynamics, and the small-world phenomenon. American Journal of
    Sociology 105, 493-527. ``caveman``: caves in which all know one another; here the relaxed form
    (Fortunato 2010): each edge leads to somebody else, anywhere, with probability p.

Differs:
    Rewiring may part the graph, as in the original models; `Measures.is_connected` says so.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable
from typing import Final

import networkx as nx

from community.scenario import Family, TopologySection

Pairs = list[tuple[int, int]]
Misfit = tuple[str, str]
"""Key of the section, and why its value does not fit."""

EXAMPLES: Final[dict[str, str]] = {
    "k": "4",
    "p": "0.1",
    "m": "2",
    "size": "4",
    "bridges": "1",
    "branching": "3",
    "columns": "3",
}
NEEDS: Final[dict[Family, tuple[str, ...]]] = {
    "small_world": ("k", "p"),
    "scale_free": ("m",),
    "random_regular": ("k",),
    "erdos_renyi": ("p",),
    "caveman": ("size", "p"),
    "hierarchy": ("branching",),
    "teams": ("size", "bridges"),
}
"""Parameters that a family cannot do without, but for the families with a choice."""
KNOWS: Final[dict[Family, tuple[str, ...]]] = {
    **NEEDS,
    "lattice": ("k", "columns"),
    "edges": ("edges", "file"),
}


def misfits(section: TopologySection, n: int) -> list[Misfit]:
    """Return which parameters the family lacks or make no graph of `n` agents, and why."""
    family = section.family
    lacks = [
        (key, f"{family} needs {key}; write {key} = {EXAMPLES[key]}")
        for key in NEEDS.get(family, ())
        if getattr(section, key) is None
    ]
    if family == "lattice" and (section.k is None) == (section.columns is None):
        text = "lattice needs one of k (round a ring) and columns (a grid); write k = 4"
        lacks.append(("k", text))
    if family == "edges" and section.edges is None:
        lacks.append(("edges", 'edges needs its edges; write file = "graph.graphml"'))
    rule = _RULES.get(family)
    return [*lacks, *(rule(section, n) if rule else ())]


def pairs_of(n: int, section: TopologySection, chance: random.Random) -> Pairs:
    """Return the pairs of the section's family on 0..n-1, each once, `misfits` being empty.

    Pairs of a ring or a lattice go round it, all others lead from the earlier agent to the later.
    """
    pairs = _FAMILIES[section.family](n, section, chance)
    return sorted(set(pairs))


def _even_k(section: TopologySection, n: int) -> Iterable[Misfit]:
    k = section.k
    if k is not None and (k < 2 or k % 2 or k >= n):
        rule = f"give an even k from 2 to {(n - 1) // 2 * 2}" if n > 2 else "it needs at least 3"
        yield "k", f"{section.family}: k = {k} does not fit {n} agents; {rule}"


def _lattice_fits(section: TopologySection, n: int) -> Iterable[Misfit]:
    if section.columns is not None and section.columns > n:
        yield "columns", f"lattice: columns = {section.columns} does not fit {n} agents; give fewer"
    yield from _even_k(section, n)


def _m_fits(section: TopologySection, n: int) -> Iterable[Misfit]:
    if section.m is not None and section.m >= n:
        rule = f"give an m from 1 to {n - 1}" if n > 1 else "it needs at least 2"
        yield "m", f"scale_free: m = {section.m} does not fit {n} agents; {rule}"


def _regular_fits(section: TopologySection, n: int) -> Iterable[Misfit]:
    k = section.k
    if k is not None and (k >= n or n * k % 2):
        fitting = [str(each) for each in range(1, n) if n * each % 2 == 0]
        rule = f"give one of {', '.join(fitting[:12])}" if fitting else "it needs at least 2"
        yield "k", f"random_regular: k = {k} does not fit {n} agents; {rule}"


def _caves_fit(section: TopologySection, n: int) -> Iterable[Misfit]:
    if section.size is not None and (section.size > n or n % section.size):
        fitting = [str(each) for each in range(2, n + 1) if n % each == 0]
        rule = f"give one of {', '.join(fitting)}" if fitting else "it needs at least 2"
        yield "size", f"caveman: caves of {section.size} do not divide {n} agents; {rule}"


def _teams_fit(section: TopologySection, n: int) -> Iterable[Misfit]:
    size, bridges = section.size, section.bridges
    if size is None:
        return
    if size >= n:
        rule = f"give a size from 2 to {n - 1}" if n > 2 else "it needs at least 3"
        yield "size", f"teams: size = {size} makes one team of {n} agents; {rule}"
    elif bridges is not None:
        most = min(len(a) * len(b) for a, b in _neighbours(_chunks(n, size)))
        if bridges > most:
            text = f"teams: {bridges} bridges do not fit between two teams; give at most {most}"
            yield "bridges", text


_RULES: Final[dict[Family, Callable[[TopologySection, int], Iterable[Misfit]]]] = {
    "lattice": _lattice_fits,
    "small_world": _even_k,
    "scale_free": _m_fits,
    "random_regular": _regular_fits,
    "caveman": _caves_fit,
    "teams": _teams_fit,
}


def _upwards(edges: Iterable[tuple[int, int]]) -> Pairs:
    return [(min(a, b), max(a, b)) for a, b in edges]


def _complete(n: int, section: TopologySection, chance: random.Random) -> Pairs:
    return [*itertools.combinations(range(n), 2)]


def _star(n: int, section: TopologySection, chance: random.Random) -> Pairs:
    return _upwards(nx.star_graph(n - 1).edges)


def _line(n: int, section: TopologySection, chance: random.Random) -> Pairs:
    return _upwards(nx.path_graph(n).edges)


def _round(n: int, steps: int) -> Pairs:
    """Join each to the next `steps` round the ring, a pair of two once."""
    return [(i, (i + d) % n) for d in range(1, steps + 1) for i in range(n) if n > 2 or i + d < n]


def _ring(n: int, section: TopologySection, chance: random.Random) -> Pairs:
    return _round(n, 1)


def _lattice(n: int, section: TopologySection, chance: random.Random) -> Pairs:
    if section.columns is None:
        return _round(n, (section.k or 2) // 2)
    columns = section.columns
    grid = nx.grid_2d_graph(-(-n // columns), columns)
    numbered = nx.relabel_nodes(grid, {(row, col): row * columns + col for row, col in grid})
    return _upwards(numbered.subgraph(range(n)).edges)


def _small_world(n: int, section: TopologySection, chance: random.Random) -> Pairs:
    return _upwards(nx.watts_strogatz_graph(n, section.k or 2, section.p or 0.0, seed=chance).edges)


def _scale_free(n: int, section: TopologySection, chance: random.Random) -> Pairs:
    return _upwards(nx.barabasi_albert_graph(n, section.m or 1, seed=chance).edges)


def _random_regular(n: int, section: TopologySection, chance: random.Random) -> Pairs:
    return _upwards(nx.random_regular_graph(section.k or 1, n, seed=chance).edges)


def _erdos_renyi(n: int, section: TopologySection, chance: random.Random) -> Pairs:
    return _upwards(nx.gnp_random_graph(n, section.p or 0.0, seed=chance).edges)


def _caveman(n: int, section: TopologySection, chance: random.Random) -> Pairs:
    size = section.size or n
    drawn = nx.relaxed_caveman_graph(n // size, size, section.p or 0.0, seed=chance)
    return [(a, b) for a, b in _upwards(drawn.edges) if a != b]  # some are rewired to their own end


def _hierarchy(n: int, section: TopologySection, chance: random.Random) -> Pairs:
    return _upwards(nx.full_rary_tree(section.branching or 1, n).edges)


def _teams(n: int, section: TopologySection, chance: random.Random) -> Pairs:
    """Make teams that know one another, and join each to the next by edges drawn by lot."""
    teams = _chunks(n, section.size or n)
    pairs = [pair for team in teams for pair in itertools.combinations(team, 2)]
    for one, other in _neighbours(teams):
        crossing = list(itertools.product(one, other))
        pairs += _upwards(chance.sample(crossing, section.bridges or 1))
    return pairs


def _chunks(n: int, size: int) -> list[range]:
    return [range(start, min(start + size, n)) for start in range(0, n, size)]


def _neighbours(teams: list[range]) -> list[tuple[range, range]]:
    """Return each team with the next one, round a ring; two teams are one pair."""
    following = teams[1:] + teams[:1] if len(teams) > 2 else teams[1:]
    return list(zip(teams, following, strict=False))


def _isolated(n: int, section: TopologySection, chance: random.Random) -> Pairs:
    return []


_FAMILIES: Final[dict[Family, Callable[[int, TopologySection, random.Random], Pairs]]] = {
    "complete": _complete,
    "star": _star,
    "ring": _ring,
    "line": _line,
    "lattice": _lattice,
    "small_world": _small_world,
    "scale_free": _scale_free,
    "random_regular": _random_regular,
    "erdos_renyi": _erdos_renyi,
    "caveman": _caveman,
    "hierarchy": _hierarchy,
    "teams": _teams,
    "isolated": _isolated,
}
