"""Editing: from what a mind wants changed to whole new files, or to the exact reason why not.

Pure functions over text: search and replace, unified diffs, whole files, over several files at once
and all or nothing. What others or the mind wrote is never run. Next: `agents.minds.parsing` makes a
`agents.actions.Run` of the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from agents.minds.patches import Hunk, parse_hunks

How = Literal["replace", "diff", "whole"]

MOST_EDITS = 64
MOST_CHARACTERS = 262_144
"""Of all edits of one proposal; a task's own caps are far below."""
SHOWN_PLACES = 5
COMPARED_LINES = 200
"""Lines of a search text that are compared in looking for what comes nearest to it."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of one file."""

    path: str
    how: How
    search: str
    """replace: text that occurs exactly once in the file; otherwise empty."""
    text: str
    """replace: what stands there instead; diff: hunks of a unified diff; whole: the new file."""


@dataclass(frozen=True, slots=True)
class Edited:
    """What came of edits: files, or faults, never both."""

    files: Mapping[str, str]
    """Whole new text by path of the files that changed."""
    faults: tuple[str, ...]
    """One sentence for each edit that does not apply."""


def apply_edits(tree: Mapping[str, str], edits: Sequence[Edit]) -> Edited:
    """Return the files of `tree` that `edits` change, applied in order, or why they do not apply.

    Args:
        tree: the parent's editable files by path.
        edits: as a mind gave them; later ones see what earlier ones left.
    """
    if not edits:
        return Edited({}, ("there are no edits; a hypothesis changes at least one file",))
    if len(edits) > MOST_EDITS:
        return Edited({}, (f"{len(edits)} edits; at most {MOST_EDITS}",))
    if sum(len(edit.search) + len(edit.text) for edit in edits) > MOST_CHARACTERS:
        return Edited({}, (f"the edits hold more than {MOST_CHARACTERS} characters",))
    now = dict(tree)
    faults: list[str] = []
    for number, edit in enumerate(edits, start=1):
        after = _applied(now, edit)
        if isinstance(after, _Fault):
            faults.append(f"edit {number} ({edit.path or 'no path'}): {after.why}")
        else:
            now[edit.path] = after
    if faults:
        return Edited({}, tuple(faults))
    changed = {path: text for path, text in now.items() if tree.get(path) != text}
    if not changed:
        return Edited({}, ("the edits change nothing: the files are what they were",))
    return Edited(changed, ())


@dataclass(frozen=True, slots=True)
class _Fault:
    why: str


def _applied(tree: Mapping[str, str], edit: Edit) -> str | _Fault:
    if edit.how == "whole":
        return _with_newline(edit.text) if edit.path else _Fault("name the file's path")
    before = tree.get(edit.path)
    if before is None:
        known = ", ".join(sorted(tree)) or "none"
        return _Fault(f"no such file; files that can be edited: {known}")
    return _replaced(before, edit) if edit.how == "replace" else _patched(before, edit.text)


def _replaced(before: str, edit: Edit) -> str | _Fault:
    search = edit.search
    if not search.strip():
        return _Fault("the search text is empty; give lines that occur exactly once")
    count = before.count(search)
    if count == 1:
        return before.replace(search, edit.text)
    if count > 1:
        places = _places(before, search)
        shown = ", ".join(str(line) for line in places[:SHOWN_PLACES])
        return _Fault(
            f"the search text occurs {count} times (from lines {shown}); add lines around it until "
            "it occurs once"
        )
    return _Fault(f"the search text does not occur; {_nearest(before, search)}")


def _places(text: str, search: str) -> list[int]:
    """Return the lines, from 1, at which `search` begins."""
    found: list[int] = []
    at = text.find(search)
    while at >= 0:
        found.append(text.count("\n", 0, at) + 1)
        at = text.find(search, at + 1)
    return found


def _nearest(text: str, search: str) -> str:
    """Say which lines of `text` come nearest to `search`, and where they first differ."""
    wanted = search.strip("\n").split("\n")[:COMPARED_LINES]
    lines = text.split("\n")
    bare = [line.strip() for line in lines]
    goal = [line.strip() for line in wanted]
    best, where = 0, -1
    for start in range(len(lines)):
        if bare[start] != goal[0] and bare[start : start + 1] != goal[1:2]:
            continue  # only places where the first or the second line is there
        begin = start if bare[start] == goal[0] else max(0, start - 1)
        pairs = zip(bare[begin : begin + len(goal)], goal, strict=False)
        score = sum(one == other and bool(one) for one, other in pairs)
        if score > best:
            best, where = score, begin
    if where < 0:
        return "no line of the file begins like it; copy the lines exactly as they are shown"
    for offset, line in enumerate(wanted):
        there = lines[where + offset] if where + offset < len(lines) else ""
        if there != line:
            return (
                f"nearest are the lines from {where + 1}; line {where + offset + 1} is "
                f"{_shown(there)} and you wrote {_shown(line)}"
            )
    return f"nearest are the lines from {where + 1}, which break off differently"


def _patched(before: str, text: str) -> str | _Fault:
    hunks = parse_hunks(text)
    if isinstance(hunks, str):
        return _Fault(hunks)
    lines = before.split("\n")
    shift = 0
    for number, hunk in enumerate(hunks, start=1):
        at = _place_of(lines, hunk, shift)
        if isinstance(at, _Fault):
            return _Fault(f"hunk {number}: {at.why}")
        lines[at : at + len(hunk.old)] = hunk.new
        shift += len(hunk.new) - len(hunk.old)
    return "\n".join(lines)


def _place_of(lines: Sequence[str], hunk: Hunk, shift: int) -> int | _Fault:
    """Return the index at which the old lines of `hunk` stand.

    Where its header says, else at the one place that fits: models count lines badly.
    """
    size = len(hunk.old)
    told = None if hunk.line is None else hunk.line - 1 + shift
    if not size:
        if told is None:
            return _Fault("it removes nothing and has no context; give lines around it")
        return min(max(0, told + 1 if hunk.is_after else told), len(lines))
    if told is not None and list(lines[told : told + size]) == list(hunk.old) and told >= 0:
        return told
    first = hunk.old[0]
    places = [
        at
        for at in range(len(lines) - size + 1)
        if lines[at] == first and list(lines[at : at + size]) == list(hunk.old)
    ]
    if len(places) == 1:
        return places[0]
    if places:
        shown = ", ".join(str(at + 1) for at in places[:SHOWN_PLACES])
        return _Fault(f"its old lines occur {len(places)} times (from lines {shown}); add context")
    nearest = _nearest("\n".join(lines), "\n".join(hunk.old))
    return _Fault(f"its old lines do not occur; {nearest}")


def _with_newline(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _shown(line: str, limit: int = 80) -> str:
    return repr(line if len(line) <= limit else line[: limit - 1] + "…")
