"""Where each key of a TOML text stands: a line finder for messages, not a parser.

`tomllib` gives values without lines. This scanner walks a text that tomllib has already accepted
and notes the line of every key and array element; `community.loading` cites them.
"""

from __future__ import annotations

import re
import tomllib

KeyPath = tuple[str | int, ...]
"""Keys and array indices from the top, for example ``("agents", 0, "role")``."""

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'', re.DOTALL
)
_SCALAR = re.compile(r"[^,\]}\n#]+")


def key_lines(text: str) -> dict[KeyPath, int]:
    """Map every key path of `text`, a valid TOML document, to its line, counted from 1."""
    return _Scanner(text).scan()


def line_of(path: KeyPath, lines: dict[KeyPath, int]) -> int:
    """Return the line of `path`, or of the nearest table around it that stands in the file."""
    for length in range(len(path), 0, -1):
        if (line := lines.get(path[:length])) is not None:
            return line
    return 1


class _Scanner:
    """One pass over one text; `position` is where it stands."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.lines: dict[KeyPath, int] = {}
        self.array_lengths: dict[KeyPath, int] = {}

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self.skip_blank()
        while self.position < len(self.text):
            if self.text[self.position] == "[":
                table = self.header()
            else:
                self.pair(table)
            self.skip_blank()
        return self.lines

    def skip_blank(self) -> None:
        """Pass white space, newlines and comments."""
        if match := _BLANK.match(self.text, self.position):
            self.position = match.end()

    def note(self, path: KeyPath, at: int) -> None:
        """Remember the line of `path` and of its parents unless they have one."""
        line = self.text.count("\n", 0, at) + 1
        for length in range(1, len(path) + 1):
            self.lines.setdefault(path[:length], line)

    def header(self) -> KeyPath:
        """Read ``[table]`` or ``[[array of tables]]`` and return its path."""
        start = self.position
        is_array = self.text.startswith("[[", start)
        self.position += 2 if is_array else 1
        parts = self.key()
        self.position = self.text.index("]", self.position) + (2 if is_array else 1)
        path: KeyPath = ()
        for depth, part in enumerate(parts, start=1):
            path = (*path, part)
            if depth == len(parts) and is_array:
                self.array_lengths[path] = self.array_lengths.get(path, 0) + 1
            if path in self.array_lengths:
                path = (*path, self.array_lengths[path] - 1)
        self.note(path, start)
        return path

    def key(self) -> tuple[str, ...]:
        """Read a bare, quoted or dotted key."""
        parts: list[str] = []
        while True:
            self.skip_blank()
            if match := _BARE_KEY.match(self.text, self.position):
                parts.append(match.group())
            elif match := _STRING.match(self.text, self.position):
                parts.append(str(tomllib.loads(f"k = {match.group()}")["k"]))
            else:
                return tuple(parts)
            self.position = match.end()
            self.skip_blank()
            if not self.text.startswith(".", self.position):
                return tuple(parts)
            self.position += 1

    def pair(self, table: KeyPath) -> None:
        """Read ``key = value`` inside `table`."""
        start = self.position
        path = (*table, *self.key())
        self.note(path, start)
        self.position = self.text.index("=", self.position) + 1
        self.value(path)

    def value(self, path: KeyPath) -> None:
        """Pass one value, noting what stands inside arrays and inline tables."""
        self.skip_blank()
        first = self.text[self.position]
        if first in "[{":
            self.items(path, closing="]" if first == "[" else "}")
        elif match := _STRING.match(self.text, self.position) or _SCALAR.match(
            self.text, self.position
        ):
            self.position = match.end()

    def items(self, path: KeyPath, closing: str) -> None:
        """Pass an array or an inline table."""
        self.position += 1
        index = 0
        self.skip_blank()
        while self.text[self.position] != closing:
            if closing == "}":
                self.pair(path)
            else:
                self.note((*path, index), self.position)
                self.value((*path, index))
            index += 1
            self.skip_blank()
            if self.text[self.position] == ",":
                self.position += 1
                self.skip_blank()
        self.position += 1
