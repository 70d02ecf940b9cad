"""A task at another size: a copy of its folder whose start sets some constants otherwise.

The copy is a task like any other: `community run` works on it as well. Caps on what a model may
weigh grow with it, and its lock is written anew where they did; the grader, the held-out text and
all that decides a score stay what they are. The task itself is never touched.
"""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agents.errors import KnobError
from agents.knobs import load_knobs
from community.errors import TransferError
from community.lock_writing import write_lock
from community.transfer.plan import resized, value_of
from forum.messages import KnobValue
from trainer.task import Task, load_task

_NAME = re.compile(r"[^a-z0-9_-]+")
_GROWING: Final = ("artefact_bytes", "loading_cpu_s")
"""Caps of ``[limits]`` that a larger model needs more of."""
_PARAMETERS: Final = re.compile(
    r"""(?m)^\[\[constraints\]\](?:(?!^\s*\[)[^\n]*\n)*?\s*measure\s*=\s*["']parameters["'](?:(?!^\s*\[)[^\n]*\n)*"""
)
"""A table of task.toml that bounds what the state dict holds; that cap grows as well."""
_MOST: Final = re.compile(r"(?m)^(\s*most\s*=\s*)([0-9.e+_]+)")


def size_name(changes: Mapping[str, KnobValue]) -> str:
    """Return a folder name for a size: ``depth-6``."""
    parts = (f"{name}-{value}" for name, value in sorted(changes.items()))
    return _NAME.sub("-", "-".join(parts).lower()).strip("-") or "same"


async def copy_task(task: Task, changes: Mapping[str, KnobValue], folder: Path) -> Task:
    """Make the task at another size, or find the one that was made before.

    Args:
        task: The task as it is.
        changes: Constants of its start, and what they shall be.
        folder: Where the copy goes; its last part becomes the task's name.

    Raises:
        TransferError: the start does not bind a constant, or the folder cannot be written.
        TaskError: the copy is not whole.
    """
    if (folder / "task.toml").is_file():
        return load_task(folder)
    larger = math.prod(
        max(1.0, _ratio(value_of(task.start, name, "the start"), value))
        for name, value in changes.items()
    )
    start = resized(task.start, changes, "the start")
    part = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(task.folder, part, ignore=shutil.ignore_patterns("__pycache__", ".git"))
        for path, content in start.items():
            if content != task.start[path]:
                (part / "start" / path).write_bytes(content)
        if larger > 1.0:
            _let_grow(part / "task.toml", task, larger)
        if task.knobs_toml is not None:
            _widen(part / "knobs.toml", start[task.knobs_path or ""].decode(), changes)
        part.rename(folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise TransferError(
            f"the task cannot be copied to {folder}: {error}; give another --out"
        ) from error
    made = load_task(folder)
    if larger > 1.0:
        await write_lock(made, None)
    return made


def _ratio(old: KnobValue, new: KnobValue) -> float:
    """Return by how much a whole number grows; 1 for anything else."""
    is_whole = all(isinstance(each, int) and not isinstance(each, bool) for each in (old, new))
    return float(new) / float(old) if is_whole and float(old) > 0 else 1.0


def _let_grow(path: Path, task: Task, larger: float) -> None:
    """Raise the caps that a larger model needs, wherever the file says them or not."""
    text = path.read_text("utf-8")
    for name in _GROWING:
        value = getattr(task, name) * larger
        shown = str(math.ceil(value)) if name.endswith("_bytes") else f"{min(60.0, value):g}"
        line = rf"(?m)^(\s*{name}\s*=\s*)[^\s#]+"
        if re.search(line, text):
            text = re.sub(line, rf"\g<1>{shown}", text)
        elif re.search(r"(?m)^\[limits\]\s*(#.*)?$", text):
            text = re.sub(r"(?m)^(\[limits\]\s*(?:#.*)?)$", rf"\g<1>\n{name} = {shown}", text)
        else:
            text += f"\n[limits]\n{name} = {shown}\n"
    path.write_text(_PARAMETERS.sub(lambda found: _grown(found, larger), text), "utf-8")


def _grown(found: re.Match[str], larger: float) -> str:
    """Return a table of constraints with a larger cap."""
    return _MOST.sub(lambda most: f"{most[1]}{math.ceil(float(most[2]) * larger)}", found[0])


def _widen(path: Path, start: str, changes: Mapping[str, KnobValue]) -> None:
    """Let the ranges of knobs hold the new values; a file that cannot be read stays as it is."""
    text = path.read_text("utf-8")
    for name, value in changes.items():
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            continue
        section = re.search(rf"(?ms)^\[{re.escape(name)}\]\s*$.*?(?=^\[|\Z)", text)
        if section is None:
            continue
        body = section[0]
        for bound, is_beyond in (("low", float.__lt__), ("high", float.__gt__)):
            found = re.search(rf"(?m)^({bound}\s*=\s*)([^\s#]+)", body)
            if found is not None and is_beyond(float(value), float(found[2])):
                body = body[: found.start(2)] + repr(value) + body[found.end(2) :]
        text = text[: section.start()] + body + text[section.end() :]
    try:
        load_knobs(text, start)
    except KnobError as error:
        raise TransferError(f"the knobs of {path} do not fit the new size: {error}") from error
    path.write_text(text, "utf-8")
