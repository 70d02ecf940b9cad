"""Messages to and from the text process: a JSON head and whole trees, by length.

One message is two lengths (32 bits each), the head, and the bytes of its files. Nothing is trusted
because of where it came from: each side checks lengths and shapes before it believes them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

MESSAGE_BYTES = 64 << 20
"""Cap on one message: three trees of the largest size a task can allow, with room."""
LENGTHS = struct.Struct(">II")
"""Of the head and of the files, in bytes."""

Trees = Sequence[Mapping[str, bytes]]


class WireError(Exception):
    """A message that is none."""


def pack(head: Mapping[str, Any], trees: Trees = ()) -> bytes:
    """Return a message.

    Args:
        head: anything that JSON takes, but for the key ``trees``.
        trees: any number of trees, content by path.

    Raises:
        WireError: it would be larger than the other side reads.
    """
    shapes = [[[path, len(content)] for path, content in tree.items()] for tree in trees]
    encoded = json.dumps({**head, "trees": shapes}).encode()
    body = b"".join(content for tree in trees for content in tree.values())
    if len(encoded) + len(body) > MESSAGE_BYTES:
        raise WireError("too large a message")
    return LENGTHS.pack(len(encoded), len(body)) + encoded + body


def lengths(prefix: bytes) -> tuple[int, int]:
    """Return the lengths of the head and of the files.

    Raises:
        WireError: together they are more than `MESSAGE_BYTES`.
    """
    head, body = LENGTHS.unpack(prefix)
    if head + body > MESSAGE_BYTES:
        raise WireError("too large a message")
    return head, body


def unpack(head: bytes, body: bytes) -> tuple[dict[str, Any], list[dict[str, bytes]]]:
    """Return a message's head and its trees.

    Raises:
        WireError: the two do not fit together, or the head is no JSON object.
    """
    try:
        said = json.loads(head)
        shapes = [[(str(path), int(size)) for path, size in tree] for tree in said.pop("trees")]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise WireError("no message") from error
    trees: list[dict[str, bytes]] = []
    at = 0
    for shape in shapes:
        tree: dict[str, bytes] = {}
        for path, size in shape:
            if not 0 <= size <= len(body) - at:
                raise WireError("files that are not there")
            tree[path] = body[at : at + size]
            at += size
        trees.append(tree)
    if at != len(body):
        raise WireError("bytes of no file")
    return said, trees
