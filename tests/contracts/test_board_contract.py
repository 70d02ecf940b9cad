"""What every Board does, whatever carries its messages: in memory, and over MQTT."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from forum.board import Board, Desk, Observed
from forum.codec import decode_draft
from forum.errors import (
    BoardClosedError,
    PostRefusedError,
    SeatTakenError,
    TopicError,
)
from forum.ids import AgentName
from forum.messages import Comment, Draft, Notice, Post, Receipt

ADA, BOB, CARL = AgentName("ada"), AgentName("bob"), AgentName("carl")
pytestmark = pytest.mark.asyncio(loop_scope="module")


def draft(message_id: str, text: str = "hello") -> Draft:
    """Make a draft."""
    return Draft(message_id=message_id, body=Comment(text=text))


def post(seq: int, text: str = "hello") -> Post:
    """Make a post."""
    body = Comment(text=text)
    return Post(post_id=f"p{seq}", seq=seq, at_us=seq, author=ADA, message_id=f"m{seq}", body=body)


def accept(given: Draft, seq: int) -> Receipt:
    """Record everything."""
    return Receipt(message_id=given.message_id, post_id=f"p{seq}", seq=seq)


def refuse(given: Draft, _: int) -> Receipt:
    """Record nothing."""
    return Receipt(message_id=given.message_id, reason="no quota left; wait")


@asynccontextmanager
async def clerk(
    desk: Desk, judge: Callable[[Draft, int], Receipt] = accept
) -> AsyncIterator[list[str]]:
    """Answer submissions while the block runs; the list says who submitted what, in order."""
    seen: list[str] = []

    async def serve() -> None:
        async for submission in desk.submissions():
            given = decode_draft(submission.payload)
            seen.append(f"{submission.author}:{given.message_id}")
            await desk.acknowledge(submission.author, judge(given, len(seen)))

    task = asyncio.create_task(serve())
    try:
        yield seen
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def take(messages: AsyncIterator[Post], count: int) -> list[int]:
    """Read `count` posts and return their sequence numbers."""
    async with asyncio.timeout(10):
        return [(await anext(messages)).seq for _ in range(count)]


async def test_submit_returns_the_receipt_of_ones_own_draft(board: Board) -> None:
    """Authors get the receipt of the draft they handed in, even when they submit at once."""
    async with (
        board.desk() as desk,
        board.seat(ADA) as ada,
        board.seat(BOB) as bob,
        clerk(desk) as seen,
        asyncio.timeout(10),
        asyncio.TaskGroup() as tasks,
    ):
        first = tasks.create_task(ada.submit(draft("a1")))
        second = tasks.create_task(bob.submit(draft("b1")))
        third = tasks.create_task(ada.submit(draft("a2")))
    assert [first.result().message_id, third.result().message_id] == ["a1", "a2"]
    assert second.result().message_id == "b1"
    assert sorted(seen) == ["ada:a1", "ada:a2", "bob:b1"]
    assert first.result().post_id is not None


async def test_a_refusal_raises_with_its_reason(board: Board) -> None:
    """The author learns why the clerk refused."""
    async with board.desk() as desk, board.seat(ADA) as ada, clerk(desk, refuse):
        with pytest.raises(PostRefusedError, match="no quota left") as caught:
            await ada.submit(draft("a1"))
    assert caught.value.message_id == "a1"


async def test_an_oversized_draft_is_refused_before_it_is_sent(board: Board) -> None:
    """A draft above the cap does not travel, and its author is told."""
    huge = Draft.model_construct(
        message_id="a1", thread=None, body=Comment.model_construct(text="x" * 600_000)
    )
    async with board.desk() as desk, board.seat(ADA) as ada, clerk(desk) as seen:
        with pytest.raises(PostRefusedError, match="the cap is"):
            await ada.submit(huge)
    assert seen == []


async def test_a_repeated_draft_gets_its_receipt_again(board: Board) -> None:
    """Submitting one message id twice is safe for the author; the clerk sees both."""
    async with board.desk() as desk, board.seat(ADA) as ada, clerk(desk) as seen:
        async with asyncio.timeout(10):
            await ada.submit(draft("a1"))
            again = await ada.submit(draft("a1"))
    assert again.message_id == "a1"
    assert seen == ["ada:a1", "ada:a1"]


async def test_drafts_handed_in_before_the_clerk_came_are_answered(board: Board) -> None:
    """A draft waits for a desk and then gets its receipt."""
    async with board.seat(ADA) as ada, asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        early = tasks.create_task(ada.submit(draft("a1")))
        await asyncio.sleep(0)
        async with board.desk() as desk, clerk(desk):
            await asyncio.wait((early,))
    assert early.result().post_id == "p1"


async def test_posts_reach_the_addressed_reader_only_and_in_order(board: Board) -> None:
    """Who is not addressed sees nothing; who is sees the order of delivery."""
    async with board.desk() as desk, board.seat(ADA) as ada, board.seat(BOB) as bob:
        for seq in range(1, 31):
            await desk.deliver(ADA, post(seq))
        await desk.deliver(BOB, post(99))
        assert await take(ada.posts(), 30) == list(range(1, 31))
        assert await take(bob.posts(), 1) == [99]  # the last delivery is the first bob sees
    assert [p.seq async for p in ada.posts()] == []
    assert [p.seq async for p in bob.posts()] == []


async def test_a_post_delivered_twice_is_shown_once(board: Board) -> None:
    """Repeats by sequence number are dropped, wherever they come in the stream."""
    async with board.desk() as desk, board.seat(ADA) as ada:
        for seq in (1, 2, 1, 2, 3, 1, 4):
            await desk.deliver(ADA, post(seq))
        assert await take(ada.posts(), 4) == [1, 2, 3, 4]
        assert ada.interruptions == 0


async def test_a_post_arrives_as_it_was_delivered(board: Board) -> None:
    """All fields survive the way."""
    sent = post(7, "Größe ≤ 3 → 'ok'\n\tx")
    async with board.desk() as desk, board.seat(ADA) as ada, asyncio.timeout(10):
        await desk.deliver(ADA, sent)
        assert await anext(ada.posts()) == sent


async def test_an_absent_reader_misses_posts(board: Board) -> None:
    """The board stores nothing for readers: they catch up from the ledger."""
    async with board.desk() as desk:
        await desk.deliver(ADA, post(1))
        async with board.seat(BOB) as bob:  # bob's post proves that ada's has been dealt with
            await desk.deliver(BOB, post(2))
            assert await take(bob.posts(), 1) == [2]
        async with board.seat(ADA) as ada:
            await desk.deliver(ADA, post(3))
            assert await take(ada.posts(), 1) == [3]


async def test_notices_reach_everybody(board: Board) -> None:
    """One notice, every seat."""
    notice = Notice(kind="pause", text="lunch")
    async with board.desk() as desk, board.seat(ADA) as ada, board.seat(BOB) as bob:
        await desk.notify(notice)
        async with asyncio.timeout(10):
            assert await anext(ada.notices()) == notice
            assert await anext(bob.notices()) == notice


async def test_observers_see_events_and_agents_do_not(board: Board) -> None:
    """Events go to observers alone."""
    async with board.desk() as desk, board.seat(ADA) as ada, board.observe() as events:
        await desk.observe("post/p1", b"{}")
        async with asyncio.timeout(10):
            assert await anext(events) == Observed("post/p1", b"{}")
    assert [p async for p in ada.posts()] == []
    assert [n async for n in ada.notices()] == []
    assert [e async for e in events] == []


async def test_events_with_wildcards_are_refused(board: Board) -> None:
    """An event's name cannot leave the events' part of the topics."""
    async with board.desk() as desk:
        for name in ("#", "a/+", "../feed", "", "a//b"):
            with pytest.raises(TopicError):
                await desk.observe(name, b"")


async def test_leaving_ends_iterators_and_fails_waiting_submissions(board: Board) -> None:
    """Nobody waits for ever on a seat or desk that was left."""

    async def drained(messages: AsyncIterator[object]) -> int:
        return len([message async for message in messages])

    async with (
        asyncio.timeout(10),
        asyncio.TaskGroup() as tasks,
        board.desk() as desk,
        board.seat(ADA) as ada,
    ):
        reading = [
            tasks.create_task(drained(ada.posts())),
            tasks.create_task(drained(ada.notices())),
        ]
        tasks.create_task(drained(desk.submissions()))
        waiting = asyncio.create_task(ada.submit(draft("a1")))
        await asyncio.sleep(0)
    assert [task.result() for task in reading] == [0, 0]
    with pytest.raises(BoardClosedError):
        await waiting
    with pytest.raises(BoardClosedError):
        await ada.submit(draft("a2"))


async def test_a_cancelled_submission_can_be_repeated(board: Board) -> None:
    """Giving up on a receipt harms neither the seat nor the next try with the same id."""
    async with board.desk() as desk, board.seat(ADA) as ada, asyncio.timeout(10):
        waiting = asyncio.create_task(ada.submit(draft("a1")))
        assert (await anext(desk.submissions())).author == ADA
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        async with clerk(desk):
            assert (await ada.submit(draft("a1"))).message_id == "a1"


async def test_seat_and_desk_are_taken_once(board: Board) -> None:
    """A second seat for one agent, or a second desk, is refused; leaving frees them."""
    async with board.desk(), board.seat(ADA):
        with pytest.raises(SeatTakenError):
            async with board.seat(ADA):
                pass
        with pytest.raises(SeatTakenError):
            async with board.desk():
                pass
    async with board.desk(), board.seat(ADA):
        pass


async def test_an_error_inside_the_block_comes_out_as_it_is(board: Board) -> None:
    """Connections do not wrap the caller's exceptions in groups."""
    with pytest.raises(ZeroDivisionError):
        async with board.desk(), board.seat(ADA):
            raise ZeroDivisionError


async def test_the_institutions_names_are_no_seats(board: Board) -> None:
    """Nobody sits down as the clerk, an observer or the lab."""
    for name in ("clerk", "observer", "lab", "Ada", "a/b", "+", ""):
        with pytest.raises(TopicError):
            async with board.seat(AgentName(name)):
                pass
