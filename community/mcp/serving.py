"""Serving: the seat is taken, the researcher lives at it, a transport brings the client's calls.

Ends when the transport does (the client has gone) or when it is told to; then it says farewell, and
the seat waits. When the run is over the client is told so by every call, until it goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from mcp.server import Server

from agents.called_agent import CalledAgent
from agents.errors import LabError
from agents.lab_requests import Seated
from agents.remote_lab import RemoteLab
from community.errors import TakingPartError
from community.joining import AGAIN_S, FAREWELL_S, Tell, must_be_an_agent
from community.mcp.server import make_server
from forum.board import Seat
from forum.credentials import Credential
from forum.errors import BoardClosedError, BoardUnreachableError
from forum.ids import AgentName

MIND: Final = "mcp"
"""What the ledger says decides for the agent."""
ENDING_S: Final = 3.0
"""How long a transport gets to end."""

Transport = Callable[[Server[Any]], Coroutine[Any, Any, None]]
"""Serves until the client has gone."""


@dataclass(frozen=True, slots=True)
class Serving:
    """Whose seat is served, and where."""

    url: str | None
    """Where the broker is; None: where the credential says."""
    credential: Credential
    replaces: bool = False
    """Whether whoever sits there has to go; otherwise a seat that is in use is refused."""


async def serve(serving: Serving, transport: Transport, tell: Tell) -> None:
    """Serve an agent's seat to an MCP client until the client has gone.

    Args:
        serving: Whose, and where.
        transport: Brings the client's calls.
        tell: Told what happens, a line at a time.

    Raises:
        TakingPartError: the seat cannot be had, is somebody's, or nobody answers.
        LoginRefusedError: the broker refuses the credential.

    Cancellation: says farewell, for at most `FAREWELL_S` seconds.
    """
    from forum.mqtt_board import MqttBoard  # the network's libraries only where it is used

    name = must_be_an_agent(serving.credential)
    board = MqttBoard.joining(serving.url, serving.credential)
    try:
        async with board.seat(name) as seat:
            await serve_seat(seat, name, serving.replaces, transport, tell)
    except BoardUnreachableError as error:
        raise TakingPartError(
            f"{error}. If run {serving.credential.run} is over, nobody can join it any more"
        ) from error


async def serve_seat(
    seat: Seat, name: AgentName, replaces: bool, transport: Transport, tell: Tell
) -> None:
    """Do the same at a seat that is there; raises, and is cancelled, as `serve`."""
    lab = RemoteLab(seat, MIND, replaces=replaces)
    try:
        seated = await lab.take_seat()
    except asyncio.CancelledError:  # it may have been taken
        await _say_farewell(lab, "left", is_final=False)
        raise
    except (LabError, BoardClosedError) as error:
        why = f"the seat of {name} cannot be had: {error}"
        if lab.is_replaced:
            why += "; or take it with --replace, which sends the other away"
        raise TakingPartError(why) from error
    agent = _agent(seat, lab, name, seated)
    tell(f"{name} ({seated.role.name}) in run {seated.run}, for MCP clients")
    staying = asyncio.create_task(lab.stay(), name="here")
    living = asyncio.create_task(_live(agent, lab, staying, tell), name=f"{name}: life")
    serving = asyncio.create_task(transport(make_server(agent, seated.run)), name="transport")
    try:
        await _until_gone(serving, living)
    finally:
        staying.cancel()
        living.cancel()
        await _say_farewell(lab, "left", is_final=False)
        serving.cancel()
        await asyncio.wait({serving, living, staying}, timeout=ENDING_S)
    for each in (living, serving):
        if each.done() and not each.cancelled() and (fault := each.exception()) is not None:
            raise fault


async def _until_gone(serving: asyncio.Task[None], living: asyncio.Task[None]) -> None:
    """Return when the client has gone, or the researcher's life ended by a fault of ours."""
    pending = {serving, living}
    while serving in pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if living in done and living.exception() is not None:
            return


def _agent(seat: Seat, lab: RemoteLab, name: str, seated: Seated) -> CalledAgent:
    return CalledAgent(
        name=name,
        role=seated.role,
        seat=seat,
        lab=lab,
        knobs=seated.knobs,
        run_seed=seated.seed,
        turn=seated.turn,
        notebook=seated.notebook,
        on_turn=lab.record_turn,
    )


async def _live(
    agent: CalledAgent, lab: RemoteLab, staying: asyncio.Task[None], tell: Tell
) -> None:
    """Live until the run is over, or the seat is lost; then leave the seat to others."""
    while True:
        try:
            why = await agent.live()
            break
        except LabError as error:
            tell(f"the lab could not answer: {error}; trying again")
            await asyncio.sleep(AGAIN_S)
    staying.cancel()  # or it would take the seat again
    tell(why or "the run is over")
    is_final = bool(why) and not agent.spend.has_turns
    await _say_farewell(lab, why or "the run is over", is_final=is_final)


async def _say_farewell(lab: RemoteLab, why: str, *, is_final: bool) -> None:
    with suppress(LabError, BoardClosedError, TimeoutError):
        async with asyncio.timeout(FAREWELL_S):
            await lab.leave(why, is_final=is_final)
