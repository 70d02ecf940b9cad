"""Writing a task's lock: its manifest, and the record of a user's private held-out text.

Only what `community lock write` does; `community.task_lock` says what a manifest is. Private text
must lie where no sandbox shows it, and its folder is only named, never copied.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from community.errors import HeldoutPlaceError, TaskLockError
from community.run_folder import RUNS
from community.task_lock import TaskLock, differences, measure, read_expected
from scoring import private_text
from scoring.lock import MANIFEST
from scoring.own_user import SCORER_ID
from trainer.sandbox.view import visible_code
from trainer.task import Task


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a manifest."""

    path: Path
    changes: tuple[str, ...]
    """What differs from the manifest before, one line each."""
    advice: tuple[str, ...]
    """What the user had better do."""


async def write_lock(task: Task, heldout: Path | None, *, is_shipped: bool = False) -> Written:
    """Write the manifest of `task`; nothing is left changed where it cannot be written.

    Args:
        task: Whose.
        heldout: Folder of private text to be asked from now on; None leaves what is recorded.
        is_shipped: Forget recorded private text, and ask the task's own.

    Raises:
        HeldoutPlaceError: candidate code could see `heldout`.
        ScoringError: the grader, or its text, cannot be used.
        TaskLockError: the folder cannot be written.
    """
    record = task.locked / private_text.RECORD
    before = record.read_bytes() if record.exists() else None
    try:
        if heldout is not None:
            check_place(task, heldout, RUNS)
            record.write_text(private_text.measure(heldout).record(), "utf-8")
        elif is_shipped:
            record.unlink(missing_ok=True)
        found = await measure(task)
        path = task.locked / MANIFEST
        changes = _changes(task, found)
        path.write_text(found.text(task.name), "utf-8")
    except BaseException as error:
        if before is None:
            record.unlink(missing_ok=True)
        else:
            record.write_bytes(before)
        if isinstance(error, OSError):
            raise TaskLockError(f"{task.locked} cannot be written: {error.strerror}") from error
        raise
    return Written(path, changes, () if heldout is None else _advice(heldout))


def check_place(task: Task, heldout: Path, runs: Path) -> None:
    """Refuse a folder of private text that candidate code or a run could come across.

    Args:
        task: Whose text it is.
        heldout: The folder.
        runs: Where runs are kept, or one run's folder.

    Raises:
        HeldoutPlaceError: it is none, or lies in or around the task's folder, the runs, or code
            that sandboxes show.
    """
    place = heldout.resolve()
    if not place.is_dir():
        raise HeldoutPlaceError(f"private text in {heldout}: there is no such folder")
    shown = {
        "the task's folder": [task.folder],
        "the runs' folder": [runs.absolute()],
        "code that sandboxes show": [Path(path) for path in visible_code(())],
    }
    for what, paths in shown.items():
        for path in (path.resolve() for path in paths):
            if place.is_relative_to(path) or path.is_relative_to(place):
                raise HeldoutPlaceError(
                    f"private text in {place} cannot be used: it lies in or around {what} "
                    f"({path}); keep it in a folder of its own"
                )


def _changes(task: Task, found: TaskLock) -> tuple[str, ...]:
    try:
        then = read_expected(task)
    except TaskLockError:
        return (f"{len(found.lock)} entries, where there was no manifest that could be read",)
    parts = ((then.lock, found.lock), (then.measured_on, found.measured_on))
    return tuple(str(each) for old, new in parts for each in differences(old, new))


def _advice(heldout: Path) -> tuple[str, ...]:
    place = heldout.resolve()
    lines = [f"{place} must stay where it is and as it is; its text was not copied"]
    found = place.stat()
    if found.st_mode & 0o077:
        lines.append(f"others may read it: chmod -R go= {place}")
    if os.geteuid() == 0 and found.st_uid != SCORER_ID:
        lines.append(f"to let the scorer's own user alone read it: chown -R {SCORER_ID} {place}")
    lines.append("whoever writes proposals must not have read it, nor should an API be sent it")
    return tuple(lines)
