"""Runs a study: whatever is not on disk yet, on all cores, to be interrupted at any moment.

The study's folder is the study: ``study.json`` says what its results were made with, ``runs/``
holds one file for each finished run, ``real/`` the run folders of real runs. Going on is not asked
for: a run that is there is not made again, and results of two programs or scenarios never mix.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from community.archive.file_lock import FileLock
from community.errors import CommunityError, StudyDiffersError, StudyError
from community.study.design import Arm, Design, Job, seed_of
from community.study.provenance import facts_hash, must_be_the_same, program_facts, read_facts
from community.study.records import (
    RunRecord,
    RunSpec,
    read_records,
    run_name,
    write_durably,
    write_record,
)
from community.study.workers import Run, failed, make_runs


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """Where a study's results are."""

    path: Path

    @property
    def runs(self) -> Path:
        """One file for each finished run."""
        return self.path / "runs"

    @property
    def real(self) -> Path:
        """Run folders of real runs."""
        return self.path / "real"

    @property
    def facts(self) -> Path:
        """What the results were made with."""
        return self.path / "study.json"

    @property
    def arms(self) -> Path:
        """The scenario of each arm by its key, so that a changed one can be told."""
        return self.path / "arms.json"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a study is."""

    done: int
    """Runs on disk, those of before included."""
    total: int
    label: str
    """Of the arm whose run has just ended; empty at the start."""
    left_s: float | None
    """Seconds that the rest will take; None before a run of this call has ended."""


def run_study(
    design: Design,
    folder: StudyFolder,
    *,
    jobs: int,
    command: str,
    run: Run,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> list[RunRecord]:
    """Make all runs of a design that are not there yet; return all of them in its order.

    Args:
        design: What is run.
        folder: Of the results; made when missing.
        jobs: Runs at a time; real runs go one after the other.
        command: What was typed, for messages.
        run: How one is made: `community.study.running.run_one`, or another function in tests.
        on_progress: Told at the start and after every run.

    Raises:
        StudyDiffersError: the folder holds results of another program or other scenarios.
        StudyRunError: a run failed; what is finished is kept.
        StudyError: the folder cannot be used, or another process works in it.
    """
    try:
        folder.runs.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.path / "lock")
    except BlockingIOError as error:
        raise StudyError(
            f"another process runs this study in {folder.path} "
            f"({FileLock.note(folder.path / 'lock')}); wait for it, or give another --out"
        ) from error
    except OSError as error:
        raise StudyError(f"{folder.path} cannot be written: {error}; give another --out") from error
    try:
        return _run_all(design, folder, jobs, command, on_progress, run)
    finally:
        lock.release()


def _run_all(
    design: Design,
    folder: StudyFolder,
    jobs: int,
    command: str,
    on_progress: Callable[[Progress], None],
    run: Run,
) -> list[RunRecord]:
    facts = program_facts(_tasks(design))
    have = {record.name: record for record in read_records(folder.runs)}
    if have and folder.facts.is_file():
        must_be_the_same(read_facts(folder.facts), facts, folder.path, command)
    write_durably(folder.facts, json.dumps(facts, indent=0) + "\n")
    code = facts_hash(facts)
    _must_fit(design, have.values(), folder, code, command)
    _keep_arms(design, folder)
    for part in folder.runs.glob(".*.part"):
        part.unlink()
    wanted = design.jobs()
    specs = [
        _spec(design, job, code, folder)
        for job in wanted
        if run_name(job.arm, job.replicate) not in have
    ]
    _make(specs, folder, jobs, len(wanted), on_progress, run)
    have |= {record.name: record for record in read_records(folder.runs)}
    return [have[run_name(job.arm, job.replicate)] for job in wanted]


def _make(
    specs: list[RunSpec],
    folder: StudyFolder,
    jobs: int,
    total: int,
    on_progress: Callable[[Progress], None],
    run: Run,
) -> None:
    began, done = monotonic(), total - len(specs)
    on_progress(Progress(done, total, "", None))

    def tell(spec: RunSpec, made: int) -> None:
        left_s = (monotonic() - began) / made * (len(specs) - made)
        on_progress(Progress(done + made, total, spec.label, left_s))

    virtual = [spec for spec in specs if not spec.folder]
    for made, spec in enumerate(make_runs(virtual, folder.runs, jobs, run), start=1):
        tell(spec, made)
    for made, spec in enumerate((s for s in specs if s.folder), start=len(virtual) + 1):
        _make_real(spec, folder, run)
        tell(spec, made)


def _make_real(spec: RunSpec, folder: StudyFolder, run: Run) -> None:
    """Make a real run here: it has the machine to itself.

    It shares its landscape's baseline runs and held-out blocks with the arms that came before.
    """
    others = sorted(folder.real.glob(f"*-{spec.replicate:05d}/ledger.db"))
    shared = [str(path) for path in others if str(path.parent) != spec.folder]
    try:
        write_record(folder.runs, run(dataclasses.replace(spec, baseline="".join(shared[:1]))))
    except CommunityError as error:
        raise failed(spec, str(error)) from error
    shutil.rmtree(Path(spec.folder) / "jobs", ignore_errors=True)


def _spec(design: Design, job: Job, code: str, folder: StudyFolder) -> RunSpec:
    arm = design.arms[job.arm]
    engine = design.study.file.study.engine
    if arm.scenario is None:
        return RunSpec(
            arm.key, arm.label, job.replicate, job.seed, code,
            classic=engine.partition(":")[2], parameters=arm.parameters,
        )  # fmt: skip
    is_real = arm.scenario.run.time == "real"
    own = str(folder.real / run_name(job.arm, job.replicate)) if is_real else ""
    return RunSpec(
        arm.key, arm.label, job.replicate, job.seed, code, arm.text(job.seed), folder=own
    )


def _tasks(design: Design) -> set[str]:
    return {arm.scenario.run.task for arm in design.arms.values() if arm.scenario is not None}


def _must_fit(
    design: Design, have: Iterable[RunRecord], folder: StudyFolder, code: str, command: str
) -> None:
    """Refuse runs of an arm that is another one now, or on other landscapes."""
    labels = {arm.label: arm for arm in design.arms.values()}
    advice = (
        f"bring the study file back to go on, or begin anew: `{command}` with another --out, or "
        f"after you have deleted {folder.path}"
    )
    for record in have:
        arm = labels.get(record.label)
        if record.arm not in design.arms and arm is not None:
            changed = _differences(_kept_arms(folder).get(record.arm, {}), _told(arm))
            raise StudyDiffersError(
                f"{folder.path} holds runs of the arm {record.label!r} under another scenario: "
                f"{changed}. Results of two scenarios do not mix: {advice}"
            )
        if record.arm not in design.arms:
            continue
        if record.seed != seed_of(design.study.file.study.seed, record.replicate):
            raise StudyDiffersError(
                f"{folder.path} holds runs under another study.seed, so on other landscapes; "
                f"{advice}"
            )
        if record.code != code:
            raise StudyDiffersError(
                f"{folder.runs / record.name}.json was made by another program ({record.code}, "
                f"this is {code}); {advice}"
            )


def _told(arm: Arm) -> dict[str, Any]:
    if arm.scenario is None:
        return dict(arm.parameters)
    data: dict[str, Any] = json.loads(arm.scenario.model_dump_json(exclude_none=True))
    return data


def _kept_arms(folder: StudyFolder) -> dict[str, dict[str, Any]]:
    try:
        found: dict[str, dict[str, Any]] = json.loads(folder.arms.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _keep_arms(design: Design, folder: StudyFolder) -> None:
    told = _kept_arms(folder) | {key: _told(arm) for key, arm in design.arms.items()}
    write_durably(folder.arms, json.dumps(told, sort_keys=True, indent=0) + "\n")


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say which keys differ: ``stop.experiments was 400, is 200``."""
    old, new = dict(_flat(before, "")), dict(_flat(now, ""))
    changed = [key for key in (old | new) if old.get(key) != new.get(key)]
    said = [f"{key} was {old.get(key, 'not set')}, is {new.get(key, 'not set')}" for key in changed]
    return "; ".join(said[:4]) + (f" and {len(said) - 4} more" if len(said) > 4 else "")


def _flat(table: Mapping[str, Any], before: str) -> Iterable[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))
