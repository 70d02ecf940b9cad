"""The patch policy: which paths and texts researchers may put into a task's tree.

Everything here is structure (names, sizes, characters); whether a change cheats is for the sandbox
and the scorer to make impossible. Files that pass go to `trainer.repository` as a commit and to
`trainer.workspace` as a folder, both of which rely on the names being plain.

Two caps keep a held-out text from being carried in a tree. `literal_bytes` bounds the literals that
one patch adds to its parents; many patches add up, and code can spell data without any literal, so
`novel_bytes` bounds all that the tree tells beyond the start, whoever wrote it and in whatever
form. What they leave: that many bytes, compressed as well as somebody can, of any text he knows.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainer.errors import PatchRefusedError
from trainer.text_measure import Literals, added_bytes, literals_of, novel_bytes

TREE_BYTES = 40 * 1024
"""Default cap on a whole tree: a readable training script needs 16 KiB, a table of answers more."""
PATCH_BYTES = 40 * 1024
"""Default cap on the new text of one change: at most everything is rewritten."""
PATCH_FILES = 8
"""Default cap on the files one change may touch; more cannot be reviewed by a person."""
LITERAL_BYTES = 2 * 1024
"""Default cap on the literals one change adds; the 25 knobs of `nanolm` hold some 150 bytes."""
NOVEL_BYTES = 8 * 1024
"""Default cap on what a tree tells beyond the start, deflated: 20 KiB of code written from nothing
fits. Held-out text, at the two bits a byte of a good small model, would come to 32 KiB."""
SOURCE_SUFFIXES = (".py", ".toml", ".json", ".yaml", ".cfg", ".ini", ".txt", ".md")
"""What a change may touch: text that people read. All but ``.py`` counts whole as literals."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_LONGEST_PATH = 120
_DEEPEST_PATH = 4
_RESERVED = frozenset(
    {"__pycache__", "head", "objects", "refs", "hooks", "packed-refs"}  # a repository within ours
    | {"sitecustomize", "usercustomize"}  # run by Python unasked
    | {"con", "prn", "aux", "nul"}  # devices, with any suffix, where a clone meets Windows
    | {f"{port}{number}" for port in ("com", "lpt") for number in range(10)}
)
"""Names that git, Python or another system acts on, without their suffix and in small letters."""
_COMPILED = (".pyc", ".pyo", ".pyd", ".so", ".dll", ".dylib", ".pth", ".egg", ".zip", ".whl")
"""Suffixes that Python would run or import from, unread by anybody."""
_LAYOUT = "\t\n\f"
_PLAIN = re.compile(rb"[\t\n\f\x20-\x7e]*")
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
"""Where Python looks for a file's encoding: a comment in one of its first two lines."""
_UTF8 = (b"utf-8", b"utf8", b"ascii", b"us-ascii")
_UNSEEN = ("Cc", "Cf", "Co", "Cn", "Zl", "Zp")
"""Categories that show as nothing, or make a diff show another program than the one that runs
(CVE-2021-42574): controls, marks of direction and width, what no font has."""
_JOINERS = "\u200c\u200d"
"""Unseen too, but Persian and Hindi are misspelt without them."""
_VARIATIONS = re.compile("[\ufe00-\ufe0e\U000e0100-\U000e01ef]")
"""Selectors that most fonts ignore: a byte each, carried by any letter."""


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
        folded = part.casefold()
        if folded.partition(".")[0] in _RESERVED or folded.endswith(_COMPILED):
            raise _refuse(path, "name", f"has a part, {part}, that some system acts on; rename it")


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
    literal_bytes: int = LITERAL_BYTES
    """Cap on the literals that a change adds to those of its parents."""
    novel_bytes: int = NOVEL_BYTES
    """Cap on what the whole tree tells beyond the start, deflated."""

    def apply(self, parent: Mapping[str, bytes], changed: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return the tree that `changed` makes of `parent`, judged by names and sizes alone.

        No text is read here, so this is safe anywhere; `read` does the rest.

        Args:
            parent: content by path of the declared parent's tree.
            changed: whole new content by path; files equal to the parent's are allowed and ignored.

        Raises:
            PatchRefusedError: rule ``editable`` (a path the task does not open), ``source`` (not a
                kind of file that people read), ``files`` or ``size`` (a cap), ``unchanged``
                (nothing differs from the parent), or any of `check_tree`.
        """
        new = _new(parent, changed)
        if len(new) > self.patch_files:
            advice = f"touches {len(new)} files; the task allows {self.patch_files}"
            raise _refuse("", "files", advice)
        for path in sorted(new):
            check_path(path)
            if path not in self.editable:
                allowed = ", ".join(self.editable)
                raise _refuse(path, "editable", f"is not editable; this task opens only: {allowed}")
            if not path.endswith(SOURCE_SUFFIXES):
                kinds = ", ".join(SOURCE_SUFFIXES)
                raise _refuse(path, "source", f"is no source file; a patch may touch only: {kinds}")
        size = sum(len(content) for content in new.values())
        if size > self.patch_bytes:
            advice = f"brings {size} bytes of new files; the task allows {self.patch_bytes}"
            raise _refuse("", "size", advice)
        if not new:
            raise _refuse("", "unchanged", "leaves the parent as it is; change an editable file")
        tree = {**parent, **new}
        check_tree(tree, self.tree_bytes)
        return tree

    def read(
        self,
        tree: Mapping[str, bytes],
        parents: Sequence[Mapping[str, bytes]],
        start: Mapping[str, bytes],
    ) -> None:
        """Refuse a tree that `apply` gave for what its text holds.

        Hostile text is parsed: `trainer.text_process` has it done in a process of its own.

        Args:
            tree: content by path.
            parents: the trees of all commits it builds on, the declared parent first.
            start: the task's start tree.

        Raises:
            PatchRefusedError: rule ``text`` (not UTF-8, or characters nobody sees), ``syntax`` (a
                ``.py`` file that is no Python), ``literals`` or ``novelty`` (a cap).
        """
        new = _new(parents[0], tree)
        for path in sorted(new):
            _check_text(path, new[path])
        added = sum(
            added_bytes(_literals(path, new[path]), [_known(path, each) for each in parents])
            for path in sorted(new)
        )
        if added > self.literal_bytes:
            advice = (
                f"adds {added} bytes of string, bytes and number literals to its parents'; the "
                f"task allows {self.literal_bytes}"
            )
            raise _refuse("", "literals", advice)
        told = novel_bytes(start, tree)
        if told > self.novel_bytes:
            advice = (
                f"makes a tree that tells {told} bytes more than the start, compressed; the task "
                f"allows {self.novel_bytes}. Drop code and comments that nothing needs"
            )
            raise _refuse("", "novelty", advice)


def _new(parent: Mapping[str, bytes], tree: Mapping[str, bytes]) -> dict[str, bytes]:
    return {path: content for path, content in tree.items() if parent.get(path) != content}


def _literals(path: str, content: bytes) -> Literals:
    """Return the literals of a file.

    Raises:
        PatchRefusedError: rule ``syntax``.
    """
    try:
        return literals_of(path, content)
    except SyntaxError as error:
        why = f"is no Python at line {error.lineno}: {ascii(error.msg)[:100]}"
        raise _refuse(path, "syntax", why) from error
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise _refuse(path, "syntax", "cannot be read as Python; write it plainer") from error


def _known(path: str, tree: Mapping[str, bytes]) -> Literals:
    """Return the literals of a file of a parent; a start that is no Python has none."""
    try:
        return literals_of(path, tree.get(path, b""))
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return Literals()


def _check_text(path: str, content: bytes) -> None:
    """Refuse content that a person reviewing a diff could not see as it is."""
    for head in content.split(b"\n", 2)[:2]:
        cookie = _COOKIE.match(head)
        if cookie and cookie[1].lower().replace(b"_", b"-") not in _UTF8:
            raise _refuse(path, "text", "asks to be read in another encoding; UTF-8 needs no word")
    joined = content.replace(b"\r\n", b"\n")
    if _PLAIN.fullmatch(joined):
        return
    try:
        text = joined.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refuse(path, "text", f"is not UTF-8 at byte {error.start}; save it so") from error
    for number, line in enumerate(text.split("\n"), start=1):
        for character in line:
            hidden = unicodedata.category(character) in _UNSEEN and character not in _JOINERS
            if (hidden and character not in _LAYOUT) or _VARIATIONS.match(character):
                code = f"U+{ord(character):04X}"
                raise _refuse(path, "text", f"has {code} in line {number}; remove it")


def _refuse(path: str, rule: str, advice: str) -> PatchRefusedError:
    """Return the error; the path is quoted as data, since whoever sent it is not trusted."""
    shown = ascii(path[:_LONGEST_PATH]) if path else ""
    return PatchRefusedError(shown, rule, advice)
