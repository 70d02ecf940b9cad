"""The processes of `board_speed.py`: a clerk, a hundred agents, a bare publisher and subscriber.

Each reads its orders as one line of JSON from standard input and answers in lines of JSON.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import aiomqtt

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
RUN_ID = "speed"
AGENTS = [f"a{number:03d}" for number in range(100)]
TEXT = "GRAD_CLIP at 0.5 keeps the loss from jumping in the first hundred steps. " * 3
WINDOW = 50


# --- the clerk's process ---------------------------------------------------------------------


async def clerk_process(orders: dict[str, Any]) -> None:
    """Serve a clerk until standard input ends; then say what the ledger holds."""
    from community.archive.ledger import Ledger
    from community.chronicle import Chronicle
    from community.clock import RunClock

    folder = Path(orders["folder"])
    with Ledger.create(folder / "ledger.db") as ledger:
        chronicle = Chronicle(ledger, RunClock())
        clerk_of = _prepared(chronicle, folder)
        async with _board(orders).desk() as desk:
            task = asyncio.create_task(clerk_of(desk).serve())
            say({"ready": True})
            used = os.times()
            await asyncio.to_thread(sys.stdin.readline)
            task.cancel()
        after, state = os.times(), chronicle.state
        delivered = {
            reader: sorted(state.posts[post_id].seq for post_id in posts)
            for reader, posts in state.delivered.items()
        }
        cpu_s = after.user + after.system - used.user - used.system
        say({"posts": len(state.posts), "delivered": delivered, "cpu_s": cpu_s})


def _prepared(chronicle: Any, folder: Path) -> Callable[[Any], Any]:
    """Record how the run begins; returns what makes its clerk."""
    from agents.roles import Role
    from community.assigning import Assigning
    from community.clerk import Clerk
    from community.events import RunOpened
    from community.scenario import ReviewsSection, TopologySection
    from community.topology import build_topology
    from trainer.repository import Repository
    from trainer.texts import TrustedTexts

    known = {name: Role("any", "talks", frozenset(["comment"])) for name in AGENTS}
    section = TopologySection(family="small_world", k=4, p=0.1)
    words = ("run_id", "scenario", "task", "version", "metric", "unit", "lock_hash", "corpus_hash")
    chronicle.record(
        RunOpened(
            **dict.fromkeys(words, "speed"),
            seed=1,
            direction="lower",
            budget_kind="steps",
            budget_amount=1.0,
            slots=("cpu0",),
            device_class="cpu",
            baseline_commit="b",
            baseline_tree_key="t",
        )
    )
    chronicle.record(build_topology(AGENTS, section, 1).as_event())
    repository = Repository.create(folder / "repo.git")
    assigning = Assigning(ReviewsSection(), known, 1, b"\0" * 32)
    return lambda desk: Clerk(chronicle, desk, repository, TrustedTexts(), assigning, 10**6)


# --- the agents' process ---------------------------------------------------------------------


async def agents_process(orders: dict[str, Any]) -> None:
    """Seat everybody, talk at the ordered rate, and say what was heard and when."""
    from forum.ids import AgentName

    board = _board(orders)
    heard: dict[str, list[tuple[int, float]]] = {name: [] for name in AGENTS}
    acks: list[float] = []
    async with asyncio.TaskGroup() as group:
        leaving, everybody = asyncio.Event(), asyncio.Event()
        seats: dict[str, Any] = {}

        async def live(name: str) -> None:
            async with board.seat(AgentName(name)) as seat:
                seats[name] = seat
                if len(seats) == len(AGENTS):
                    everybody.set()
                reading = asyncio.create_task(_hear(seat, heard[name]))
                await leaving.wait()
                reading.cancel()

        for name in AGENTS:
            group.create_task(live(name))
        await everybody.wait()
        await _talk(seats, 20.0, 2.0, [])  # everybody's first time
        for posts in heard.values():
            posts[:] = [(seq, float("nan")) for seq, _ in posts]
        used = os.times()
        sent, late = await _talk(seats, orders["rate"], orders["seconds"], acks)
        after = os.times()
        await asyncio.sleep(3.0)
        leaving.set()
    say(
        {
            "sent": sent,
            "unanswered": late,
            "acks": acks,
            "heard": heard,
            "cpu_s": after.user + after.system - used.user - used.system,
        }
    )


async def _hear(seat: Any, posts: list[tuple[int, float]]) -> None:
    async for post in seat.posts():
        late = time.monotonic() - float(post.body.text.partition(" ")[0])
        posts.append((post.seq, late))


async def _talk(
    seats: dict[str, Any], rate: float, seconds: float, acks: list[float]
) -> tuple[int, int]:
    """Post comments at `rate`; returns how many were sent and how many got no receipt in time."""
    from forum.messages import Comment, Draft

    chance = random.Random(7)
    names = list(seats)
    tasks: list[asyncio.Task[None]] = []

    async def post(number: int) -> None:
        began = time.monotonic()
        body = Comment(text=f"{began} {TEXT}")
        draft = Draft(message_id=f"{rate}-{number}", body=body)
        await seats[chance.choice(names)].submit(draft)
        acks.append(time.monotonic() - began)

    begin = due = time.monotonic()
    while due < begin + seconds:
        due += chance.expovariate(rate)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        tasks.append(asyncio.create_task(post(len(tasks))))
    _, late = await asyncio.wait(tasks, timeout=20.0)
    for task in late:
        task.cancel()
    return len(tasks), len(late)


def _board(orders: dict[str, Any]) -> Any:
    from forum.credentials import Credentials, Login
    from forum.mqtt_board import MqttBoard

    logins = {name: Login(user, word) for name, (user, word) in orders["logins"].items()}
    credentials = Credentials(logins=logins)
    return MqttBoard("127.0.0.1", orders["port"], RUN_ID, credentials)


# --- bare aiomqtt ------------------------------------------------------------------------------


async def subscriber_process(orders: dict[str, Any]) -> None:
    """Read one feed and say how late each message came."""
    took: list[float] = []
    async with _bare(orders, AGENTS[0]) as client:
        await client.subscribe(f"rc/{RUN_ID}/feed/{AGENTS[0]}", 1)
        say({"ready": True})
        stop = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))

        async def read() -> None:
            async for message in client.messages:
                late = time.monotonic() - float(bytes(message.payload).partition(b" ")[0])
                took.append(late)

        reading = asyncio.create_task(read())
        await stop
        reading.cancel()
    say({"took": took})


async def publisher_process(orders: dict[str, Any]) -> None:
    """Publish at the ordered rate, at most `WINDOW` without an answer."""
    chance = random.Random(7)
    window = asyncio.Semaphore(WINDOW)
    topic = f"rc/{RUN_ID}/feed/{AGENTS[0]}"
    rest = TEXT.encode().ljust(orders["bytes"], b".")
    tasks: set[asyncio.Task[None]] = set()
    async with _bare(orders, "clerk") as client:

        async def publish(began: float) -> None:
            async with window:
                await client.publish(topic, f"{began} ".encode() + rest, qos=1)

        begin = due = time.monotonic()
        while due < begin + orders["seconds"]:
            due += chance.expovariate(orders["rate"])
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(publish(time.monotonic()))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if tasks:
            await asyncio.wait(tasks, timeout=20.0)
    say({"done": True})


def _bare(orders: dict[str, Any], name: str) -> aiomqtt.Client:
    user, word = orders["logins"][name]
    return aiomqtt.Client(
        "127.0.0.1",
        orders["port"],
        username=user,
        password=word,
        identifier=f"{user}:bare",
        protocol=aiomqtt.ProtocolVersion.V311,
        max_inflight_messages=WINDOW,
        socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
    )


def say(what: dict[str, Any]) -> None:
    """Tell the parent."""
    print(json.dumps(what), flush=True)


PARTS: dict[str, Callable[[dict[str, Any]], Coroutine[Any, Any, None]]] = {
    "clerk": clerk_process,
    "agents": agents_process,
    "subscriber": subscriber_process,
    "publisher": publisher_process,
}

if __name__ == "__main__":
    logging.disable(logging.WARNING)
    asyncio.run(PARTS[sys.argv[1]](json.loads(sys.stdin.readline())))
