"""A canvas of braille dots: two by four in a cell, one colour a cell, and characters on top.

Braille patterns are in every terminal font that has box drawing; dots are nearly square.
"""

from __future__ import annotations

from rich.text import Text

from community.tui.cells import line_of

_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bit of the dot in (row, column) of a cell."""
_BLANK = 0x2800


class Canvas:
    """Dots and characters.

    Args:
        width: Cells.
        height: Cells.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._dots = [[0] * width for _ in range(height)]
        self._looks = [[("", -1)] * width for _ in range(height)]
        self._letters: dict[tuple[int, int], tuple[str, str]] = {}

    def dot(self, x: int, y: int, style: str, rank: int) -> None:
        """Set the dot at (x, y), counted in dots from the upper left corner.

        Args:
            x: From 0 to twice the width, less 1.
            y: From 0 to four times the height, less 1.
            style: Its colour.
            rank: Where two colours share a cell, the higher one is seen.
        """
        row, column = y // 4, x // 2
        if 0 <= row < self.height and 0 <= column < self.width:
            self._dots[row][column] |= _BITS[y % 4][x % 2]
            if rank >= self._looks[row][column][1]:
                self._looks[row][column] = (style, rank)

    def line(
        self, start: tuple[float, float], end: tuple[float, float], style: str, rank: int
    ) -> None:
        """Draw a straight line between two points, in dots."""
        steps = max(1, round(max(abs(end[0] - start[0]), abs(end[1] - start[1]))))
        for step in range(steps + 1):
            share = step / steps
            x = start[0] + share * (end[0] - start[0])
            y = start[1] + share * (end[1] - start[1])
            self.dot(round(x), round(y), style, rank)

    def write(self, column: int, row: int, words: str, style: str) -> None:
        """Put characters on top of the dots; those outside are lost."""
        for offset, letter in enumerate(words):
            if 0 <= row < self.height and 0 <= column + offset < self.width:
                self._letters[row, column + offset] = (letter, style)

    def is_free(self, column: int, row: int, cells: int) -> bool:
        """Whether that many cells are inside and hold no characters yet."""
        inside = 0 <= row < self.height and column >= 0 and column + cells <= self.width
        return inside and not any((row, column + n) in self._letters for n in range(cells))

    def lines(self) -> list[Text]:
        """Return the picture, a line a row."""
        return [
            line_of(self._cell(row, column) for column in range(self.width))
            for row in range(self.height)
        ]

    def _cell(self, row: int, column: int) -> tuple[str, str]:
        letter = self._letters.get((row, column))
        if letter is not None:
            return letter
        bits = self._dots[row][column]
        return (chr(_BLANK + bits), self._looks[row][column][0]) if bits else (" ", "")
