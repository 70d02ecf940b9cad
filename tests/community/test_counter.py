"""The counter: hostile requests are refused with a reason, honest ones are carried out once."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import BaseModel

from agents.errors import NotVisibleError
from community.archive.codec import decode_event
from community.chronicle import Chronicle
from community.counter import KEPT_REPLIES, MOST_OPEN, REFUSALS_NOTED, Asked, Counter, Service
from community.errors import LedgerError
from community.events import Noticed, Row
from community.observing import ROW_TOPIC, Observing
from forum.board import Desk, Requested, Seat
from forum.codec import MAX_POST_BYTES
from forum.errors import RequestRefusedError
from forum.ids import AgentName
from forum.memory_board import MemoryBoard
from forum.requests import JsonObject

ADA, BOB = AgentName("ada"), AgentName("bob")


class _Number(BaseModel):
    n: int


class Doubling:
    """Doubles numbers; ``hold`` waits for the gate."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str, int]] = []
        self.gate = asyncio.Event()

    async def serve(self, asked: Asked) -> JsonObject:
        """Do it."""
        match asked.op:
            case "double":
                number = asked.read(_Number).n
            case "hold":
                await self.gate.wait()
                number = 0
            case "break":
                raise ZeroDivisionError
            case "hide":
                raise NotVisibleError("no such commit")
            case "full":
                raise LedgerError("the disk is full")
            case "large":
                return {"text": "x" * 2_000_000}
            case _:
                raise RequestRefusedError("unknown_op", f"nobody can ask for {asked.op!r}")
        self.done.append((asked.who, asked.request_id, number))
        return {"n": 2 * number}


@asynccontextmanager
async def served(
    chronicle: Chronicle, service: Service, board: MemoryBoard
) -> AsyncIterator[tuple[Counter, Desk]]:
    """Serve ada and nobody else until the block ends."""
    async with board.desk() as desk:
        counter = Counter(chronicle, desk, lambda who: service if who == ADA else None)
        serving = asyncio.create_task(counter.serve())
        try:
            async with asyncio.timeout(20):
                yield counter, desk
        finally:
            serving.cancel()
            await asyncio.wait((serving,))


async def kind_of(seat: Seat, op: str, args: dict[str, Any], name: str) -> str:
    """Ask and return the kind of the refusal; empty if it was granted."""
    try:
        await seat.request(op, args, name)
    except RequestRefusedError as error:
        return error.kind
    return ""


async def test_a_request_is_carried_out_once_under_its_name(chronicle: Chronicle) -> None:
    """Repeats get the same answer, at once and later; another name is another request."""
    board, service = MemoryBoard(), Doubling()
    async with served(chronicle, service, board), board.seat(ADA) as ada:
        async with asyncio.TaskGroup() as group:
            both = [group.create_task(ada.request("double", {"n": 2}, "1")) for _ in range(2)]
        assert [task.result() for task in both] == [{"n": 4}, {"n": 4}]
        assert await ada.request("double", {"n": 5}, "1") == {"n": 4}
        assert await ada.request("double", {"n": 5}, "2") == {"n": 10}
    assert service.done == [("ada", "1", 2), ("ada", "2", 5)]


async def test_a_long_request_holds_nobody_up_and_waits_for_its_repeats(
    chronicle: Chronicle,
) -> None:
    """Others are answered meanwhile; repeats of it start nothing."""
    board, service = MemoryBoard(), Doubling()
    async with served(chronicle, service, board), board.seat(ADA) as ada:
        waiting = [asyncio.create_task(ada.request("hold", {}, "long")) for _ in range(5)]
        assert await ada.request("double", {"n": 1}, "short") == {"n": 2}
        assert not any(task.done() for task in waiting)
        service.gate.set()
        assert [await task for task in waiting] == [{"n": 0}] * 5
    assert [name for _, name, _ in service.done] == ["short", "long"]


async def test_what_is_wrong_is_refused_with_a_kind_and_noted(chronicle: Chronicle) -> None:
    """And nothing of it ends the counter, which goes on serving."""
    board, service = MemoryBoard(), Doubling()
    async with served(chronicle, service, board), board.seat(ADA) as ada:
        kinds = {
            (op, str(args)): await kind_of(ada, op, args, f"{op}{len(str(args))}")
            for op, args in [
                ("shutdown", {}),
                ("double", {"n": "four and a half"}),
                ("double", {}),
                ("double", {"n": [[[[[[[[[[[1]]]]]]]]]]]}),
                ("break", {}),
                ("hide", {}),
                ("large", {}),
            ]
        }
        assert [*kinds.values()] == [
            "unknown_op", "malformed", "malformed", "malformed", "failed", "failed", "too_large",
        ]  # fmt: skip
        assert await ada.request("double", {"n": 3}, "after") == {"n": 6}
    noted = [refused for _, refused in chronicle.state.refusals]
    assert {(each.who, each.what) for each in noted} == {("ada", "request")}
    assert not any("ZeroDivision" in each.reason for each in noted)


async def test_a_ledger_that_cannot_be_written_is_not_swallowed(chronicle: Chronicle) -> None:
    """That ends the run, as it does wherever it is noticed."""
    board, service = MemoryBoard(), Doubling()
    async with board.desk() as desk, board.seat(ADA) as ada:
        counter = Counter(chronicle, desk, lambda _: service)
        serving = asyncio.create_task(counter.serve())
        asking = asyncio.create_task(ada.request("full", {}, "1"))
        with pytest.raises(ExceptionGroup) as caught:
            await serving
        asking.cancel()
    assert caught.group_contains(LedgerError)


async def test_bytes_that_are_no_request_do_nothing(chronicle: Chronicle) -> None:
    """Noise, other messages, old versions, wrong envelopes: refused, at most some of it noted."""
    board, service, chance = MemoryBoard(), Doubling(), random.Random(7)

    def request(**changed: Any) -> bytes:
        message = {"schema_version": 1, "request_id": "1", "op": "double", "args": {"n": 1}}
        return json.dumps({"v": 1, "type": "request", "message": message | changed}).encode()

    hostile = [
        b"", b"{", b"[]", b"\xff\xfe", b"{" * 100_000, chance.randbytes(4096),
        request(schema_version=2), request(request_id=""), request(request_id="x" * 65),
        request(request_id="a\u00e9"), request(op="x" * 65), request(op=None), request(args=[]),
        request(args={"n": 1e999}), request(more=1), request(who="bob"),
        request().replace(b'"v": 1', b'"v": 2'), request().replace(b"request", b"draft", 1),
        request(args={"text": "x" * MAX_POST_BYTES}),
        json.dumps({"v": 1, "type": "request"}).encode(),
    ]  # fmt: skip
    async with served(chronicle, service, board), board.seat(ADA) as ada:
        for payload in hostile:
            board._request(Requested(ADA, payload))
        for _ in range(200):
            payload = bytearray(request())
            payload[chance.randrange(len(payload))] = chance.randrange(256)
            board._request(Requested(BOB, bytes(payload)))  # who takes no part is not heard
        await ada.request("double", {"n": 3}, "after")
    assert service.done == [("ada", "after", 3)]
    assert len(chronicle.state.refusals) == REFUSALS_NOTED


async def test_no_asker_takes_more_than_his_share(chronicle: Chronicle) -> None:
    """So many requests are open at once, and so many replies are kept."""
    board, service = MemoryBoard(), Doubling()
    async with served(chronicle, service, board), board.seat(ADA) as ada:
        many = [
            asyncio.create_task(kind_of(ada, "hold", {}, str(number)))
            for number in range(MOST_OPEN + 3)
        ]
        refused, _ = await asyncio.wait(many, return_when=asyncio.FIRST_COMPLETED)
        while len(refused) < 3:
            await asyncio.sleep(0.01)
            refused = {task for task in many if task.done()}
        assert [task.result() for task in refused] == ["too_many"] * 3
        service.gate.set()
        await asyncio.wait(many)
        for number in range(KEPT_REPLIES):
            await ada.request("double", {"n": number}, f"n{number}")
        await ada.request("double", {"n": 1}, "n0")
        await ada.request("hold", {}, "0")
    names = [name for _, name, _ in service.done]
    assert names.count("n0") == 1
    assert names.count("0") == 2  # forgotten since: whoever serves it keeps what must be kept


async def test_closing_tells_who_waits(chronicle: Chronicle) -> None:
    """Nobody hangs on a run that is over."""
    board, service = MemoryBoard(), Doubling()
    async with served(chronicle, service, board) as (counter, _), board.seat(ADA) as ada:
        waiting = asyncio.create_task(kind_of(ada, "hold", {}, "1"))
        assert await ada.request("double", {"n": 1}, "2") == {"n": 2}
        await counter.close("stopped", "the run is over")
        assert await waiting == "stopped"


async def test_a_stranger_gets_no_answer_and_no_row(chronicle: Chronicle) -> None:
    """Who takes no part cannot make the ledger grow."""
    board, service = MemoryBoard(), Doubling()
    async with (
        served(chronicle, service, board),
        board.seat(ADA) as ada,
        board.seat(BOB) as bob,
    ):
        asked = asyncio.create_task(bob.request("double", {"n": 1}, "1"))
        await asyncio.sleep(0)
        await ada.request("double", {"n": 1}, "1")
        assert not asked.done()
        asked.cancel()
    assert chronicle.state.refusals == []


async def test_an_observer_gets_the_whole_ledger_and_what_comes_after(
    chronicle: Chronicle,
) -> None:
    """Page by page, then as it happens; folded, it is the ledger that is there."""
    board = MemoryBoard()
    for number in range(50):
        chronicle.record(Noticed("budget", f"\u202enumber \u00e9 {number}"))

    def unpacked(rows: list[list[Any]]) -> list[Row]:
        return [Row(seq, at_us, decode_event(kind, body)) for seq, at_us, kind, body in rows]

    async with board.desk() as desk, board.observe() as watch, asyncio.timeout(20):
        observing = Observing(chronicle, desk)
        counter = Counter(chronicle, desk, lambda who: observing if who == "observer" else None)
        tasks = [asyncio.create_task(counter.serve()), asyncio.create_task(observing.publish())]
        rows: list[Row] = []
        is_last = False
        while not is_last:
            args = {"after_seq": rows[-1].seq if rows else 0, "limit": 20}
            page = await watch.request("rows", args, f"p{len(rows)}")
            rows += unpacked(page["rows"])
            is_last = page["is_last"]
        assert rows == list(chronicle.ledger.rows())
        await asyncio.sleep(0)
        for number in range(5):
            chronicle.record(Noticed("budget", f"later {number}"))
        while rows[-1].seq < chronicle.ledger.last_seq:
            event = await anext(watch)
            assert event.name == ROW_TOPIC
            rows += unpacked(json.loads(event.payload))
        assert rows == list(chronicle.ledger.rows())
        for bad in ({"limit": 0}, {"limit": 10**9}, {"after_seq": -1}, {"sql": "drop"}):
            with pytest.raises(RequestRefusedError):
                await watch.request("rows", bad, str(bad))
        with pytest.raises(RequestRefusedError, match="cannot ask"):
            await watch.request("act", {"action": "pause", "target": "ada"}, "act")
        for task in tasks:
            task.cancel()
