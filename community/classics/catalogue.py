"""The classic models by name, in the order of the table that `community classic` prints."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Final, Protocol, cast

from community.classics.case import Case


class Cases(Protocol):
    """What every model's module offers."""

    def __call__(self, size: float = 1.0, seed: int = 0, jobs: int = 1) -> list[Case]:
        """Run the model's comparisons with `size` times the stated number of replicates."""
        ...


@dataclass(frozen=True, slots=True)
class Classic:
    """One model of the catalogue.

    Attributes:
        name: What it is called on the command line, and its module in this package.
        models: Its reference cases' models, ``M1`` to ``M9``.
        paper: Who, and when.
        about: What it asks, in a few words.
        core_s: Seconds on one core at the stated size, on the machine that wrote the table; only
            the forecast of what is left goes by it.
    """

    name: str
    models: tuple[str, ...]
    paper: str
    about: str
    core_s: float

    def cases(self, size: float = 1.0, seed: int = 0, jobs: int = 1) -> list[Case]:
        """Import the model and run its comparisons; see `Cases`."""
        module = importlib.import_module(f"community.classics.{self.name}")
        return cast(Cases, module.cases)(size=size, seed=seed, jobs=jobs)


CLASSICS: Final[tuple[Classic, ...]] = (
    Classic("oracles", ("M1",), "exact results", "NK landscapes against their mathematics", 44),
    Classic("lazer_friedman", ("M2",), "Lazer & Friedman 2007", "copying on rugged landscapes", 32),
    Classic("zollman", ("M3",), "Zollman 2007", "fewer links, more often right", 24),
    Classic(
        "rosenstock", ("M4",), "Rosenstock et al. 2017", "where that effect lives and ends", 23
    ),
    Classic(
        "barkoczi_galesic", ("M5",), "Barkoczi & Galesic 2016", "strategy flips the network", 26
    ),
    Classic("march", ("M6",), "March 1991", "slow learners make a wiser organisation", 105),
    Classic("hong_page", ("M7",), "Hong & Page 2004", "random teams against the best", 93),
    Classic("fang", ("M8",), "Fang, Lee & Schilling 2010", "semi-isolated subgroups", 10),
    Classic("potions", ("M9",), "Derex & Boyd 2016", "recombination in cliques", 1),
)


def find(name: str) -> Classic:
    """Return the model of this name, or of this number (``M3``).

    Raises:
        KeyError: There is none.
    """
    for classic in CLASSICS:
        if name == classic.name or name.upper() in classic.models:
            return classic
    raise KeyError(name)
