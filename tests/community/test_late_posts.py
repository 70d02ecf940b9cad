"""Slow and lossy edges: when a copy arrives, what a kill changes about it, and what is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, get_args

from archive_script import asking, opened
from hearing_stage import VirtualLoop

from agents.roles import Right, Role
from community.archive.ledger import Ledger, LedgerReader
from community.archive.state import RunState
from community.chronicle import Chronicle
from community.clerk import Clerk
from community.clock import RunClock
from community.events import Noticed, Posted
from community.forum_events import Delivered
from community.late_posts import LatePosts
from community.scenario import TopologySection
from community.topology import build_topology
from forum.board import Seat
from forum.ids import AgentName
from forum.memory_board import MemoryBoard
from forum.messages import Comment, Draft, Post
from trainer.repository import Repository
from trainer.texts import TrustedTexts

NAMES = ("ada", "ben", "cyd")
ROLES = {name: Role("any", "does anything", frozenset[Right](get_args(Right))) for name in NAMES}


def virtually(story: Coroutine[Any, Any, Any]) -> Any:
    """Run `story` on a clock that jumps."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(story)


@asynccontextmanager
async def life(folder: Path, **edges: Any) -> AsyncIterator[tuple[Chronicle, dict[str, Seat]]]:
    """Live on the ledger in `folder`, or begin one with a line whose edges are as said."""
    path = folder / "ledger.db"
    is_new = not path.exists()
    ledger = Ledger.create(path) if is_new else Ledger.open(path)
    chronicle = Chronicle(ledger, RunClock(offset_us=ledger.last_us))
    if is_new:
        section = TopologySection.model_validate({"family": "line", **edges})
        topology = build_topology(NAMES, section, 7)
        chronicle.record(opened(seed=7), topology.as_event())
    board = MemoryBoard()
    repository = Repository.create(folder / f"repo-{ledger.last_seq}.git")
    async with (
        board.desk() as desk,
        board.seat(AgentName("ada")) as ada,
        board.seat(AgentName("ben")) as ben,
        board.seat(AgentName("cyd")) as cyd,
        asyncio.TaskGroup() as group,
    ):
        clerk = Clerk(chronicle, desk, repository, TrustedTexts(), asking(ROLES), 10_000)
        tasks = [group.create_task(clerk.serve())]
        tasks.append(group.create_task(LatePosts(chronicle, desk).serve()))
        yield chronicle, {"ada": ada, "ben": ben, "cyd": cyd}
        for task in tasks:
            task.cancel()
    ledger.close()


def word(name: str) -> Draft:
    """Return a draft."""
    return Draft(message_id=name, body=Comment(text=name))


async def heard(seat: Seat, within_s: float) -> list[Post]:
    """Return what comes within so many seconds."""
    found: list[Post] = []
    try:
        async with asyncio.timeout(within_s):
            async for post in seat.posts():
                found.append(post)  # noqa: PERF401 - what came before the end is kept
    except TimeoutError:
        pass
    return found


def test_a_slow_edge_delivers_when_it_is_due_and_not_before(tmp_path: Path) -> None:
    """The author knows at once; the reader after the delay, in the order of the ledger."""

    async def story() -> None:
        async with life(tmp_path, delay_s=60) as (chronicle, seats):
            for name in ("one", "two"):
                await seats["ada"].submit(word(name))
            assert [post.message_id for post in await heard(seats["ada"], 1)] == ["one", "two"]
            assert await heard(seats["ben"], 58) == []
            assert "ben" not in chronicle.state.delivered
            assert [post.message_id for post in await heard(seats["ben"], 2)] == ["one", "two"]
            assert list(chronicle.state.delivered["ben"]) == ["p1", "p2"]
            assert await heard(seats["cyd"], 1) == []

    virtually(story())


def test_a_copy_on_its_way_survives_a_kill(tmp_path: Path) -> None:
    """It arrives once, after its delay of run time; the time between two lives does not count."""

    async def first() -> None:
        async with life(tmp_path, delay_s=60) as (chronicle, seats):
            await seats["ada"].submit(word("one"))
            await asyncio.sleep(30)
            chronicle.record(Noticed("pause", "killed here"))

    async def second() -> None:
        async with life(tmp_path) as (chronicle, seats):
            assert await heard(seats["ben"], 29) == []
            assert [post.message_id for post in await heard(seats["ben"], 2)] == ["one"]
            await asyncio.sleep(1)
            chronicle.record(Noticed("pause", "killed here"))

    async def third() -> None:
        async with life(tmp_path) as (chronicle, seats):
            assert await heard(seats["ben"], 100) == []
            assert chronicle.state.delivered["ben"] == {"p1": "everything"}

    for story in (first, second, third):
        virtually(story())
    with LedgerReader(tmp_path / "ledger.db") as reader:
        kept = list(reader.rows())
    arrivals = [row for row in kept if isinstance(row.event, Delivered)]
    assert [row.event for row in arrivals] == [Delivered("p1", ("ben",))]
    assert 60 <= arrivals[0].at_us / 1e6 < 60.1


def test_what_is_on_its_way_when_the_run_ends_arrives_nowhere(tmp_path: Path) -> None:
    """The ledger says that it was sent and to whom, and that it never came."""

    async def story() -> None:
        async with life(tmp_path, delay_s=60) as (_, seats):
            await seats["ada"].submit(word("one"))

    virtually(story())
    with LedgerReader(tmp_path / "ledger.db") as reader:
        state = RunState.from_rows(reader.rows())
    assert state.reach.awaited == {"p1": {"ben": "everything"}}
    assert state.delivered == {"ada": {"p1": "everything"}}


def test_a_faster_copy_overtakes_and_wakes_nobody_too_early(tmp_path: Path) -> None:
    """A copy that is due sooner is delivered sooner, though it was sent later."""
    edges = [
        {"author": "ada", "reader": "cyd", "delay_s": 60.0},
        {"author": "ben", "reader": "cyd", "delay_s": 5.0},
    ]

    async def story() -> None:
        async with life(tmp_path, family="edges", edges=edges) as (chronicle, seats):
            await seats["ada"].submit(word("slow"))
            await asyncio.sleep(10)
            await seats["ben"].submit(word("fast"))
            assert [post.message_id for post in await heard(seats["cyd"], 100)] == ["fast", "slow"]
            assert list(chronicle.state.delivered["cyd"]) == ["p2", "p1"]

    virtually(story())


def test_an_edge_loses_its_share_and_the_same_again(tmp_path: Path) -> None:
    """Of 200 posts about a third is lost on each edge by itself; the seed alone decides which."""

    async def story(folder: Path) -> list[dict[str, str]]:
        folder.mkdir()
        async with life(folder, loss=0.3) as (chronicle, seats):
            for number in range(200):
                await seats["ben"].submit(word(f"w{number}"))
            posts = [record.posted for record in chronicle.state.posts.values()]
            for seat, name in ((seats["ada"], "ada"), (seats["cyd"], "cyd")):
                arrived = [post.post_id for post in await heard(seat, 1)]
                assert arrived == [post.post_id for post in posts if name not in post.lost]
            assert all(isinstance(post, Posted) for post in posts)
            return [post.lost for post in posts]

    one, two = (virtually(story(tmp_path / name)) for name in ("one", "two"))
    assert one == two
    for name in ("ada", "cyd"):
        assert 40 <= sum(name in lost for lost in one) <= 80  # 60 expected, sigma 6.5
    assert any(set(lost) == {"ada"} for lost in one)
