"""``community run --tui``: the run as a process of its own, and its screens in this terminal.

The run does not depend on the screens: it has its own session, so neither Ctrl-C nor a closed
terminal reaches it, and it writes what it has to say into ``run.log`` in its folder. Who leaves the
screens is asked whether it shall go on; without an answer it does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import typer

from community.run_folder import RunFolder

LOG = "run.log"
"""In the run's folder: what `community run --headless` prints."""
ENDED = "end"
"""What the screens return when somebody wants the run to end."""
BEGIN_S = 120.0
"""So long a run may take to make its ledger: it measures the machine first."""
_LOOK_S = 0.1


def run_with_screens(arguments: list[str], run_dir: Path) -> int:
    """Start ``community run ARGUMENTS --headless``, show it, and return the exit code.

    Args:
        arguments: Scenario and options; not the folder.
        run_dir: The run's folder; it need not exist yet.
    """
    process, log = _start(arguments, run_dir)
    with suppress(OSError):
        if not _has_begun(process, run_dir):
            typer.echo(log.read_text(errors="replace"), nl=False, err=True)
            log.unlink()
            return process.wait()
        log = log.replace(run_dir / LOG)
    from community.tui.app import WatchApp

    answer = WatchApp(RunFolder(run_dir), is_over=lambda: process.poll() is not None).run_alone()
    return _after(process, run_dir, is_to_end=answer == ENDED)


def _start(arguments: list[str], run_dir: Path) -> tuple[subprocess.Popen[bytes], Path]:
    log = run_dir.parent / f".{run_dir.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "community", "run", *arguments]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--headless", "--run-dir", str(run_dir)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return process, log


def _has_begun(process: subprocess.Popen[bytes], run_dir: Path) -> bool:
    """Wait until the run has its folder and ledger; False where it ended before."""
    deadline_s = time.monotonic() + BEGIN_S
    while not (run_dir / "ledger.db").exists() and time.monotonic() < deadline_s:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_S)
            return False
    return True


def _after(process: subprocess.Popen[bytes], run_dir: Path, *, is_to_end: bool) -> int:
    """Say how it goes on, or end it as Ctrl-C would; returns the exit code."""
    if process.poll() is None and not is_to_end:
        typer.echo(f"the run goes on, as process {process.pid}: {run_dir}")
        typer.echo(f"look at it:  community watch {run_dir}")
        typer.echo(f"end it:      kill -INT {process.pid}")
        return 0
    if is_to_end:
        typer.echo("ending the run; it takes a few seconds")
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGINT)
    code = process.wait()
    typer.echo((run_dir / LOG).read_text(errors="replace")[-2_000:].partition("\n")[2], nl=False)
    return code
