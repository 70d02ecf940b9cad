"""Commands about this machine and what ships: ``doctor``, ``tasks``, ``scenario check``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from community.loading import LoadedScenario

_STYLE = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor() -> None:
    """Check that this machine can run it.

    Each line that is not ok says what to do.

    Exit code 0 when it can, 1 when something that is needed is missing.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from community.doctor import examine

    checks = examine()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        words = Text(check.finding)
        if check.advice:
            words.append(f"\n→ {check.advice}", style="dim" if check.level == "ok" else "")
        table.add_row(Text(check.level, style=_STYLE[check.level]), Text(check.name), words)
    Console().print(table)
    failed = [check.name for check in checks if check.level == "fail"]
    if failed:
        typer.echo(f"\nthe quick start cannot run here yet: {', '.join(failed)}")
        raise typer.Exit(1)
    typer.echo("\nthe quick start can run here:  community run quickstart")


def tasks() -> None:
    """List the shipped tasks."""
    from trainer.task import list_tasks, load_task

    for folder in list_tasks():
        task = load_task(folder)
        typer.echo(task.name)
        typer.echo(f"  metric   {task.metric}, {task.unit}, {task.direction} is better")
        typer.echo(f"  budget   {task.budget.amount:g} {task.budget.kind} per experiment")
        typer.echo(f"  editable {', '.join(task.editable)}")
        typer.echo(f"  folder   {task.folder}")
    typer.echo('\nA task of your own is a folder like these: run = { task = "./mytask" }')


def check(
    file: Annotated[str, typer.Argument(help="A shipped scenario's name or the path of a file.")],
) -> None:
    """Check a scenario file.

    Every fault is listed at once, with its line; the task it names and the task's knobs are read as
    well.
    """
    from community.loading import check_task, read_scenario

    loaded = read_scenario(file)
    check_task(loaded.scenario)
    for line in _description(loaded):
        typer.echo(line)
    for warning in loaded.warnings:
        typer.echo(f"warning: {warning}")
    typer.echo(f"{loaded.path}: this scenario can be run")


def _description(loaded: LoadedScenario) -> list[str]:
    """Return what the scenario comes to, in a few lines."""
    from community.loading import has_no_end
    from community.show.topology_lines import measures_words, topology_words
    from community.topology import build_topology

    scenario = loaded.scenario
    members = scenario.members()
    topology = build_topology([m.name for m in members], scenario.topology, scenario.run.seed)
    lines = [f"{m.name}: {m.role}, {m.mind}" for m in members]
    lines = [
        f"{line}; hears {', '.join(topology.hears(m.name)) or 'nobody'}"
        for line, m in zip(lines, members, strict=True)
    ]
    lines.append(f"topology: {topology_words(scenario.topology)}")
    lines.append(f"  {measures_words(topology.measures.as_numbers())}")
    limits = scenario.stop.model_dump(exclude_none=True)
    ends = ", ".join(f"{key} = {value:g}" for key, value in limits.items())
    lines.append(f"ends: {'never by itself' if has_no_end(scenario.stop) else ends}")
    return lines
