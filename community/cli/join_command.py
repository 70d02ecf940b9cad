"""``community join``: be one of a run's researchers from another process or machine.

Shows what the researcher does, a line at a time. Exit codes: 0 the run is over, 2 the seat cannot
be had or was taken by another process, 130 interrupted (Ctrl-C), 143 terminated.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from community.cli.failures import INTERRUPTED, TERMINATED

if TYPE_CHECKING:
    from community.joining import Joining

EXAMPLES = """
Examples:

\b
  community join mqtts://lab.example:8883/quickstart-1 --credential eve.json
  community join --credential runs/latest/credentials/eve.json --mind policy:greedy
  community join --credential eve.json --mind anthropic:claude-haiku-5-5 --usd 2

The scenario gives the seat: an agent with mind = "remote". Its credential is written to
RUN/credentials/<name>.json when the run begins; hand it over as you would a password.
"""


def join(
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="URL",
            help="Where the run's broker is: mqtt[s]://host:port[/run]; by default where the "
            "credential says.",
        ),
    ] = None,
    *,
    credential: Annotated[
        Path, typer.Option(help="The agent's credential, a file that only you can read.")
    ],
    mind: Annotated[str, typer.Option(help="What decides for it.")] = "policy:social",
    role: Annotated[
        str | None,
        typer.Option(help="Refuse to take part in another role; the scenario gives it."),
    ] = None,
    usd: Annotated[
        float | None,
        typer.Option(min=0.0, help="The most that a mind that asks a model may cost, in dollars."),
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option(help="A TOML file of prices, as scenarios/models/prices.toml, over those."),
    ] = None,
) -> None:
    """Take part in a run as one of its researchers, from anywhere.

    The researcher reads what its edges carry, posts, reviews, asks for experiments and gets their
    verdicts. It keeps trying while the broker is away. Ctrl-C leaves; the same command takes the
    seat up again where it was left. A second process with the same credential replaces the first.
    """
    from community.joining import Joining
    from forum.credentials import load_credential

    joining = Joining(url, load_credential(credential), mind, role, usd, prices)
    if url is None:
        _must_be_live(credential)
    try:
        why = asyncio.run(_drive(joining))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except asyncio.CancelledError:
        raise typer.Exit(TERMINATED) from None
    typer.echo(why)


def _must_be_live(credential: Path) -> None:
    """Say what to do instead where the credential lies in the folder of a run that is over."""
    from community.run_folder import RunFolder
    from community.taking_part import must_be_live

    folder = RunFolder(credential.absolute().parent.parent)
    if folder.credentials == credential.absolute().parent and folder.ledger.is_file():
        must_be_live(folder)


async def _drive(joining: Joining) -> str:
    from community.joining import join as live

    with terminable():
        return await live(joining, _write_line)


def _write_line(line: str) -> None:
    from forum.plain_text import plain

    typer.echo(plain(line).replace("\n", " "))


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end it as cleanly as Ctrl-C."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
