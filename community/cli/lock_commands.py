"""``community lock write`` and ``community lock verify``: what a task's scores rest on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

ABOUT = """
What a task's scores rest on, written down and checked.

Two scores compare only if everything that decides them is the same: the task's grader, the scorer,
the probes, the sandbox, the caps. locked/manifest.json in the task's folder names all of it, with a
hash or a number each, and is committed with the task. A run refuses to begin where a file on disk
is not what the manifest says, and stops with the file's name when one changes while it runs.

\b
  community lock verify nanolm                   does this checkout hold what it says?
  community lock write nanolm                    after a change you meant
  community lock write ./mytask                  for a task of your own
  community lock write nanolm --heldout ~/mine   be scored on text that nobody has read
"""

_Task = Annotated[
    str, typer.Argument(help="A shipped task's name, or the path of a task folder of yours.")
]
_Heldout = Annotated[
    Path | None,
    typer.Option(
        help="Folder with text of your own that candidates are scored on, instead of the task's; "
        "600 kB or more in some dozens of files. Only its path and hash are recorded, it must lie "
        "outside the task and the runs, and whoever may propose code should not have read it."
    ),
]
_Shipped = Annotated[
    bool, typer.Option("--no-heldout", help="Go back to the held-out text the task came with.")
]


def write(task: _Task, heldout: _Heldout = None, *, no_heldout: _Shipped = False) -> None:
    """Write a task's manifest, and say what changed.

    Scores from before and after a change do not compare: runs under the old lock cannot go on.
    """
    from community.lock_writing import write_lock
    from community.task_lock import must_be_graded
    from trainer.task import find_task, load_task

    if no_heldout and heldout is not None:
        raise typer.BadParameter("give --heldout or --no-heldout, not both")
    loaded = load_task(find_task(task, Path.cwd()))
    must_be_graded(loaded)
    written = asyncio.run(write_lock(loaded, heldout, is_shipped=no_heldout))
    for line in written.changes:
        typer.echo(f"  {line}")
    for line in written.advice:
        typer.echo(f"note: {line}")
    typer.echo(
        f"{written.path}: {'written' if written.changes else 'was current, nothing changed'}"
    )


def verify(task: _Task) -> None:
    """Check that a task's manifest is true here.

    Exit code 0 when it is, 2 with the names when it is not. A difference of interpreter, builds or
    text is no fault: it is told, because scores made under the two do not compare.
    """
    from community.task_lock import (
        GRADER,
        differences,
        measure,
        must_be_as_expected,
        must_be_graded,
        read_expected,
    )
    from trainer.task import find_task, load_task

    loaded = load_task(find_task(task, Path.cwd()))
    must_be_graded(loaded)
    must_be_as_expected(loaded)
    expected, here = read_expected(loaded), asyncio.run(measure(loaded))
    must_be_as_expected(loaded, here.lock[GRADER])
    elsewhere = differences(expected.measured_on, here.measured_on)
    for each in elsewhere:
        typer.echo(f"note: {each}")
    if elsewhere:
        typer.echo("note: scores made under the two do not compare")
    typer.echo(f"the lock of {loaded.name} holds: {len(expected.lock)} entries are as written")
