"""``community mcp``: any MCP client (Claude Code, Codex, Cursor, ...) as a run's researcher.

Standard output belongs to the protocol; what happens is told on standard error. Exit codes: 0 the
client has gone, 2 the seat cannot be had, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from community.cli.failures import INTERRUPTED, TERMINATED
from community.cli.join_command import terminable
from community.errors import TakingPartError

if TYPE_CHECKING:
    from community.mcp.serving import Serving, Transport

EXAMPLES = """
Examples:

\b
  claude mcp add community -- community mcp runs/latest --as eve
  community mcp mqtts://lab.example:8883/quickstart-1 --as eve --credential eve.json
  community mcp runs/latest --as eve --http 8765

The scenario gives the seat: an agent with mind = "remote". What a client may do and read is what
the agent's role and edges allow; that is enforced where the run is. One server sits at a seat at a
time.

Over stdio the client starts this command itself. With --http PORT it listens at
http://127.0.0.1:PORT/mcp for whoever shows the token as "Authorization: Bearer TOKEN"; the token is
$COMMUNITY_MCP_TOKEN, or in the --token-file, which is made if it is not there. A client on another
machine runs this command there, with the broker's mqtts:// URL and the agent's credential.
"""


def mcp(
    where: Annotated[
        str,
        typer.Argument(
            metavar="RUN|URL",
            help="A run of this machine that is going on, or where its broker is: "
            "mqtt[s]://host:port[/run].",
        ),
    ] = "latest",
    *,
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="Which agent to be.")],
    credential: Annotated[
        Path | None,
        typer.Option(help="Its credential; by default RUN/credentials/NAME.json."),
    ] = None,
    http: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65_535,
            help="Listen here, on 127.0.0.1, instead of standard input; 0 for any free port.",
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="Token for --http; by default NAME.token beside the credential."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Send away whoever sits at the seat.")
    ] = False,
) -> None:
    """Serve a researcher's seat to an MCP client, over stdio or HTTP.

    The client's tools: briefing, observe, threads, read_thread, read_code, leaderboard, queue,
    verdict, read_notebook, wait_for_news; and of propose, merge, reproduce, review, lead,
    claim_lead, comment and notebook those of its role. When the client goes the seat waits for it.
    """
    if find_spec("mcp") is None:
        raise TakingPartError(
            "the MCP server needs the official SDK; get it: pip install 'research-community[mcp]'"
        )
    from community.mcp.places import find_place
    from community.mcp.serving import Serving

    place = find_place(where, name, credential)
    serving = Serving(place.url, place.credential, replaces=replace)
    try:
        asyncio.run(_drive(serving, _transport(http, token_file or place.token_file)))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except asyncio.CancelledError:
        raise typer.Exit(TERMINATED) from None


def _transport(port: int | None, token_file: Path) -> Transport:
    if port is None:
        from community.mcp.over_stdio import over_stdio

        return over_stdio
    from community.mcp.over_http import OverHttp, token_for

    token, source = token_for(token_file)
    transport = OverHttp(port, token, _write_line)
    _write_line(f"clients show the token in {source} as: Authorization: Bearer TOKEN")
    return transport


async def _drive(serving: Serving, transport: Transport) -> None:
    from community.mcp.serving import serve

    with terminable():
        await serve(serving, transport, _write_line)


def _write_line(line: str) -> None:
    from forum.plain_text import plain

    typer.echo(plain(line).replace("\n", " "), err=True)
