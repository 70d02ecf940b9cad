"""Fractional factorials: half of the cells, and what then cannot be told from what.

A generator ``"reviews = carries * devices"`` keeps the cells in which the coded level of reviews
(first level -1, second +1) is the product of the others': a regular two-level fraction.

Source:
    Box, G. E. P., Hunter, J. S. & Hunter, W. G. (2005). Statistics for experimenters. 2nd ed.,
    Wiley. Chapter 6: defining relation, resolution, aliases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod


@dataclass(frozen=True, slots=True)
class Generator:
    """One defining word: the product of the coded levels of these factors is `sign`."""

    factors: frozenset[str]
    sign: int


def parse_generator(text: str, levels: Mapping[str, int]) -> Generator:
    """Read ``"c = a * b"`` or ``"c = -a * b"``.

    Args:
        text: The generator.
        levels: Factor -> number of levels.

    Raises:
        ValueError: a factor is unknown, has not two levels, or stands there twice.
    """
    left, equals, right = text.partition("=")
    names = [left.strip(), *(part.strip() for part in right.split("*"))]
    sign = 1
    if names[1:] and names[1].startswith("-"):
        names[1], sign = names[1][1:].strip(), -1
    if not equals or len(names) < 3:
        raise ValueError(f'{text!r} is no generator; write "c = a * b"')
    for name in names:
        if name not in levels:
            raise ValueError(f"{name!r} is no factor; factors: {', '.join(levels)}")
        if levels[name] != 2:
            raise ValueError(f"{name} has {levels[name]} levels; a generator takes two-level ones")
    if len(set(names)) < len(names):
        raise ValueError(f"{text!r} names a factor twice")
    return Generator(frozenset(names), sign)


def is_kept(cell: Mapping[str, int], generators: Sequence[Generator]) -> bool:
    """Whether a cell (factor -> index of its level) belongs to the fraction."""
    return all(
        prod(2 * cell[name] - 1 for name in sorted(word.factors)) == word.sign
        for word in generators
    )


def defining_words(generators: Sequence[Generator]) -> list[frozenset[str]]:
    """Return the whole defining relation: every product of the generators."""
    words: set[frozenset[str]] = set()
    for count in range(1, len(generators) + 1):
        for chosen in combinations(generators, count):
            word: frozenset[str] = frozenset()
            for generator in chosen:
                word ^= generator.factors
            words.add(word)
    return sorted(words, key=lambda word: (len(word), sorted(word)))


def resolution(generators: Sequence[Generator]) -> int | None:
    """Return the length of the shortest defining word; None of a full factorial.

    III: main effects cannot be told from two-factor interactions; IV: these not from one another.
    """
    words = defining_words(generators)
    return min(len(word) for word in words) if words else None


def aliases(generators: Sequence[Generator], most: int = 2) -> list[tuple[str, str]]:
    """Return pairs of effects, of at most so many factors, that cannot be told apart."""
    names = sorted(set().union(*(word.factors for word in generators)) if generators else ())
    effects = [frozenset(c) for k in range(1, most + 1) for c in combinations(names, k)]
    words = set(defining_words(generators))
    return [
        (" * ".join(sorted(one)), " * ".join(sorted(other)))
        for one, other in combinations(effects, 2)
        if one ^ other in words
    ]
