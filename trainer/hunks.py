"""Normalised hunks: what a tree changes of the start, statement by statement.

Two researchers who make the same change have the same hunks, whatever they call things, however
they lay them out (`trainer.statements`), and whatever they put beside it: a statement that was
added, or put in the place of another, is a hunk; so is one that was taken out and replaced by
nothing like it, and one that was moved. Path and enclosing scope belong to it. What is no Python
counts line by line. Hostile text is read here: call it from `trainer.text_process`.
"""

from __future__ import annotations

import ast
import hashlib
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from trainer.names import Definition, Names, Scope
from trainer.statements import Statement, parse, statements

MOST_HUNKS = 128
"""Ids of one tree; of more, those with the smallest ids stand for themselves, the rest for one. Of
a tree that holds another's hunks among many of its own the smallest are partly the other's."""
_ID_DIGITS = 16
_ALIKE = 0.5
"""Share of words from which a statement takes another's place."""
_MOST_PAIRS = 10_000
_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)

Op = Literal["added", "removed", "moved"]
_Reading = Callable[[bytes], tuple[Names, Sequence[Statement]]]


@dataclass(frozen=True, slots=True, eq=False)
class Hunk:
    """One change."""

    id: str
    """16 hexadecimal digits, the same for the same change."""
    path: str
    op: Op
    new: Statement | None = None
    """The statement as the tree has it; None for what was removed and for lines."""
    old: Statement | None = None
    """As the start has it: what was moved or removed, or whose place the new one takes."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """One Python file beside the start's."""

    path: str
    tree: ast.Module
    old: tuple[Statement, ...]
    new: tuple[Statement, ...]
    kept: Mapping[Statement, Statement]
    """The start's statement -> the tree's, for all that both have."""
    hunks: tuple[Hunk, ...]


def hunk_ids(start: Mapping[str, bytes], tree: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return the hunks of `tree` against `start` as sorted ids, at most `MOST_HUNKS`.

    Raises:
        RecursionError: a text is too deep to be read. Also MemoryError.
    """
    found = _found(start, tree, _read_once)
    return tuple(sorted(set(folded({hunk.id for hunk in found}).values())))


def coarse_ids(start: Mapping[str, bytes], tree: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return ids where nobody can read the texts: one for each file that differs."""
    changed = {path for path in {*start, *tree} if start.get(path) != tree.get(path)}
    ids = {_id("file", path, repr(tree.get(path))) for path in changed}
    return tuple(sorted(set(folded(ids).values())))


def folded(ids: Iterable[str]) -> dict[str, str]:
    """Return what each of the ids is recorded as."""
    inorder = sorted(set(ids))
    if len(inorder) <= MOST_HUNKS:
        return {each: each for each in inorder}
    kept, rest = inorder[: MOST_HUNKS - 1], inorder[MOST_HUNKS - 1 :]
    one = _id("rest", *rest)
    return {each: each for each in kept} | dict.fromkeys(rest, one)


def hunks(start: Mapping[str, bytes], tree: Mapping[str, bytes]) -> list[Hunk]:
    """Return the hunks of `tree` against `start`, by path and then by place."""
    return _found(start, tree, _read)


def _found(start: Mapping[str, bytes], tree: Mapping[str, bytes], read: _Reading) -> list[Hunk]:
    found: list[Hunk] = []
    for path in sorted({*start, *tree}):
        older, newer = start.get(path, b""), tree.get(path, b"")
        if older == newer:
            continue
        compared = _compared(path, older, newer, read)
        found += compared.hunks if compared is not None else _lines(path, older, newer)
    return found


def compare(path: str, older: bytes, newer: bytes) -> Comparison | None:
    """Return two Python files side by side; None where they are none, or cannot be parsed."""
    return _compared(path, older, newer, _read)


def _compared(path: str, older: bytes, newer: bytes, read: _Reading) -> Comparison | None:
    if not path.endswith(".py"):
        return None
    try:
        names, old = read(older)
        after = parse(newer)
    except _UNREADABLE:
        return None
    new = statements(after, names)
    kept = _kept(old, new)
    found = tuple(_changes(path, old, new, kept))
    return Comparison(path, after, tuple(old), tuple(new), kept, found)


def _read(older: bytes) -> tuple[Names, Sequence[Statement]]:
    """Return what the start's file binds, and its statements."""
    before = parse(older)
    names = Names(before)
    return names, statements(before, names)


_read_once = lru_cache(maxsize=16)(_read)
"""For who only looks: the start is compared with every tree."""


def _kept(old: Sequence[Statement], new: Sequence[Statement]) -> dict[Statement, Statement]:
    """Pair statements that both files have, the first with the first where there are several.

    Not by the longest common subsequence: what is put beside a change must not change how the rest
    is paired.
    """
    waiting: defaultdict[tuple[Scope, str], list[Statement]] = defaultdict(list)
    for one in reversed(new):
        waiting[one.key].append(one)
    return {one: waiting[one.key].pop() for one in old if waiting[one.key]}


def _changes(
    path: str,
    old: Sequence[Statement],
    new: Sequence[Statement],
    kept: Mapping[Statement, Statement],
) -> Iterator[Hunk]:
    held = set(kept.values())
    added = [one for one in new if one not in held and one.is_shown]
    gone = [one for one in old if one not in kept and one.is_shown]
    replaced = _replaced(gone, added)
    for one in added:
        yield Hunk(_of(path, "added", one), path, "added", one, replaced.get(one))
    taken = set(replaced.values())
    for one in gone:
        if one not in taken:
            yield Hunk(_of(path, "removed", one), path, "removed", None, one)
    for one in _moved(old, new, kept):
        there = kept[one]
        yield Hunk(_of(path, "moved", there, *there.nest), path, "moved", there, one)


def _replaced(gone: Sequence[Statement], added: Sequence[Statement]) -> dict[Statement, Statement]:
    """Return which added statement takes which one's place: it binds the same, or reads alike.

    What only stands where another stood does not: or who takes a line out and puts a word there
    would seem to have done something else.
    """
    found: dict[Statement, Statement] = {}
    for feature, alike in ((_bound, _binds_alike), (_read_words, _reads_alike)):
        old: defaultdict[Scope, list[Statement]] = defaultdict(list)
        new: defaultdict[Scope, list[Statement]] = defaultdict(list)
        taken = set(found.values())
        for one in gone:
            if one not in taken:
                old[one.scope].append(one)
        for one in added:
            if one not in found:
                new[one.scope].append(one)
        for scope, candidates in new.items():
            if len(candidates) * len(old[scope]) <= _MOST_PAIRS:
                found |= _pairs(candidates, old[scope], feature, alike)
    return found


def _pairs(
    new: Sequence[Statement],
    old: Sequence[Statement],
    feature: Callable[[Statement], Any],
    alike: Callable[[Any, Any], float],
) -> dict[Statement, Statement]:
    """Pair the likest first, each once; of equals the first."""
    theirs = [feature(one) for one in old]
    likeness = [
        (-degree, i, j)
        for i, mine in enumerate(map(feature, new))
        for j, other in enumerate(theirs)
        if (degree := alike(mine, other))
    ]
    found: dict[int, int] = {}
    for _, i, j in sorted(likeness):
        if i not in found and j not in found.values():
            found[i] = j
    return {new[i]: old[j] for i, j in found.items()}


def _binds_alike(names: tuple[str, ...] | None, others: tuple[str, ...] | None) -> float:
    return float(names is not None and names == others)


def _bound(one: Statement) -> tuple[str, ...] | None:
    """What a statement is there to define, if it is."""
    node = one.node
    if isinstance(node, Definition):
        return "definition", node.name
    if isinstance(node, ast.AnnAssign | ast.AugAssign):
        return ("value", ast.dump(node.target))
    if isinstance(node, ast.Assign):
        return ("value", *map(ast.dump, node.targets))
    return ("return",) if isinstance(node, ast.Return) else None


def _read_words(one: Statement) -> tuple[type[ast.AST], Counter[str]]:
    return type(one.node), Counter(one.words)


def _reads_alike(
    one: tuple[type[ast.AST], Counter[str]], other: tuple[type[ast.AST], Counter[str]]
) -> float:
    """Dice's coefficient of their words, where it is large enough; 0 for different kinds."""
    if one[0] is not other[0]:
        return 0.0
    mine, theirs = one[1], other[1]
    size = mine.total() + theirs.total()
    share = 2 * (mine & theirs).total() / size if size else 0.0
    return share if share >= _ALIKE else 0.0


def _moved(
    old: Sequence[Statement], new: Sequence[Statement], kept: Mapping[Statement, Statement]
) -> list[Statement]:
    """Return those statements of the start that stand elsewhere now.

    Within a scope: all but a longest run of them that kept their order (Fredman 1975), and those
    that are in other blocks than before.
    """
    place = {one: at for at, one in enumerate(new)}
    by_scope: defaultdict[Scope, list[Statement]] = defaultdict(list)
    for one in old:
        if one in kept:
            by_scope[one.scope].append(one)
    moved: list[Statement] = []
    for those in by_scope.values():
        steady = _longest_run([place[kept[one]] for one in those])
        moved += [
            one for at, one in enumerate(those) if at not in steady or one.nest != kept[one].nest
        ]
    return [one for one in moved if one.is_shown]


def _longest_run(numbers: Sequence[int]) -> set[int]:
    """Return the indices of a longest increasing subsequence."""
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for at, number in enumerate(numbers):
        length = bisect_left(ends, number)
        ends[length:] = [number, *ends[length + 1 :]]
        last[length:] = [at, *last[length + 1 :]]
        before.append(last[length - 1] if length else -1)
    run: set[int] = set()
    at = last[-1] if last else -1
    while at >= 0:
        run.add(at)
        at = before[at]
    return run


def _lines(path: str, older: bytes, newer: bytes) -> list[Hunk]:
    """Return the lines that one text has more often than the other, blanks at their ends aside."""
    before, after = (
        Counter(filter(None, map(bytes.strip, t.split(b"\n")))) for t in (older, newer)
    )
    ways: tuple[tuple[Op, Counter[bytes]], ...] = (
        ("added", after - before),
        ("removed", before - after),
    )
    return [Hunk(_id(op, path, repr(line)), path, op) for op, lines in ways for line in lines]


def _of(path: str, op: str, one: Statement, *more: str) -> str:
    return _id(op, path, *one.scope, one.text, *more)


def _id(*parts: str) -> str:
    digest = hashlib.sha256(b"hunk 1")
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()[:_ID_DIGITS]
