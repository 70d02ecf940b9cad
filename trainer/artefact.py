"""Whether a file has the outer form of safetensors: a cheap check before anybody allocates.

The header is bounded, is JSON, and its offsets fill the file exactly. Names, shapes and types are
judged by whoever loads it; no tensor is read here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

HEADER_BYTES: Final = 1 << 20
_LENGTH_BYTES = 8


def form_fault(path: Path) -> str:
    """What is wrong with the form of the file at `path`; empty if nothing is."""
    size_bytes = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
        if size_bytes < _LENGTH_BYTES:
            return "no complete artefact arrived"
        if length > HEADER_BYTES or _LENGTH_BYTES + length > size_bytes:
            return "the artefact's header length does not fit"
        header = stream.read(length)
    try:
        entries = json.loads(header)
        ends = [entry["data_offsets"][1] for name, entry in _tensors(entries)]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return "the artefact's header is not a safetensors header"
    if not all(type(end) is int for end in ends):
        return "the artefact's offsets are not whole numbers"
    if max(ends, default=0) != size_bytes - _LENGTH_BYTES - length:
        return "the artefact's tensors do not fill the file"
    return ""


def _tensors(entries: dict[str, dict[str, list[int]]]) -> list[tuple[str, dict[str, list[int]]]]:
    """All entries but the free text."""
    return [(name, entry) for name, entry in entries.items() if name != "__metadata__"]
