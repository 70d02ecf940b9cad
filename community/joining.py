"""Joining a run from elsewhere: one researcher in a process of its own, on the run's board alone.

It has nothing but the broker's address and its credential. What it may read, post and ask for is
decided where the run is (`community.remote_seats`, the clerk); here its mind lives, as long as the
run does or until it is told to leave. Where an earlier process stopped it goes on: turn, notebook
and what it owes an answer come from the run's ledger.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agents.agent import Agent
from agents.errors import LabError
from agents.lab_requests import Seated
from agents.remote_lab import RemoteLab
from community.errors import TakingPartError
from community.guest_minds import GuestMinds
from forum.board import Seat
from forum.credentials import Credential
from forum.errors import BoardClosedError, BoardUnreachableError, PostRefusedError
from forum.ids import AgentName
from forum.messages import Body, Draft, Notice, Post, Receipt
from forum.requests import JsonObject
from forum.topics import CLERK, agent_name, is_observer, is_person

FAREWELL_S: Final = 3.0
"""How long a farewell may take."""
AGAIN_S: Final = 5.0
"""Between a request that the lab could not answer and another try."""

Tell = Callable[[str], None]
_LINK = logging.getLogger("forum.mqtt_link")


@dataclass(frozen=True, slots=True)
class Joining:
    """Who joins, and where."""

    url: str | None
    """Where the broker is; None: where the credential says."""
    credential: Credential
    mind: str
    """For example ``policy:social``."""
    role: str | None = None
    """The role that is expected; another one is refused."""
    usd: float | None = None
    """The most that a mind that asks a model may cost here, in dollars."""
    prices: Path | None = None
    """A file of prices over those that are shipped."""


async def join(joining: Joining, tell: Tell) -> str:
    """Take the seat and live there until the run is over; returns why it ended.

    Args:
        joining: Who, where and with which mind.
        tell: Told what happens, a line at a time.

    Raises:
        TakingPartError: the seat is not the caller's, another process took it, or nobody answers.
        LoginRefusedError: the broker refuses the credential.
        MindError: no mind has that name, or it cannot be had here.
        PriceError: its model has no price.

    Cancellation: says farewell, for at most `FAREWELL_S` seconds; the seat can be taken up again.
    """
    from forum.mqtt_board import MqttBoard  # the network's libraries only where it is used

    credential = joining.credential
    name = must_be_an_agent(credential)
    minds = GuestMinds(joining.mind, joining.usd, joining.prices)
    minds.make(name, joining.role or "")  # before anybody hears of it
    board = MqttBoard.joining(joining.url, credential)
    tell(f"joining run {credential.run} as {name}")
    with _telling_of_connection(tell):
        try:
            async with board.seat(name) as seat:
                return await _live(_Telling(seat, tell), joining, minds, name, tell)
        except BoardUnreachableError as error:
            raise TakingPartError(
                f"{error}. If run {credential.run} is over, nobody can join it any more: where its "
                f"folder is, `community show {credential.run}` tells what came of it and "
                f"`community replay {credential.run}` plays it again"
            ) from error
        finally:
            await minds.aclose()


def must_be_an_agent(credential: Credential) -> AgentName:
    """Return whose seat a credential opens.

    Raises:
        TakingPartError: it is no agent's.
    """
    user = credential.user
    if is_person(user) or is_observer(user) or user == CLERK:
        whose = "a person's" if is_person(user) else "no agent's"
        raise TakingPartError(
            f"the credential is {whose}, {user}; take that of an agent with "
            'mind = "remote", or take part by `community watch`'
        )
    return agent_name(user)


async def _live(
    seat: Seat, joining: Joining, minds: GuestMinds, name: AgentName, tell: Tell
) -> str:
    lab = RemoteLab(seat, joining.mind)
    try:
        async with _here(lab):
            while True:
                try:
                    why = await _one_life(seat, lab, joining, minds, name, tell)
                    await _say_farewell(lab, why)
                    return why
                except LabError as error:
                    tell(f"the lab could not answer: {error}; trying again")
                    await asyncio.sleep(AGAIN_S)
    except asyncio.CancelledError:
        tell("leaving")
        await _say_farewell(lab, "left")
        raise
    except BoardClosedError as error:
        why = _ending(lab, str(error))
        await _say_farewell(lab, why)
        return why


async def _say_farewell(lab: RemoteLab, why: str, *, is_final: bool = False) -> None:
    with suppress(LabError, BoardClosedError, TimeoutError):
        async with asyncio.timeout(FAREWELL_S):
            await lab.leave(why, is_final=is_final)


async def _one_life(
    seat: Seat,
    lab: RemoteLab,
    joining: Joining,
    minds: GuestMinds,
    name: AgentName,
    tell: Tell,
) -> str:
    """Take the seat and take turns there; returns why it ended."""
    seated = await lab.take_seat()
    if joining.role not in (None, seated.role.name):
        await _say_farewell(lab, "it expected another role")
        raise TakingPartError(
            f"run {seated.run} has {name} as {seated.role.name}, not as {joining.role}; roles are "
            "given by the scenario"
        )
    tell(_introduction(name, seated, joining.mind))

    async def on_turn(
        agent: str, turn: int, actions: tuple[str, ...], notebook: str | None, cost_usd: float
    ) -> None:
        await lab.record_turn(agent, turn, actions, notebook, cost_usd)
        tell(f"turn {turn}: {', '.join(actions) or 'nothing'}")

    agent = Agent(
        name=name,
        role=seated.role,
        mind=minds.make(name, seated.role.name),
        seat=seat,
        lab=lab,
        knobs=seated.knobs,
        run_seed=seated.seed,
        turn=seated.turn,
        notebook=seated.notebook,
        on_turn=on_turn,
    )
    why = await agent.live()
    if why and not agent.spend.has_turns:
        await _say_farewell(lab, why, is_final=True)
        return why
    return _ending(lab, why)


def _ending(lab: RemoteLab, why: str) -> str:
    """Return how it ended, in words.

    Raises:
        TakingPartError: it was ended by somebody, or something, else than the run.
    """
    if lab.is_over or not why:
        return why or "the run is over"
    raise TakingPartError(f"the seat is lost: {why}")


def _introduction(name: str, seated: Seated, mind: str) -> str:
    rights = ", ".join(sorted(seated.role.rights))
    onward = f"goes on with turn {seated.turn}" if seated.turn else "begins"
    return f"{name} ({seated.role.name}: {rights}) {onward} in run {seated.run}, mind {mind}"


@asynccontextmanager
async def _here(lab: RemoteLab) -> AsyncIterator[None]:
    """Say that one is there for as long as the block lasts."""
    staying = asyncio.create_task(lab.stay(), name="here")
    try:
        yield
    finally:
        staying.cancel()


class _Telling:
    """A seat that tells of what is said and done from it."""

    def __init__(self, seat: Seat, tell: Tell) -> None:
        self._seat = seat
        self._tell = tell

    @property
    def interruptions(self) -> int:
        return self._seat.interruptions

    async def submit(self, draft: Draft) -> Receipt:
        try:
            receipt = await self._seat.submit(draft)
        except PostRefusedError as error:
            self._tell(f"the clerk refuses a {draft.body.kind}: {error.reason}")
            raise
        self._tell(f"{receipt.post_id}: {_in_words(draft.body)}")
        return receipt

    async def request(self, op: str, args: Mapping[str, Any], request_id: str) -> JsonObject:
        return await self._seat.request(op, args, request_id)

    def posts(self) -> AsyncIterator[Post]:
        return self._seat.posts()

    def notices(self) -> AsyncIterator[Notice]:
        return self._seat.notices()


def _in_words(body: Body) -> str:
    match body.kind:
        case "hypothesis" | "lead":
            what = body.title
        case "review":
            what = f"{body.opinion} {body.hypothesis}"
        case "claim":
            what = body.target
        case "finding" | "failure":
            what = f"{body.hypothesis} is {body.evidence.status}"
        case _:
            what = getattr(body, "text", "")
    return f"{body.kind}: {what}"[:120]


class _Ear(logging.Handler):
    """Tells what is logged."""

    def __init__(self, tell: Tell) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(record.getMessage())


@contextmanager
def _telling_of_connection(tell: Tell) -> Iterator[None]:
    """Tell of a connection that is away, and of its return."""
    ear = _Ear(tell)
    level, propagates = _LINK.level, _LINK.propagate
    _LINK.addHandler(ear)
    _LINK.setLevel(logging.DEBUG)
    _LINK.propagate = False
    try:
        yield
    finally:
        _LINK.removeHandler(ear)
        _LINK.setLevel(level)
        _LINK.propagate = propagates
