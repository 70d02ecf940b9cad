"""``community attack``: try the shipped attacks on a task's lock, and show that each one bites."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from community.attack.attack import Attack
    from community.attack.suite import Order, Report
    from trainer.task import Task

EXAMPLES = """
Examples:

\b
  community attack nanolm                      each attack: locked, its block off, its twin
  community attack ./mytask --json             the same for a task of your own, as JSON
  community attack digits                      what there is to be tried on a classifier
  community attack nanolm --quick              under the lock alone, in under a minute
  community attack nanolm --disable probe      must come out red: who gets through?
  community attack nanolm --only "calls home"  one attack
  community attack --list                      what is tried, and what each block is for
"""


def attack(
    task: Annotated[
        str, typer.Argument(help="A shipped task's name or the folder of one of your own.")
    ] = "nanolm",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    disable: Annotated[
        str | None, typer.Option(help="Leave this block off; the suite must come out red.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Run the attack of this name; may be repeated.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Try the lock alone: no block off, no honest twins.")
    ] = False,
    is_list: Annotated[
        bool, typer.Option("--list", help="Tell blocks and attacks; run nothing.")
    ] = False,
) -> None:
    """Attack a task's lock with the shipped suite.

    Every attack is run under the full lock, where it must be refused for the reason that is
    expected; with its block off, where it must succeed; and as its honest twin, which must be
    accepted with the score that plain torch gives it. On a classifier no blocks are taken off:
    what they are for is seen on nanolm.

    Exit code 0 if all of that is so, 1 if not.
    """
    from community.attack.blocks import BLOCKS
    from community.attack.catalogue import attacks_on, known_attacks
    from community.attack.honest import HONEST
    from community.attack.suite import Order
    from community.task_lock import must_be_graded
    from trainer.errors import TaskError
    from trainer.task import find_task, load_task

    if is_list:
        _list(known_attacks())
        return
    if disable is not None and disable not in BLOCKS:
        raise typer.BadParameter(f"no block {disable!r}; there are: {', '.join(BLOCKS)}")
    if disable is not None and quick:
        raise typer.BadParameter("--quick leaves every block in place; --disable takes one off")
    opened = load_task(find_task(task, Path.cwd()))
    must_be_graded(opened)
    if opened.kind != "model":
        fault = (
            f"is of kind {opened.kind}: the attacks are on tasks of kind model, whose models are "
            "asked in sandboxes. What a grader of data lets through is the affair of its own "
            "check(): tests/scoring/test_grading.py shows how to attack one"
        )
        raise TaskError(opened.folder, [fault])
    is_text = opened.answers == "tokens"
    if disable is not None and not is_text:
        raise typer.BadParameter(
            "blocks are taken off on models of text alone, nanolm say: the parts that take their "
            "places are made for that; without --disable the lock is tried on a classifier too"
        )
    chosen = [one for one in attacks_on(opened) if not only or one.name in only]
    if not chosen:
        raise typer.BadParameter(
            f"no attack {only} on models of {opened.name}; see community attack --list"
        )
    off = next((block for block in BLOCKS if block == disable), None)
    honest = tuple(HONEST) if is_text and not (only or quick) else ()
    order = Order(tuple(chosen), honest, off, quick, takes_off=is_text)
    report = _run(opened, order)
    _print(report, opened, as_json=as_json)
    if not report.is_green:
        raise typer.Exit(1)


def _run(task: Task, order: Order) -> Report:
    """Run the suite, with a progress bar in a terminal and lines elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from community.attack.suite import run_suite

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with (
        tempfile.TemporaryDirectory(prefix="community-attack-") as folder,
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
    ):
        bar = progress.add_task("opening the lab", total=order.trials)

        def told(words: str) -> None:
            progress.update(bar, advance=1, description=words)
            if not console.is_terminal:
                typer.echo(words, err=True)

        return asyncio.run(run_suite(task, order, Path(folder), told))


def _print(report: Report, task: Task, *, as_json: bool) -> None:
    from rich.console import Console

    from community.attack import table

    if as_json:
        typer.echo(json.dumps(table.as_json(report, task), indent=1))
    else:
        table.show(report, Console())


def _list(attacks: Sequence[Attack]) -> None:
    """Tell what there is."""
    from community.attack.blocks import BLOCKS, MEANINGS

    for block in BLOCKS:
        typer.echo(f"{block}: {MEANINGS[block]}")
        for one in attacks:
            if one.block == block:
                typer.echo(f"    {one.name} ({one.source})")
                typer.echo(f"        {one.tries}; refused as {' or '.join(one.reasons)}")
