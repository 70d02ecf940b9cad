"""Solutions made of bits, as a tree of files: one constant a bit, which any mind can turn.

The file is read as text and never run. A blank comment line parts two constants, so that changes of
different bits merge.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from agents.constants import find_constants

PATH = "solution.py"
"""The one file of the tree."""


def bit_names(n: int) -> tuple[str, ...]:
    """Return the constants' names: ``BIT_00`` and so on, as many digits as the last one has."""
    digits = max(2, len(str(n - 1)))
    return tuple(f"BIT_{number:0{digits}d}" for number in range(n))


def bits_text(bits: NDArray[np.uint8]) -> str:
    """Return the file of a solution."""
    parts = ['"""A solution: its bits. Nothing else in this file counts."""\n']
    parts += [
        f"# bit {number}\n{name} = {int(bit)}\n"
        for number, (name, bit) in enumerate(zip(bit_names(len(bits)), bits, strict=True))
    ]
    return "\n".join(parts)


def bits_knobs_toml(n: int) -> str:
    """Return the ``knobs.toml`` of a solution of `n` bits."""
    return "\n".join(f'[{name}]\nkind = "int"\nlow = 0\nhigh = 1\n' for name in bit_names(n))


def read_bits(text: bytes, n: int) -> NDArray[np.uint8] | None:
    """Return the bits in a file, shape (n,); None where one is missing or is no bit."""
    read = _read(text, n)
    return None if read is None else np.frombuffer(read, dtype=np.uint8)


@lru_cache(maxsize=4096)
def _read(text: bytes, n: int) -> bytes | None:
    try:
        places, _ = find_constants(text.decode())
    except UnicodeDecodeError:
        return None
    bits = bytearray()
    for name in bit_names(n):
        value = places[name].value if name in places else None
        if not isinstance(value, int) or isinstance(value, bool) or value not in (0, 1):
            return None
        bits.append(value)
    return bytes(bits)
