"""Agents of a run that is played again: the same, but for what comes to them from outside.

They look around, propose and post when the record says that they did. Built-in policies decide
anew; minds that asked a model, or were a program, give the answers on record, and what these cost
is on record as well, though nobody is paid.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from agents.actions import Action, Wait
from agents.errors import MindError, OutOfFundsError
from agents.lab import LabReader, Outcome, Prepared, Proposal
from agents.minds.catalogue import family_of
from agents.minds.language_mind import UNHEARD_WAIT_S, actions_again
from agents.minds.mind import Mind
from agents.observation import Observation
from community.chronicle import Chronicle
from community.events import Noticed, Row
from community.institution import Institution
from community.lab import AgentLab
from community.mind_events import Answered, SpendReserved, SpendSettled
from community.minds_opening import Minds, as_answer, as_entry
from community.recorded.order import Order
from community.recorded.record import Look
from community.recorded.sights import how_it_differs, prompt_of
from community.scenario import Member
from community.world import Seating
from forum.board import Seat
from forum.messages import Draft, Notice, Post, Receipt
from forum.requests import JsonObject


class Attention:
    """How far each agent of the record has got: turns it looked around for, posts that came.

    Args:
        order: Of the record.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        self._looks: Counter[str] = Counter()
        self._heard: Counter[str] = Counter()
        self._news: dict[str, asyncio.Event] = {}

    def turn(self, agent: str) -> int:
        """Return how many turns an agent has looked around for."""
        return self._looks[agent]

    async def look(self, agent: str) -> None:
        """Wait until an agent looked around for its next turn."""
        look = self.order.record.look(agent, self._looks[agent])
        if look is None:
            await asyncio.get_running_loop().create_future()  # it never did
            return
        await self.order.until(look.saw_seq, look.at_us, lambda: self._has(agent, look))

    def looked(self, agent: str) -> None:
        """Take note that an agent has seen what it decides on."""
        self._looks[agent] += 1
        self.news(agent).set()

    def may_hear(self, agent: str, seq: int) -> bool:
        """Whether a post may reach an agent now: what it had not heard when it looked waits."""
        look = self.order.record.look(agent, self._looks[agent])
        if look is None or look.heard_posts is None:
            return True
        return self._heard[agent] < look.heard_posts and seq <= look.heard_seq

    def heard(self, agent: str) -> None:
        """Take note that a post reaches an agent."""
        self._heard[agent] += 1

    def news(self, agent: str) -> asyncio.Event:
        """Return what is set when more may reach an agent."""
        return self._news.setdefault(agent, asyncio.Event())

    def _has(self, agent: str, look: Look) -> bool:
        return look.heard_posts is None or self._heard[agent] >= look.heard_posts


class RecordedLab(AgentLab):
    """The lab of one agent, asked when the record says so."""

    def __init__(self, institution: Institution, agent: str, attention: Attention) -> None:
        super().__init__(institution, agent)
        self._attention = attention
        self._order = attention.order

    async def wait_for_turn(self) -> None:
        """Return when the agent looked around, nobody having paused it."""
        await self._attention.look(self._agent)
        await super().wait_for_turn()

    async def prepare(self, proposal: Proposal, *, request: str = "") -> Prepared:
        """Commit a proposal."""
        await self._begin(("proposal", self._agent))
        return await super().prepare(proposal, request=request)

    async def run(self, commit: str, hypothesis: str) -> Outcome:
        """Measure a posted proposal."""
        await self._begin(("screen", hypothesis, self._agent))
        return await super().run(commit, hypothesis)

    async def reproduce(self, hypothesis: str) -> Outcome:
        """Confirm somebody else's claim."""
        await self._begin(("confirm", self._agent))
        return await super().reproduce(hypothesis)

    async def _begin(self, key: tuple[str, ...]) -> None:
        """Wait for the row that a request of this turn left; some leave none."""
        record = self._order.record
        later = record.turn(self._agent, self._attention.turn(self._agent))
        seq = record.first(key, self._order.done, None if later is None else later[0])
        if seq is not None:
            await self._order.row(seq)


class RecordedSeat:
    """A place at the board where drafts arrive when the record says so, and so do posts."""

    def __init__(self, inner: Seat, agent: str, attention: Attention) -> None:
        self._inner = inner
        self._agent = agent
        self._attention = attention

    @property
    def interruptions(self) -> int:
        """None are played again: what was missed then is on record as not heard."""
        return self._inner.interruptions

    async def submit(self, draft: Draft) -> Receipt:
        """Hand in a draft."""
        order = self._attention.order
        await order.row(order.record.first(("post", self._agent, draft.message_id)))
        return await self._inner.submit(draft)

    async def posts(self) -> AsyncIterator[Post]:
        """Yield the posts of one's own feed."""
        arrived: list[Post] = []
        attention, news = self._attention, self._attention.news(self._agent)
        pump = asyncio.create_task(self._pump(arrived, news), name=f"{self._agent}: posts")
        try:
            while not pump.done():
                news.clear()
                while (post := self._next_of(arrived)) is not None:
                    arrived.remove(post)
                    attention.heard(self._agent)
                    yield post
                await news.wait()
            pump.result()
        finally:
            pump.cancel()

    def _next_of(self, arrived: list[Post]) -> Post | None:
        may_hear, name = self._attention.may_hear, self._agent
        return next((post for post in arrived if may_hear(name, post.seq)), None)

    async def _pump(self, arrived: list[Post], news: asyncio.Event) -> None:
        try:
            async for post in self._inner.posts():
                arrived.append(post)
                news.set()
        finally:
            news.set()

    def notices(self) -> AsyncIterator[Notice]:
        """Yield public notices."""
        return self._inner.notices()

    async def request(self, op: str, args: Mapping[str, Any], request_id: str) -> JsonObject:
        """Ask the institution."""
        return await self._inner.request(op, args, request_id)


class DecidingAnew:
    """A mind that needs nothing from outside, and is done when the record says so."""

    def __init__(self, inner: Mind, agent: str, attention: Attention) -> None:
        self._inner = inner
        self._agent = agent
        self._attention = attention

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Decide."""
        self._attention.looked(self._agent)
        try:
            actions = await self._inner.decide(observation, lab)
        except Exception:
            await self._taken(observation.turn)
            raise
        await self._taken(observation.turn)
        return actions

    async def _taken(self, turn: int) -> None:
        order = self._attention.order
        found = order.record.turn(self._agent, turn)
        await order.row(None if found is None else found[0])


class AnsweringAgain:
    """A mind that gives the answers on record."""

    def __init__(self, member: Member, minds: Minds, attention: Attention) -> None:
        self._agent = member.name
        self._is_model = family_of(member.mind) is not None
        self._means = minds.means(member)
        self._say = minds.say
        self._attention = attention
        self._order = attention.order

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer one turn as it was answered then.

        Raises:
            MindError: as it was then.
            OutOfFundsError: likewise.
        """
        self._attention.looked(self._agent)
        record, turn = self._order.record, observation.turn
        if self._is_model:
            prompt = prompt_of(observation, self._means)
            if why := how_it_differs(record, self._agent, turn, prompt):
                self._order.fail(why)
        for row in record.thoughts(self._agent, turn):
            await self._order.row(row.seq)
            self._record(row)
        answers = [as_answer(each) for each in record.answers(self._agent, turn)]
        found = record.turn(self._agent, turn)
        if found is None:
            await asyncio.get_running_loop().create_future()  # the run ended meanwhile
            return ()
        seq, taken = found
        actions: Sequence[Action] = (Wait(UNHEARD_WAIT_S),)
        if answers and not taken.fault:
            actions = await actions_again(answers, observation, lab)
        await self._order.row(seq)
        if taken.fault and record.leaves(self._agent, taken.fault):
            raise OutOfFundsError(taken.fault)
        if taken.fault:
            raise MindError(taken.fault)
        return actions

    def _record(self, row: Row) -> None:
        """Make a row of the agent's thinking again, and what was told of its provider with it."""
        event = row.event
        if isinstance(event, (SpendReserved, SpendSettled)):
            self._means.account.again(as_entry(event))
        elif isinstance(event, Answered):
            self._means.record(as_answer(event))
        else:
            self._say(event)
        rows = self._order.record.rows
        while self._order.done < len(rows):
            told = rows[self._order.done].event
            if not (isinstance(told, Noticed) and told.notice in ("pause", "resume")):
                return
            if " answer" not in told.text or " left: " in told.text:
                return
            self._say(told)


class RecordedSeating(Seating):
    """Seats the agents of a record.

    Args:
        order: Of the record.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._attention = Attention(order)
        self._outside: asyncio.Task[None] | None = None

    def begin(self, chronicle: Chronicle) -> None:
        """Have the incidents of the run's broker told again."""
        self._outside = asyncio.create_task(self._tell(chronicle), name="what came from outside")

    def close(self) -> None:
        """Tell no more of them."""
        if self._outside is not None:
            self._outside.cancel()

    async def _tell(self, chronicle: Chronicle) -> None:
        while (seq := self._order.record.first(("incident",), self._order.done)) is not None:
            await self._order.row(seq)
            chronicle.record(self._order.record.event(seq))

    def lab(self, institution: Institution, name: str) -> AgentLab:
        """Return the lab as the agent sees it."""
        return RecordedLab(institution, name, self._attention)

    def seat(self, seat: Seat, name: str) -> Seat:
        """Return the agent's place at the board."""
        return RecordedSeat(seat, name, self._attention)

    def mind(self, member: Member, minds: Minds) -> Mind:
        """Return what decides for it: a policy anew, everybody else from the record."""
        if member.mind.startswith("policy:"):
            return DecidingAnew(minds.make(member), member.name, self._attention)
        return AnsweringAgain(member, minds, self._attention)
