"""Comparing and joining trees as text: unified patches and three-way merges, line by line.

Pure functions on bytes, in Python alone, since both sides are hostile text: what takes too long or
too much is cut off by `trainer.text_process`, which has all of this done in a process of its own.
What they mean is git's meaning (``git apply`` takes the patches); nothing here is git.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

DIFF_BYTES = 128 * 1024
"""Cap on a patch's text: three times the largest tree a task allows by default."""
_CONTEXT = 3
_NO_NEWLINE = b"\n\\ No newline at end of file\n"
_NOTHING = b"0" * 7

_Change = tuple[str, int, int, int, int]
_Sync = tuple[int, int, int, int]
"""A stretch that all three texts share: base from, base to, ours from, theirs from."""


@dataclass(frozen=True, slots=True)
class MergedTree:
    """A three-way merge of two trees, not yet committed."""

    files: Mapping[str, bytes]
    """Content by path; where both sides changed the same lines, the first side's."""
    conflicts: tuple[str, ...]
    """Paths in which that happened, sorted."""


def diff_trees(
    older: Mapping[str, bytes],
    newer: Mapping[str, bytes],
    *,
    cap_bytes: int = DIFF_BYTES,
    compare: bool = True,
) -> str:
    """Return the unified patch between two trees; binary files are named, not shown.

    Args:
        older: content by path.
        newer: content by path.
        cap_bytes: longer patches are cut at a line's end and say so in their last line.
        compare: whether to look for common lines. Without that, a changed file is taken out whole
            and put in whole, which is as true and takes no time.
    """
    pieces: list[bytes] = []
    size = 0
    for path in sorted({*older, *newer}):
        before, after = older.get(path), newer.get(path)
        if before != after:
            pieces.append(_patch(path.encode(), before, after, compare=compare))
            size += len(pieces[-1])
        if size > cap_bytes:
            break
    whole = b"".join(pieces)
    if len(whole) <= cap_bytes:
        return whole.decode("utf-8", "replace")
    kept = whole[: whole.rfind(b"\n", 0, cap_bytes) + 1]
    return kept.decode("utf-8", "replace") + f"[patch cut at {cap_bytes} bytes]\n"


def merge_trees(
    base: Mapping[str, bytes], ours: Mapping[str, bytes], theirs: Mapping[str, bytes]
) -> MergedTree:
    """Merge two trees three ways over their common ancestor's.

    Args:
        base: content by path of the common ancestor.
        ours: the side that wins where both changed the same lines.
        theirs: the other side.
    """
    files: dict[str, bytes] = {}
    conflicts: list[str] = []
    for path in sorted({*base, *ours, *theirs}):
        one, other, start = ours.get(path), theirs.get(path), base.get(path)
        merged = one
        if one == start:
            merged = other
        elif other not in (start, one):
            merged, is_conflict = _merge_file(start, one, other)
            if is_conflict:
                conflicts.append(path)
        if merged is not None:
            files[path] = merged
    for path in [path for path in files if path not in ours]:
        if any(f"{path}/".startswith(f"{x}/") or x.startswith(f"{path}/") for x in ours):
            del files[path]  # a file on one side, a folder of its name on the other
            conflicts.append(path)
    return MergedTree(files, tuple(sorted(conflicts)))


def _patch(path: bytes, before: bytes | None, after: bytes | None, *, compare: bool) -> bytes:
    """Return one file's part of a patch."""
    names = (b"a/" + path, b"b/" + path)
    ids = [_NOTHING if text is None else _blob(text) for text in (before, after)]
    head = b"diff --git %s %s\n" % names
    if before is None or after is None:
        head += b"%s file mode 100644\nindex %s..%s\n" % (
            b"new" if before is None else b"deleted",
            *ids,
        )
    else:
        head += b"index %s..%s 100644\n" % tuple(ids)
    names = (
        b"/dev/null" if before is None else names[0],
        b"/dev/null" if after is None else names[1],
    )
    if _is_binary(before) or _is_binary(after):
        return head + b"Binary files %s and %s differ\n" % names
    old, new = _lines(before), _lines(after)
    hunks = b"".join(_hunks(old, new) if compare else _whole(old, new))
    return head + (b"--- %s\n+++ %s\n" % names if hunks else b"") + hunks


def _hunks(old: Sequence[bytes], new: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the changes with three lines around each."""
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for changes in matcher.get_grouped_opcodes(_CONTEXT):
        yield _hunk(old, new, changes)


def _whole(old: Sequence[bytes], new: Sequence[bytes]) -> Iterator[bytes]:
    """Yield one change: all of the old out, all of the new in."""
    if old or new:
        yield _hunk(old, new, [("replace", 0, len(old), 0, len(new))])


def _hunk(old: Sequence[bytes], new: Sequence[bytes], changes: Sequence[_Change]) -> bytes:
    first, last = changes[0], changes[-1]
    pieces = [b"@@ -%s +%s @@\n" % (_range(first[1], last[2]), _range(first[3], last[4]))]
    for kind, old_from, old_to, new_from, new_to in changes:
        if kind == "equal":
            pieces += [_line(b" ", line) for line in old[old_from:old_to]]
            continue
        pieces += [_line(b"-", line) for line in old[old_from:old_to]]
        pieces += [_line(b"+", line) for line in new[new_from:new_to]]
    return b"".join(pieces)


def _range(begin: int, end: int) -> bytes:
    """Return a hunk's range as the format has it: from 1, and from the line before if empty."""
    count = end - begin
    return b"%d" % (begin + 1) if count == 1 else b"%d,%d" % (begin + bool(count), count)


def _line(mark: bytes, line: bytes) -> bytes:
    return mark + line if line.endswith(b"\n") else mark + line + _NO_NEWLINE


def _lines(text: bytes | None) -> list[bytes]:
    """Return lines with their ends; only a newline parts them, as in git."""
    if not text:
        return []
    lines = [line + b"\n" for line in text.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _is_binary(text: bytes | None) -> bool:
    return text is not None and b"\0" in text


def _blob(text: bytes) -> bytes:
    """Return git's short name of a file's content."""
    named = hashlib.sha1(b"blob %d\0" % len(text) + text, usedforsecurity=False)
    return named.hexdigest()[:7].encode()


def _merge_file(
    base: bytes | None, ours: bytes | None, theirs: bytes | None
) -> tuple[bytes | None, bool]:
    """Return what both sides' changes to one file make, and whether they touched the same lines.

    What has no lines to merge (binary, deleted or made on both sides) is settled whole, by ours.
    """
    if base is None or ours is None or theirs is None:
        return ours, True
    if any(map(_is_binary, (base, ours, theirs))):
        return ours, True
    old, one, other = _lines(base), _lines(ours), _lines(theirs)
    merged: list[bytes] = []
    is_conflict = False
    at, at_one, at_other = 0, 0, 0
    for old_from, old_to, one_from, other_from in _shared(old, one, other):
        before = old[at:old_from]
        mine, yours = one[at_one:one_from], other[at_other:other_from]
        if mine == before:
            merged += yours
        else:
            merged += mine
            is_conflict |= yours not in (before, mine)
        merged += old[old_from:old_to]
        length = old_to - old_from
        at, at_one, at_other = old_to, one_from + length, other_from + length
    return b"".join(merged), is_conflict


def _shared(old: Sequence[bytes], one: Sequence[bytes], other: Sequence[bytes]) -> Iterator[_Sync]:
    """Yield the stretches of the base that both sides kept, in order, and the end of all."""
    kept = SequenceMatcher(None, old, one, autojunk=False).get_matching_blocks()
    also = SequenceMatcher(None, old, other, autojunk=False).get_matching_blocks()
    i = j = 0
    while i < len(kept) and j < len(also):
        mine, yours = kept[i], also[j]
        begin = max(mine.a, yours.a)
        end = min(mine.a + mine.size, yours.a + yours.size)
        if begin < end:
            yield begin, end, mine.b + begin - mine.a, yours.b + begin - yours.a
        if mine.a + mine.size < yours.a + yours.size:
            i += 1
        else:
            j += 1
    yield len(old), len(old), len(one), len(other)
