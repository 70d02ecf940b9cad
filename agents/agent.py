"""Agent: one participant as one coroutine that observes, decides and acts until the run stops.

It checks rights, quotas and patience, and survives its mind: a mind that fails is counted and given
time, it never ends the community. It holds no result of its own; `Memory` is folded from posts. How
an action is carried out is `agents.conduct`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence

from agents.actions import (
    Action,
    ClaimLead,
    PostComment,
    PostLead,
    PostReview,
    Reproduce,
    Run,
    Wait,
    WriteNotebook,
)
from agents.conduct import Conduct
from agents.errors import MindError, OutOfFundsError
from agents.failures import Failures
from agents.knobs import Knob, Knobs
from agents.lab import Briefing, Lab
from agents.memory import Memory
from agents.minds.mind import Mind, PaidMind
from agents.notebook import Notebook
from agents.observation import Observation
from agents.reading import reading_view
from agents.roles import Right, Role
from agents.spend import Spend
from agents.trees import Trees
from forum.board import Seat
from forum.errors import BoardClosedError
from forum.messages import Post

TurnRecorder = Callable[[str, int, tuple[str, ...], str | None, float], Awaitable[None]]
"""(agent, turn, kinds of actions, new notebook or None, dollars) -> recorded; called before acting.
"""

ACTIONS_PER_TURN = 12
"""More than any role needs; a mind that answers more has gone astray."""
FAULT_CHARACTERS = 1_000
"""Of what is kept of a mind's fault."""
DECIDE_S = 900.0
"""A mind that thinks longer than a quarter of an hour is taken to hang."""
LONGEST_WAIT_S = 300.0
LOOK_UP_S = 30.0
"""How long a wait may go on before the agent looks whether its feed was interrupted."""
FIRST_BACKOFF_S = 0.25
"""After one fruitless turn: short, so that a pool slot does not fall idle for a duplicate."""
LONGEST_BACKOFF_S = 60.0

_log = logging.getLogger(__name__)

KINDS: dict[type, str] = {
    Run: "run",
    Reproduce: "reproduce",
    PostReview: "review",
    PostLead: "lead",
    ClaimLead: "claim_lead",
    PostComment: "comment",
    WriteNotebook: "notebook",
    Wait: "wait",
}
"""What each kind of action is called in the ledger."""
_RIGHTS: dict[type, Right] = {
    Run: "propose",
    Reproduce: "reproduce",
    PostReview: "review",
    PostLead: "lead",
    ClaimLead: "propose",
    PostComment: "comment",
}


class Agent:
    """One participant: a name, a role, a mind, a seat at the board and a lab."""

    def __init__(
        self,
        *,
        name: str,
        role: Role,
        mind: Mind,
        seat: Seat,
        lab: Lab,
        knobs: Sequence[Knob],
        run_seed: int,
        on_turn: TurnRecorder,
        turn: int = 0,
        notebook: str = "",
    ) -> None:
        self.name = name
        self.role = role
        self.spend = Spend(role.quotas, turns=turn)
        self._mind = mind
        self._seat = seat
        self._lab = lab
        self._knobs = knobs if isinstance(knobs, Knobs) else Knobs(knobs)
        self._run_seed = run_seed
        self._on_turn = on_turn
        self._notebook = Notebook(notebook)
        self._news = asyncio.Event()
        self._may_act = asyncio.Event()
        self._may_act.set()
        self._over = asyncio.Event()
        self._left: str | None = None
        """Why it took its last turn, once that is known; empty when the run stopped."""
        self._trees = Trees(lab)
        self._failures = Failures()
        self._reading = reading_view(lab, role)
        self._interruptions = -1
        """The feed's interruptions that were made up for; fewer than none before the first time."""
        self._confirmed: frozenset[str] = frozenset()
        self._idle_s = 0.0
        self._fruitless = 0
        self._faults: list[str] = []
        """Why actions of the last turn came to nothing."""
        self._fed = 0
        self.heard = (0, 0)
        """When it last looked around: how many posts its feed had brought, and the newest heard."""
        self.fault = ""
        """Why its mind came to nothing in the last turn; empty if it did not."""

    async def live(self) -> str:
        """Take turns until the run stops, the board closes or the role's turns are used up.

        First it catches up and reports on what an earlier life left unreported.

        Returns:
            Why it left before the run stopped; empty if the run did stop.

        Cancellation: the feed is left; experiments that were asked for go on in the lab.
        """
        briefing = await self._lab.briefing()
        memory = Memory(self.name, briefing)
        conduct = Conduct(self.name, self._seat, self._lab, memory, self.spend)
        async with asyncio.TaskGroup() as group:
            listeners = [
                group.create_task(self._listen(memory), name=f"{self.name}: feed"),
                group.create_task(self._heed_notices(), name=f"{self.name}: notices"),
            ]
            try:
                await self._catch_up(memory)
                await self._finish_earlier_life(memory, conduct)
                while not self._over.is_set() and self.spend.has_turns:
                    await self._take_turn(briefing, memory, conduct)
            except BoardClosedError as error:
                self._end(str(error))
            finally:
                for listener in listeners:
                    listener.cancel()
        return f"its {self.spend.turns} turns are used up" if self._left is None else self._left

    async def _listen(self, memory: Memory) -> None:
        why = "its feed ended"
        try:
            async for post in self._seat.posts():
                self._fed += 1
                self._take_in(memory, [post])
        except BoardClosedError as error:
            why = str(error)
        self._end(why)

    async def _catch_up(self, memory: Memory) -> None:
        """Take in from the ledger what an interrupted feed may have missed; the rest is known."""
        interruptions = self._seat.interruptions  # before asking: a later one counts anew
        if interruptions > self._interruptions:
            self._interruptions = interruptions
            self._take_in(memory, await self._lab.catch_up(0))

    async def _heed_notices(self) -> None:
        try:
            async for notice in self._seat.notices():
                if notice.kind == "stop":
                    self._end("")
                elif notice.kind == "pause":
                    self._may_act.clear()
                elif notice.kind == "resume":
                    self._may_act.set()
        except BoardClosedError as error:
            self._end(str(error))

    def _end(self, why: str) -> None:
        """Take no further turn; `why` is empty when the run stops."""
        if self._left is None:
            self._left = why
        self._over.set()
        self._may_act.set()
        self._news.set()

    def _take_in(self, memory: Memory, posts: Sequence[Post]) -> None:
        for post in posts:
            if memory.fold(post):
                self._trees.forget_refusals()
                self._news.set()

    async def _finish_earlier_life(self, memory: Memory, conduct: Conduct) -> None:
        """Report on own hypotheses and claims whose result was never posted."""
        for post in [*memory.unfinished_runs(), *memory.unfinished_reproductions()]:
            if await conduct.finish(post) == "stopped":
                return self._end("")
        return None

    async def _take_turn(self, briefing: Briefing, memory: Memory, conduct: Conduct) -> None:
        await self._may_act.wait()
        await self._lab.wait_for_turn()
        await self._catch_up(memory)
        if self._over.is_set():
            return
        self._news.clear()
        turn = self.spend.turns
        self.spend.experiments, self.spend.posts = memory.experiments, memory.said
        self.heard = (self._fed, memory.last_seq)
        observation = await self.observe(briefing, memory, turn)
        self._faults.clear()
        self.fault = ""
        self.spend.turns += 1
        paid_usd = self._paid_usd()
        actions = await self._decide(observation)
        notes = [action.text for action in actions if isinstance(action, WriteNotebook)]
        if notes:
            self._notebook = self._notebook.rewritten(notes[-1])
        kinds = tuple(KINDS[type(action)] for action in actions)
        cost_usd = self._paid_usd() - paid_usd
        await self._on_turn(
            self.name, turn, kinds, self._notebook.text if notes else None, cost_usd
        )
        for index, action in enumerate(actions):
            if not self._over.is_set():
                await self._act(action, turn, index, memory, conduct)
        if self._fruitless:
            longer = FIRST_BACKOFF_S * 2.0 ** min(self._fruitless - 1, 16)
            await self._rest(min(longer, LONGEST_BACKOFF_S), self._over)

    async def observe(self, briefing: Briefing, memory: Memory, turn: int) -> Observation:
        """Return what its mind is to decide on in turn `turn`, by what `memory` holds now."""
        for hypothesis, verdict_id in memory.unsettled_own():
            settled = await self._lab.verdict(verdict_id)
            if settled is not None:
                memory.update(hypothesis, settled)
        known, trees = await self._trees.attach(memory.known(), briefing.direction)
        self._confirmed = frozenset(
            each.commit for each in known if each.status == "reproduced" or not each.hypothesis
        )
        return Observation(
            agent=self.name,
            role=self.role.name,
            turn=turn,
            seed=turn_seed(self._run_seed, self.name, turn),
            briefing=briefing,
            knobs=self._knobs,
            known=known,
            trees=trees,
            open_hypotheses=memory.open_hypotheses(await self._lab.assignments()),
            open_claims=memory.open_claims(),
            notebook=self._notebook.text,
            remaining_experiments=await self._lab.remaining_experiments(),
            idle_s=self._idle_s,
            run_s=memory.usual_run_s(),
            confirmations=memory.confirmations(),
            rights=self.role.rights,
            failures=self._failures.known(memory.failures(), known, trees, briefing, self._knobs),
            open_leads=memory.open_leads(await self._lab.open_leads()),
            posts=memory.recent.newest_last(),
            charter=self.role.charter,
            faults=tuple(self._faults),
            turns_left=self.spend.turns_left,
            experiments_left=self.spend.experiments_left,
            posts_left=self.spend.posts_left,
            grants=self.role.quotas.in_words(),
            challenges=memory.challenges() if "reproduce" in self.role.rights else (),
        )

    def _paid_usd(self) -> float:
        return self._mind.usd if isinstance(self._mind, PaidMind) else 0.0

    async def _decide(self, observation: Observation) -> tuple[Action, ...]:
        """Ask the mind; an error or nonsense becomes no action and a longer pause."""
        try:
            async with asyncio.timeout(DECIDE_S):
                actions = tuple(await self._mind.decide(observation, self._reading))
            _check(actions)
        except OutOfFundsError as error:
            self.fault = _told(error)
            self._end(str(error))
            return ()
        except Exception as error:
            # A mind may be anybody's code or a model's answer: whatever it raises is its own fault.
            self.spend.faults += 1
            self._fruitless += 1
            self.fault = _told(error)
            self._faults.append(f"no turn: {self.fault}")
            _log.warning("%s, turn %d: its mind failed: %r", self.name, observation.turn, error)
            return ()
        return actions or (Wait(),)

    async def _act(
        self, action: Action, turn: int, index: int, memory: Memory, conduct: Conduct
    ) -> None:
        if isinstance(action, Wait):
            return await self._wait(action, memory)
        if isinstance(action, WriteNotebook):
            return None
        refusal = self._refusal(action)
        if refusal:
            self.spend.faults += 1
            self._fruitless += 1
            self._faults.append(f"{KINDS[type(action)]}: {refusal}")
            _log.info("%s, turn %d: %s", self.name, turn, refusal)
            return None
        self._idle_s = 0.0
        result = await conduct.carry_out(action, f"{self.name}-{turn}-{index}")
        if result == "stopped":
            self._end("")
        elif result == "fruitless":
            self._fruitless += 1
            self._faults.append(f"{KINDS[type(action)]}: {conduct.last_fault}")
            _log.info("%s, turn %d: %s", self.name, turn, conduct.last_fault)
        else:
            self._fruitless = 0
        return None

    def _refusal(self, action: Action) -> str:
        """Return why this agent may not do `action`, or an empty string."""
        right = _RIGHTS[type(action)]
        if right not in self.role.rights:
            return f"role {self.role.name!r} has no right to {right}"
        if isinstance(action, Run) and self._joins(action) and "merge" not in self.role.rights:
            return f"role {self.role.name!r} has no right to merge"
        if isinstance(action, (Run, Reproduce)) and not self.spend.has_experiments:
            return f"its quota of {self.role.quotas.experiments} experiments is used up"
        return ""

    def _joins(self, run: Run) -> bool:
        """Whether `run` joins branches: a confirmed first parent is what its gain is against."""
        is_reference = run.parents[0] in self._confirmed
        return len(run.parents) - is_reference > 1

    async def _wait(self, action: Wait, memory: Memory) -> None:
        """Wait for news, or until the time is up; what a broken feed missed is news as well."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        left = min(max(action.seconds, 0.05), LONGEST_WAIT_S)
        while left > 0.0 and not self._news.is_set():
            step = min(left, LOOK_UP_S)
            await self._rest(step, self._news)
            left -= step
            await self._catch_up(memory)
        self._idle_s += loop.time() - begin
        self._fruitless = 0

    async def _rest(self, seconds: float, until: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(seconds):
                await until.wait()
        except TimeoutError:
            return


def turn_seed(run_seed: int, agent: str, turn: int) -> int:
    """Return the seed of one turn: 64 bits from (run seed, agent, turn), on every machine."""
    name = f"{run_seed}/{agent}/{turn}".encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big")


def _told(error: Exception) -> str:
    """Return an error in words that a record can hold."""
    text = str(error)[:FAULT_CHARACTERS] or type(error).__name__
    return text.encode("utf-8", "replace").decode()


def _check(actions: Sequence[object]) -> None:
    """Raise MindError where an answer is not a turn."""
    if len(actions) > ACTIONS_PER_TURN:
        raise MindError(f"{len(actions)} actions in one turn; at most {ACTIONS_PER_TURN}")
    for action in actions:
        if type(action) not in KINDS:
            raise MindError(f"{type(action).__name__} is no action")
    if sum(isinstance(action, (Run, Reproduce)) for action in actions) > 1:
        raise MindError("more than one run or reproduction in one turn")
