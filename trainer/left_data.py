"""What a program may leave behind: the formats there are, and what of each is judged from outside.

A ``model`` leaves the state dict of a module (`trainer.artefact`), an ``artifact`` task's program
data in the format that its task.toml declares. None of them is a pickle. Judged here is only the
form: what the data are worth, and whether every value in them is sound, is the scorer's question
(`scoring.data_reading`), in a process that holds nothing of ours.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np

from trainer import artefact

MODEL: Final = "model"
"""What a model leaves; the other names are formats of data."""

_NPY_MAGIC: Final = b"\x93NUMPY\x01\x00"
_NPY_HEADER: Final = re.compile(
    rb"\{'descr': '([<|])([fiub])([1248])', 'fortran_order': (?:False|True), "
    rb"'shape': \(((?:\d{1,15}(?:, |,)?)*)\), \} *\n"
)
"""What `numpy.save` writes in version 1.0 of arrays of numbers, and nothing else."""
_NPY_MOST_AXES: Final = 8
_PIECE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Format:
    """One format."""

    suffix: str
    form_fault: Callable[[Path], str]
    """What is wrong with the form of a file; empty if nothing is. Asked while the process lives."""
    content_fault: Callable[[Path], str]
    """The same of what is in it; asked when the process is gone."""


def artefact_name(leaves: str) -> str:
    """Return the file name, in a job's folder, of what a program leaves."""
    return f"artefact{FORMATS[leaves].suffix}"


def _json_fault(path: Path) -> str:
    """Whether it may be JSON: text that begins and ends as an array or an object does."""
    try:
        text = path.read_bytes().decode("utf-8").strip(" \t\r\n")
    except UnicodeDecodeError as error:
        return f"the JSON that was left is not UTF-8 at byte {error.start}"
    if not text:
        return "no artefact arrived"
    if (text[0], text[-1]) not in (("[", "]"), ("{", "}")):
        return "what was left is no JSON array or object, or is cut off"
    return ""


def _npy_fault(path: Path) -> str:
    """Whether it is an array of numbers whose header tells its size."""
    return _read_npy(path)[0]


def _npy_content_fault(path: Path) -> str:
    """Whether all of its floats are finite."""
    fault, code, begin = _read_npy(path)
    if fault or code[0] != "f":
        return fault
    with path.open("rb") as stream:
        stream.seek(begin)
        while piece := stream.read(_PIECE_BYTES):
            if not bool(np.isfinite(np.frombuffer(piece, f"<{code}")).all()):
                return "the array that was left has values that are not finite"
    return ""


def _read_npy(path: Path) -> tuple[str, str, int]:
    """Return (fault, dtype's kind and width, where the values begin)."""
    size_bytes = path.stat().st_size
    with path.open("rb") as stream:
        magic, length = stream.read(len(_NPY_MAGIC)), stream.read(2)
        header = stream.read(int.from_bytes(length, "little"))
        begin = stream.tell()
    if size_bytes == 0:
        return "no artefact arrived", "", 0
    if magic != _NPY_MAGIC:
        return "what was left is no .npy file of version 1.0", "", 0
    found = _NPY_HEADER.fullmatch(header)
    if found is None:
        return "the .npy file's header is not that of an array of numbers", "", 0
    shape = [int(part) for part in found[4].split(b",") if part.strip()]
    code = (found[2] + found[3]).decode()
    if code not in ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"):
        return f"the .npy file's numbers are {code}: leave f4, f8, whole numbers or bools", "", 0
    if len(shape) > _NPY_MOST_AXES or math.prod(shape) * int(code[1]) != size_bytes - begin:
        return "the .npy file's shape does not fill the file", "", 0
    return "", code, begin


_TENSORS: Final = Format(".safetensors", artefact.form_fault, artefact.content_fault)

FORMATS: Final = MappingProxyType(
    {
        MODEL: _TENSORS,
        "json": Format(".json", _json_fault, _json_fault),
        "npy": Format(".npy", _npy_fault, _npy_content_fault),
        "safetensors": _TENSORS,
    }
)
"""By what a job leaves."""
