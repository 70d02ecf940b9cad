"""The final block of a script's output: the one number it reports, and what it says beside it.

autoresearch's form is a line of three dashes, then ``key: value`` lines, ``val_bpb`` the first. The
output is anybody's: it is read as it comes, line by line, in bounded memory, and a number counts
only if it is plain and finite. What it says is the candidate's word and nothing else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Reports = Literal["once", "last"]
"""once: the number is printed once, or always the same; last: the last one that is printed counts,
for scripts that report as they go."""

LINE_BYTES: Final = 512
"""Of a line so much is looked at; the rest of a longer one is passed over."""
MOST_NUMBERS: Final = 64
"""Of a block so many lines are kept."""

_BREAKS = re.compile(rb"[\r\n]")
_RULE: Final = b"---"
_PAIR = re.compile(rb"([A-Za-z_][A-Za-z0-9_./-]{0,63})[ \t]*[:=][ \t]*(\S{1,64})[ \t]*")
_NUMBER = re.compile(rb"[-+]?(?:\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(?:[eE][-+]?\d{1,3})?")
_TRAILING: Final = b"%,;)]"


@dataclass(frozen=True, slots=True)
class Block:
    """What a script reported."""

    value: float | None
    """The metric; None with a `fault`."""
    fault: str
    """Why there is no number, in words; empty where there is one."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """What the final block says beside it, by key; the metric included."""


class BlockReader:
    """Reads output as it comes.

    Args:
        text: What stands before the number, ``val_bpb:``.
        reports: Whether it is printed once, or the last one counts.
        anywhere: Whether that text may stand within a line; else it begins one.
    """

    def __init__(self, text: str, reports: Reports = "once", *, anywhere: bool = False) -> None:
        self._text = text.encode()
        self._shown = text
        self._reports = reports
        self._anywhere = anywhere
        self._line = bytearray()
        self._is_cut = False
        self._found: bytes | None = None
        self._other: bytes | None = None
        self._numbers: dict[str, float] = {}

    def feed(self, data: bytes) -> None:
        """Take in the next piece."""
        *whole, rest = _BREAKS.split(data)
        for part in whole:
            self._extend(part)
            self._take(bytes(self._line))
            self._line.clear()
        self._extend(rest)

    def close(self) -> Block:
        """Return what was reported, once all output has been fed."""
        self._take(bytes(self._line))
        self._line.clear()
        numbers = dict(self._numbers)
        if self._found is None:
            return Block(None, f"it printed no line `{self._shown} NUMBER`", numbers)
        if self._other is not None and self._reports == "once":
            told = f"{_shown(self._other)} and {_shown(self._found)}"
            return Block(None, f"it printed `{self._shown}` more than once: {told}", numbers)
        value = _number(self._found)
        if value is None:
            fault = f"`{self._shown} {_shown(self._found)}` is no finite number"
            return Block(None, fault, numbers)
        return Block(value, "", numbers)

    def _extend(self, part: bytes) -> None:
        self._line += part[: max(0, LINE_BYTES - len(self._line))]

    def _take(self, line: bytes) -> None:
        """Read one line."""
        line = line.strip()
        if line == _RULE:
            self._numbers.clear()
            return
        if (word := self._metric_of(line)) is not None:
            if self._found is not None and word != self._found:
                self._other = self._found
            self._found = word
        if (pair := _PAIR.fullmatch(line)) is not None and len(self._numbers) < MOST_NUMBERS:
            number = _number(pair[2])
            if number is not None:
                self._numbers[pair[1].decode()] = number

    def _metric_of(self, line: bytes) -> bytes | None:
        """Return the word after the metric's text, None where the line does not hold it."""
        at = line.rfind(self._text) if self._anywhere else line.find(self._text, 0, len(self._text))
        if at < 0:
            return None
        words = line[at + len(self._text) :].split(None, 1)
        return words[0].rstrip(_TRAILING)[:64] if words else b""


def _number(word: bytes) -> float | None:
    if not _NUMBER.fullmatch(word):
        return None
    value = float(word)
    return value if math.isfinite(value) else None


def _shown(word: bytes) -> str:
    """Return a word for people: printable, short."""
    return ascii(word.decode("ascii", "backslashreplace"))[1:-1][:40] or "nothing"
