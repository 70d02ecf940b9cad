"""A tree's files on their way: byte for byte, although text in messages is cleaned as it enters.

Carriage returns, form feeds and whatever else nobody sees are part of a file, and a tree is named
by its bytes. So files travel as one word of base64 over a JSON object, path -> text. What comes
out is text in UTF-8 or refused; whoever shows it cleans it there. Next: `agents.lab_requests`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer


def pack_files(files: Mapping[str, str]) -> str:
    """Return `files` as one word."""
    return base64.b64encode(json.dumps(dict(files)).encode()).decode()


def unpack_files(word: object) -> dict[str, Any]:
    """Return what `pack_files` packed; that it is text is the caller's to validate.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(word, str):
        raise ValueError("files travel packed: base64 of a JSON object, path -> text")
    try:
        found = json.loads(base64.b64decode(word, validate=True).decode(), object_pairs_hook=_once)
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeError:
        raise ValueError("a file is not UTF-8; a proposal is text") from None
    except (ValueError, RecursionError):
        raise ValueError("files travel packed: base64 of a JSON object, each path once") from None
    if not isinstance(found, dict):
        raise ValueError("files travel packed: base64 of a JSON object, path -> text")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a path is given twice")
    return found


PackedFiles = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=300)], str],
    Field(max_length=256),
    BeforeValidator(unpack_files),
    PlainSerializer(pack_files),
]
"""Files by path in a model; packed wherever the model travels, and in what one is made of."""
