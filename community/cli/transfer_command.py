"""``community transfer``: which of a run's gains survive at another size."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from community.cli.failures import INTERRUPTED

if TYPE_CHECKING:
    from community.transfer.findings import Findings
    from community.transfer.measuring import Size
    from community.transfer.plan import Plan
    from community.transfer.source import Source
    from forum.messages import KnobValue

EXAMPLES = """
Examples:

\b
  community transfer latest --depth 6                  DEPTH 6 in place of what it is
  community transfer latest --depth 6 --budget 60      and 60 seconds an experiment
  community transfer latest --set DIM=192 --seeds 6    any constant of the start tree
  community transfer latest --depth 6 --list           what would be run, and for how long
"""
TRANSFERS = "transfers"
LINE_S = 10.0
"""Between two lines of progress where there is no terminal."""


def transfer(
    run: Annotated[str, typer.Argument(help="The run, or latest.")] = "latest",
    depth: Annotated[
        int | None, typer.Option(min=1, help="What DEPTH is set to; the same as --set DEPTH=N.")
    ] = None,
    set_to: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Another constant; may be repeated."),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(min=0.001, help="Of one experiment there, in the run's own kind of budget."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=2, max=100, help="Runs of every tree.")] = 4,
    most: Annotated[
        int, typer.Option("--groups", min=1, max=32, help="Changes measured each for itself.")
    ] = 8,
    out: Annotated[
        Path | None, typer.Option(help="Where to; RUN/transfers/SIZE by default.")
    ] = None,
    is_list: Annotated[
        bool, typer.Option("--list", help="Tell what would be run; run nothing.")
    ] = False,
) -> None:
    """Measure which gains of a run carry over to another size.

    Takes the commit that leads apart into its changes. At the size it was found at and at the other
    one, the start, the leader, the leader without each change and the start with each alone are run
    side by side on fresh seeds. The page tells with intervals what carries over, and what does not.

    Whatever is interrupted goes on with the same command. The run itself is only read.
    """
    from community.run_folder import RunFolder
    from community.transfer.source import check_size, open_source

    changes = _changes(depth, set_to or [])
    source = open_source(RunFolder.open(run))
    amount = source.budget.amount if budget is None else budget
    plan = asyncio.run(_plan(source, most))
    check_size(source, plan.leader, changes, amount)
    _tell_plan(plan, source, amount, seeds)
    if is_list:
        return
    folder = (out or source.folder.path / TRANSFERS / _name(changes, amount, source)).absolute()
    try:
        found = asyncio.run(_run(source, plan, changes, amount, seeds, folder))
    except KeyboardInterrupt:
        typer.echo(
            f"community: interrupted; what was measured is kept in {folder}, and the same command "
            f"goes on: {_command()}", err=True,
        )  # fmt: skip
        raise typer.Exit(INTERRUPTED) from None
    _report(found, source.task.unit, folder)


def _changes(depth: int | None, given: list[str]) -> dict[str, KnobValue]:
    """Return the constants to be set, by name.

    Raises:
        typer.BadParameter: one is no ``NAME=VALUE``, or its value no literal.
    """
    import ast

    changes: dict[str, KnobValue] = {} if depth is None else {"DEPTH": depth}
    for each in given:
        name, is_there, text = each.partition("=")
        try:
            value = ast.literal_eval(text.strip()) if is_there else None
        except (ValueError, SyntaxError):
            value = text.strip()  # a word is a string
        if not name.strip().isidentifier() or not isinstance(value, (bool, int, float, str)):
            raise typer.BadParameter(
                f"{each!r} is not NAME=VALUE with a number, a word or True or False; say --set "
                "DIM=192",
                param_hint="--set",
            )
        changes[name.strip()] = value
    return changes


def _name(changes: dict[str, KnobValue], amount: float, source: Source) -> str:
    from community.transfer.task_copy import size_name

    size = size_name(changes) if changes else "same"
    return f"{size}-{amount:g}-{source.budget.kind.replace('_', '-')}"


async def _plan(source: Source, most: int) -> Plan:
    from community.archive.credit import CreditLedger
    from community.transfer.plan import plan_of
    from trainer.text_process import TextProcess

    leader = CreditLedger(source.state).leader
    files = source.tree(leader) if leader is not None else {}
    async with TextProcess() as texts:
        return await plan_of(source.state, texts, source.task.start, files, most)


def _tell_plan(plan: Plan, source: Source, amount: float, seeds: int) -> None:
    from community.transfer.measuring import CALIBRATION
    from trainer.devices import DeviceKind, find_slots

    typer.echo(f"{plan.leader[:10]} {plan.title}: {len(plan.groups)} changes")
    for group in plan.groups:
        typer.echo(f"  {group.title}: credit {group.credit:+.4f} {source.task.unit}")
    for line in plan.inseparable:
        typer.echo(f"  {line}")
    runs = len(plan.variants) * seeds + CALIBRATION
    kind = source.budget.kind
    told = f"{runs} runs of {source.budget.amount:g} and {runs} of {amount:g} {kind}"
    if kind != "steps":
        pool, opened = source.scenario.pool, source.state.opened
        if pool.backend == "local" or opened is None:
            device: DeviceKind = "auto" if kind == "device_seconds" else "cpu"
            slots = len(find_slots(pool.slots, device=device))
        else:
            slots = len(opened.slots)
        minutes = runs * (source.budget.amount + amount + 6) / slots / 60
        told += f": about {minutes:.0f} minutes on {slots} slots"
    typer.echo(told)


async def _run(
    source: Source,
    plan: Plan,
    changes: dict[str, KnobValue],
    amount: float,
    seeds: int,
    folder: Path,
) -> Findings:
    from community.transfer.findings import findings_of
    from community.transfer.measuring import measure
    from community.transfer.source import is_begun, pin, recorded, sizes_of

    wanted = {"changes": changes, "budget": amount, "seeds": seeds}
    pin(plan, wanted, folder)
    states = []
    sizes = await sizes_of(source, changes, amount, folder)
    for size in sizes:
        state = recorded(size)
        if state is None:
            with _progress(size, len(plan.variants) * seeds) as on_row:
                state = await measure(
                    plan, size, seeds, is_resumed=is_begun(size), on_row=on_row
                )  # fmt: skip
        states.append((size.label, state))
    return findings_of(plan, states[0], states[1])


@contextmanager
def _progress(size: Size, total: int) -> Iterator[Callable[[object], None]]:
    """Show how far one size is: a bar in a terminal, a line now and then elsewhere."""
    from time import monotonic

    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from community.archive.ledger import LedgerReader
    from community.events import Row, VerdictGiven

    done = 0
    if size.folder.ledger.is_file():
        with LedgerReader(size.folder.ledger) as reader:
            rows = (row.event for row in reader.rows())
            done = sum(isinstance(e, VerdictGiven) and e.split == "vault" for e in rows)
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn(size.label))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task, last = bar.add_task("", total=total, completed=done), -LINE_S

        def on_row(row: object) -> None:
            nonlocal done, last
            if not isinstance(row, Row) or not isinstance(row.event, VerdictGiven):
                return
            if row.event.split != "vault":
                return
            done += 1
            bar.update(task, completed=done)
            if not console.is_terminal and (monotonic() - last >= LINE_S or done == total):
                last = monotonic()
                typer.echo(f"{size.label}: {done} of {total} runs", err=True)

        yield on_row


def _command() -> str:
    return shlex.join(["community", *sys.argv[1:]])


def _report(found: Findings, unit: str, folder: Path) -> None:
    from community.transfer.report import write_report
    from community.transfer.wording import lines

    page = write_report(found, unit, folder, _command())
    for line in lines(found, unit):
        typer.echo(line)
    typer.echo(f"report: {page}")
