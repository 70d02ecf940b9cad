"""From the bytes that a program left to the value that a task's grader gets, strictly.

JSON: no name twice, no NaN, no infinity, no number of more than 64 characters or beyond 10^400;
arrays of numbers without pickles; tensors by name. Whatever is wrong is the candidate's fault and
one `FormError`. It runs in a process of its own with bounded memory and processor time, so that
depth, size and time need no rule here.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, NoReturn

import numpy as np
import safetensors.numpy

from scoring.judging import DataFormat, Numbers

MOST_DIGITS: Final = 64
"""Characters of one number: four times what a double needs."""
MOST_EXPONENT: Final = 400
"""Powers of ten on either side: a double has 308."""


class FormError(ValueError):
    """The bytes are not what the task declares; the text says what is wrong."""


def read_data(content: bytes, kind: DataFormat, numbers: Numbers) -> Any:
    """Return what `content` holds.

    Args:
        content: All bytes of the artefact.
        kind: Its format.
        numbers: What JSON's numbers become.

    Returns:
        json: lists, dicts, str, bool, None, int and float, or `Decimal` for every number;
        npy: one array; safetensors: a dict of arrays.

    Raises:
        FormError: it is not that.
    """
    try:
        return _READERS[kind](content, numbers)
    except FormError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError, safetensors.SafetensorError) as error:
        raise FormError(f"it cannot be read as {kind}: {str(error)[:120]}") from None


def _read_json(content: bytes, numbers: Numbers) -> Any:
    is_exact = numbers == "decimal"
    return json.loads(
        content.decode("utf-8"),
        parse_float=_decimal if is_exact else _float,
        parse_int=_decimal if is_exact else _int,
        parse_constant=_constant,
        object_pairs_hook=_once_each,
    )


def _decimal(text: str) -> Decimal:
    if len(text) > MOST_DIGITS:
        raise FormError(f"a number of {len(text)} characters: write {MOST_DIGITS} at most")
    value = Decimal(text)
    if not -MOST_EXPONENT <= value.adjusted() <= MOST_EXPONENT:
        raise FormError(f"number {text}: beyond 10 to the power of {MOST_EXPONENT}")
    return value


def _float(text: str) -> float:
    value = float(_decimal(text))
    if not math.isfinite(value):
        raise FormError(f"number {text} is no finite double")
    return value


def _int(text: str) -> int:
    return int(_decimal(text))


def _constant(name: str) -> NoReturn:
    raise FormError(f"{name} is no number of JSON")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise FormError("an object has the same name twice")
    return found


def _read_npy(content: bytes, _: Numbers) -> Any:
    array = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False, max_header_size=4096)
    if array.dtype.kind not in "fiub":
        raise FormError(f"an array of {array.dtype}: leave numbers")
    return array


def _read_tensors(content: bytes, _: Numbers) -> Any:
    return safetensors.numpy.load(content)


_READERS: dict[DataFormat, Callable[[bytes, Numbers], Any]] = {
    "json": _read_json,
    "npy": _read_npy,
    "safetensors": _read_tensors,
}
