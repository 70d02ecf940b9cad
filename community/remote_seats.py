"""Seats of agents whose minds are elsewhere: who sits there, and the lab as he is served it.

A scenario's agent with ``mind = "remote"`` is whoever holds its credential. A session (one process)
takes the seat by a request; a later one replaces it, so that somebody whose process was lost sits
down again at once, and of two that hold one credential the newer goes on. Each gets what
`community.lab.AgentLab` would give him and no more. What was asked for under one name is done once:
of commits and turns the ledger knows the name, of experiments it knows the hypothesis.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from agents import lab_requests as ops
from agents.errors import AgentError
from agents.knobs import Knob
from agents.lab import Proposal
from agents.roles import Role
from community.counter import Asked
from community.events import Noticed, TurnTaken
from community.forum_events import SeatLeft, SeatTaken
from community.institution import Institution
from community.lab import AgentLab
from forum.codec import encode
from forum.errors import RequestRefusedError
from forum.messages import Post
from forum.requests import PAGE_BYTES, JsonObject
from trainer.errors import TrainerError

AWAY_S: Final = 3.5 * 20.0
"""Who was not heard for so long is away; he says every 20 s that he is there."""
SEE_OFF_S: Final = 3.0
"""How long those who are there get to hear that the run is over, and to say farewell."""
LAST_S: Final = 0.2
"""How long the answer to the last farewell gets to arrive."""
LOOK_S: Final = 5.0
"""Seconds between two looks at who is away."""
PROPOSALS_PER_S: Final = 2.0
"""Commits and merges of one agent; more than a mind makes, and no way to fill a disk quickly."""
ROWS_PER_S: Final = 5.0
"""Likewise turns, comings and goings, each of which is a row of the ledger."""
REMEMBERED: Final = 64
"""Sessions of one agent that were replaced and are remembered as such."""
MOST_TURNS_AHEAD: Final = 64
"""How far a turn's number may be ahead: the ledger may have lost the last ones in a power cut."""

TurnDown = Callable[[str, Callable[[str], bool], str, str], Awaitable[None]]
"""`community.counter.Counter.turn_down`."""


@dataclass(slots=True)
class _Pace:
    """So many of something in a second, after which one waits."""

    per_s: float
    next_s: float = 0.0
    """Loop time before which there is no other."""

    async def wait(self) -> None:
        now_s = asyncio.get_running_loop().time()
        begin_s = max(now_s, self.next_s)
        self.next_s = begin_s + 1 / self.per_s
        if begin_s > now_s:
            await asyncio.sleep(begin_s - now_s)


@dataclass(slots=True)
class _Chair:
    """One agent's seat."""

    session: str = ""
    mind: str = ""
    heard_s: float = 0.0
    """Loop time."""
    proposals: _Pace = field(default_factory=lambda: _Pace(PROPOSALS_PER_S))
    rows: _Pace = field(default_factory=lambda: _Pace(ROWS_PER_S))
    replaced: OrderedDict[str, None] = field(default_factory=OrderedDict)


class RemoteSeats:
    """Serves agents from elsewhere.

    Args:
        institution: What their labs stand for.
        roles: The role of each of them by name.
        knobs: The task's.
        secret: The run's; the seeds of their minds derive from it one way.
        turn_down: Tells a session that waits that it was replaced.
    """

    def __init__(
        self,
        institution: Institution,
        roles: Mapping[str, Role],
        knobs: tuple[Knob, ...],
        secret: bytes,
        turn_down: TurnDown,
    ) -> None:
        self._institution = institution
        self._chronicle = institution.chronicle
        self._roles = roles
        self._knobs = knobs
        self._secret = secret
        self._turn_down = turn_down
        self._over = ""
        """Why the run is over, once it is."""
        self._chairs = {name: _Chair() for name in roles}
        for name in [*self._chronicle.state.forum.present]:
            self._leave(name, "the run was stopped")

    def __contains__(self, name: str) -> bool:
        return name in self._roles

    async def watch(self) -> None:
        """Record who goes away without a word, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            now_s = asyncio.get_running_loop().time()
            for name in [*self._chronicle.state.forum.present]:
                if now_s - self._chairs[name].heard_s > AWAY_S:
                    self._leave(name, f"not heard for {AWAY_S:.0f} s")

    async def see_off(self, why: str) -> None:
        """Serve nobody any more, and wait a moment until those who are there have left."""
        self._over = why
        forum = self._chronicle.state.forum
        if not forum.present:
            return
        try:
            async with asyncio.timeout(SEE_OFF_S):
                await self._chronicle.wait_until(lambda _: not forum.present)
            await asyncio.sleep(LAST_S)
        except TimeoutError:
            for name in [*forum.present]:
                self._leave(name, why)

    async def serve(self, asked: Asked) -> JsonObject:
        """Carry out what the holder of a seat asks for."""
        session = asked.request_id.partition(".")[0]
        chair = self._chairs[asked.who]
        if session in chair.replaced:
            raise _replaced(asked.who)
        if self._over and asked.op != ops.LEAVE.name:
            raise RequestRefusedError(ops.STOPPED, self._over)
        if asked.op == ops.TAKE_SEAT.name:
            return await self._take_seat(asked, session, chair)
        if not chair.session and asked.op == ops.LEAVE.name:
            return ops.LEAVE.pack(None)
        if not chair.session:
            raise RequestRefusedError(ops.NOT_SEATED, "take the seat first")
        if session != chair.session:
            raise _replaced(asked.who)
        self._hear(asked.who, chair)
        try:
            return await self._serve_seated(asked, chair)
        except AgentError as error:
            raise ops.as_refusal(error) from None
        except TrainerError as error:
            raise RequestRefusedError("lab", str(error)) from None

    async def _take_seat(self, asked: Asked, session: str, chair: _Chair) -> JsonObject:
        who = asked.who
        taking = asked.read(ops.Seat)
        mind = taking.mind
        await chair.rows.wait()
        if not taking.replaces:
            _must_be_free(who, session, chair)
        if chair.session not in ("", session):
            chair.replaced[chair.session] = None
            while len(chair.replaced) > REMEMBERED:
                chair.replaced.popitem(last=False)
            older = chair.session + "."
            chair.session = session
            self._leave(who, "another process took the seat")
            await self._turn_down(who, lambda name: name.startswith(older), *_REPLACED)
        chair.session, chair.mind = session, mind
        self._hear(who, chair)
        agent = self._chronicle.state.agents[who]
        seed = hmac.digest(self._secret, f"remote/{who}".encode(), "sha256")
        return ops.TAKE_SEAT.pack(
            ops.Seated(
                run=self._institution.bench.folder.run_id,
                role=self._roles[who],
                turn=agent.next_turn,
                notebook=agent.notebook,
                seed=int.from_bytes(seed[:8], "big"),
                knobs=self._knobs,
            )
        )

    def _hear(self, who: str, chair: _Chair) -> None:
        chair.heard_s = asyncio.get_running_loop().time()
        if who not in self._chronicle.state.forum.present:
            self._chronicle.record(SeatTaken(who, chair.mind))

    def _leave(self, who: str, why: str) -> None:
        if who in self._chronicle.state.forum.present:
            self._chronicle.record(SeatLeft(who, why))

    async def _serve_seated(self, asked: Asked, chair: _Chair) -> JsonObject:
        lab = AgentLab(self._institution, asked.who)
        match asked.op:
            case ops.HERE.name:
                return ops.HERE.pack(None)
            case ops.TAKE_TURN.name:
                turn = asked.read(ops.Turn)
                await chair.rows.wait()
                return await self._take_turn(asked.who, lab, turn)
            case ops.LEAVE.name:
                return self._say_farewell(asked.who, chair, asked.read(ops.Leave))
            case ops.BRIEFING.name:
                return ops.BRIEFING.pack(await lab.briefing())
            case ops.WAIT_FOR_TURN.name:
                await lab.wait_for_turn()
                return ops.WAIT_FOR_TURN.pack(None)
            case ops.ASSIGNMENTS.name:
                return ops.ASSIGNMENTS.pack(await lab.assignments())
            case ops.OPEN_LEADS.name:
                return ops.OPEN_LEADS.pack(await lab.open_leads())
            case ops.REMAINING.name:
                return ops.REMAINING.pack(await lab.remaining_experiments())
            case ops.READ_TREE.name:
                return ops.READ_TREE.pack(await lab.read_tree(asked.read(ops.Commit).commit))
            case ops.VERDICT.name:
                return ops.VERDICT.pack(await lab.verdict(asked.read(ops.Verdict).verdict_id))
            case ops.CATCH_UP.name:
                missed = asked.read(ops.Missed)
                return ops.CATCH_UP.pack(_page(lab.missed(missed.after_seq, missed.offset)))
        return await self._serve_worker(asked, lab, chair)

    async def _serve_worker(self, asked: Asked, lab: AgentLab, chair: _Chair) -> JsonObject:
        """Serve what costs something."""
        match asked.op:
            case ops.MERGE.name:
                pair = asked.read(ops.Pair)
                await chair.proposals.wait()
                return ops.MERGE.pack(await lab.merge(pair.first, pair.second))
            case ops.PREPARE.name:
                proposed = asked.read(ops.Proposed)
                await chair.proposals.wait()
                proposal = Proposal(
                    proposed.parents,
                    proposed.files,
                    title=" ".join(proposed.title.split()) or "untitled",
                    knobs=proposed.knobs,
                    note=proposed.note,
                )
                return ops.PREPARE.pack(await lab.prepare(proposal, request=asked.request_id))
            case ops.RUN.name:
                measured = asked.read(ops.Measured)
                return ops.RUN.pack(await lab.run(measured.commit, measured.hypothesis))
            case ops.REPRODUCE.name:
                hypothesis = asked.read(ops.Hypothesis).hypothesis
                return ops.REPRODUCE.pack(await lab.reproduce(hypothesis))
        raise RequestRefusedError("unknown_op", f"a researcher cannot ask for {asked.op!r}")

    async def _take_turn(self, who: str, lab: AgentLab, turn: ops.Turn) -> JsonObject:
        """Record a turn, unless it is on record: repeats say what was said."""
        await lab.wait_for_turn()
        next_turn = self._chronicle.state.agents[who].next_turn
        quota = self._roles[who].quotas.turns
        if quota is not None and turn.turn >= quota:
            raise RequestRefusedError("no_right", f"the {quota} turns of {who} are used up")
        if turn.turn > next_turn + MOST_TURNS_AHEAD:
            raise RequestRefusedError("malformed", f"turn {next_turn} is next, not {turn.turn}")
        if turn.turn >= next_turn:
            self._chronicle.record(
                TurnTaken(who, turn.turn, turn.actions, turn.notebook, turn.cost_usd)
            )
        return ops.TAKE_TURN.pack(None)

    def _say_farewell(self, who: str, chair: _Chair, farewell: ops.Leave) -> JsonObject:
        self._leave(who, farewell.why)
        chair.session = ""
        if farewell.is_final:
            self._institution.attendance.take_leave(who)
            self._chronicle.record(Noticed("pause", f"{who} left: {farewell.why}"[:300]))
        return ops.LEAVE.pack(None)


def _must_be_free(who: str, session: str, chair: _Chair) -> None:
    silent_s = asyncio.get_running_loop().time() - chair.heard_s
    if chair.session not in ("", session) and silent_s <= AWAY_S:
        raise RequestRefusedError(
            ops.TAKEN,
            f"somebody sits at the seat of {who} and was heard {silent_s:.0f} s ago; one sits at a "
            f"time. End the other, or wait until it was silent for {AWAY_S:.0f} s",
        )


_REPLACED = (
    ops.REPLACED,
    "another process took the seat with the same credential; two cannot sit there",
)


def _replaced(who: str) -> RequestRefusedError:
    return RequestRefusedError(*_REPLACED)


def _page(posts: Iterator[Post]) -> ops.Page:
    """Return the first posts, as many as fit into one reply, one at least if there is any."""
    chosen: list[Post] = []
    size_bytes = 0
    for post in posts:
        size_bytes += len(encode(post))
        if chosen and size_bytes > PAGE_BYTES:
            return ops.Page(tuple(chosen), is_last=False)
        chosen.append(post)
    return ops.Page(tuple(chosen), is_last=True)
