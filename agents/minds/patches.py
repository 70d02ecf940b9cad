"""Patches: unified diffs as models and ``git diff`` write them, taken apart into hunks per file.

Lenient where leniency cannot change the meaning: counts in headers are not believed, a header may
lack its numbers, an empty line is an empty line of context. Nothing is applied here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_HEADER = re.compile(r"^@@(?:\s+-(\d+)(?:,(\d+))?\s+\+\d+(?:,\d+)?\s+@@.*|\s*@@.*|\s*)$")
_SKIPPED = ("diff --git ", "index ", "new file mode ", "similarity index ", "old mode ", "new mode")


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines that stand somewhere, and the lines that shall stand there instead."""

    line: int | None
    """Where the header says that the old lines begin, from 1; None where it says nothing."""
    old: tuple[str, ...]
    new: tuple[str, ...]
    is_after: bool = False
    """Whether it adds after `line`: headers of diffs without context say ``-N,0``."""


def parse_hunks(text: str) -> tuple[Hunk, ...] | str:
    """Return the hunks of one file's unified diff, or why it is none.

    File headers are passed over; a diff of several files is a fault here (`parse_patch`).
    """
    files = parse_patch(text)
    if isinstance(files, str):
        return files
    if len(files) > 1:
        return f"it is a diff of {len(files)} files; give one edit for each"
    return next(iter(files.values()))


def parse_patch(text: str) -> Mapping[str, tuple[Hunk, ...]] | str:
    """Return the hunks of a unified diff by the path of the file after it, or why it is none.

    A diff without file headers has the path ``""``. Renames, binary patches and removed files are
    faults: a proposal changes text in place.
    """
    files: dict[str, list[Hunk]] = {}
    path, lines, at, old_name = "", text.replace("\r\n", "\n").split("\n"), 0, ""
    while at < len(lines):
        line = lines[at]
        if line.startswith("@@"):
            parsed = _read_hunk(lines, at)
            if isinstance(parsed, str):
                return parsed
            hunk, at = parsed
            files.setdefault(path, []).append(hunk)
            continue
        if line.startswith("--- "):
            old_name = _name(line)
        elif line.startswith("+++ "):
            path = _name(line)
            if path == "/dev/null":
                return f"it removes {old_name}; a proposal changes files and removes none"
        elif line.startswith(("rename ", "GIT binary patch", "Binary files ", "deleted file ")):
            return f"it is more than a change of text: {line[:60]!r}"
        elif line.strip() and not line.startswith(_SKIPPED):
            return f"line {at + 1} of the diff is neither header nor hunk: {line[:60]!r}"
        at += 1
    if not files:
        return "there is no hunk in it; a hunk begins with a line @@ -1,3 +1,3 @@"
    return {name: tuple(hunks) for name, hunks in files.items()}


def _read_hunk(lines: list[str], at: int) -> tuple[Hunk, int] | str:
    """Return the hunk whose header is line `at`, and the line after it."""
    header = _HEADER.match(lines[at])
    if header is None:
        return f"line {at + 1} of the diff is no hunk header: {lines[at][:60]!r}"
    old: list[str] = []
    new: list[str] = []
    begin = at
    at += 1
    while at < len(lines) and not lines[at].startswith(("@@", "diff --git ")):
        line = lines[at]
        if line.startswith("--- ") and at + 1 < len(lines) and lines[at + 1].startswith("+++ "):
            break  # the next file; a removed line that begins with "-- " is not followed by +++
        mark, rest = line[:1], line[1:]
        if mark == "-":
            old.append(rest)
        elif mark == "+":
            new.append(rest)
        elif mark in (" ", ""):
            old.append(rest)
            new.append(rest)
        elif mark != "\\":  # "\ No newline at end of file"
            return f"line {at + 1} of the diff begins with {mark!r}, not with ' ', '-' or '+'"
        at += 1
    last = at - 1
    while last > begin and lines[last] == "" and old and new:
        old.pop()  # empty lines at the end part hunks, or end the text; less context does no harm
        new.pop()
        last -= 1
    if old == new:
        return f"the hunk at line {begin + 1} of the diff changes nothing"
    number = int(header[1]) if header[1] else None
    return Hunk(number, tuple(old), tuple(new), header[2] == "0"), max(at, begin + 1)


def _name(line: str) -> str:
    """Return the path in a line ``--- a/path`` or ``+++ b/path``, without a time stamp."""
    name = line[4:].split("\t")[0].strip().strip('"')
    return name[2:] if name.startswith(("a/", "b/")) else name
