"""Artefacts written by hand, byte for byte, honest and not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    """One tensor's entry in a header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def artefact(header: Mapping[str, Any] | bytes, body: bytes = b"") -> bytes:
    """The bytes of an artefact with this header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def lone(dtype: str, values: bytes, shape: list[int]) -> bytes:
    """The bytes of an artefact that holds one tensor, called a."""
    return artefact({"a": entry(dtype, shape, 0, len(values))}, values)
