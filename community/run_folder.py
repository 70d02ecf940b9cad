"""The run folder: where each thing a run leaves behind lies. One record owns all the paths.

It makes and finds folders; it opens nothing in them. ``runs/latest`` points to the newest run
there; beside a run that was put elsewhere nothing is written.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from community.archive.file_lock import FileLock
from community.errors import RunFolderError

LATEST = "latest"
"""Name of the symbolic link beside the runs."""
RUNS = Path("runs")
"""Where runs are kept unless somebody says otherwise."""
LOG_TAIL_CHARACTERS = 2_000

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's folder; everything in it hangs off `path`."""

    path: Path

    @property
    def run_id(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def ledger(self) -> Path:
        """The run itself: ``ledger.db``."""
        return self.path / "ledger.db"

    @property
    def lock(self) -> Path:
        """Held by the one process that writes the ledger."""
        return self.path / "ledger.lock"

    @property
    def repository(self) -> Path:
        """The bare git repository with a commit per hypothesis: ``repo.git``."""
        return self.path / "repo.git"

    @property
    def secret(self) -> Path:
        """From what the scorer draws its blocks; mode 0600, and in no sandbox."""
        return self.path / "scorer.secret"

    @property
    def credentials(self) -> Path:
        """Folder of the credentials of who takes part from outside; mode 0700, in no sandbox."""
        return self.path / "credentials"

    @property
    def scenario(self) -> Path:
        """The scenario as it was started; the ledger keeps it as well."""
        return self.path / "scenario.toml"

    @property
    def jobs(self) -> Path:
        """Folder of the job folders."""
        return self.path / "jobs"

    @property
    def minds(self) -> Path:
        """Folders of the agents that coding programs think for; none sees another's."""
        return self.path / "minds"

    @property
    def data(self) -> Path:
        """Training data, mounted read-only where candidate code trains."""
        return self.path / "data"

    @property
    def results(self) -> Path:
        """The table in autoresearch's five columns: ``results.tsv``."""
        return self.path / "results.tsv"

    @property
    def report(self) -> Path:
        """Folder of the report."""
        return self.path / "report"

    def job(self, name: str) -> Path:
        """Return the folder of one job (log, artefact); it may not exist yet."""
        return self.jobs / name

    def log_tail(self, job: str) -> str:
        """Return the end of a job's log, which is a candidate's text; empty where there is none."""
        try:
            text = (self.job(job) / "log.txt").read_text(errors="replace")
        except OSError:
            return ""
        return text[-LOG_TAIL_CHARACTERS:]

    def is_live(self) -> bool:
        """Whether a process writes this run at the moment."""
        return FileLock.is_held(self.lock)

    @classmethod
    def create(cls, base: Path, run_id: str) -> RunFolder:
        """Make the folder of a new run below `base`.

        Args:
            base: Folder of the run; made when missing.
            run_id: Name of the new folder.

        Raises:
            RunFolderError: the name is unusable, taken, or the folder cannot be written; no part of
                the folder is left behind.
        """
        if not _RUN_ID.fullmatch(run_id) or run_id == LATEST:
            raise RunFolderError(
                f"'{run_id}' cannot name a run; use 1-64 of A-Z a-z 0-9 . _ -, not '{LATEST}'"
            )
        folder = cls(base.absolute() / run_id)
        try:
            folder.path.parent.mkdir(parents=True, exist_ok=True)
            folder.path.mkdir()
        except FileExistsError as error:
            way_out = (
                f"; go on with `community run --resume --run-dir {folder.path}`, or give"
                if folder.ledger.is_file()
                else " and is no run; give"
            )
            raise RunFolderError(
                f"{error.filename} exists already{way_out} another --run-dir"
            ) from error
        except OSError as error:
            raise RunFolderError(
                f"cannot make run folder {folder.path}: {error.strerror}; give a folder you may "
                "write with --run-dir"
            ) from error
        try:
            folder._fill()
        except BaseException:
            shutil.rmtree(folder.path, ignore_errors=True)
            raise
        return folder

    def _fill(self) -> None:
        """Make what belongs into the new, empty folder."""
        try:
            for inner in (self.jobs, self.data, self.report):
                inner.mkdir()
        except OSError as error:
            raise RunFolderError(
                f"cannot make {error.filename}: {error.strerror}; make room, or give another "
                "--run-dir"
            ) from error

    @classmethod
    def open(cls, where: Path | str = LATEST, *, base: Path = RUNS) -> RunFolder:
        """Find the folder of an existing run.

        Args:
            where: A run folder, its ledger file, a run's name below `base`, or ``latest``.
            base: Folder of all runs.

        Raises:
            RunFolderError: there is no such run, or the folder holds no ledger.
        """
        given = Path(where)
        for path in (given, base / given):
            folder = path.parent if path.is_file() and path.name == "ledger.db" else path
            if (folder / "ledger.db").is_file():
                return cls(folder.resolve())
        if given.is_dir() or (base / given).is_dir():
            raise RunFolderError(
                f"{where} holds no ledger.db, so it is no run (or one that never began); give a "
                "run's folder, or start anew with `community run`"
            )
        raise RunFolderError(f"there is no run {where}{_known(base)}")

    def make_latest(self) -> None:
        """Point ``latest`` beside this folder to it, atomically; for a run that has begun.

        Raises:
            RunFolderError: the link cannot be written.
        """
        link = self.path.parent / LATEST
        part = self.path.parent / f".{LATEST}.{os.getpid()}"
        try:
            part.unlink(missing_ok=True)
            part.symlink_to(self.path.name)
            part.replace(link)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise RunFolderError(
                f"cannot point {link} to {self.path.name}: {error.strerror}; move what is there "
                "out of the way"
            ) from error


def _known(base: Path) -> str:
    """Say which runs there are, newest ten by name."""
    names = sorted(p.parent.name for p in base.glob("*/ledger.db") if p.parent.name != LATEST)
    if not names:
        return f" and none at all in {base.absolute()}; start one with `community run`"
    return f"; in {base.absolute()} there are: {', '.join(names[-10:])}"
