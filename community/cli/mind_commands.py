"""Commands about minds that ask models: ``prompt`` and ``estimate``. Neither asks one."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

PROMPT_EXAMPLES = """
Examples:

\b
  community prompt quickstart --agent ada          before it runs: ada's first turn
  community prompt latest --agent ada --turn 7     what a run's ada saw
"""


def prompt(
    place: Annotated[
        str,
        typer.Argument(
            metavar="SCENARIO|RUN",
            help="A scenario's name or file, or (with --turn) a run folder, its name, or latest.",
        ),
    ],
    *,
    agent: Annotated[str, typer.Option(help="Whose mind.")],
    turn: Annotated[
        int | None, typer.Option(min=0, help="Of a run: which turn, counted from 0.")
    ] = None,
) -> None:
    """Print exactly what the mind of an agent sees.

    Of a scenario it is the first turn; of a run any turn that was taken, rebuilt from its ledger.
    """
    from community.loading import read_scenario
    from community.run_folder import RunFolder
    from community.seeing import first_sight, past_sight

    if turn is None:
        sight = first_sight(read_scenario(place).scenario, agent)
    else:
        sight = asyncio.run(past_sight(RunFolder.open(place), agent, turn))
    typer.echo(sight.text, nl=False)
    if sight.differs:
        parts = ", ".join(sight.differs)
        typer.echo(f"community: not as it was shown then: {parts}", err=True)


def estimate(
    scenario: Annotated[str, typer.Argument(help="A shipped scenario's name or a file's path.")],
) -> None:
    """Say what a run's thinking and its devices may cost before it starts, and how we know."""
    from community.device_estimating import device_lines
    from community.estimating import estimate_cost
    from community.loading import read_scenario

    read = read_scenario(scenario).scenario
    for line in (*estimate_cost(read).lines(), *device_lines(read)):
        typer.echo(line)
