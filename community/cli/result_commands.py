"""Commands that look at a run: ``show``, ``report``, ``export``, ``watch``. None changes it.

They read the ledger through a read-only connection and may be used while the run goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from community.run_folder import RunFolder
    from community.show import Shown

RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="[RUN]", help="A run folder, the name of a run in ./runs, or latest (default)."
    ),
]


def show(
    run: RunArgument = "latest",
    *,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    top: Annotated[int, typer.Option(min=1, help="How many contributions to list.")] = 10,
    retractions: Annotated[
        bool,
        typer.Option("--retractions", help="Show what was taken back, and its reach."),
    ] = False,
) -> None:
    """Show headline, leaderboard, credit and spend.

    In a terminal as tables, into a file or a pipe as plain lines.

    The JSON has, among others: baseline.mean, baseline.sigma, best.score, best.status, best.commit,
    headline.gain with low and high, leaderboard, yardstick.alarms, credit, experiments, is_live,
    pool.busy_share.
    """
    record = _record(_folder(run))
    if json:
        typer.echo(record.as_json())
        return
    from rich.console import Console

    from community.show import leaderboard_text, rendered, retraction_lines

    if retractions:
        for line in retraction_lines(record):
            typer.echo(line)
        return

    console = Console()
    if console.is_terminal:
        console.print(rendered(record, top, console.width))
    else:
        typer.echo(leaderboard_text(record, top))


def report(run: RunArgument = "latest") -> None:
    """Write a report with plots.

    One HTML page: headline, progress with intervals, dev against seal, leaderboard, credit, drift,
    lineage, use of the pool.
    """
    folder = _folder(run)
    _record(folder)
    typer.echo(write_page(folder))


def export(
    run: RunArgument = "latest",
    *,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write to; by default export/ in the run's folder."),
    ] = None,
) -> None:
    """Write out the best commit.

    As a patch and as a branch, with results.tsv in autoresearch's five columns.
    """
    from community.archive.export import export_run

    folder = _folder(run)
    written = export_run(folder.path, folder.path / "export" if out is None else out)
    for path in (
        written.readme,
        written.patch,
        written.repository,
        written.results,
        written.leaderboard,
    ):
        if path is not None:
            typer.echo(path)


def watch(
    run: Annotated[
        str,
        typer.Argument(
            metavar="[RUN|URL]",
            help="A run folder, the name of a run in ./runs, latest (default), or a broker's "
            "mqtt[s]://host:port/run.",
        ),
    ] = "latest",
    *,
    credential: Annotated[
        Path | None, typer.Option(help="With a URL: the observer's credential.")
    ] = None,
    person: Annotated[
        Path | None,
        typer.Option(help="Credential of the person you take part as; by default the run's own."),
    ] = None,
) -> None:
    """Watch a run live, and take part in it.

    Forum, lab, progress, leaderboard, topology, lineage, evidence: keys 1 to 7. You may comment,
    boost, veto, and pause agents, under your name. Press ? for help, q to leave; the run goes on.
    """
    from community.tui.app import WatchApp

    if "://" not in run:
        WatchApp(_folder(run), credential=person).run_alone()
        return
    if credential is None:
        raise typer.BadParameter(
            "give the observer's credential, a file in the run's credentials/",
            param_hint="--credential",
        )
    from community.tui.observer import ObserverFeed

    where = run if person is not None else None
    WatchApp(ObserverFeed(run, credential), where=where, credential=person).run_alone()


def replay(
    run: RunArgument = "latest",
    *,
    speed: Annotated[
        int, typer.Option(min=1, max=1000, help="Seconds of run time in a second.")
    ] = 10,
) -> None:
    """Play a finished run again.

    The same screens as `community watch`. space plays and pauses, [ and ] change the speed from 1x
    to 1000x, comma and full stop go back and forward, n jumps to the next improvement.
    """
    folder = _folder(run)
    from community.tui.app import WatchApp
    from community.tui.replay import Replay

    replayed = Replay(folder.ledger, speed=speed)
    patches, repository = folder.path / "patches", folder.repository
    WatchApp(replayed, patches=patches, repository=repository).run_alone()


def print_summary(folder: RunFolder) -> None:
    """Write the report, then say what came of a run, where everything lies, and what to type."""
    from community.show import summary_lines

    page = write_page(folder)
    typer.echo()
    for line in summary_lines(_record(folder)):
        typer.echo(line)
    typer.echo()
    typer.echo(f"report       {page}")
    typer.echo(f"ledger       {folder.ledger}")
    typer.echo(f"commits      {folder.repository}   (git log --graph --all)")
    typer.echo(f"results.tsv  {folder.results}")
    typer.echo(f"logs         {folder.jobs}")
    typer.echo()
    typer.echo(f"next:  community show {folder.path}")
    typer.echo(f"       community export {folder.path}")


def _folder(run: str) -> RunFolder:
    from community.run_folder import RunFolder

    return RunFolder.open(run)


def write_page(folder: RunFolder) -> Path:
    """Write the report and return its page.

    Raises:
        ExportError: the report's folder cannot be written.
    """
    from community.errors import ExportError
    from community.report import write_report

    try:
        return write_report(folder)
    except OSError as error:
        raise ExportError(
            f"cannot write the report in {folder.report}: {error.strerror}; make the folder "
            "writable, or copy the run's folder elsewhere"
        ) from error


def _record(folder: RunFolder) -> Shown:
    """Fold the ledger of a run into what is shown of it.

    Raises:
        RunFolderError: the run was killed before its first row.
    """
    from community.archive.codec import ledger_hash
    from community.archive.ledger import LedgerReader
    from community.archive.state import RunState
    from community.errors import RunFolderError
    from community.show import shown

    is_live = folder.is_live()  # asked first: a writer records the end before it lets go
    with LedgerReader(folder.ledger) as ledger:
        rows = list(ledger.rows())
    if not rows:
        raise RunFolderError(
            f"run {folder.run_id} never began: its ledger is empty; start it again with "
            f"`community run SCENARIO --resume --run-dir {folder.path}`"
        )
    return shown(RunState.from_rows(rows), ledger_hash(rows), is_live=is_live)
