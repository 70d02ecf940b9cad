"""``community study``: from a study file to runs on all cores, a figure, and intervals to read."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from community.cli.failures import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from community.study.design import Design
    from community.study.records import RunRecord
    from community.study.report import Written
    from community.study.runner import Progress, StudyFolder

EXAMPLES = """
Examples:

\b
  community study first_study                    under a minute: a figure and its intervals
  community study mine.toml --jobs 4             four at a time; after Ctrl-C it goes on
  community study mine.toml --list               the arms, and how many runs they are
  community study mine.toml --only ring --replicates 5      a piece of it
  community study mine.toml --records kept.jsonl.gz         the report again, from kept runs
"""
KEPT = Path("benchmarks") / "results" / "studies"
LINE_S = 10.0
"""Between two lines of progress where there is no terminal."""
SENTENCES = 12


def study(
    file: Annotated[
        str, typer.Argument(help="A shipped study's name or the path of a study file.")
    ],
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time; all cores by default.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results; runs/studies/NAME by default.")
    ] = None,
    replicates: Annotated[
        int | None, typer.Option(min=1, help="Landscapes, in place of the study's.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Arms whose label holds this; may be repeated.")
    ] = None,
    records: Annotated[
        Path | None, typer.Option(help="Report on kept runs (records.jsonl.gz); run nothing.")
    ] = None,
    write: Annotated[
        bool,
        typer.Option(
            "--write", help=f"Also keep runs, table, figures and sentences in {KEPT}/NAME."
        ),
    ] = False,
    is_list: Annotated[bool, typer.Option("--list", help="List the arms; run nothing.")] = False,
) -> None:
    """Run a study, or go on with it, and write its report.

    Every arm works on the same landscapes at the same budget. Whatever is interrupted goes on with
    the same command: a finished run is never made again, and results of two programs or two
    scenarios are never mixed.
    """
    from community.study.design import design_of
    from community.study.runner import StudyFolder, cores
    from community.study.study_file import read_study

    read = read_study(file)
    design = _part(design_of(read), only or [], replicates)
    if is_list:
        _list(design)
        return
    folder = StudyFolder(out or Path("runs") / "studies" / read.name)
    command = _command()
    if records is not None:
        made = _kept(design, records)
    else:
        made = _run(design, folder, jobs or cores(), command)
    written = _report(design, made, folder.path, command)
    if write:
        from community.study.report import keep

        keep(design, made, written, _kept_folder(read.name))
    _tell(design, written)


def _part(design: Design, only: Sequence[str], replicates: int | None) -> Design:
    try:
        return design.only(only, replicates)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--only") from error


def _command() -> str:
    return shlex.join(["community", *sys.argv[1:]])


def _list(design: Design) -> None:
    """Tell the arms and what they add up to."""
    for key, arm in design.arms.items():
        typer.echo(f"{key}  {arm.label}")
    typer.echo(
        f"{len(design.arms)} arms x {design.replicates} landscapes: {len(design.jobs())} runs"
    )


def _run(design: Design, folder: StudyFolder, jobs: int, command: str) -> list[RunRecord]:
    """Make what is missing, with a progress bar in a terminal and lines elsewhere."""
    from community.study.runner import run_study
    from community.study.running import run_one

    with _progress() as tell:
        try:
            return run_study(
                design, folder, jobs=jobs, command=command, run=run_one, on_progress=tell
            )
        except KeyboardInterrupt:
            done = len(list(folder.runs.glob("*.json")))
            typer.echo(
                f"community: interrupted; {done} finished runs are kept in {folder.path}, and the "
                f"same command goes on: {command}", err=True,
            )  # fmt: skip
            raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _progress() -> Iterator[Callable[[Progress], None]]:
    from time import monotonic

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        last = -LINE_S

        def tell(progress: Progress) -> None:
            nonlocal last
            left = "" if progress.left_s is None else f"{_time(progress.left_s)} left"
            bar.update(
                task, total=progress.total, completed=progress.done,
                description=f"{left}  {progress.label}",
            )  # fmt: skip
            is_due = monotonic() - last >= LINE_S or progress.done == progress.total
            if not console.is_terminal and is_due:
                last = monotonic()
                typer.echo(f"{progress.done} of {progress.total} runs  {left}", err=True)

        yield tell


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _kept(design: Design, path: Path) -> list[RunRecord]:
    """Return the kept runs that belong to the design, in its order."""
    from community.errors import StudyDiffersError
    from community.study.table import unpack_records

    have = {(record.arm, record.replicate): record for record in unpack_records(path)}
    wanted = [(job.arm, job.replicate) for job in design.jobs()]
    missing = {design.arms[arm].label for arm, replicate in wanted if (arm, replicate) not in have}
    if missing:
        raise StudyDiffersError(
            f"{path} lacks runs of {', '.join(sorted(missing)[:6])}: it was made by another study "
            "file, or on fewer landscapes (--replicates)"
        )
    return [have[key] for key in wanted]


def _kept_folder(name: str) -> Path:
    if not KEPT.parent.is_dir():
        raise typer.BadParameter(
            f"--write keeps results in {KEPT}, and {KEPT.parent} is not here: run it in the "
            "project's folder, or take what is in --out",
            param_hint="--write",
        )
    return KEPT / name


def _report(design: Design, made: list[RunRecord], folder: Path, command: str) -> Written:
    from community.study.report import write_report

    return write_report(design, made, folder, command)


def _tell(design: Design, written: Written) -> None:
    """Print the first sentences of the report and where the rest is."""
    from community.study.wording import contrast_sentence, summary_lines

    analysis, margin = written.analysis, design.study.file.study.margin
    chosen = [contrast for contrast in analysis.contrasts if contrast.family == "levels"]
    for contrast in chosen[:SENTENCES]:
        place = f"{contrast.stratum}: " if contrast.stratum else ""
        typer.echo(f"{place}{contrast_sentence(contrast, margin)}")
    if len(chosen) > SENTENCES:
        typer.echo(f"... and {len(chosen) - SENTENCES} more in the report")
    for line in summary_lines(analysis, margin):
        typer.echo(line)
    typer.echo(f"report: {written.page}")
    typer.echo(f"table:  {written.table}")
