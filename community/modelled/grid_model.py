"""Mason and Watts's landscape as a modelled task: two numbers, and one peak among hills."""

from __future__ import annotations

import numpy as np

from community.landscapes.mason_watts import MasonWatts
from community.modelled.chance import uniform
from community.modelled.circumstances import Circumstances
from community.modelled.constants_text import constants_text, read_constants
from community.modelled.model import Modelled, Tree
from community.modelled.nk_model import landscape_rng
from community.modelled.parameters import MasonWattsSection

PATH = "place.py"
"""The one file of the tree."""
NAMES = ("X", "Y")
_HIGHEST = 100.0
"""Of every landscape; scores are shares of it."""


class GridModel:
    """The model; see `community.modelled.model.Model`.

    Args:
        section: Its parameters.
        seed: The landscape's.
    """

    def __init__(self, section: MasonWattsSection, seed: int) -> None:
        self._section = section
        self._seed = seed
        self.landscape = MasonWatts.draw(section.side, landscape_rng(seed))
        self._start = section.side // 2
        self._circumstances = Circumstances(section, 1.0)

    def start(self) -> Tree:
        """Return the tree of the place in the middle."""
        values = dict.fromkeys(NAMES, self._start)
        return {PATH: constants_text("A place on the map.", values).encode()}

    def knobs_toml(self) -> str:
        """Return one knob for each way."""
        last = self._section.side - 1
        return "\n".join(f'[{name}]\nkind = "int"\nlow = 0\nhigh = {last}\n' for name in NAMES)

    def run(self, files: Tree, *, seed: int, split: str, device: str) -> Modelled:
        """Return what running `files` comes to."""
        return self._circumstances.modelled(self.truth(files), seed, split, device)

    def truth(self, files: Tree) -> float | None:
        """Return how high the place is, as a share of the peak; None where it does not run."""
        read = read_constants(files.get(PATH, b""), NAMES)
        if read is None or any(type(value) is not int for value in read):
            return None
        x, y = (int(value) for value in read)
        if not (0 <= x < self._section.side and 0 <= y < self._section.side):
            return None
        return None if self._crashes(x, y) else float(self.landscape.values[x, y]) / _HIGHEST

    def best(self) -> float | None:
        """Return the highest place that runs."""
        order = np.argsort(self.landscape.values, axis=None, kind="stable")[::-1]
        for at in order:
            x, y = (int(part) for part in np.unravel_index(at, self.landscape.values.shape))
            if not self._crashes(x, y):
                return float(self.landscape.values[x, y]) / _HIGHEST
        return None

    def _crashes(self, x: int, y: int) -> bool:
        if self._section.crash == 0.0 or x == y == self._start:
            return False
        return uniform(f"crash/{self._seed}", f"{x}/{y}") < self._section.crash
