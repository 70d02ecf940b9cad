"""A small community that lives through a story of steps, and is held against an oracle on the way.

The clerk, the two servers that deliver later, the lab and the boards are the real ones; researchers
are puppets, and experiments rows that a test records. On the memory board the clock jumps when all
wait (`hearing_stage`); over MQTT time is real, so the world waits for what is due before it looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, get_args

from archive_script import asking, ended, opened, queued, verdict
from hearing_look import look_at_catching_up, look_at_queries, must_be_thinned
from hearing_oracle import Oracle
from hearing_stage import Trees, Wires

from agents.roles import Quotas, Right, Role
from community.archive.ledger import Ledger
from community.chronicle import Chronicle
from community.clerk import Clerk
from community.clock import RunClock
from community.events import AttemptStarted, NoiseEstimated, Proposed, StatusChanged
from community.lab import AgentLab
from community.late_posts import LatePosts
from community.sealed_reviews import SealedReviews
from community.topology.drawing import Arc, Edge, Topology
from forum.board import Board, Desk, Seat
from forum.errors import PostRefusedError
from forum.ids import AgentName
from forum.messages import (
    Body,
    Comment,
    Draft,
    Evidence,
    Failure,
    Finding,
    Hypothesis,
    Post,
    Prediction,
    Review,
)
from forum.mqtt_link import MqttLink
from trainer.texts import TrustedTexts

NAMES = ("ada", "ben", "cyd", "dan", "eve")
SEED = 7
ROLES = {name: Role("any", "does anything", frozenset[Right](get_args(Right))) for name in NAMES}
SENTINEL = "sentinel"
PATIENCE_S = 20.0
"""After this long a world that should be quiet is broken."""


class World:
    """One story's community, on `board`."""

    def __init__(
        self, board: Board, trees: Trees, ledger: Ledger, wires: Wires | None = None
    ) -> None:
        self._board, self._trees, self._ledger = board, trees, ledger
        self._wires = wires
        """The network that `board` is on, where there is one."""
        self._is_real = wires is not None
        """Whether time is."""
        self._along: dict[str, str] = {}
        self.oracle = Oracle(SEED, self._along, trees.baseline)
        self._read = 0
        self.chronicle = Chronicle(ledger, RunClock())
        self.chronicle.record(
            opened(seed=SEED, baseline_commit=trees.baseline),
            NoiseEstimated("cpu", 3.0, 0.02, (2.98, 3.0, 3.02)),
        )
        self._seats: dict[str, Seat] = {}
        self._sitting: dict[str, asyncio.Task[None]] = {}
        self._ended: dict[str, asyncio.Event] = {}
        """Set when the last word that was sent to somebody has come."""
        self._feeds: dict[str, list[Post]] = {name: [] for name in NAMES}
        self._caught_up: dict[str, dict[int, Post]] = {name: {} for name in NAMES}
        self._since: dict[str, set[str]] = {name: set() for name in NAMES}
        """What had reached each when his seat was taken."""
        self._owed: dict[str, set[str]] = {name: set() for name in NAMES}
        """Posts that arrived while he sat there: his feed has to hold them."""
        self._institution: asyncio.Task[None] | None = None
        self._clerk: Clerk | None = None
        self._desk: Desk | None = None
        self._count = 0
        self._used: dict[str, str] = {}
        """Commit -> experiment id, once it began."""

    async def live(self, arcs: dict[Arc, Edge], steps: Sequence[Callable[[World], Any]]) -> None:
        """Draw the first graph, seat everybody, go through the steps and look at the end."""
        self.rewire(arcs)
        await self.open()
        try:
            for name in NAMES:
                await self.join(name)
            for step in steps:
                await step(self)
                if not self._is_real:
                    await self.look()
            for name in NAMES:
                await self.join(name)
            await asyncio.sleep(self._longest_s())
            await self.look()
            for name in NAMES:
                await self.leave(name)
        finally:
            tasks = [task for task in (*self._sitting.values(), self._institution) if task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # -- the institution ---------------------------------------------------------------------

    async def open(self) -> None:
        """Open the desk and start everybody who serves it."""
        is_open: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def live() -> None:
            async with self._board.desk() as desk, asyncio.TaskGroup() as group:
                self._clerk = Clerk(
                    self.chronicle, desk, self._trees.repository, TrustedTexts(),
                    asking(ROLES, reviewers=2),
                )  # fmt: skip
                self._desk = desk
                group.create_task(self._clerk.serve())
                group.create_task(SealedReviews(self.chronicle, desk).serve())
                group.create_task(LatePosts(self.chronicle, desk).serve())
                await asyncio.sleep(0)
                is_open.set_result(None)

        self._institution = asyncio.create_task(live())
        await asyncio.wait((is_open, self._institution), return_when=asyncio.FIRST_COMPLETED)
        if not is_open.done():
            self._institution.result()

    async def restart(self) -> None:
        """Kill the institution and open it again on what the ledger says."""
        assert self._institution is not None
        await self.quiet()
        self._institution.cancel()
        await asyncio.wait((self._institution,))
        clock = RunClock(offset_us=self.chronicle.state.last_us)
        self.chronicle = Chronicle(self._ledger, clock)
        await self.open()

    def rewire(self, arcs: dict[Arc, Edge]) -> None:
        """Record another graph."""
        epoch = len(self.chronicle.state.forum.epochs)
        topology = Topology.of_arcs(NAMES, arcs)
        self.chronicle.record(topology.as_event(epoch, "schedule" if epoch else "drawn"))

    async def lab_says(self, along: str) -> None:
        """Let the lab say something in its own name."""
        assert self._clerk is not None
        message_id = self._name()
        self._along[message_id] = along
        await self._clerk.post_for_lab(Comment(text=message_id), None, along, message_id)

    # -- what researchers do -----------------------------------------------------------------

    async def join(self, name: str) -> None:
        """Take the seat of `name`, if it is empty, and catch up as an agent does."""
        if name in self._seats:
            return
        await self.quiet()
        seated: asyncio.Future[Seat] = asyncio.get_running_loop().create_future()

        async def sit() -> None:
            async with self._board.seat(AgentName(name)) as seat:
                seated.set_result(seat)
                async for post in seat.posts():
                    if post.author == SENTINEL:
                        self._ended[name].set()
                    else:
                        self._feeds[name].append(post)

        self._sitting[name] = asyncio.create_task(sit())
        await asyncio.wait((seated, self._sitting[name]), return_when=asyncio.FIRST_COMPLETED)
        self._seats[name] = seated.result()
        await self._catch_up(name)

    async def _catch_up(self, name: str) -> None:
        caught = await self._lab(name).catch_up(0)
        self._caught_up[name] |= {post.seq: post for post in caught}
        self._since[name] = set(self._expected(name))

    async def lose_network(self, along: str) -> None:
        """Cut everybody's connection, say something meanwhile, and catch up as agents do."""
        if self._wires is None:
            return
        await self.quiet()
        for name in self._seats:
            await self._drain(name)
            self._owed[name] |= set(self._expected(name)) - self._since[name]
        links: list[MqttLink] = [place.link for place in (self._desk, *self._seats.values())]  # type: ignore[union-attr]
        back = [link.next_connection for link in links]
        self._wires.cut()
        await self.lab_says(along)
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait(back)
        await self.quiet()
        for name in self._seats:
            assert self._seats[name].interruptions > 0
            await self._catch_up(name)

    async def leave(self, name: str) -> None:
        """Leave the seat of `name`, once all that was sent there has arrived."""
        if name not in self._seats:
            return
        await self.quiet()
        await self._drain(name)
        self._owed[name] |= set(self._expected(name)) - self._since[name]
        task = self._sitting.pop(name)
        task.cancel()
        await asyncio.wait((task,))
        del self._seats[name]

    async def say(self, author: str, body: Body, thread: str | None = None) -> None:
        """Post something; what has not reached `author` he may not speak of."""
        if author not in self._seats:
            return
        await self.quiet()
        spoken_of = {thread, getattr(body, "target", None)} - {None}
        may = spoken_of <= set(self._expected(author))
        if isinstance(body, Review):
            may = body.hypothesis in self.oracle.open_assignments(author, self._now())
        try:
            draft = Draft(message_id=self._name(), thread=thread, body=body)
            async with asyncio.timeout(PATIENCE_S):
                await self._seats[author].submit(draft)
        except PostRefusedError:
            assert not may, f"{author} was refused {body!r}"
        else:
            assert may, f"{author} was let say {body!r} in {thread}"

    async def propose(self, author: str) -> None:
        """Propose the next tree."""
        commit = next((c for c in self._trees.commits if c not in self._used), None)
        if commit is None or author not in self._seats:
            return
        self._used[commit] = ""
        parents = (self._trees.baseline,)
        key = f"t{len(self._used)}"
        self.chronicle.record(Proposed(commit, parents, key, author, "an idea", {"RATE": 4}))
        body = Hypothesis(
            title="an idea", rationale="it may help", parents=parents, knobs={"RATE": 4},
            prediction=Prediction(gain=0.1, confidence=0.7), commit=commit,
        )  # fmt: skip
        await self.say(author, body)

    def begin(self, hypothesis: str) -> None:
        """Let the experiment on `hypothesis` begin; sealed reviews are opened."""
        claim = self.chronicle.state.hypotheses[hypothesis]
        if self._used[claim.commit]:
            return
        experiment = f"e{sum(map(bool, self._used.values())) + 1:04}"
        self._used[claim.commit] = experiment
        run = queued(
            experiment, "screen", claim.commit, claim.tree_key, hypothesis=hypothesis,
            charged_to=claim.proposer, requested_by=claim.proposer,
        )  # fmt: skip
        self.chronicle.record(run, AttemptStarted(experiment, 1, "cpu0"))

    async def report(self, hypothesis: str, *, is_valid: bool) -> None:
        """Give the verdict on an experiment that began, and let its proposer tell of it."""
        claim = self.chronicle.state.hypotheses[hypothesis]
        experiment = self._used[claim.commit]
        if not experiment or f"v-{experiment}" in self.chronicle.state.verdicts:
            return
        run = self.chronicle.state.experiments[experiment].queued
        outcome = "ok" if is_valid else "invalid"
        status, gain = ("improved", 0.5) if is_valid else ("not_improved", None)
        name = f"v-{experiment}"
        self.chronicle.record(
            ended(experiment, "cpu0", (0, 1), (1, 2), outcome=outcome),
            verdict(run, 2.5 if is_valid else None),
            StatusChanged(hypothesis, claim.commit, status, gain, 0.05, claim.proposer, (name,)),
        )
        kind = Finding if is_valid else Failure
        body = kind(hypothesis=hypothesis, evidence=Evidence(verdict_id=name), text="it ran",
                    log_tail="step 1")  # fmt: skip
        await self.say(claim.proposer, body, hypothesis)

    def post_at(self, index: int, kind: str = "") -> str | None:
        """Return a post of `kind` by number, counted round; None where there is none."""
        posts = [
            name
            for name, record in self.chronicle.state.posts.items()
            if not kind or record.posted.body["kind"] == kind
        ]
        return posts[index % len(posts)] if posts else None

    def is_lead(self, post_id: str) -> bool:
        """Whether a post is a lead."""
        return self.chronicle.state.posts[post_id].posted.body["kind"] == "lead"

    def asked(self, hypothesis: str) -> list[str]:
        """Return who was asked to review `hypothesis`."""
        self._catch_up_oracle()
        return list(self.oracle.asked.get(hypothesis, ()))

    # -- looking -----------------------------------------------------------------------------

    async def look(self) -> None:
        """Hold feeds, catching up and the lab's answers against the oracle."""
        await self.quiet()
        for name in NAMES:
            expected = self._expected(name)
            await self._look_at_feed(name, expected)
            lab, commits = self._lab(name), (self._trees.baseline, *self._used)
            await look_at_catching_up(lab, self.oracle, name, expected)
            await look_at_queries(lab, self.oracle, name, self._now(), commits)

    async def _look_at_feed(self, name: str, expected: dict[str, str]) -> None:
        if name in self._seats:
            await self._drain(name)
            self._owed[name] |= set(expected) - self._since[name]
            self._since[name] = set(expected)
        feed = self._feeds[name]
        assert len({post.seq for post in feed}) == len(feed), f"{name} heard something twice"
        heard = {post.post_id: post for post in feed}
        assert set(heard) >= self._owed[name], f"{name} missed {self._owed[name] - set(heard)}"
        if name in self._seats:
            heard |= {post.post_id: post for post in self._caught_up[name].values()}
            assert set(heard) == set(expected), f"{name} knows {set(heard)}, not {set(expected)}"
        for post_id, post in heard.items():
            must_be_thinned(self.oracle, post, expected[post_id])

    # -- time --------------------------------------------------------------------------------

    async def wait(self, steps: int) -> None:
        """Let time pass, no multiple of a delay; where time is real `quiet` does."""
        if not self._is_real:
            await asyncio.sleep(7.3 * steps)

    async def quiet(self) -> None:
        """Wait until everybody has done what there is to do at the moment."""
        self._catch_up_oracle()
        if not self._is_real:
            await asyncio.sleep(0.001)
            self._catch_up_oracle()
            return
        await asyncio.sleep(self._longest_s())
        async with asyncio.timeout(PATIENCE_S):
            await self.chronicle.wait_until(lambda state: not state.reach.awaited)
        self._catch_up_oracle()

    def _longest_s(self) -> float:
        """Return how long it takes until everything that is on its way is due."""
        now_us = self._now()
        due = [
            due_us
            for post_id in self.oracle.told
            for name in NAMES
            if self.oracle.carries(post_id, name)
            and (due_us := self.oracle.due_us(post_id, name)) is not None
        ]
        return max(0, max(due, default=0) - now_us) / 1e6 + 0.001

    async def _drain(self, name: str) -> None:
        """Wait until what was sent to `name` has arrived: a last word comes after it."""
        assert self._desk is not None
        self._count += 1
        word = Post(post_id="end", seq=10**9 + self._count, at_us=0, author=SENTINEL,
                    message_id="end", body=Comment(text="end"))  # fmt: skip
        heard = self._ended[name] = asyncio.Event()
        await self._desk.deliver(AgentName(name), word)
        async with asyncio.timeout(PATIENCE_S):
            await heard.wait()

    def _catch_up_oracle(self) -> None:
        self.oracle.read(self._ledger.rows(self._read))
        self._read = self.chronicle.state.last_seq

    def _expected(self, name: str) -> dict[str, str]:
        self._catch_up_oracle()
        return self.oracle.reached(name, self._now())

    def _now(self) -> int:
        return self.chronicle.clock.now_us()

    def _name(self) -> str:
        self._count += 1
        return f"m{self._count}"

    def _lab(self, name: str) -> AgentLab:
        bench = SimpleNamespace(
            repository=self._trees.repository, task=SimpleNamespace(editable=("train.py",))
        )
        house: Any = SimpleNamespace(
            chronicle=self.chronicle,
            bench=bench,
            admission=SimpleNamespace(is_closed=False),
            may=lambda name, right: True,
            quotas=lambda name: Quotas(),
        )
        return AgentLab(house, name)
