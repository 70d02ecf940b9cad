"""What leaves a run: autoresearch's table, and the best commit as patch and branch.

Reads the ledger and the run's repository, changes neither. The table is written whole or not at
all, so that a run may rewrite it while somebody reads it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from community.archive.leaderboard import contributions
from community.archive.ledger import LedgerReader
from community.archive.queries import Best, best_commit, isolation_note, leading_commit
from community.archive.state import ExperimentState, RunState
from community.errors import ExportError
from community.plain_text import isolation_words, note_words, one_line
from community.run_folder import RunFolder
from trainer.errors import TrainerError
from trainer.repository import Repository
from trainer.text_process import TextProcess

PEAK_MB = "peak_vram_mb"
"""Key of a script's final block with its peak memory in MiB."""
PATCH_BYTES = 16 << 20
"""Cap on the exported patch; a tree is some 40 KiB, so this is never reached in earnest."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The files `export_run` wrote."""

    results: Path
    leaderboard: Path
    readme: Path
    patch: Path | None
    """None when no hypothesis has a score yet."""
    repository: Path | None
    """Bare repository whose branch ``best`` is the commit; None with the patch."""


COMPUTED = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula; a title that begins so is quoted."""


def results_tsv(state: RunState) -> str:
    """Return autoresearch's five columns: the baseline, then every screened experiment in order.

    All scores are of dev, so that rows compare. keep is a reproduced hypothesis (and the baseline),
    crash an invalid run, discard anything else; a run that was taken back says so. Memory is what
    a script printed of itself, else 0.0.
    """
    metric = state.opened.metric if state.opened else "val_bpb"
    lines = [f"commit\t{metric}\tmemory_gb\tstatus\tdescription"]
    if state.opened is not None and state.noise is not None:
        commit = state.opened.baseline_commit[:7]
        runs = state.index.calibration
        memory_gb = max((_memory_gb(state, run) for run in runs), default=0.0)
        walls = isolation_words("full", state.measured_by)
        name = f"[{walls}] baseline" if state.measured_by == "candidate" else "baseline"
        row = f"{commit}\t{state.noise.mean:.6f}\t{memory_gb:.1f}\tkeep\t{name}"
        lines.append(row)
    screens = [e for e in state.experiments.values() if e.is_done and e.queued.purpose == "screen"]
    screens.sort(key=lambda experiment: experiment.verdict_us or 0)
    lines.extend(_result_row(state, experiment) for experiment in screens)
    return "\n".join(lines) + "\n"


def _result_row(state: RunState, experiment: ExperimentState) -> str:
    verdict = experiment.verdict
    score = verdict.score if verdict else None
    hypothesis = state.hypotheses.get(experiment.queued.hypothesis)
    status = "discard"
    if score is None:
        status = "crash"
    elif hypothesis is not None and hypothesis.status == "reproduced":
        status = "discard" if experiment.is_retracted else "keep"
    title = one_line(hypothesis.title) if hypothesis else ""
    is_aside = verdict is not None and verdict.measured_by != state.measured_by
    if experiment.is_retracted and not is_aside:
        title = f"[retracted] {title}"
    if verdict is not None and (walls := isolation_words(verdict.isolation, verdict.measured_by)):
        title = f"[{walls}] {title}"
    memory_gb = _memory_gb(state, experiment) if score is not None else 0.0
    if title[:1] in COMPUTED:
        title = f"'{title}"
    return f"{experiment.queued.commit[:7]}\t{score or 0.0:.6f}\t{memory_gb:.1f}\t{status}\t{title}"


def _memory_gb(state: RunState, experiment: ExperimentState) -> float:
    """Return the peak memory that a script printed of itself; 0 where nobody says."""
    told = state.evidence.told.get(experiment.queued.experiment_id, {})
    return max(0.0, told.get(PEAK_MB, 0.0)) / 1024


def name_best(state: RunState, repository: Repository) -> None:
    """Point ``refs/heads/best`` at the commit that leads, at the baseline when the leader fell.

    Raises:
        TrainerError: the repository lacks the commit, or cannot be written.
    """
    commit = leading_commit(state)
    if commit is not None:
        repository.set_best(commit)


def write_results_tsv(state: RunState, path: Path) -> None:
    """Write `results_tsv` to `path`, replacing it in one step.

    Raises:
        ExportError: the folder cannot be written.
    """
    _write(path, results_tsv(state))


def export_run(run_dir: Path, out: Path) -> Exported:
    """Write what a stranger needs to use a run's best commit into the folder `out`.

    Args:
        run_dir: The run's folder; it may be running.
        out: Made when missing; files of an earlier export are replaced.

    Raises:
        RunFolderError: `run_dir` is no run.
        LedgerError: its ledger cannot be read.
        ExportError: nothing was measured yet, the repository lacks the commit, or `out` cannot be
            written.
    """
    folder = RunFolder.open(run_dir)
    with LedgerReader(folder.ledger) as ledger:
        state = RunState.from_rows(ledger.rows())
    if state.opened is None:
        raise ExportError(f"run {folder.run_id} was never opened; there is nothing to export")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(
            f"cannot make {out}: {error.strerror}; choose another folder with --out"
        ) from error
    best = best_commit(state)
    patch = repository = None
    if best is not None:
        patch, repository = _export_best(folder, state.opened.baseline_commit, best, out)
    exported = Exported(
        out / "results.tsv", out / "leaderboard.json", out / "README.md", patch, repository
    )
    write_results_tsv(state, exported.results)
    board = [dataclasses.asdict(entry) for entry in contributions(state)]
    _write(exported.leaderboard, json.dumps(board, indent=2) + "\n")
    _write(exported.readme, _readme(folder.run_id, state, best))
    return exported


def _export_best(folder: RunFolder, baseline: str, best: Best, out: Path) -> tuple[Path, Path]:
    """Write the patch against the start tree and a copy of the repository with branch ``best``."""
    commit = best.hypothesis.commit
    patch, copy, part = out / "best.patch", out / "repo.git", out / "repo.git.part"
    try:
        source = Repository.open(folder.repository, writer=False)
        text = asyncio.run(_diff(source.read(baseline), source.read(commit)))
        _write(patch, _mail(best) + text)
        shutil.rmtree(part, ignore_errors=True)
        _copy_writable(folder.repository, part)
        Repository.open(part).set_best(commit)
        shutil.rmtree(copy, ignore_errors=True)
        part.rename(copy)
    except (TrainerError, OSError, shutil.Error) as error:
        raise ExportError(
            f"cannot export commit {commit[:12]} of run {folder.run_id} to {out}: {error}; check "
            "that repo.git is whole and that the folder can be written, or choose one with --out"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return patch, copy


async def _diff(older: Mapping[str, bytes], newer: Mapping[str, bytes]) -> str:
    """Compare two trees as a run does, since either may be hostile text."""
    async with TextProcess() as texts:
        return await texts.diff(older, newer, cap_bytes=PATCH_BYTES)


def _copy_writable(repository: Path, copy: Path) -> None:
    """Copy a repository; the copy may be written, also where the original may not."""
    shutil.copytree(repository, copy, ignore=shutil.ignore_patterns("*.lock", "tmp_*"))
    for path in (copy, *copy.rglob("*")):
        path.chmod(path.stat().st_mode | stat.S_IWUSR)


def _mail(best: Best) -> str:
    """Return the head of a git patch, so that ``git am`` takes it as well as ``git apply``."""
    author = one_line(best.hypothesis.proposer, 64)
    return (
        f"From {best.hypothesis.commit} Mon Sep 17 00:00:00 2001\n"
        f"From: {author} <{author}@community.invalid>\n"
        f"Subject: [PATCH] {one_line(best.hypothesis.title, 200)}\n\n---\n"
    )


def _readme(run_id: str, state: RunState, best: Best | None) -> str:
    lines = [f"# Run {run_id}", ""]
    if best is None:
        lines.append("No hypothesis has a score yet, so there is no patch here.")
    else:
        h = best.hypothesis
        gain = best.comparison and f", {best.comparison}"
        unit = state.opened.unit if state.opened else ""
        lines += [
            f"Best commit: `{h.commit}` by {one_line(h.author, 64)}, {h.status}, "
            f"{best.score:.6f} {unit} (mean on {best.split}){gain}.",
            *(["", f"{note_words(note)}."] if (note := isolation_note(state)) else []),
            "",
            f"    {one_line(h.title)}",
            "",
            "In a folder that holds the task's start tree (the contents of its `start/`):",
            "",
            "    git apply best.patch        # or, in a git repository: git am best.patch",
            "",
            "As a branch with its whole lineage:",
            "",
            "    git clone repo.git best     # checks out branch `best`",
            "    git fetch repo.git best     # into a repository you have",
        ]
    lines += [
        "",
        "`results.tsv` has autoresearch's five columns, `leaderboard.json` the ranking.",
        "",
    ]
    return "\n".join(lines)


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ExportError(
            f"cannot write {path}: {error.strerror}; choose a folder you may write"
        ) from error
