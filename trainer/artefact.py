"""Whether a file is an artefact that may be loaded: judged from its bytes, by our own code.

Two steps, neither with torch or pickle. `form_fault` reads the header, bounded before anything is
allocated: names, dtypes, shapes, offsets without a hole or an overlap. `content_fault` reads the
tensors in pieces: finite floats, bounded integers, truth values that are 0 or 1. Whether names and
shapes are those of the model is asked later, where the model is. Format: safetensors 0.4 and later
(little endian length of 8 bytes, JSON header, tensors), https://github.com/huggingface/safetensors
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

HEADER_BYTES: Final = 1 << 17
"""Room for `MOST_TENSORS` tensors, 128 bytes each."""
MOST_TENSORS: Final = 1024
NAME_CHARACTERS: Final = 128
MOST_AXES: Final = 8
LARGEST_INTEGER: Final = 1 << 31
"""Larger absolute values than this could carry text, or overflow where they are used."""

_LENGTH_BYTES: Final = 8
_PIECE_BYTES: Final = 1 << 20
_WIDTHS: Final = {"I64": 8, "F32": 4, "I32": 4, "BF16": 2, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
"""Bytes of one value of each dtype that passes."""
_EXPONENTS: Final = {"F32": ("<u4", 0x7F80_0000), "BF16": ("<u2", 0x7F80)}
"""Bits that are all set in infinities and NaN, and in nothing else."""
_NAME: Final = re.compile(r"[!#-\[\]-~]+")
"""Visible ASCII without quotation marks and backslashes."""


@dataclass(frozen=True, slots=True)
class _Tensor:
    """One entry of a header that has passed."""

    name: str
    dtype: str
    begin: int
    """First byte, counted from the end of the header."""
    end: int


class _FaultError(ValueError):
    """Something is wrong with the artefact; the text says what, and what to do."""


def form_fault(path: Path) -> str:
    """What is wrong with the header of the file at `path`; empty if nothing is."""
    try:
        with path.open("rb") as stream:
            _read_header(stream, path.stat().st_size)
    except _FaultError as fault:
        return str(fault)
    return ""


def content_fault(path: Path) -> str:
    """What is wrong with the file at `path`, its tensors' values included; empty if nothing is.

    Reads all of it, a MiB at a time: about a millisecond per MiB.
    """
    try:
        with path.open("rb") as stream:
            for tensor in _read_header(stream, path.stat().st_size):
                _check_values(stream, tensor)
    except _FaultError as fault:
        return str(fault)
    return ""


def parameters(path: Path) -> int:
    """Return how many float32 numbers would take as much room as the artefact's tensors do.

    Bytes are counted and not elements: who packs two halves into a whole gains nothing, and who
    stores half precision holds half as much.

    Args:
        path: A file of which `content_fault` found nothing to say.

    Raises:
        ValueError: It is no artefact after all.
    """
    with path.open("rb") as stream:
        tensors = _read_header(stream, path.stat().st_size)
    return -(-sum(tensor.end - tensor.begin for tensor in tensors) // _WIDTHS["F32"])


def float_tensors(path: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield name and values of each tensor of floats in the artefact at `path`, one at a time.

    Args:
        path: A file of which `content_fault` found nothing to say.

    Raises:
        ValueError: It is no artefact after all.
    """
    with path.open("rb") as stream:
        for tensor in _read_header(stream, path.stat().st_size):
            values = stream.read(tensor.end - tensor.begin)
            if tensor.dtype == "F32":
                yield tensor.name, np.frombuffer(values, "<f4")
            elif tensor.dtype == "BF16":
                upper = np.frombuffer(values, "<u2").astype("<u4") << 16
                yield tensor.name, upper.view("<f4")


def _read_header(stream: BinaryIO, size_bytes: int) -> list[_Tensor]:
    """Return the tensors in the order in which they lie; `stream` then stands at the first."""
    if size_bytes < _LENGTH_BYTES:
        raise _FaultError("no complete artefact arrived")
    length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
    if length > HEADER_BYTES:
        raise _FaultError(f"the artefact's header is longer than {HEADER_BYTES} bytes")
    if _LENGTH_BYTES + length > size_bytes:
        raise _FaultError("the artefact ends within its header")
    try:
        entries = json.loads(
            stream.read(length), object_pairs_hook=_once_each, parse_constant=_refuse
        )
    except _FaultError:
        raise
    except (ValueError, RecursionError):
        raise _FaultError("the artefact's header is not the JSON of safetensors") from None
    if not isinstance(entries, dict):
        raise _FaultError("the artefact's header is not the JSON of safetensors")
    if len(entries) > MOST_TENSORS:
        raise _FaultError(f"{len(entries)} tensors: a state dict may have {MOST_TENSORS}")
    tensors = [_tensor(name, entry) for name, entry in entries.items()]
    tensors.sort(key=lambda tensor: (tensor.begin, tensor.end))
    at = 0
    for tensor in tensors:
        if tensor.begin != at:
            raise _FaultError(f"tensor {tensor.name!r} does not begin where the one before it ends")
        at = tensor.end
    if at != size_bytes - _LENGTH_BYTES - length:
        raise _FaultError("the artefact's tensors do not fill the file")
    return tensors


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, refused if it has a key twice: readers differ in which one they take."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _FaultError("the artefact's header has the same name twice")
    return found


def _refuse(constant: str) -> NoReturn:
    raise _FaultError(f"the artefact's header holds {constant}")


def _tensor(name: str, entry: Any) -> _Tensor:
    """Check one entry of the header."""
    if name == "__metadata__":
        raise _FaultError("the artefact has metadata: hand over tensors alone")
    shown = ascii(name[:NAME_CHARACTERS])
    if len(name) > NAME_CHARACTERS or not _NAME.fullmatch(name):
        raise _FaultError(
            f"tensor name {shown}: use up to {NAME_CHARACTERS} visible ASCII characters, "
            "no quotation mark, no backslash"
        )
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _FaultError(f"tensor {shown} does not have dtype, shape and data_offsets alone")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _WIDTHS:
        raise _FaultError(
            f"tensor {shown} has dtype {str(dtype)[:16]!a}: make it one of {', '.join(_WIDTHS)} "
            "in build_model()"
        )
    if not _is_whole(shape, MOST_AXES):
        raise _FaultError(f"tensor {shown} needs a shape of at most {MOST_AXES} whole numbers")
    if not _is_whole(offsets, 2) or len(offsets) != 2:
        raise _FaultError(f"tensor {shown} needs two whole numbers as data_offsets")
    begin, end = offsets
    if math.prod(shape) * _WIDTHS[dtype] != end - begin:
        raise _FaultError(f"tensor {shown}: {dtype} of this shape does not take {end - begin} B")
    if begin % _WIDTHS[dtype]:
        raise _FaultError(f"tensor {shown} does not begin at a multiple of its values' width")
    return _Tensor(name, dtype, begin, end)


def _is_whole(numbers: Any, most: int) -> bool:
    """Whether this is a list of at most so many whole numbers that could count bytes."""
    return (
        isinstance(numbers, list)
        and len(numbers) <= most
        and all(type(number) is int and 0 <= number < 1 << 48 for number in numbers)
    )


def _check_values(stream: BinaryIO, tensor: _Tensor) -> None:
    """Read one tensor, piece by piece, and refuse values that no model needs."""
    left = tensor.end - tensor.begin
    while left:
        piece = stream.read(min(left, _PIECE_BYTES))
        if not piece:
            raise _FaultError(f"the artefact ends within tensor {tensor.name!r}")
        left -= len(piece)
        if tensor.dtype in _EXPONENTS:
            kind, exponent = _EXPONENTS[tensor.dtype]
            if bool(np.any((np.frombuffer(piece, kind) & exponent) == exponent)):
                raise _FaultError(f"tensor {tensor.name!r} has values that are not finite")
        elif tensor.dtype == "I64":
            whole = np.frombuffer(piece, "<i8")
            if int(whole.min()) < -LARGEST_INTEGER or int(whole.max()) > LARGEST_INTEGER:
                raise _FaultError(f"tensor {tensor.name!r} has integers beyond +-2**31")
        elif tensor.dtype == "BOOL" and int(np.frombuffer(piece, "u1").max()) > 1:
            raise _FaultError(f"tensor {tensor.name!r} has truth values other than 0 and 1")
