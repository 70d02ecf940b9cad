"""Property: everybody receives exactly what the edges carry at a post's row, on every board.

Random graphs, rewirings, delays, losses, restarts, seats that are left and taken again; the feed,
catching up and the lab's answers are held against an oracle written from the documents.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hearing_stage import Trees, VirtualLoop, Wires
from hearing_world import NAMES, World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from community.archive.ledger import Ledger
from community.archive.state import RunState
from community.scenario import TopologySection
from community.topology import build_topology
from community.topology.drawing import Arc, Edge, arcs_of
from forum.board import Board
from forum.broker import EmbeddedBroker
from forum.credentials import BrokerAddress, Credentials, load_credentials
from forum.memory_board import MemoryBoard
from forum.messages import Claim, Comment, Forecast, Lead, Review
from forum.mosquitto_files import CREDENTIALS_NAME, MosquittoPlan, write_mosquitto
from forum.mqtt_board import MqttBoard

sys.path.append(str(Path(__file__).parent.parent / "forum"))
from fortress import free_port, mosquitto_with

STEADY = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
"""The same stories on every machine; `--hypothesis-seed` does not matter, a bug's story does."""
ARCS: list[Arc] = list(itertools.permutations(NAMES, 2))
FAMILIES: list[dict[str, Any]] = [
    {"family": "complete"},
    {"family": "isolated"},
    {"family": "star", "one_way": "backward"},
    {"family": "ring", "one_way": "forward"},
    {"family": "line"},
    {"family": "small_world", "k": 2, "p": 0.3},
    {"family": "scale_free", "m": 1, "one_way": "random"},
    {"family": "erdos_renyi", "p": 0.4},
    {"family": "hierarchy", "branching": 2},
    {"family": "teams", "size": 2, "bridges": 1},
]
HUNCH = Forecast(reproduced=0.5, gain=(-0.1, 0.0, 0.1))
CARRIES = ("score", "summary", "diff", "everything", "everything", "everything", "everything")
Graph = dict[Arc, Edge]
Step = tuple[Any, ...]


def graphs(delays_s: tuple[float, ...]) -> st.SearchStrategy[Graph]:
    """Make graphs edge by edge, and of the families."""
    carries = st.sampled_from(CARRIES)
    delays = st.sampled_from(delays_s)
    losses = st.sampled_from((0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 1.0))
    edge = st.builds(
        Edge, carries=carries, delay_us=delays.map(lambda s: round(s * 1e6)), loss=losses
    )
    free = st.fixed_dictionaries({arc: st.none() | edge for arc in ARCS})
    drawn = st.builds(
        lambda family, seed, **keys: arcs_of(
            build_topology(
                NAMES, TopologySection.model_validate({**family, **keys}), seed
            ).as_event()
        ),
        st.sampled_from(FAMILIES),
        st.integers(0, 5),
        carries=carries,
        delay_s=delays,
        loss=losses,
    )
    return drawn | free.map(lambda arcs: {arc: edge for arc, edge in arcs.items() if edge})


def steps(delays_s: tuple[float, ...]) -> st.SearchStrategy[Step]:
    """Make one thing that happens."""
    who, which = st.sampled_from(NAMES), st.integers(0, 20)

    def one(kind: str, *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
        return st.tuples(st.just(kind), *parts)

    return st.one_of(
        one("comment", who),
        one("lead", who),
        one("propose", who),
        one("propose", who),
        one("answer", who, which),
        one("claim", who, which),
        one("review", who, which),
        one("reviews", which),
        one("reviews", which),
        one("begin", which),
        one("study", who, st.integers(0, 2), st.booleans()),
        one("study", who, st.integers(0, 2), st.booleans()),
        one("report", which, st.booleans()),
        one("lab", who),
        one("rewire", graphs(delays_s)),
        one("wait", st.integers(1, 4)),
        one("leave", who),
        one("join", who),
        one("restart"),
        one("cut", who),
    )


async def perform(world: World, step: Step) -> None:
    """Let a step happen, if it can."""
    kind, *parts = step
    match kind:
        case "comment":
            await world.say(parts[0], Comment(text="hello"))
        case "lead":
            await world.say(parts[0], Lead(title="there", text="look", knobs={"RATE": 9}))
        case "propose":
            await world.propose(parts[0])
        case "answer" | "claim":
            target = world.post_at(parts[1])
            if target is None:
                return
            # a claim of a lead is a lease, which has rules of its own
            is_claim = kind == "claim" and not world.is_lead(target)
            body = Claim(target=target, text="mine") if is_claim else Comment(text="indeed")
            await world.say(parts[0], body, None if is_claim else target)
        case "review" | "begin" | "report":
            place = 1 if kind == "review" else 0
            target = world.post_at(parts[place], "hypothesis")
            if target is None:
                return
            if kind == "review":
                await world.say(parts[0], review_of(target), target)
            elif kind == "begin":
                world.begin(target)
            else:
                world.begin(target)
                await world.report(target, is_valid=parts[1])
        case "reviews":
            await review_all(world, world.post_at(parts[0], "hypothesis"))
        case "study":
            await study(world, *parts)
        case "lab":
            await world.lab_says(parts[0])
        case "rewire":
            world.rewire(parts[0])
        case "wait":
            await world.wait(parts[0])
        case "leave":
            await world.leave(parts[0])
        case "join":
            await world.join(parts[0])
        case "restart":
            await world.restart()
        case "cut":
            await world.lose_network(parts[0])


def review_of(hypothesis: str) -> Review:
    """Return a review."""
    return Review(hypothesis=hypothesis, opinion="support", forecast=HUNCH, text="good")


async def review_all(world: World, hypothesis: str | None) -> None:
    """Let everybody review who was asked to."""
    if hypothesis is not None:
        for name in world.asked(hypothesis):
            await world.say(name, review_of(hypothesis), hypothesis)


async def study(world: World, author: str, pause: int, is_valid: bool) -> None:
    """Propose, be reviewed, measure and report, with pauses."""
    before = set(world.chronicle.state.hypotheses)
    await world.propose(author)
    for hypothesis in set(world.chronicle.state.hypotheses) - before:
        await world.wait(pause)
        await review_all(world, hypothesis)
        world.begin(hypothesis)
        await world.wait(pause)
        await world.report(hypothesis, is_valid=is_valid)


async def told(
    board: Board, trees: Trees, graph: Graph, story: list[Step], wires: Wires | None = None
) -> RunState:
    """Let a story happen on a new ledger; returns what became of it."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger.create(Path(folder) / "ledger.db")
        try:
            world = World(board, trees, ledger, wires)
            await world.live(graph, [lambda w, s=step: perform(w, s) for step in story])
            return world.chronicle.state
        finally:
            ledger.close()


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Trees:
    """Give a repository that all stories share."""
    return Trees.grow(tmp_path_factory.mktemp("trees"))


SLOW_S = (0.0, 0.0, 10.0, 31.0)
"""Delays on a clock that jumps."""
SHORT_S = (0.0, 0.0, 0.02, 0.05)
"""Where time is real."""


@settings(STEADY, max_examples=100)
@given(graph=graphs(SLOW_S), story=st.lists(steps(SLOW_S), min_size=12, max_size=30))
def test_everybody_hears_what_the_edges_carry(
    trees: Trees, graph: Graph, story: list[Step]
) -> None:
    """On the memory board: after every step, on a clock that jumps."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(told(MemoryBoard(), trees, graph, story))


HALVES = (frozenset({"ada", "ben"}), frozenset({"cyd", "dan", "eve"}))
PARTED = {
    (author, reader): Edge("everything")
    for half in HALVES
    for author, reader in itertools.permutations(sorted(half), 2)
}


@settings(STEADY, max_examples=20)
@given(story=st.lists(steps(SLOW_S).filter(lambda step: step[0] != "rewire"), min_size=15))
def test_between_two_parts_nothing_crosses(trees: Trees, story: list[Step]) -> None:
    """Whatever is said and asked, no half of a parted graph learns a post or a commit of the other.

    Said without the oracle: whose post or commit reached somebody is one of his own half.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        state = runner.run(told(MemoryBoard(), trees, PARTED, story))
    for half in HALVES:
        for reader in half:
            commits = state.reach.readable.get(reader, ())
            assert {state.proposals[commit].author for commit in commits} <= half
            posts = [state.posts[post_id].posted for post_id in state.delivered.get(reader, {})]
            assert {post.author for post in posts} <= half | {"lab"}


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """Give one event loop to a broker and all stories on it."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module", params=["embedded", "mosquitto"])
def network(
    request: pytest.FixtureRequest, runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Board, Wires]]:
    """Give a board on each broker, everybody with a login of his own, and its network."""
    with ExitStack() as stack:
        if request.param == "embedded":
            broker = runner.run(EmbeddedBroker.start("hearing", NAMES))
            stack.callback(lambda: runner.run(broker.aclose()))
            port, credentials = broker.port, broker.credentials
        else:
            home, port = tmp_path_factory.mktemp("mosquitto"), free_port()
            plan = MosquittoPlan("hearing", NAMES, BrokerAddress("127.0.0.1", port))
            mosquitto = mosquitto_with(write_mosquitto(home, plan), port)
            runner.run(mosquitto.__aenter__())
            stack.callback(lambda: runner.run(mosquitto.__aexit__(None, None, None)))
            held = load_credentials(home / CREDENTIALS_NAME)
            credentials = Credentials(logins={name: one.login for name, one in held.items()})
        wires = Wires(port)
        runner.run(wires.lay())
        stack.callback(wires.close)
        yield MqttBoard("127.0.0.1", wires.port, "hearing", credentials), wires


@settings(STEADY, max_examples=8)
@given(graph=graphs(SHORT_S), story=st.lists(steps(SHORT_S), min_size=10, max_size=20))
def test_over_mqtt_everybody_hears_what_the_edges_carry(
    network: tuple[Board, Wires],
    runner: asyncio.Runner,
    trees: Trees,
    graph: Graph,
    story: list[Step],
) -> None:
    """On both brokers: at the end, whenever somebody leaves his seat, and with cut connections."""
    board, wires = network
    runner.run(told(board, trees, graph, [*story, ("cut", "ada")], wires))
