"""The called agent: a researcher whose actions are asked for one by one, by a program outside.

`agents.agent.Agent` without a mind: whoever calls decides, and when. Rights, quotas, turns,
catching up and what an earlier life left behind are those of every agent; each action is a turn.
While its one experiment goes on it reads, reviews and writes. An action has a key: under one key it
is done once, also when its caller or this process was lost in between, for the board knows its
drafts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from agents.actions import Action, Reproduce, Run, WriteNotebook
from agents.agent import KINDS, LOOK_UP_S, Agent, TurnRecorder
from agents.conduct import Conduct
from agents.errors import MindError
from agents.knobs import Knob
from agents.lab import Briefing, Lab, LabReader, Outcome
from agents.memory import Memory
from agents.observation import Observation
from agents.roles import Role
from forum.board import Seat
from forum.errors import BoardClosedError
from forum.messages import Claim, Post

_ENDINGS = "hcrlkm"
"""Last letters of the message ids of what `agents.conduct` posts first for an action."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Done:
    """What came of an action."""

    post: str = ""
    """Id of what was posted; empty for a notebook."""
    fault: str = ""
    """Why nothing came of it; empty where something did."""


class CalledAgent(Agent):
    """One participant that acts when it is called. Arguments as `Agent`, but for the mind."""

    def __init__(
        self,
        *,
        name: str,
        role: Role,
        seat: Seat,
        lab: Lab,
        knobs: Sequence[Knob],
        run_seed: int,
        on_turn: TurnRecorder,
        turn: int = 0,
        notebook: str = "",
    ) -> None:
        super().__init__(
            name=name, role=role, mind=_Nobody(), seat=seat, lab=lab, knobs=knobs,
            run_seed=run_seed, on_turn=on_turn, turn=turn, notebook=notebook,
        )  # fmt: skip
        self._world: tuple[Briefing, Memory] | None = None
        self._is_there = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._work: asyncio.Task[None] | None = None
        self._looking = asyncio.Lock()
        self._acting = asyncio.Lock()
        self._stirred = asyncio.Event()

    async def live(self) -> str:
        """Be there until the run stops, the board closes or the turns are used up.

        Returns:
            Why it left before the run stopped; empty if the run did stop.

        Raises:
            LabError: the lab could not answer at first; it may be called again.

        Cancellation: as `Agent.live`.
        """
        self._interruptions = -1
        try:
            briefing = await self._lab.briefing()
            memory = Memory(self.name, briefing)
            async with asyncio.TaskGroup() as group:
                await self._live_in(group, briefing, memory)
        except BoardClosedError as error:
            self._end(str(error))
        return self._left or ""

    async def _live_in(self, group: asyncio.TaskGroup, briefing: Briefing, memory: Memory) -> None:
        self._group = group
        for each, what in ((self._listen(memory), "feed"), (self._heed_notices(), "notices")):
            self.start(each, what)
        try:
            await self._catch_up(memory)
            self._world = (briefing, memory)
            unfinished = [*memory.unfinished_runs(), *memory.unfinished_reproductions()]
            if unfinished:
                self._work = self.start(self._finish(unfinished, memory), "earlier work")
            self._is_there.set()
            await self._over.wait()
        finally:
            self._group = None
            for task in self._tasks:
                task.cancel()

    def start(self, work: Coroutine[Any, Any, _T], what: str) -> asyncio.Task[_T]:
        """Have something done beside, for as long as the agent is there, once it is `ready`.

        Raises:
            BoardClosedError: it is not there any more.
        """
        if self._group is None:
            work.close()
            raise BoardClosedError(self.ending or "it is leaving")
        task = self._group.create_task(work, name=f"{self.name}: {what}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @property
    def ending(self) -> str:
        """Why it takes no part any more; empty while it does."""
        if not self._over.is_set():
            return ""
        return self._left or "the run is over"

    @property
    def reading(self) -> LabReader:
        """What may be read of the lab by whoever decides."""
        return self._reading

    @property
    def notebook(self) -> str:
        """Its notebook."""
        return self._notebook.text

    def said(self, key: str) -> str:
        """Return the post that an action under `key` has made before, or an empty string."""
        said = {} if self._world is None else self._world[1].posted
        return next((said[f"{key}{each}"] for each in _ENDINGS if f"{key}{each}" in said), "")

    def under_way(self) -> tuple[str, ...]:
        """Return its hypotheses, and those that it reproduces, which are being measured for it."""
        if self._world is None or self._work is None or self._work.done():
            return ()
        memory = self._world[1]
        claims = [post.body for post in memory.unfinished_reproductions()]
        return (
            *(post.post_id for post in memory.unfinished_runs()),
            *(body.target for body in claims if isinstance(body, Claim)),
        )

    async def look(self) -> Observation:
        """Return what there is to decide on now; waits until the baseline is measured.

        Raises:
            LabError, BoardClosedError: the lab cannot be asked.
        """
        briefing, memory = await self._there()
        async with self._looking:
            await self._catch_up(memory)
            self.spend.experiments, self.spend.posts = memory.experiments, memory.said
            return await self.observe(briefing, memory, self.spend.turns)

    async def since(self, number: int) -> tuple[int, Sequence[Post]]:
        """Return how many posts have arrived in all, and the newest of those after `number`.

        Raises as `look`.
        """
        _, memory = await self._there()
        await self._catch_up(memory)
        arrived, kept = memory.recent.arrived, memory.recent.newest_last()
        return arrived, kept[-(arrived - number) :] if arrived > number else ()

    async def outcome(self, verdict_id: str) -> Outcome | None:
        """Return what the lab tells this agent of a verdict, or None. Raises as `look`."""
        return await self._lab.verdict(verdict_id)

    async def posts(self) -> Sequence[Post]:
        """Return every post that has reached it, its own among them, in the order of arrival.

        Raises as `look`.
        """
        _, memory = await self._there()
        await self._catch_up(memory)
        kept = memory.recent.newest_last()
        return kept if len(kept) == memory.recent.arrived else await self._lab.catch_up(0)

    async def wait_for_change(self, seconds: float) -> None:
        """Return when something has changed, after `seconds` at the latest."""
        await self._rest(min(seconds, LOOK_UP_S), self._stirred)

    async def act(self, action: Action, key: str) -> Done:
        """Do one thing; it is a turn.

        Args:
            action: Anything but to wait.
            key: Names it for good, at most 63 characters.

        Raises:
            LabError: the lab turned the turn down.
            BoardClosedError: it takes no part any more.
        """
        _, memory = await self._there()
        async with self._acting:
            await self._may_act.wait()
            if self.ending:
                raise BoardClosedError(self.ending)
            if said := self.said(key):
                return Done(said)
            self.spend.experiments = memory.experiments
            if why := self._why_not(action):
                return Done(fault=why)
            await self._begin_turn(action)
            done = await self._do(action, key, memory)
            self._leave_if_used_up()
            return done

    async def ready(self) -> None:
        """Return when the baseline is measured and what was missed is read.

        Raises:
            BoardClosedError: it takes no part any more.
        """
        await self._there()

    async def _there(self) -> tuple[Briefing, Memory]:
        await self._is_there.wait()
        if self.ending or self._world is None:
            raise BoardClosedError(self.ending)
        return self._world

    def _why_not(self, action: Action) -> str:
        if not self.spend.has_turns:
            return f"its {self.spend.turns} turns are used up"
        if isinstance(action, WriteNotebook):
            return ""
        if isinstance(action, (Run, Reproduce)) and (busy := self.under_way()):
            return (
                f"{' and '.join(busy)} is being measured for you, and one experiment of yours goes "
                "on at a time; wait for its verdict, and review or comment meanwhile"
            )
        return self._refusal(action)

    async def _begin_turn(self, action: Action) -> None:
        turn, notebook = self.spend.turns, self._notebook
        is_note = isinstance(action, WriteNotebook)
        if isinstance(action, WriteNotebook):
            notebook = notebook.rewritten(action.text)
        text = notebook.text if is_note else None
        await self._on_turn(self.name, turn, (KINDS[type(action)],), text, 0.0)
        self.spend.turns, self._notebook = turn + 1, notebook
        self._faults.clear()

    async def _do(self, action: Action, key: str, memory: Memory) -> Done:
        if isinstance(action, WriteNotebook):
            return Done()
        conduct = Conduct(self.name, self._seat, self._lab, memory, self.spend)
        if isinstance(action, (Run, Reproduce)):
            post = await conduct.begin(action, key)
            if post is None:
                return Done(fault=conduct.last_fault)
            self._work = self.start(self._finish([post], memory), f"work on {post.post_id}")
            return Done(post.post_id)
        if await conduct.carry_out(action, key) != "done":
            return Done(fault=conduct.last_fault)
        return Done(self.said(key))

    async def _finish(self, posts: Sequence[Post], memory: Memory) -> None:
        """Have what was posted measured and reported on, one after the other."""
        conduct = Conduct(self.name, self._seat, self._lab, memory, self.spend)
        try:
            for post in posts:
                result = await conduct.finish(post)
                if result == "stopped":
                    return self._end("")
                if result == "fruitless":
                    self._faults.append(f"{post.post_id}: {conduct.last_fault}")
                self._stir()
        except BoardClosedError as error:
            self._end(str(error))
        self._work = None
        self._leave_if_used_up()
        return None

    def _leave_if_used_up(self) -> None:
        if not self.spend.has_turns and self._work is None:
            self._end(f"its {self.spend.turns} turns are used up")

    def _take_in(self, memory: Memory, posts: Sequence[Post]) -> None:
        before = memory.recent.arrived
        super()._take_in(memory, posts)
        if memory.recent.arrived > before:
            self._stir()

    def _end(self, why: str) -> None:
        super()._end(why)
        self._is_there.set()
        self._stir()

    def _stir(self) -> None:
        self._stirred.set()
        self._stirred = asyncio.Event()


class _Nobody:
    """Decides nothing, and is never asked."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Refuse.

        Raises:
            MindError: always.
        """
        raise MindError("whoever calls this agent decides for it")
