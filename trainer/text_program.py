"""The text process: reads candidate text for the institution, one request after the other.

It holds nothing worth having: no key, no file, no socket, only the two pipes it was born with. Its
memory is capped by itself and its processor time from outside, by `trainer.text_process`, which
also replaces it whenever something went wrong. Started with ``python -I -S``, so that nothing of
any site is imported.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from trainer.errors import HunksInseparableError, PatchRefusedError
from trainer.experiment import Budget
from trainer.hunk_removal import without
from trainer.hunks import hunk_ids
from trainer.patch_policy import PatchPolicy
from trainer.sandbox import kernel, landlock, seccomp
from trainer.text_wire import LENGTHS, Trees, WireError, lengths, pack, unpack
from trainer.tree_key import tree_key
from trainer.tree_text import diff_trees, merge_trees

MEMORY_BYTES: Final = 512 << 20
"""Address space of the process; it begins with about 30 MiB."""

_Answer = tuple[Mapping[str, Any], Trees]


def main() -> None:
    """Answer requests on standard input until it ends."""
    _enter()
    while (request := _receive()) is not None:
        try:
            reply = pack(*_answer(*request))
        except (MemoryError, RecursionError, WireError):
            reply = pack({"failed": True})
        _write(reply)


def _enter() -> None:
    """Give up what text does not need. What this machine cannot refuse, the limits still hold."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the parent's to act on
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    kernel.die_with_parent(signal.SIGKILL)
    with suppress(OSError):
        landlock.restrict(())
    with suppress(OSError):
        seccomp.restrict(os.getpid(), cuda=False)


def _answer(head: Mapping[str, Any], trees: list[dict[str, bytes]]) -> _Answer:
    return _ANSWERS[head["ask"]](head, trees)


def _check(head: Mapping[str, Any], trees: list[dict[str, bytes]]) -> _Answer:
    tree, start, *parents = trees
    limits = head["policy"]
    policy = PatchPolicy(tuple(limits.pop("editable")), **limits)
    try:
        policy.read(tree, parents, start)
    except PatchRefusedError as error:
        return {"refused": [error.path, error.rule, error.advice]}, ()
    return {"refused": None}, ()


def _key(head: Mapping[str, Any], trees: list[dict[str, bytes]]) -> _Answer:
    key = tree_key(
        trees[0],
        lock_hash=head["lock_hash"],
        budget=Budget(head["kind"], head["amount"]),
        device_class=head["device_class"],
    )
    return {"key": key}, ()


def _diff(head: Mapping[str, Any], trees: list[dict[str, bytes]]) -> _Answer:
    older, newer = trees
    patch = diff_trees(older, newer, cap_bytes=head["cap_bytes"])
    return {}, ({"patch": patch.encode()},)


def _merge(head: Mapping[str, Any], trees: list[dict[str, bytes]]) -> _Answer:
    merged = merge_trees(*trees)
    return {"conflicts": merged.conflicts}, (merged.files,)


def _hunks(head: Mapping[str, Any], trees: list[dict[str, bytes]]) -> _Answer:
    return {"hunks": hunk_ids(*trees)}, ()


def _without(head: Mapping[str, Any], trees: list[dict[str, bytes]]) -> _Answer:
    start, tree = trees
    try:
        files = without(start, tree, head["group"])
    except HunksInseparableError as error:
        return {"inseparable": str(error)}, ()
    return {}, (files,)


_ANSWERS: Final[Mapping[str, Callable[..., _Answer]]] = {
    "check": _check,
    "key": _key,
    "diff": _diff,
    "merge": _merge,
    "hunks": _hunks,
    "without": _without,
}


def _receive() -> tuple[dict[str, Any], list[dict[str, bytes]]] | None:
    """Return the next request, or None when nobody asks any more."""
    prefix = _read(LENGTHS.size)
    if prefix is None:
        return None
    head_bytes, body_bytes = lengths(prefix)
    head, body = _read(head_bytes), _read(body_bytes)
    return None if head is None or body is None else unpack(head, body)


def _read(count: int) -> bytes | None:
    """Return exactly `count` bytes, or None at the end."""
    pieces = bytearray()
    while len(pieces) < count:
        piece = os.read(0, count - len(pieces))
        if not piece:
            return None
        pieces += piece
    return bytes(pieces)


def _write(message: bytes) -> None:
    view = memoryview(message)
    while view:
        view = view[os.write(1, view) :]


if __name__ == "__main__":
    sys.exit("started by trainer.text_process only")
