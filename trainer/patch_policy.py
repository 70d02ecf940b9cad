"""The patch policy: which paths and texts researchers may put into a task's tree.

Everything here is structure (names, sizes, characters); whether a change cheats is for the sandbox
and the scorer to make impossible. Files that pass go to `trainer.repository` as a commit and to
`trainer.workspace` as a folder, both of which rely on the names being plain.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from trainer.errors import PatchRefusedError

TREE_BYTES = 40 * 1024
"""Default cap on a whole tree: a readable training script needs 16 KiB, a table of answers more."""
PATCH_BYTES = 40 * 1024
"""Default cap on the new text of one change: at most everything is rewritten."""
PATCH_FILES = 8
"""Default cap on the files one change may touch; more cannot be reviewed by a person."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_LONGEST_PATH = 120
_DEEPEST_PATH = 4
_LAYOUT = "\t\n\f"
# Characters that make a diff show another program than the one that runs (CVE-2021-42574).
_BIDIRECTIONAL = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def check_path(path: str) -> None:
    """Refuse `path` unless it is a plain relative path such as ``model/layers.py``.

    Raises:
        PatchRefusedError: rule ``path`` (absolute, empty or dotted parts, backslashes, too deep or
            too long) or ``name`` (characters other than letters, digits, ``_.-``; hidden names).
    """
    parts = path.split("/")
    if not path or len(path) > _LONGEST_PATH or len(parts) > _DEEPEST_PATH:
        advice = f"must have 1-{_DEEPEST_PATH} parts and at most {_LONGEST_PATH} characters"
        raise _refuse(path, "path", advice)
    if "\\" in path or any(part in ("", ".", "..") for part in parts):
        raise _refuse(path, "path", "must be relative to the tree, with plain parts between '/'")
    for part in parts:
        if not _NAME.fullmatch(part) or part.endswith("."):
            raise _refuse(
                path,
                "name",
                "may use letters, digits, '_', '-' and '.', and start with none of '.-'",
            )


def check_tree(files: Mapping[str, bytes], tree_bytes: int = TREE_BYTES) -> None:
    """Refuse a whole tree that has bad names, clashing names, or is too large.

    Args:
        files: content by path.
        tree_bytes: cap on the sum of all contents.

    Raises:
        PatchRefusedError: as `check_path`; rule ``clash`` where two paths differ only in case or
            one is the folder of the other; rule ``size`` beyond `tree_bytes`.
    """
    for path in sorted(files):
        check_path(path)
    seen: dict[str, str] = {}
    for path in sorted(files):
        folded = path.casefold()
        if folded in seen:
            raise _refuse(path, "clash", f"is spelt like {seen[folded]}; keep one of the two")
        seen[folded] = path
    for path in sorted(files):
        parts = path.casefold().split("/")
        for count in range(1, len(parts)):
            folder = "/".join(parts[:count])
            if folder in seen:
                raise _refuse(path, "clash", f"needs {seen[folder]} to be a folder; rename one")
    size = sum(len(content) for content in files.values())
    if size > tree_bytes:
        raise _refuse("", "size", f"makes a tree of {size} bytes; the task allows {tree_bytes}")


@dataclass(frozen=True, slots=True)
class PatchPolicy:
    """What one task allows its researchers to change."""

    editable: tuple[str, ...]
    """The only paths that may differ from the parent's tree."""
    tree_bytes: int = TREE_BYTES
    """Cap on the whole tree after the change."""
    patch_bytes: int = PATCH_BYTES
    """Cap on the new text of all changed files together."""
    patch_files: int = PATCH_FILES
    """Cap on the number of changed files."""

    def apply(self, parent: Mapping[str, bytes], changed: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return the tree that `changed` makes of `parent`.

        Args:
            parent: content by path of the declared parent's tree.
            changed: whole new content by path; files equal to the parent's are allowed and ignored.

        Raises:
            PatchRefusedError: rule ``editable`` (a path the task does not open), ``text`` (not
                UTF-8, or control characters), ``files`` or ``size`` (a cap), ``unchanged`` (nothing
                differs from the parent), or any of `check_tree`.
        """
        new = {path: content for path, content in changed.items() if parent.get(path) != content}
        if len(new) > self.patch_files:
            advice = f"touches {len(new)} files; the task allows {self.patch_files}"
            raise _refuse("", "files", advice)
        for path in sorted(new):
            check_path(path)
            if path not in self.editable:
                allowed = ", ".join(self.editable)
                raise _refuse(path, "editable", f"is not editable; this task opens only: {allowed}")
        size = sum(len(content) for content in new.values())
        if size > self.patch_bytes:
            advice = f"brings {size} bytes of new files; the task allows {self.patch_bytes}"
            raise _refuse("", "size", advice)
        for path in sorted(new):
            _check_text(path, new[path])
        if not new:
            raise _refuse("", "unchanged", "leaves the parent as it is; change an editable file")
        tree = {**parent, **new}
        check_tree(tree, self.tree_bytes)
        return tree


def _check_text(path: str, content: bytes) -> None:
    """Refuse content that a person reviewing a diff could not see as it is."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refuse(path, "text", f"is not UTF-8 at byte {error.start}; save it so") from error
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        for character in line:
            hidden = unicodedata.category(character) in ("Cc", "Zl", "Zp")
            if (hidden and character not in _LAYOUT) or character in _BIDIRECTIONAL:
                code = f"U+{ord(character):04X}"
                raise _refuse(path, "text", f"has {code} in line {number}; remove it")


def _refuse(path: str, rule: str, advice: str) -> PatchRefusedError:
    """Return the error; the path is quoted as data, since whoever sent it is not trusted."""
    shown = ascii(path[:_LONGEST_PATH]) if path else ""
    return PatchRefusedError(shown, rule, advice)
