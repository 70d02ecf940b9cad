"""One life of a run: a `community` process of its own, its end, and whether anything outlived it.

The test's process becomes the reaper of orphans, as systemd is for a user's session: whatever a
killed run leaves behind turns up among its children, in whatever session, group or namespace.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from community.archive.ledger import LedgerReader
from community.archive.state import RunState
from community.errors import LedgerError
from community.events import Row

ROOT = Path(__file__).resolve().parents[2]
_CHILD_SUBREAPER = 36
_LOOK_S = 0.01


def adopt_orphans(*, is_wanted: bool) -> None:
    """Have orphaned descendants of this process become its children, or no longer."""
    ctypes.CDLL(None, use_errno=True).prctl(_CHILD_SUBREAPER, int(is_wanted), 0, 0, 0)


def command(*arguments: str) -> list[str]:
    """Return the command line of `community` with `arguments`."""
    return [sys.executable, "-c", "from community.cli import main; main()", *arguments]


def call(*arguments: str, cwd: Path, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    """Call `community` and wait; a command that looks at runs, or one that cannot start."""
    return subprocess.run(
        command(*arguments), cwd=cwd, env=_environment(), timeout=timeout_s, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@dataclass(frozen=True)
class Life:
    """A `community run` in a session and process group of its own."""

    process: subprocess.Popen[bytes]
    output: Path
    folder: Path
    """The run's folder."""

    @classmethod
    def begin(cls, *arguments: str, cwd: Path, run_dir: str = "run") -> Life:
        """Start ``community run ARGUMENTS --headless --run-dir RUN_DIR``."""
        words = ("run", *arguments, "--headless", "--run-dir", run_dir)
        return cls.of(*words, cwd=cwd, output=cwd / f"{run_dir}.txt", folder=cwd / run_dir)

    @classmethod
    def of(cls, *arguments: str, cwd: Path, output: Path, folder: Path) -> Life:
        """Start any command that writes a ledger in `folder`."""
        with output.open("ab") as out:
            process = subprocess.Popen(
                command(*arguments), cwd=cwd, env=_environment(), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
        return cls(process, output, folder)

    @property
    def text(self) -> str:
        """What it printed so far."""
        return self.output.read_text(errors="replace")

    def finish(self, timeout_s: float) -> int:
        """Wait for its own end and return the exit code; too late is the test's failure."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"not over after {timeout_s} s:\n{self.text[-4000:]}") from None

    def kill(self) -> None:
        """SIGKILL the process group, as a closed laptop or an out-of-memory killer would."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def await_row(
        self, is_it: Callable[[Row], bool], timeout_s: float, after_seq: int = 0
    ) -> Row | None:
        """Wait for a ledger row after `after_seq`; None when the process ends without one."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            is_over = self.process.poll() is not None
            for row in recorded(self.folder, after_seq):
                after_seq = row.seq
                if is_it(row):
                    return row
            if is_over:
                return None
            time.sleep(_LOOK_S)
        self.kill()
        raise AssertionError(f"no such row within {timeout_s} s:\n{self.text[-4000:]}")

    def pause(self, seconds: float) -> None:
        """Let it go on for so long, or until its end."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)


@dataclass(frozen=True)
class Elsewhere:
    """A `community join`: a researcher in a process of his own."""

    process: subprocess.Popen[bytes]
    output: Path

    @classmethod
    def begin(cls, credential: Path, *arguments: str, log: Path) -> Elsewhere:
        """Start ``community join --credential CREDENTIAL ARGUMENTS``."""
        with log.open("ab") as out:
            process = subprocess.Popen(
                command("join", "--credential", str(credential), *arguments),
                env=_environment(), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
        return cls(process, log)

    @property
    def text(self) -> str:
        """What it printed so far."""
        return self.output.read_text(errors="replace")

    def await_line(self, part: str, timeout_s: float) -> None:
        """Wait until it has printed a line with `part`."""
        deadline = time.monotonic() + timeout_s
        while part not in self.text:
            assert self.process.poll() is None, self.text
            assert time.monotonic() < deadline, self.text
            time.sleep(_LOOK_S)

    def finish(self, timeout_s: float) -> int:
        """Wait for its own end and return the exit code."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still there after {timeout_s} s:\n{self.text}") from None

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL it; it may have ended."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def recorded(folder: Path, after_seq: int = 0) -> list[Row]:
    """Return the rows of a run's ledger; none while there is no readable ledger yet."""
    try:
        with LedgerReader(folder / "ledger.db") as ledger:
            return list(ledger.rows(after_seq))
    except LedgerError:
        return []


def state_of(folder: Path) -> RunState:
    """Fold a run's whole ledger, strictly."""
    with LedgerReader(folder / "ledger.db") as ledger:
        return RunState.from_rows(ledger.rows())


def descendants() -> frozenset[int]:
    """Return the process ids of all that descends from this process now."""
    return frozenset(process.pid for process in psutil.Process().children(recursive=True))


_before: set[int] = set()
"""Descendants of this process that lived when the test began: other tests' pools, say."""


def begin_test() -> None:
    """From now on `survivors` looks at what is started from now on."""
    _before.clear()
    _before.update(descendants())


def survivors(within_s: float) -> list[str]:
    """Return what this test started and lives after at most `within_s` seconds."""
    deadline = time.monotonic() + within_s
    while True:
        alive = list(_living_descendants(frozenset(_before)))
        if not alive or time.monotonic() >= deadline:
            return alive
        time.sleep(_LOOK_S)


def _living_descendants(besides: frozenset[int]) -> Iterator[str]:
    for process in psutil.Process().children(recursive=True):
        if process.pid in besides:
            continue
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                yield f"{process.pid} (child of {process.ppid()}): {process.cmdline()}"
            elif process.ppid() == os.getpid():
                with suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)


def _environment() -> dict[str, str]:
    """Our own, with the checkout in the import path and without a terminal's width."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
