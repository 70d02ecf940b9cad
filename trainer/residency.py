"""Keeping in memory all files that sandboxes may read, so that who touches a page tells nobody.

A page that is read for the first time comes from the disk and stays; the next sandbox can tell by a
fault that waits or does not. Where every page is in memory already, reading changes nothing. Under
memory pressure the kernel may drop pages again, so this is repeated. Used by
`trainer.local_executor` before a program that may have something to tell.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Final

EVERY_S: Final = 60.0
"""How long one reading is trusted."""
_PIECE_BYTES: Final = 1 << 20


def read_through(paths: Iterable[str], is_over: Callable[[], bool] = lambda: False) -> int:
    """Read every regular file at and below `paths` once; the bytes that were read.

    What vanishes or cannot be read is left out: no sandbox reads it either.

    Args:
        paths: files and folders.
        is_over: asked before each file; whether to leave off.
    """
    piece = bytearray(_PIECE_BYTES)
    total = 0
    for path in (path for given in paths for path in _files(given)):
        if is_over():
            break
        total += _read(path, piece)
    return total


def _files(given: str) -> Iterator[str]:
    if not os.path.isdir(given):
        yield given
        return
    for folder, _, names in os.walk(given):
        yield from (os.path.join(folder, name) for name in names)


def _read(path: str, piece: bytearray) -> int:
    total = 0
    try:
        if not os.path.isfile(path):
            return 0
        with open(path, "rb", buffering=0) as stream:
            while count := stream.readinto(piece):
                total += count
    except OSError:
        return total
    return total
