"""A modelled institution for tests: labs, seats and a landscape instead of training.

It implements the Lab and Seat protocols with the same rules of visibility and the same decisions
as the real one, on a loop whose clock jumps, so that a whole community lives in about a second.
"""

from __future__ import annotations

import asyncio
import difflib
import hashlib
import math
from collections import defaultdict
from dataclasses import dataclass, field, replace
from random import Random

from modelled_landscape import KNOBS, PATH, SIGMA, START, true_score
from modelled_leads import open_leads
from modelled_seat import ModelSeat

from agents.agent import Agent
from agents.errors import NotVisibleError, ProposalRefusedError
from agents.lab import Briefing, Merged, Outcome, Prepared
from agents.minds.catalogue import make_mind
from agents.roles import load_role
from forum.messages import Hypothesis, Notice, Post

RUN_S = 10.0
PAIRS = 3


@dataclass
class Tree:
    """One commit."""

    text: str
    parents: tuple[str, ...]
    author: str


@dataclass
class Claim:
    """One hypothesis as the institution sees it."""

    post_id: str
    commit: str
    author: str
    status: str = "measured"
    gain: float | None = None
    verdict_id: str = ""
    score: float | None = None
    confirmed_gain: float | None = None
    is_taken: bool = False


@dataclass
class World:
    """The institution: commits, verdicts, posts and who hears whom."""

    hears: dict[str, frozenset[str]]
    experiments: int | None = 44
    slots: int = 2
    seed: int = 1
    invalid_if: object = None
    trees: dict[str, Tree] = field(default_factory=dict)
    posts: list[Post] = field(default_factory=list)
    claims: dict[str, Claim] = field(default_factory=dict)
    measured: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    admitted: int = 0
    reserved: int = 0
    screens: int = 0
    feeds: dict[str, list[asyncio.Queue]] = field(default_factory=lambda: defaultdict(list))
    notices: list[asyncio.Queue] = field(default_factory=list)
    busy_s: float = 0.0
    turns: list[tuple] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pool = asyncio.Semaphore(self.slots)
        self.over = asyncio.Event()
        self.baseline = self.store(START, (), "lab")
        self.measured[START] = [true_score(START) + self.noise(START, -1 - n) for n in range(4)]
        self.baseline_mean = sum(self.measured[START]) / 4

    def noise(self, text: str, n: int) -> float:
        """Return the noise of measurement n of a tree."""
        key = hashlib.sha256(f"{self.seed}/{n}/{text}".encode()).hexdigest()
        return Random(key).gauss(0.0, SIGMA)

    def store(self, text: str, parents: tuple[str, ...], author: str) -> str:
        """Commit a tree."""
        commit = hashlib.sha1(repr((text, parents, author)).encode()).hexdigest()
        self.trees[commit] = Tree(text, parents, author)
        return commit

    def visible(self, agent: str) -> set[str]:
        """Return the commits that posts brought to an agent, its own included."""
        own = {commit for commit, tree in self.trees.items() if tree.author == agent}
        brought = {getattr(p.body, "commit", "") for p in self.posts if self.reaches(p, agent)}
        return own | brought | {self.baseline}

    def reaches(self, post: Post, agent: str) -> bool:
        """Whether an agent hears the author of a post; everybody hears itself."""
        return post.author == agent or post.author in self.hears[agent]

    def remaining(self) -> int | None:
        """Return how many experiments may still be admitted."""
        if self.experiments is None:
            return None
        return max(0, self.experiments - self.admitted - self.reserved)

    async def measure(self, text: str, kind: str, n: int) -> float | None:
        """Hold a slot for one run; None when the candidate fails."""
        self.admitted += 1
        async with self.pool:
            await asyncio.sleep(RUN_S)
            self.busy_s += RUN_S
        if self.invalid_if is not None and self.invalid_if(text):
            return None
        return true_score(text) + self.noise(kind + text, n)

    def post(self, author: str, draft) -> Post:
        """Record a draft and route it, as the clerk does; evidence is overwritten."""
        body = draft.body
        if hasattr(body, "evidence"):
            claim = self.claims[body.hypothesis]
            gain = claim.gain if claim.confirmed_gain is None else claim.confirmed_gain
            changed = {"status": claim.status, "gain": gain, "score": claim.score}
            body = body.model_copy(update={"evidence": body.evidence.model_copy(update=changed)})
        now = 1 + int(asyncio.get_running_loop().time() * 1e6)  # a run opens before anybody posts
        post = Post(
            post_id=f"p{len(self.posts) + 1}",
            seq=3 * len(self.posts) + 1,
            at_us=now,
            author=author,
            message_id=draft.message_id,
            thread=draft.thread,
            body=body,
        )
        self.posts.append(post)
        if isinstance(body, Hypothesis):
            self.claims[post.post_id] = Claim(post.post_id, body.commit, author)
        for reader in self.hears:
            if self.reaches(post, reader):
                for queue in self.feeds[reader]:
                    queue.put_nowait(post)
        return post

    def stop(self) -> None:
        """Tell everybody that the run is over."""
        self.over.set()
        for queue in self.notices:
            queue.put_nowait(Notice(kind="stop"))

    def best_reproduced(self) -> float:
        """Return the true score of the best reproduced commit by its screening score."""
        done = [claim for claim in self.claims.values() if claim.status == "reproduced"]
        if not done:
            return true_score(START)
        return true_score(self.trees[min(done, key=lambda claim: claim.score).commit].text)


class ModelLab:
    """`agents.lab.Lab` over a `World`, bound to one agent."""

    def __init__(self, world: World, agent: str) -> None:
        self.world, self.agent = world, agent

    async def briefing(self) -> Briefing:
        """Return the task and the baseline."""
        return Briefing(
            task="modelled",
            brief="Lower is better.",
            metric="val_bpb",
            unit="bits per byte",
            direction="lower",
            knobs_path=PATH,
            baseline_commit=self.world.baseline,
            baseline_mean=self.world.baseline_mean,
            baseline_sigma=SIGMA,
            budget="10 cpu_seconds",
            confirmation_runs=2 * PAIRS,
            confirmation_runs_most=2 * PAIRS,
        )

    def _see(self, *commits: str) -> None:
        for commit in commits:
            if commit not in self.world.visible(self.agent):
                raise NotVisibleError(f"commit {commit} never reached {self.agent}")

    async def read_tree(self, commit: str):
        """Return a visible tree."""
        self._see(commit)
        return {PATH: self.world.trees[commit].text}

    async def merge(self, first: str, second: str) -> Merged:
        """Merge line by line over the nearest common ancestor."""
        self._see(first, second)
        lines = [self.world.trees[c].text.splitlines() for c in (first, second)]
        base = self.world.trees[self._ancestor(first, second)].text.splitlines()
        if not len(base) == len(lines[0]) == len(lines[1]):
            return Merged({PATH: self.world.trees[first].text}, (PATH,))
        out, is_clean = [], True
        for old, one, other in zip(base, *lines, strict=True):
            out.append(other if one == old else one)
            is_clean &= one == other or old in (one, other)
        if not is_clean:
            return Merged({PATH: self.world.trees[first].text}, (PATH,))
        return Merged({PATH: "\n".join(out) + "\n"}, ())

    def _ancestor(self, first: str, second: str) -> str:
        above, edge = set(), [first]
        while edge:
            commit = edge.pop()
            above.add(commit)
            edge += self.world.trees[commit].parents
        edge = [second]
        while edge:
            commit = edge.pop(0)
            if commit in above:
                return commit
            edge += self.world.trees[commit].parents
        return self.world.baseline

    async def prepare(self, proposal) -> Prepared:
        """Commit a proposal; tell a known outcome."""
        self._see(*proposal.parents)
        if set(proposal.files) - {PATH}:
            raise ProposalRefusedError(f"only {PATH} may change")
        base = self.world.trees[proposal.parents[0]].text
        text = proposal.files.get(PATH, base)
        if text == base:
            raise ProposalRefusedError("the patch changes nothing")
        known = None
        for claim in self.world.claims.values():
            if claim.verdict_id and self.world.trees[claim.commit].text == text:
                known = self._outcome(claim)
        commit = self.world.store(text, proposal.parents, self.agent)
        patch = "\n".join(difflib.unified_diff(base.splitlines(), text.splitlines(), lineterm=""))
        return Prepared(commit, hashlib.sha256(text.encode()).hexdigest(), patch, known)

    async def run(self, commit: str, hypothesis: str) -> Outcome:
        """Measure a posted commit once."""
        world, claim = self.world, self.world.claims[hypothesis]
        if claim.verdict_id:
            return self._outcome(claim)
        if world.remaining() == 0:
            return Outcome("stopped", commit, "", None, "", None, "the run is over")
        world.screens += 1
        text = world.trees[commit].text
        score = await world.measure(text, "dev", world.screens)
        claim.verdict_id = f"v{world.screens}"
        if score is None:
            claim.status = "not_improved"
            return self._outcome(claim)
        base = world.measured[world.trees[world.trees[commit].parents[0]].text]
        world.measured[text].append(score)
        claim.score, claim.gain = score, sum(base) / len(base) - score
        bar = 2.33 * SIGMA * math.sqrt(1 + 1 / len(base))
        claim.status = "improved" if claim.gain > bar else "not_improved"
        if bar - SIGMA < claim.gain <= bar:
            claim.status = "undecided"
        return self._outcome(claim)

    async def reproduce(self, hypothesis: str) -> Outcome:
        """Run up to three pairs on fresh seeds."""
        world, claim = self.world, self.world.claims[hypothesis]
        remaining = world.remaining()
        is_open = claim.author != self.agent and not claim.is_taken
        if not is_open or (remaining is not None and remaining < 2 * PAIRS):
            return Outcome("refused", claim.commit, "", None, "", None, "not open, or too dear")
        self._see(claim.commit)
        claim.is_taken = True
        world.reserved += 2 * PAIRS
        child = world.trees[claim.commit]
        parent = world.trees[child.parents[0]]
        gains: list[float] = []
        while len(gains) < PAIRS:
            world.reserved -= 2
            n = world.admitted
            async with asyncio.TaskGroup() as group:
                one = group.create_task(world.measure(child.text, "vault", n))
                other = group.create_task(world.measure(parent.text, "vault", n))
            gains.append(other.result() - one.result())
            if sum(gains) <= 0:
                break
        world.reserved -= 2 * (PAIRS - len(gains))
        mean = sum(gains) / len(gains)
        bar = 2.33 * SIGMA * math.sqrt(2 / PAIRS)
        claim.status = "reproduced" if mean > bar else "not_improved"
        if bar - SIGMA < mean <= bar:
            claim.status = "undecided"
        claim.confirmed_gain = mean
        return replace(self._outcome(claim), verdict_id=claim.verdict_id + "c", gain=mean)

    async def verdict(self, verdict_id: str) -> Outcome | None:
        """Return the agent's own verdicts."""
        for claim in self.world.claims.values():
            if claim.verdict_id == verdict_id and claim.author == self.agent:
                return self._outcome(claim)
        return None

    async def catch_up(self, after_seq: int):
        """Return what reached the agent."""
        world = self.world
        return [p for p in world.posts if p.seq > after_seq and world.reaches(p, self.agent)]

    async def assignments(self) -> frozenset[str]:
        """Return what is not measured yet: everybody is asked about everything."""
        return frozenset(name for name, each in self.world.claims.items() if not each.verdict_id)

    async def wait_for_turn(self) -> None:
        """Nobody pauses anybody here."""

    async def open_leads(self) -> dict[str, float]:
        """Return the leads that the agent may claim or holds."""
        return open_leads(self.world.posts, self.world.claims, self.agent, self.world.hears)

    async def remaining_experiments(self) -> int | None:
        """Return how many experiments may still start."""
        return self.world.remaining()

    def _outcome(self, claim: Claim) -> Outcome:
        return Outcome(
            outcome="ok" if claim.score is not None else "invalid",
            commit=claim.commit,
            verdict_id=claim.verdict_id,
            score=claim.score,
            status=claim.status,
            gain=claim.gain,
            reason="" if claim.score is not None else "crash",
        )


def complete(*names: str) -> dict[str, frozenset[str]]:
    """Everybody hears everybody else."""
    return {name: frozenset(names) - {name} for name in names}


def make_agent(world: World, name: str, role: str, mind, *, turn: int = 0) -> Agent:
    """Return an agent at home in `world`; `mind` is a name or a mind."""

    async def on_turn(agent, number, kinds, notebook, cost_usd) -> None:
        world.turns.append((agent, number, kinds, notebook))

    return Agent(
        name=name,
        role=load_role(role),
        mind=make_mind(mind) if isinstance(mind, str) else mind,
        seat=ModelSeat(world, name),
        lab=ModelLab(world, name),
        knobs=KNOBS,
        run_seed=world.seed,
        on_turn=on_turn,
        turn=turn,
    )


async def until_spent(world: World, agents: list[Agent], longest_s: float = 3_000.0) -> None:
    """Let agents live until the experiments are used up, or for `longest_s` modelled seconds."""
    async with asyncio.TaskGroup() as group:
        for agent in agents:
            group.create_task(agent.live())
        try:
            async with asyncio.timeout(longest_s):
                while world.remaining() != 0 or world.reserved:  # noqa: ASYNC110
                    await asyncio.sleep(RUN_S)
                await asyncio.sleep(4 * RUN_S)
        except TimeoutError:
            pass
        world.stop()
