"""The potions task: ingredients are brewed three at a time, along two ways that meet at the end.

Two chains of remedies, a and b, start from three ingredients each. A link of one chain needs things
of both, the last link the third of each chain; so a group has to explore both ways before anybody
can finish.

Sources:
    Derex, M. & Boyd, R. (2016). Partial connectivity increases cultural accumulation within groups.
    PNAS 113, 2982-2987. https://doi.org/10.1073/pnas.1518798113. The task, for people.
    Moser, C. & Smaldino, P. E. (2023). Innovation-facilitating networks create inequality. Proc. R.
    Soc. B 290, 20232281. https://doi.org/10.1098/rspb.2023.2281. Items, worths and recipes as in
    their code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

BREW: Final = 3
"""Items that go into a brew."""


@dataclass(frozen=True)
class Book:
    """Which items there are, what they are worth, and what comes of which three.

    Attributes:
        worth: Each item's worth, ingredients first. An item is drawn in proportion to it.
        recipes: What comes of three different items.
        start: How many of the items everybody begins with, the first ones.
        last: The items that end the task.
    """

    worth: Mapping[str, float]
    recipes: Mapping[str, frozenset[str]]
    start: int
    last: frozenset[str]

    def __post_init__(self) -> None:
        known = set(self.worth)
        named = set(self.recipes) | self.last | {i for r in self.recipes.values() for i in r}
        if unknown := sorted(named - known):
            raise ValueError(f"items without a worth: {', '.join(unknown)}")
        if any(len(recipe) != BREW for recipe in self.recipes.values()):
            raise ValueError(f"a recipe has {BREW} different items")
        if not BREW <= self.start <= len(self.worth) or len(self.worth) > 62:
            raise ValueError(f"between {BREW} and all items are there from the start; 62 at most")
        if min(self.worth.values()) <= 0:
            raise ValueError("a worth is above 0: items are drawn in proportion to it")

    @property
    def items(self) -> tuple[str, ...]:
        """All items, in their order; bit i of a mask is item i."""
        return tuple(self.worth)

    def mask(self, items: Iterable[str]) -> int:
        """Return a set of items as a mask."""
        places = {item: i for i, item in enumerate(self.worth)}
        return sum(1 << places[item] for item in set(items))

    def brewed(self, items: Iterable[str]) -> str | None:
        """Return what comes of these items, None if nothing does."""
        held = frozenset(items)
        return next((made for made, recipe in self.recipes.items() if recipe == held), None)

    def score(self, items: Iterable[str]) -> float:
        """Return the worth of the best thing brewed among `items`, 0 while there is none."""
        return max((self.worth[item] for item in items if item in self.recipes), default=0.0)

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, int]:
        """Return what loops want of the book.

        Returns:
            Worths (items,), recipes' masks (recipes,), the item each gives (recipes,), the mask of
            what everybody begins with, and the mask of the last items.
        """
        places = {item: i for i, item in enumerate(self.worth)}
        return (
            np.array(list(self.worth.values()), dtype=np.float64),
            np.array([self.mask(recipe) for recipe in self.recipes.values()], dtype=np.int64),
            np.array([places[made] for made in self.recipes], dtype=np.int64),
            (1 << self.start) - 1,
            self.mask(self.last),
        )


def _recipes(text: str) -> dict[str, frozenset[str]]:
    pairs = (line.split("=") for line in text.strip().splitlines())
    return {made.strip(): frozenset(items.split()) for made, items in pairs}


DEREX_BOYD: Final = Book(
    worth={
        **{"a1": 6, "a2": 8, "a3": 10, "b1": 6, "b2": 8, "b3": 10},
        **{"1a": 48, "1b": 48, "2a": 109, "2b": 109, "3a": 188, "3b": 188, "4a": 358, "4b": 358},
    },
    recipes=_recipes(
        """
        1a = a1 a2 a3
        1b = b1 b2 b3
        2a = 1a a1 b2
        2b = 1b a2 a3
        3a = 2a b2 a3
        3b = 2b b1 a2
        4a = 3a 3b 2a
        4b = 3b 3a 2b
        """
    ),
    start=6,
    last=frozenset({"4a", "4b"}),
)
"""The published book of recipes."""
