"""How much a patch brings along: its literals, and what its text tells that the start does not.

Two measures, because they stop different things. Literals are where a table of answers would stand,
and they are what a reviewer looks at. But names, comments, blanks and the order of statements can
be read by a program as well, so the second measure counts everything: a tree that deflates to n
bytes against the start is one of at most 256**n such trees, so choosing it tells at most n bytes,
however cleverly they are hidden. Hostile text is read here: call it from `trainer.text_process`.
"""

from __future__ import annotations

import ast
import warnings
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

_WINDOW_BYTES = 32 << 10
"""As far as deflate looks back, and so the longest text it can be told beforehand."""
_FLOAT_BYTES = 8

Literals = Counter[tuple[str, int]]
"""How often each literal stands in a text: (its spelling, its bytes)."""


@lru_cache(maxsize=8)  # parents and the start are asked about again and again
def literals_of(path: str, content: bytes) -> Literals:
    """Return the literals of a file: strings (docstrings too), bytes and numbers of Python.

    A string counts its UTF-8, an integer its bytes, a float eight, a complex number sixteen. Every
    line of a file that is not Python counts whole, since a program that opens it can read it whole.

    Raises:
        SyntaxError: a ``.py`` file is no Python. Also ValueError, RecursionError, MemoryError.
    """
    if not path.endswith(".py"):
        return Counter((repr(line), len(line)) for line in content.splitlines(keepends=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes and the like: the candidate's affair
        tree = ast.parse(content)
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return Counter(
        (_spelling(value), size) for value in constants if (size := _size(value)) is not None
    )


def added_bytes(new: Literals, known: Iterable[Literals]) -> int:
    """Return the bytes of those literals of `new` that stand in none of `known` as often."""
    most: Literals = Counter()
    for each in known:
        most |= each
    return sum(size * count for (_, size), count in (new - most).items())


def novel_bytes(start: Mapping[str, bytes], tree: Mapping[str, bytes]) -> int:
    """Return the bytes that the files of `tree` deflate to for a reader who has `start`."""
    total = 0
    for path, content in tree.items():
        known = start.get(path, b"")
        if content != known:
            deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 9, 0, known[-_WINDOW_BYTES:])
            total += len(deflate.compress(content) + deflate.flush())
    return total


def _size(value: object) -> int | None:
    """Return the bytes of a literal; None for True, None and the like, which are words."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, bool) or not isinstance(value, int | float | complex):
        return None
    if isinstance(value, int):
        return max(1, (value.bit_length() + 7) // 8)
    return _FLOAT_BYTES if isinstance(value, float) else 2 * _FLOAT_BYTES


def _spelling(value: object) -> str:
    """Return what tells a literal from others; decimal digits of a huge integer take too long."""
    return f"int {value:x}" if isinstance(value, int) else repr(value)
