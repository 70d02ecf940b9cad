"""One run of a study, from its specification to its record: virtual, real, or a classic model.

Called in a worker process. It chooses nothing: what is run is in the specification, and everything
that is kept is computed from the run's ledger and, of a modelled task, from the model.
"""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
import tempfile
from pathlib import Path

from community.archive.ledger import LedgerReader, ledger_hash
from community.archive.state import RunState
from community.errors import StudyRunError
from community.loading import parse_scenario
from community.run import Shared, run_community
from community.run_folder import RunFolder
from community.scenario import Scenario
from community.study.records import RunRecord, RunSpec
from community.study.telemetry import telemetry_of
from community.study.trace import Truths, trace_of

MEMORY = Path("/dev/shm")  # noqa: S108 - a virtual run's folder is ours alone and soon gone


def run_one(spec: RunSpec) -> RunRecord:
    """Make the run.

    Raises:
        CommunityError: it cannot be made.
    """
    if spec.classic:
        from community.study.classic_runs import run_classic

        return run_classic(spec)
    scenario = parse_scenario(spec.text, Path(f"{spec.label}.toml")).scenario
    if scenario.run.time == "real":
        return _real(spec, scenario)
    return _virtual(spec, scenario)


def record_of(
    spec: RunSpec, state: RunState, ledger: str, *, truths: Truths, best: float | None
) -> RunRecord:
    """Return what is kept of a run that has ended.

    Args:
        spec: What was asked for.
        state: The run.
        ledger: Hash of its ledger.
        truths: True score of each tree; empty for a real task.
        best: The optimum where it is known.

    Raises:
        StudyRunError: it ended before anything could be measured.
    """
    if state.opened is None or state.noise is None:
        raise StudyRunError(f"{spec.label}, landscape {spec.replicate}: it was never calibrated")
    epochs = state.forum.epochs
    return RunRecord(
        arm=spec.arm,
        label=spec.label,
        replicate=spec.replicate,
        seed=spec.seed,
        code=spec.code,
        ledger=ledger,
        why=state.stop_reason or "",
        metric=state.opened.metric,
        unit=state.opened.unit,
        direction=state.opened.direction,
        best=best,
        trace=trace_of(state, truths),
        numbers=dataclasses.asdict(telemetry_of(state, truths)),
        graph=dict(epochs[0][2].measures) if epochs else {},
    )


def _virtual(spec: RunSpec, scenario: Scenario) -> RunRecord:
    from community.modelled.tasks import modelled_task
    from community.virtual.run import run_virtual
    from trainer.repository import Repository

    model = modelled_task(scenario).model
    place = str(MEMORY) if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="rc-study-", dir=place) as base:
        folder = RunFolder(Path(base) / "run")
        done = run_virtual(scenario, spec.text, folder.path)
        repository = Repository.open(folder.repository, writer=False)
        commits = {p.tree_key: commit for commit, p in done.state.proposals.items()}
        if (opened := done.state.opened) is not None:
            commits[opened.baseline_tree_key] = opened.baseline_commit
        measured = {tree for tree, _ in done.state.verdicts_by_tree}
        truths = {
            tree: model.truth(repository.read(commit))
            for tree, commit in commits.items()
            if tree in measured
        }
    return record_of(spec, done.state, done.ledger_hash, truths=truths, best=model.best())


def _real(spec: RunSpec, scenario: Scenario) -> RunRecord:
    """Run, or take up, a real run in its own folder."""
    path = Path(spec.folder)
    is_begun = (path / "ledger.db").is_file()
    if not is_begun:
        shutil.rmtree(path, ignore_errors=True)  # killed before it had a ledger
        folder, state = RunFolder.create(path.parent, path.name), RunState()
        shared = Shared(baseline=Path(spec.baseline)) if spec.baseline else None
    else:
        folder, shared = RunFolder.open(path), None
        state, _ = _ledger(folder)
    if state.stop_reason in (None, "interrupted", "failed"):
        asyncio.run(run_community(scenario, spec.text, folder, is_resumed=is_begun, shared=shared))
        state, _ = _ledger(folder)
    return record_of(spec, state, _ledger(folder)[1], truths={}, best=None)


def _ledger(folder: RunFolder) -> tuple[RunState, str]:
    with LedgerReader(folder.ledger) as reader:
        rows = list(reader.rows())
    return RunState.from_rows(rows), ledger_hash(rows)
