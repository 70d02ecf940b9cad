"""The clerk: facts from the ledger, copies only along edges, on both boards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import get_args

import pytest
from archive_script import asking, ended, queued, verdict

from agents.roles import Right, Role
from community.board_opening import open_board
from community.chronicle import Chronicle
from community.clerk import Clerk
from community.events import AttemptStarted, Proposed, StatusChanged
from community.scenario import BoardSection, TopologySection
from community.topology import build_topology
from forum.board import Board, Desk, Seat
from forum.errors import PostRefusedError
from forum.ids import AgentName
from forum.messages import (
    Body,
    Carries,
    Comment,
    Draft,
    Evidence,
    Finding,
    Forecast,
    Hypothesis,
    KnobValue,
    Post,
    Prediction,
    Review,
)
from forum.visibility import thin
from trainer.repository import Repository
from trainer.texts import TrustedTexts

NAMES = ("ada", "bob", "cleo", "dan", "eve", "fay")
FAMILIES = [
    TopologySection(family="ring"),
    TopologySection(family="star"),
    TopologySection(family="isolated"),
    TopologySection(family="small_world", k=2, p=0.3),
    TopologySection(family="complete"),
]
COMPLETE = TopologySection(family="complete")
ALL_RIGHTS = frozenset[Right](get_args(Right))
ROLES = {name: Role("any", "does anything", ALL_RIGHTS) for name in NAMES}
HUNCH = Forecast(reproduced=0.5, gain=(-0.1, 0.0, 0.1))
END = 1_000_000
"""Sequence number of the sentinel after which a reader stops."""


@asynccontextmanager
async def served(
    broker: str, chronicle: Chronicle, repository: Repository, family: TopologySection
) -> AsyncIterator[tuple[Board, Desk]]:
    """Run a clerk on a board until the block ends."""
    if chronicle.state.forum.topology is None:  # it knows of an earlier life
        chronicle.record(build_topology(NAMES, family, seed=3).as_event())
    async with (
        open_board(BoardSection(broker=broker), "r1", NAMES) as board,
        board.desk() as desk,
        asyncio.TaskGroup() as group,
    ):
        clerk = Clerk(chronicle, desk, repository, TrustedTexts(), asking(ROLES))
        task = group.create_task(clerk.serve())
        yield board, desk
        task.cancel()


async def everything_heard(
    board: Board, desk: Desk, say: Callable[[Seat], Awaitable[object]]
) -> dict[str, list[Post]]:
    """Let ada `say` something; return what each agent's feed held up to a sentinel."""
    got: dict[str, list[Post]] = {name: [] for name in NAMES}
    ready = {name: asyncio.Event() for name in NAMES}

    async def read(name: str) -> None:
        async with board.seat(AgentName(name)) as seat:
            ready[name].set()
            if name == "ada":
                await asyncio.gather(*(event.wait() for event in ready.values()))
                await say(seat)
                for reader in NAMES:
                    await desk.deliver(AgentName(reader), sentinel())
            async for post in seat.posts():
                if post.seq == END:
                    return
                got[name].append(post)

    async with asyncio.TaskGroup() as group:
        for name in NAMES:
            group.create_task(read(name))
    return got


def sentinel() -> Post:
    """Return the word after which a reader stops."""
    body = Comment(text="end")
    return Post(post_id="end", seq=END, at_us=0, author="lab", message_id="end", body=body)


def draft(body: Body, thread: str | None = None, name: str = "m1") -> Draft:
    """Return a draft of `body`."""
    return Draft(message_id=name, thread=thread, body=body)


@pytest.mark.parametrize("broker", ["memory", "embedded"])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda section: section.family)
async def test_only_neighbours_hear_a_post(
    broker: str, family: TopologySection, chronicle: Chronicle, repository: Repository
) -> None:
    """A post reaches exactly its author and the readers that the author's edges lead to."""
    readers = set(build_topology(NAMES, family, seed=3).readers("ada"))
    async with served(broker, chronicle, repository, family) as (board, desk):
        got = await everything_heard(
            board, desk, lambda seat: seat.submit(draft(Comment(text="hello")))
        )
    assert {name for name, posts in got.items() if posts} == {"ada", *readers}
    assert set(chronicle.state.delivered) == {"ada", *readers}


async def proposal(
    chronicle: Chronicle,
    repository: Repository,
    author: str = "ada",
    *,
    comment: str = "knob",
    knobs: dict[str, KnobValue] | None = None,
) -> str:
    """Commit and record a proposal of `author`."""
    opened = chronicle.state.opened
    assert opened is not None
    files = {"train.py": f"RATE = 2.0\n# {comment}\nWIDTH = 4\n".encode()}
    commit = repository.commit(files, (opened.baseline_commit,), f"{author} <a@b>", "faster\n", 0)
    chronicle.record(
        Proposed(commit, (opened.baseline_commit,), "t1", author, "faster", knobs or {"RATE": 2.0})
    )
    return commit


def hypothesis(commit: str) -> Hypothesis:
    """Return a hypothesis that lies about its patch, knobs and parents."""
    return Hypothesis(
        title="faster",
        parents=("f" * 40,),
        knobs={"RATE": 99.0},
        prediction=Prediction(gain=0.5, confidence=0.9),
        commit=commit,
        patch="something else",
    )


async def test_facts_of_a_hypothesis_come_from_the_repository(
    chronicle: Chronicle, repository: Repository
) -> None:
    """Patch, knobs and parents are what was committed, whatever the author wrote."""
    commit = await proposal(chronicle, repository)
    async with served("memory", chronicle, repository, COMPLETE) as (board, desk):
        got = await everything_heard(board, desk, lambda s: s.submit(draft(hypothesis(commit))))
    body = got["bob"][0].body
    assert isinstance(body, Hypothesis)
    assert body.knobs == {"RATE": 2.0}
    assert "+RATE = 2.0" in body.patch
    assert chronicle.state.opened is not None
    assert body.parents == (chronicle.state.opened.baseline_commit,)


async def test_a_thinner_edge_carries_no_commit(
    chronicle: Chronicle, repository: Repository
) -> None:
    """Over a `summary` edge a neighbour learns the title, not the commit, and may not read it."""
    commit = await proposal(chronicle, repository)
    family = TopologySection(family="complete", carries="summary")
    async with served("memory", chronicle, repository, family) as (board, desk):
        got = await everything_heard(board, desk, lambda s: s.submit(draft(hypothesis(commit))))
    body = got["bob"][0].body
    assert isinstance(body, Hypothesis)
    assert (body.title, body.commit, body.patch, body.knobs) == ("faster", "", "", {})
    assert commit not in chronicle.state.readable("bob")
    assert commit in chronicle.state.readable("ada")


async def test_a_finding_says_what_the_ledger_says(
    chronicle: Chronicle, repository: Repository
) -> None:
    """Score, gain and status of a cited verdict are the ledger's, whatever the author wrote."""
    commit = await proposal(chronicle, repository)

    async def boast(seat: Seat) -> None:
        receipt = await seat.submit(draft(hypothesis(commit)))
        record_screen(chronicle, commit, receipt.post_id or "")
        evidence = Evidence(verdict_id="v-e0001", score=0.01, status="reproduced", gain=9.0)
        finding = Finding(hypothesis=receipt.post_id, evidence=evidence, commit=commit)
        await seat.submit(draft(finding, receipt.post_id, "m2"))

    async with served("memory", chronicle, repository, COMPLETE) as (board, desk):
        got = await everything_heard(board, desk, boast)
    body = got["bob"][1].body
    assert isinstance(body, Finding)
    assert (body.evidence.score, body.evidence.status) == (2.5, "improved")
    assert body.evidence.gain == pytest.approx(0.5)


def record_screen(chronicle: Chronicle, commit: str, post_id: str) -> None:
    """Record a screen of `post_id` that came out at 2.5, as verdict ``v-e0001``."""
    screen = queued("e0001", "screen", commit, "t1", hypothesis=post_id)
    chronicle.record(
        screen,
        AttemptStarted("e0001", 1, "cpu0"),
        ended("e0001", "cpu0", (0, 1), (1, 2)),
        verdict(screen, 2.5),
        StatusChanged(post_id, commit, "improved", 0.5, 0.05, "ada", ("v-e0001",)),
    )


async def test_a_refusal_does_not_tell_which_verdicts_exist(
    chronicle: Chronicle, repository: Repository
) -> None:
    """Who cites a verdict of somebody else's hears what he would of one that nobody ever gave."""
    commit = await proposal(chronicle, repository)

    said: set[str] = set()
    async with served("memory", chronicle, repository, COMPLETE) as (board, _):
        async with board.seat(AgentName("ada")) as ada:
            receipt = await ada.submit(draft(hypothesis(commit)))
            record_screen(chronicle, commit, receipt.post_id or "")
        async with board.seat(AgentName("bob")) as bob:
            for name in ("v-e0001", "v-e0002"):
                finding = Finding(hypothesis="p1", evidence=Evidence(verdict_id=name))
                with pytest.raises(PostRefusedError) as caught:
                    await bob.submit(draft(finding, None, name))
                said.add(caught.value.reason.replace(name, "V"))
    assert len(said) == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (hypothesis("e" * 40), "no proposal"),
        (
            Finding(hypothesis="p1", evidence=Evidence(verdict_id="v9"), commit="e" * 40),
            "no verdict 'v9'",
        ),
        (
            Review(hypothesis="p7", opinion="support", forecast=HUNCH),
            "never reached",
        ),
    ],
    ids=["invented commit", "invented verdict", "unseen hypothesis"],
)
async def test_what_is_not_on_record_is_refused(
    body: Body, words: str, chronicle: Chronicle, repository: Repository
) -> None:
    """A post about things that do not exist, or never reached its author, is refused and noted."""

    async def say(seat: Seat) -> None:
        with pytest.raises(PostRefusedError, match=words):
            await seat.submit(draft(body))

    async with served("memory", chronicle, repository, COMPLETE) as (board, desk):
        got = await everything_heard(board, desk, say)
    assert not any(got.values())
    assert [refused.who for _, refused in chronicle.state.refusals] == ["ada"]


async def test_a_repeated_draft_is_recorded_once(
    chronicle: Chronicle, repository: Repository
) -> None:
    """The same message id gets the same receipt and one post."""
    receipts = []

    async def twice(seat: Seat) -> None:
        receipts.append(await seat.submit(draft(Comment(text="hello"))))
        receipts.append(await seat.submit(draft(Comment(text="hello"))))

    async with served("memory", chronicle, repository, COMPLETE) as (board, desk):
        got = await everything_heard(board, desk, twice)
    assert receipts[0] == receipts[1]
    assert len(chronicle.state.posts) == 1
    assert len(got["bob"]) == 1


async def test_own_work_cannot_be_reviewed(chronicle: Chronicle, repository: Repository) -> None:
    """A review of one's own hypothesis is refused."""
    commit = await proposal(chronicle, repository)

    async def praise(seat: Seat) -> None:
        receipt = await seat.submit(draft(hypothesis(commit)))
        review = Review(
            hypothesis=receipt.post_id,
            opinion="support",
            forecast=HUNCH,
        )
        with pytest.raises(PostRefusedError, match="own"):
            await seat.submit(draft(review, name="m2"))

    async with served("memory", chronicle, repository, COMPLETE) as (board, desk):
        await everything_heard(board, desk, praise)
    assert [post.posted.body["kind"] for post in chronicle.state.posts.values()] == ["hypothesis"]


@pytest.mark.parametrize("broker", ["memory", "embedded"])
@pytest.mark.parametrize("carries", ["summary", "everything"])
async def test_the_ledger_gives_out_later_what_the_wire_gave_at_once(
    broker: str, carries: Carries, chronicle: Chronicle, repository: Repository
) -> None:
    """A patch with hidden characters, a title at its bound: feed and catching up are the same."""
    commit = await proposal(chronicle, repository, comment="hid\u200bden \x1b[31m")
    assert chronicle.state.opened is not None
    parent = chronicle.state.opened.baseline_commit[:7]
    title = f"raise RATE 1.0 -> 2.0 on {parent}, {commit[:7]} ".ljust(300, "x")
    body = hypothesis(commit).model_copy(update={"title": title})
    family = TopologySection(family="complete", carries=carries)
    async with served(broker, chronicle, repository, family) as (board, desk):
        got = await everything_heard(board, desk, lambda seat: seat.submit(draft(body)))
    record = chronicle.state.posts["p1"]
    assert got["bob"] == [thin(record.as_post(), carries)]
    assert got["ada"] == [thin(record.as_post(), "everything")]
    assert isinstance(got["ada"][0].body, Hypothesis)
    assert "+# hidden [31m" in got["ada"][0].body.patch


async def test_knobs_that_no_post_can_carry_are_refused(
    chronicle: Chronicle, repository: Repository
) -> None:
    """What a proposal holds beyond a post's bounds is its author's to hear of, before recording."""
    commit = await proposal(chronicle, repository, knobs={"RATE": "x" * 301})

    async def say(seat: Seat) -> None:
        with pytest.raises(PostRefusedError, match="knobs"):
            await seat.submit(draft(hypothesis(commit)))

    async with served("memory", chronicle, repository, COMPLETE) as (board, desk):
        await everything_heard(board, desk, say)
    assert not chronicle.state.posts
