"""Identity: the key under which a tree's measurements are known, and their seeds.

Same key means same experiment, so comments, layout and docstrings of Python files do not count, and
the task's lock, the budget and the device class do. Not a defence: a program that finds a way to
read its own text can still tell two trees with one key apart; it gains the other's verdict. The
scheduler looks keys up in the ledger; the seeds go into `Job.seed`.
"""

from __future__ import annotations

import ast
import hashlib
import warnings
from collections.abc import Iterable, Iterator, Mapping

from trainer.experiment import Budget

_VERSION = b"tree-key 1"
_DEEPEST_SYNTAX = 200
"""Deeper trees count as bytes: whether Python can parse them depends on the caller's own stack, and
a key must not."""
_SELF_READING = (b"__doc__", b"__file__", b"inspect", b"linecache", b"f_lineno", b"co_code")
"""A file naming one of these may act on its own text, so its text is its identity."""

_CLOSE = object()
_DOCUMENTED = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def tree_key(
    files: Mapping[str, bytes], *, lock_hash: str, budget: Budget, device_class: str
) -> str:
    """Return the tree's identity as 64 hexadecimal digits of SHA-256.

    Args:
        files: content by path; ``.py`` files count as syntax trees without docstrings, and as bytes
            where they do not parse; other files count as bytes.
        lock_hash: the task lock that scores are compared under.
        budget: what one experiment may spend.
        device_class: see `trainer.devices.device_class`.
    """
    parts = [(path, *_content(path, files[path])) for path in sorted(files)]
    return _digest(parts, lock_hash, budget, device_class)


def byte_key(
    files: Mapping[str, bytes], *, lock_hash: str, budget: Budget, device_class: str
) -> str:
    """Return the identity of a tree that nobody reads: as `tree_key`, with every file as bytes."""
    parts = [(path, b"bytes", files[path]) for path in sorted(files)]
    return _digest(parts, lock_hash, budget, device_class)


def _digest(
    parts: Iterable[tuple[str, bytes, bytes]], lock_hash: str, budget: Budget, device_class: str
) -> str:
    """Return the SHA-256 of (path, how it counts, what counts of it) per file, and the rest."""
    fields = [_VERSION, lock_hash.encode(), budget.kind.encode()]
    fields += [repr(float(budget.amount)).encode(), device_class.encode()]
    for path, kind, content in parts:
        fields += [path.encode(), kind, content]
    digest = hashlib.sha256()
    for field in fields:
        digest.update(len(field).to_bytes(8, "big"))
        digest.update(field)
    return digest.hexdigest()


def measurement_seed(run_seed: int, tree_key: str, n: int) -> int:
    """Return the seed of measurement `n` (0, 1, ...) of a tree: an integer below 2**63."""
    text = f"measurement-seed 1|{run_seed}|{tree_key}|{n}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def _content(path: str, content: bytes) -> tuple[bytes, bytes]:
    """Return how a file counts (its kind) and what counts of it."""
    if path.endswith(".py") and not any(word in content for word in _SELF_READING):
        syntax = _syntax(content)
        if syntax is not None:
            return b"syntax", syntax
    return b"bytes", content


def _syntax(content: bytes) -> bytes | None:
    """Return the file's syntax without docstrings, or None if it is hostile or does not parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes and the like: the candidate's affair
            tree = ast.parse(content)
        return "".join(_tokens(tree)).encode("utf-8", "surrogatepass")
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None


def _tokens(tree: ast.AST) -> Iterator[str]:
    """Yield `tree` as text, without recursion.

    Raises:
        RecursionError: it is deeper than `_DEEPEST_SYNTAX` nodes.
    """
    stack: list[tuple[object, int]] = [(tree, 0)]
    while stack:
        item, depth = stack.pop()
        if depth > _DEEPEST_SYNTAX:
            raise RecursionError
        if item is _CLOSE:
            yield ")"
        elif isinstance(item, ast.AST):
            yield f"({type(item).__name__}"
            stack.append((_CLOSE, depth))
            stack.extend((child, depth + 1) for child in reversed(_children(item)))
        elif isinstance(item, list):
            yield "([]"
            stack.append((_CLOSE, depth))
            stack.extend((child, depth) for child in reversed(item))
        else:
            yield f" {item!r}"


def _children(node: ast.AST) -> list[object]:
    """Return a node's fields in order, a documented one's body without its docstring."""
    children: list[object] = [getattr(node, name, None) for name in node._fields]
    if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
        children[node._fields.index("body")] = node.body[1:]
    return children
