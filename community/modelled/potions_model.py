"""The potions task as a modelled task: a list of brews, each of three things that are there.

A brew of three things that make a remedy puts it on the shelf for the brews after it; any other
does nothing. The score is the worth of the best remedy, as a share of the best there is. What one
researcher found on one way and another on the other can be put into one list: that is what the last
remedy takes.
"""

from __future__ import annotations

from community.landscapes.potions import BREW, DEREX_BOYD
from community.modelled.chance import uniform
from community.modelled.circumstances import Circumstances
from community.modelled.constants_text import constants_text, read_constants
from community.modelled.model import Modelled, Tree
from community.modelled.parameters import PotionsSection
from forum.messages import KnobValue

PATH = "potion.py"
"""The one file of the tree."""
_BOOK = DEREX_BOYD
_MOST = max(_BOOK.worth.values())


class PotionsModel:
    """The model; see `community.modelled.model.Model`.

    Args:
        section: Its parameters.
        seed: Decides which lists do not run; the recipes are the same everywhere.
    """

    def __init__(self, section: PotionsSection, seed: int) -> None:
        self._section = section
        self._seed = seed
        self._names = tuple(
            f"BREW_{brew}_{'ABC'[part]}"
            for brew in range(1, section.brews + 1)
            for part in range(BREW)
        )
        self._circumstances = Circumstances(section, 1.0)

    def start(self) -> Tree:
        """Return a list whose first brew is the first remedy of one way, and whose others are too.

        So that something is there to be better than.
        """
        first = _BOOK.items[:BREW]
        values: dict[str, KnobValue] = {
            name: first[at % BREW] for at, name in enumerate(self._names)
        }
        return {PATH: constants_text("What is brewed, one after the other.", values).encode()}

    def knobs_toml(self) -> str:
        """Return one knob for each thing that goes into a brew."""
        items = ", ".join(f'"{item}"' for item in _BOOK.items)
        told = f'kind = "choice"\nchoices = [{items}]\n'
        return "\n".join(f"[{name}]\n{told}" for name in self._names)

    def run(self, files: Tree, *, seed: int, split: str, device: str) -> Modelled:
        """Return what running `files` comes to."""
        return self._circumstances.modelled(self.truth(files), seed, split, device)

    def truth(self, files: Tree) -> float | None:
        """Return the share of the best remedy's worth; None where the list cannot be followed."""
        read = read_constants(files.get(PATH, b""), self._names)
        if read is None or any(value not in _BOOK.worth for value in read):
            return None
        shelf = set(_BOOK.items[: _BOOK.start])
        for at in range(0, len(read), BREW):
            taken = {str(value) for value in read[at : at + BREW]}
            made = _BOOK.brewed(taken) if taken <= shelf else None
            if made is not None:
                shelf.add(made)
        return None if self._crashes(read) else _BOOK.score(shelf) / _MOST

    def best(self) -> float | None:
        """Return 1 where the list is long enough for the last remedy, else None."""
        needed = len(_BOOK.recipes) - len(_BOOK.last) + 1
        return 1.0 if self._section.brews >= needed else None

    def _crashes(self, read: tuple[KnobValue, ...]) -> bool:
        first = _BOOK.items[:BREW]
        if self._section.crash == 0.0 or read == first * self._section.brews:
            return False
        return uniform(f"crash/{self._seed}", " ".join(map(str, read))) < self._section.crash
