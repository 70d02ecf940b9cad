"""What every Board does with requests and their replies, whatever carries them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from forum.board import Board, Desk, Observed
from forum.codec import decode_request
from forum.errors import BoardClosedError, RequestRefusedError
from forum.ids import AgentName
from forum.requests import MAX_REQUEST_BYTES, Reply, Request, refusal

ADA, BOB = AgentName("ada"), AgentName("bob")
pytestmark = pytest.mark.asyncio(loop_scope="module")


def echo(who: str, asked: Request) -> Reply:
    """Say who asked what."""
    return Reply(request_id=asked.request_id, ok=True, result={"who": who, **asked.args})


@asynccontextmanager
async def counter(
    desk: Desk, answer: Callable[[str, Request], Reply] = echo
) -> AsyncIterator[list[str]]:
    """Answer requests while the block runs; the list says who asked what, in order."""
    seen: list[str] = []

    async def serve() -> None:
        async for requested in desk.requests():
            asked = decode_request(requested.payload)
            seen.append(f"{requested.who}:{asked.op}:{asked.request_id}")
            await desk.reply(requested.who, answer(requested.who, asked))

    task = asyncio.create_task(serve())
    try:
        yield seen
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_request_gets_the_reply_to_itself(board: Board) -> None:
    """Askers get what they asked for, even when many ask at once."""
    async with (
        board.desk() as desk,
        board.seat(ADA) as ada,
        board.seat(BOB) as bob,
        counter(desk) as seen,
        asyncio.timeout(10),
        asyncio.TaskGroup() as tasks,
    ):
        first = tasks.create_task(ada.request("read", {"n": 1}, "a1"))
        second = tasks.create_task(bob.request("read", {"n": 2}, "b1"))
        third = tasks.create_task(ada.request("read", {"n": 3}, "a2"))
    assert [task.result() for task in (first, second, third)] == [
        {"who": "ada", "n": 1},
        {"who": "bob", "n": 2},
        {"who": "ada", "n": 3},
    ]
    assert sorted(seen) == ["ada:read:a1", "ada:read:a2", "bob:read:b1"]


async def test_a_request_that_is_turned_down_raises_with_kind_and_reason(board: Board) -> None:
    """The asker can tell programs and people why."""

    def turn_down(_: str, asked: Request) -> Reply:
        return refusal(asked.request_id, "no_right", "no right to that " + "x" * 400)

    async with board.desk() as desk, board.seat(ADA) as ada, counter(desk, turn_down):
        with pytest.raises(RequestRefusedError, match="no right to that") as caught:
            async with asyncio.timeout(10):
                await ada.request("merge", {}, "a1")
    assert caught.value.kind == "no_right"
    assert len(caught.value.reason) == 300


async def test_a_request_is_repeated_until_somebody_answers(board: Board) -> None:
    """One asked before the desk is taken, or whose reply got lost, is answered all the same."""
    async with board.seat(ADA) as ada, asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        early = tasks.create_task(ada.request("read", {"n": 1}, "a1"))
        await asyncio.sleep(0)
        async with board.desk() as desk:
            assert (await anext(desk.requests())).who == ADA  # taken in, and never answered
        async with board.desk() as desk, counter(desk) as seen:
            await asyncio.wait((early,))
    assert early.result() == {"who": "ada", "n": 1}
    assert seen == ["ada:read:a1"]


async def test_a_request_above_the_cap_or_of_odd_names_does_not_travel(board: Board) -> None:
    """Its asker is told; nobody else hears of it."""
    bad = {
        "huge": ("read", {"text": "x" * MAX_REQUEST_BYTES}),
        "no op": ("", {}),
        "odd op": ("re\nad", {}),
        "no JSON": ("read", {"n": float("nan")}),
        "an object": ("read", {"n": object()}),
    }
    async with board.desk() as desk, board.seat(ADA) as ada, counter(desk) as seen:
        for name, (op, args) in bad.items():
            with pytest.raises(RequestRefusedError):
                await ada.request(op, args, name)
    assert seen == []


async def test_leaving_fails_waiting_requests(board: Board) -> None:
    """Nobody waits for ever for a reply at a seat or a watch that was left."""
    waiting = []
    async with asyncio.timeout(10), board.desk(), board.seat(ADA) as ada, board.observe() as watch:
        waiting += [asyncio.create_task(each.request("read", {}, "1")) for each in (ada, watch)]
        await asyncio.sleep(0)
    for task in waiting:
        with pytest.raises(BoardClosedError):
            await task
    with pytest.raises(BoardClosedError):
        await ada.request("read", {}, "2")


async def test_observers_ask_beside_watching(board: Board) -> None:
    """An observer's requests come in its name, and events go on."""
    async with (
        board.desk() as desk,
        board.observe() as watch,
        board.seat(ADA) as ada,
        counter(desk) as seen,
        asyncio.timeout(10),
    ):
        assert await watch.request("rows", {"after_seq": 0}, "o1") == {
            "who": "observer",
            "after_seq": 0,
        }
        await desk.observe("row", b"[]")
        assert await anext(watch) == Observed("row", b"[]")
        assert (await ada.request("read", {}, "o1"))["who"] == "ada"
    assert seen == ["observer:rows:o1", "ada:read:o1"]
