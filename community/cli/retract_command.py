"""``community retract``: take back a verdict by hand, and say what rested on it.

Shows the reach, asks, records, and brings what is derived from the ledger up to date. What follows
from a retraction is `community.retraction`'s business.
"""

from __future__ import annotations

import difflib
import getpass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from community.archive.ledger import Ledger
    from community.archive.resting import Reached
    from community.archive.state import RunState
    from community.events import Event
    from community.run_folder import RunFolder

EXAMPLES = """
Examples:

\b
  community retract latest ve0007 --why "slot 1 ran beside a backup" --dry-run
  community retract latest ve0007 --why "slot 1 ran beside a backup"
  community run --resume          measures what is open again, within the run's limits

VERDICT is a verdict's id or how it begins, or the id of its experiment. To find one:

\b
  sqlite3 runs/latest/ledger.db 'select verdict_id, "commit", split, score from verdicts'
"""
WHY_CHARACTERS = 300
"""Longest reason that is kept."""


def retract(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run folder, the name of a run, or latest.")
    ],
    verdict: Annotated[
        str, typer.Argument(metavar="VERDICT", help="Which verdict; its beginning will do.")
    ],
    *,
    why: Annotated[str, typer.Option(help="The reason, for everybody who reads the ledger.")],
    by: Annotated[
        str | None, typer.Option(help="Your name in the ledger; by default your login name.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what rests on it and what would follow; only.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Take back a verdict that should never have counted.

    For a run that ended or was stopped. The verdict stays in the ledger, marked, and counts nowhere
    from then on. What rested on it is open again: a claim whose screen is struck is measured again,
    one whose confirmation lost a run is confirmed again with a fresh run in its place, and what was
    reproduced on top of a claim that fell is contested until that claim stands again. If the
    best commit falls, the best that stands leads.

    Nothing is deleted, and a retraction cannot be undone. A baseline's verdict cannot be taken
    back, because everything in its run rests on it.
    """
    from community.archive.ledger import LedgerReader
    from community.archive.state import RunState
    from community.retraction import verdict_retraction
    from community.run_folder import RunFolder

    folder = RunFolder.open(run)
    why = _told(why, "why", WHY_CHARACTERS)
    with LedgerReader(folder.ledger) as reader:
        state = RunState.from_rows(reader.rows())
    who = _who(by, state)
    verdict_id = _find(state, verdict, folder.run_id)
    for line in _preview(state, verdict_id, verdict_retraction(state, verdict_id, who, why)):
        typer.echo(line)
    if dry_run:
        typer.echo("\nnothing was changed: this was a dry run")
        return
    with _owned(folder) as ledger:
        if not yes:
            typer.confirm(f"\ntake back {verdict_id} for good, as {who}?", abort=True)
        state = RunState.from_rows(ledger.rows())  # as it is now that nobody else writes
        ledger.subscribe(state.apply)
        ledger.append(state.last_us, *verdict_retraction(state, verdict_id, who, why))
    _bring_up_to_date(folder, state)
    typer.echo(f"\n{verdict_id} is taken back; results.tsv, report and branch best follow")
    typer.echo(f"next:  community show {folder.path} --retractions")
    typer.echo(f"       community run --resume --run-dir {folder.path}")


def _told(text: str, name: str, limit: int) -> str:
    """Return a person's words on one printable line; they must be some."""
    from community.plain_text import one_line

    told = one_line(text, limit).strip()
    if not told:
        raise typer.BadParameter(f"say it in words: --{name} TEXT", param_hint=f"--{name}")
    return told


def _who(by: str | None, state: RunState) -> str:
    """Return the name under which the retraction is recorded.

    Raises:
        RetractionError: none is given and this process has none, or a researcher or the lab has it.
    """
    from community.claims import LAB
    from community.errors import RetractionError

    if by is None:
        try:
            by = getpass.getuser()
        except (KeyError, OSError) as error:
            raise RetractionError("this user has no login name; give one with --by NAME") from error
    name = _told(by, "by", 64)
    if name == LAB or name in state.agents:
        raise RetractionError(f"'{name}' takes part in this run; give another name with --by")
    return name


def _find(state: RunState, given: str, run_id: str) -> str:
    """Return the one verdict that `given` means.

    Raises:
        RetractionError: it means none, or several.
    """
    from community.errors import RetractionError

    experiment = state.experiments.get(given)
    if experiment is not None and experiment.verdict is not None:
        return experiment.verdict.verdict_id
    if experiment is not None:
        raise RetractionError(f"experiment {given} of run {run_id} has no verdict to take back")
    if given in state.verdicts:
        return given
    found = [name for name in state.verdicts if given and name.startswith(given)]
    if len(found) == 1:
        return found[0]
    if found:
        raise RetractionError(
            f"{len(found)} verdicts of run {run_id} begin with {given!r}: {_some(found)}; give "
            "more of it"
        )
    heads = {name.partition("-")[0]: name for name in state.verdicts}  # what follows is a digest
    near = difflib.get_close_matches(given.partition("-")[0], heads)
    meant = f"; the nearest are {_some([heads[head] for head in near])}" if near else ""
    raise RetractionError(
        f"run {run_id} has no verdict {given!r}{meant}; `community retract --help` "
        "says how to list them"
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" and more" if len(names) > 5 else "")


def _owned(folder: RunFolder) -> Ledger:
    """Open the ledger for writing: owning it is owning the run.

    Raises:
        RetractionError: the run is going on.
    """
    from community.archive.ledger import Ledger
    from community.errors import LedgerInUseError, RetractionError

    try:
        return Ledger.open(folder.ledger)
    except LedgerInUseError as error:
        raise RetractionError(
            f"run {folder.run_id} is going on, and nothing can be taken back beside it: stop it "
            "with Ctrl-C (nothing is lost), retract, then go on with `community run --resume`; "
            "--dry-run may be used meanwhile"
        ) from error


def _preview(state: RunState, verdict_id: str, follows: Sequence[Event]) -> list[str]:
    """Return the verdict, the tree of what rests on it, and what would follow."""
    from community.archive.resting import reach_of
    from community.events import FrontierMoved, StatusChanged

    verdict = state.verdicts[verdict_id]
    score = "invalid" if verdict.score is None else f"{verdict.score:.4f}"
    purpose = state.experiments[verdict.experiment_id].queued.purpose.replace("_", " ")
    lines = [f"verdict {verdict_id}: {score} on {verdict.split}, {purpose} run"]
    statuses = {e.hypothesis: e.status for e in follows if isinstance(e, StatusChanged)}
    top = reach_of(state, f"verdict:{verdict_id}")
    lines += _tree(state, top) or ["  nothing rests on it"]
    lines.append("")
    for name, status in statuses.items():
        was = state.hypotheses[name].status
        lines.append(f"{name}: {was.replace('_', ' ')} -> {_open(status)}")
    if not statuses:
        lines.append("no claim changes its status")
    for event in follows:
        if isinstance(event, FrontierMoved):
            lines.append(f"best: {event.commit[:10]} ({event.hypothesis}), {event.score:.4f}")
    fell = _leader_falls(state, statuses) and not any(isinstance(e, FrontierMoved) for e in follows)
    return [*lines, "best: the baseline; nothing that was reproduced stands"] if fell else lines


def _leader_falls(state: RunState, statuses: dict[str, str]) -> bool:
    from community.archive.queries import leader

    leading = leader(state)
    return leading is not None and leading.hypothesis in statuses


def _open(status: str) -> str:
    return "open again, without a run" if status == "measured" else status.replace("_", " ")


def _tree(state: RunState, top: Reached) -> list[str]:
    """Return a line for each thing that rests on `top`, below what it rests on."""
    from community.plain_text import one_line

    lines = []
    waiting = [(below, 1) for below in reversed(top.below)]
    while waiting:
        reached, depth = waiting.pop()
        kind, _, name = reached.node.partition(":")
        title = f' "{one_line(state.hypotheses[name].title, 60)}"' if kind == "hypothesis" else ""
        shown = name[:10] if kind in ("commit", "seal") else name
        lines.append(f"{'  ' * min(depth, 12)}{kind} {shown}{title} {reached.why}")
        waiting += [(below, depth + 1) for below in reversed(reached.below)]
    return lines


def _bring_up_to_date(folder: RunFolder, state: RunState) -> None:
    """Write what is derived from the ledger again.

    Raises:
        ExportError: a file cannot be written; the retraction is recorded all the same.
    """
    from community.archive.export import name_best, write_results_tsv
    from community.cli.result_commands import write_page
    from community.errors import ExportError
    from trainer.errors import TrainerError
    from trainer.repository import Repository

    write_results_tsv(state, folder.results)
    try:
        name_best(state, Repository.open(folder.repository))
    except TrainerError as error:
        raise ExportError(
            f"the verdict is taken back, but branch best of {folder.repository} could not follow: "
            f"{error}; `community run --resume` sets it"
        ) from error
    write_page(folder)
