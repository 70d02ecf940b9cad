"""A task's lock manifest: what decides its scores, as it was meant and as it is on this disk.

The expected manifest is committed with the task as ``locked/manifest.json``. Its ``lock`` part
holds wherever the task is run, and a run refuses to begin where it differs; its ``measured_on``
part names the interpreter, builds and text it was written with, under which alone scores compare to
the last digit. Nothing is scored here; `community.opening` compares and records, and
`community.lock_writing` writes.
"""

from __future__ import annotations

import json
import platform
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from sysconfig import get_paths

import community.bounds
import community.grading_phase
import community.score_phase
from community.errors import LockDiffersError, LockMissingError, LockUnreadableError
from community.grading_phase import judging_of
from scoring.grader import Corpus
from scoring.lock import MANIFEST, hashes_of, locked_files
from scoring.scorer import Scorer
from trainer.errors import TaskError
from trainer.lock_facts import lock_facts, lock_files
from trainer.task import Task, list_tasks
from trainer.task_kinds import KINDS

GRADER = "constants"
"""The entry that tells the grader's numbers: its blocks and probes."""
_VERSIONS = ("python", "numpy")
"""Entries of a scorer's manifest that belong to the machine."""


@dataclass(frozen=True, slots=True)
class TaskLock:
    """One manifest: entries by name, each part sorted."""

    lock: Mapping[str, str]
    """What decides a score, the same on every machine."""
    measured_on: Mapping[str, str]
    """Interpreter, builds and text, which differ from machine to machine."""

    def text(self, task: str) -> str:
        """Return the content of the manifest's file."""
        parts = {"task": task, "lock": dict(self.lock), "measured_on": dict(self.measured_on)}
        return json.dumps(parts, indent=2, sort_keys=True) + "\n"


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry that is not what it was."""

    name: str
    then: str | None
    """None: the entry is new."""
    now: str | None
    """None: the entry is gone."""

    def __str__(self) -> str:
        if self.then is None:
            return f"{self.name} is new"
        if self.now is None:
            return f"{self.name} is missing"
        if len(self.then) == len(self.now) == 64:  # two hashes tell nobody anything
            return f"{self.name} is changed"
        return f"{self.name} is changed: {self.then} then, {self.now} now"


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> tuple[Difference, ...]:
    """Return the entries in which two parts differ, sorted by name."""
    return tuple(
        Difference(name, then.get(name), now.get(name))
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    )


def watched_files() -> dict[str, Path]:
    """Return the files beside the scorer's that decide a score, by their name in the manifest."""
    phases = {
        "community/score_phase.py": Path(community.score_phase.__file__),
        "community/grading_phase.py": Path(community.grading_phase.__file__),
        "community/bounds.py": Path(community.bounds.__file__),
    }
    return {**lock_files(), **phases}


def present_lock(task: Task, grader: str) -> dict[str, str]:
    """Return the ``lock`` part as it is on this disk; hashes some sixty small files.

    Args:
        task: Whose.
        grader: The repr of its grader, which a scorer's manifest tells.
    """
    files = {**locked_files(task.locked), **watched_files()}
    return dict(sorted({GRADER: grader, **hashes_of(files), **lock_facts(task)}.items()))


def host_lock(scorer_manifest: Mapping[str, str], corpus: Corpus) -> dict[str, str]:
    """Return the ``measured_on`` part for a scorer that has started."""
    found = {
        **{name: scorer_manifest[name] for name in _VERSIONS},
        "torch": version("torch"),
        "machine": platform.machine(),
        "corpus": corpus.hash,
        **{
            f"{part}_bytes": str(getattr(corpus, f"{part}_bytes"))
            for part in ("train", "dev", "vault", "seal")
        },
    }
    return dict(sorted(found.items()))


def run_lock(task: Task, scorer_manifest: Mapping[str, str]) -> dict[str, str]:
    """Return all that the scores of a run rest on but its secret, for its lock hash.

    Args:
        task: What is run.
        scorer_manifest: What its scorer tells, which was started with `watched_files` beside.
    """
    found = {**scorer_manifest, **lock_facts(task), "torch": version("torch")}
    return dict(sorted(found.items()))


async def measure(task: Task) -> TaskLock:
    """Return what `task` is here, by starting its scorer once.

    Raises:
        ScoringError: its grader or its text cannot be used.
    """
    source = Path(get_paths()["stdlib"])
    judging = judging_of(task)
    with tempfile.TemporaryDirectory(prefix="rc-lock-") as public:
        secret = secrets.token_bytes(32)
        scorer = await Scorer.start(task.locked, source, Path(public), secret, judging=judging)
        try:
            return TaskLock(
                present_lock(task, scorer.manifest[GRADER]),
                host_lock(scorer.manifest, scorer.corpus),
            )
        finally:
            await scorer.aclose()


def must_be_graded(task: Task) -> None:
    """Refuse a task that has no grader: there is nothing to lock, nor a lock to attack.

    Raises:
        TaskError: it has none; says what its scores rest on, and what to do instead.
    """
    kind = KINDS[task.kind]
    if kind.grader or task.artifact is not None:  # the latter: a script that was given one
        return
    if kind.is_modelled:
        rests = (
            "a model computes its scores and no candidate's code is ever run. What decides them is "
            "in every run's first row (lock_hash: its parameters, trainer_hash: the program), and "
            "no run is taken up under another"
        )
    else:
        rests = "its score is the candidate's own word, which no lock could hold to anything"
    advice = "lock and attack a task that is graded, nanolm or one of your own"
    raise TaskError(
        task.folder, [f"is of kind {task.kind}, without a locked grader: {rests}; {advice}"]
    )


def read_expected(task: Task) -> TaskLock:
    """Return the manifest that is committed with `task`.

    Raises:
        LockMissingError: there is none.
        LockUnreadableError: it is not what `TaskLock.text` writes.
    """
    path = task.locked / MANIFEST
    try:
        told = json.loads(path.read_text("utf-8"))
        parts = [dict(told[name]) for name in ("lock", "measured_on")]
        if not all(isinstance(value, str) for part in parts for value in part.values()):
            raise TypeError("an entry is no text")
    except FileNotFoundError:
        raise LockMissingError(str(path), _argument(task)) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LockUnreadableError(str(path), str(error), _argument(task)) from error
    return TaskLock(*parts)


def must_be_as_expected(task: Task, grader: str | None = None) -> None:
    """Compare the committed manifest with what is on this disk.

    Args:
        task: Whose.
        grader: The repr of its grader; None before a scorer has been started (the files it rests on
            are compared in any case).

    Raises:
        LockMissingError: there is no manifest.
        LockUnreadableError: it cannot be read.
        LockDiffersError: something that decides scores is not what the manifest says.
    """
    then = read_expected(task).lock
    told = then.get(GRADER, "") if grader is None else grader
    found = differences(then, present_lock(task, told))
    if found:
        raise LockDiffersError(task.name, [str(each) for each in found], _argument(task))


def _argument(task: Task) -> str:
    """Return how `task` is named on a command line."""
    return task.name if task.folder in list_tasks() else str(task.folder)
