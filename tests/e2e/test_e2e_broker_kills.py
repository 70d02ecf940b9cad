"""Twenty SIGKILLs of the broker under a run of real jobs: nothing is lost and nothing doubled.

Two researchers elsewhere keep a log of everything their seats gave them and say something all the
while. Afterwards their logs are what the ledger says has reached them, and everything they said is
in the ledger once, in their order.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from e2e_life import Life, recorded, state_of
from e2e_scenarios import scenario_text

from agents.remote_lab import RemoteLab
from community.events import Noticed, Posted, Row, VerdictGiven
from forum.board import Seat
from forum.credentials import credential_path, load_credential
from forum.ids import AgentName
from forum.messages import Comment, Draft, Post
from forum.mqtt_board import MqttBoard
from forum.visibility import thin

KILLS = 20
AGENTS = ("ada explorer random", "bob exploiter greedy",
          "lena explorer remote", "otto explorer remote")  # fmt: skip


@dataclass
class Log:
    """What one researcher's seat gave him, and what he said."""

    name: str
    heard: list[Post] = field(default_factory=list)
    """In the order in which it was taken in, each once."""
    said: list[str] = field(default_factory=list)
    """Message ids, acknowledged."""
    repeated: list[int] = field(default_factory=list)
    """Sequence numbers that a feed yielded twice."""

    def take_in(self, post: Post) -> None:
        """Note a post unless it is known: from the feed or from catching up."""
        if all(post.seq != known.seq for known in self.heard):
            self.heard.append(post)


async def _listen(seat: Seat, log: Log) -> None:
    fed: set[int] = set()
    async for post in seat.posts():
        if post.seq in fed:
            log.repeated.append(post.seq)
        fed.add(post.seq)
        log.take_in(post)


async def _make_good(seat: Seat, lab: RemoteLab, log: Log) -> None:
    """Catch up whenever the feed was interrupted, as an agent does."""
    known = -1
    while True:
        if (interruptions := seat.interruptions) > known:
            for post in await lab.catch_up(0):
                log.take_in(post)
            known = interruptions
        await asyncio.sleep(0.2)


async def _talk(seat: Seat, log: Log) -> None:
    while True:
        message_id = f"{log.name}-{len(log.said) + 1}"
        await seat.submit(Draft(message_id=message_id, body=Comment(text=f"word {message_id}")))
        log.said.append(message_id)
        await asyncio.sleep(0.3)


@asynccontextmanager
async def _seated(folder: Path, log: Log) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Take a seat and follow the talk; the tasks are listening, catching up and talking."""
    credential = load_credential(credential_path(folder / "credentials", log.name))
    async with MqttBoard.joining(None, credential).seat(AgentName(log.name)) as seat:
        lab = RemoteLab(seat, "a test")
        await lab.take_seat()
        tasks = [
            asyncio.create_task(_listen(seat, log)),
            asyncio.create_task(_make_good(seat, lab, log)),
            asyncio.create_task(_talk(seat, log)),
        ]
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()


def _broker(life: Life) -> psutil.Process | None:
    for child in psutil.Process(life.process.pid).children(recursive=True):
        try:
            if any("forum.broker_process" in word for word in child.cmdline()):
                return child
        except psutil.NoSuchProcess:
            continue
    return None


async def _kill_brokers(life: Life) -> int:
    """Kill the broker again and again, each time once another one is there."""
    chance = random.Random(20)
    last, killed = 0, 0
    while killed < KILLS:
        await asyncio.sleep(chance.uniform(0.1, 1.5))
        assert life.process.poll() is None, life.text
        broker = _broker(life)
        if broker is not None and broker.pid != last:
            broker.send_signal(signal.SIGKILL)
            last, killed = broker.pid, killed + 1
    return killed


def _has_begun(row: Row) -> bool:
    return isinstance(row.event, Noticed) and row.event.notice == "start"


def _owed(folder: Path, name: str, until_seq: int) -> dict[int, Post]:
    """Return what the ledger says has reached `name`, of the posts up to a row."""
    state = state_of(folder)
    owed = {}
    for post_id, carries in state.delivered[name].items():
        record = state.posts[post_id]
        copy = thin(record.as_post(), carries)  # type: ignore[arg-type]
        if record.seq <= until_seq and copy is not None:
            owed[record.seq] = copy
    return owed


def _is_whole(folder: Path, log: Log, until_seq: int) -> bool:
    return set(_owed(folder, log.name, until_seq)) <= {post.seq for post in log.heard}


async def _until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_true():  # noqa: ASYNC110 - nothing tells when a file has changed
            await asyncio.sleep(0.2)


async def test_a_broker_killed_twenty_times_costs_no_word(small: Path, tmp_path: Path) -> None:
    """Ledger and subscribers agree; the experiments went on meanwhile."""
    (tmp_path / "kills.toml").write_text(scenario_text(small, AGENTS))
    life = Life.begin("kills.toml", cwd=tmp_path)
    logs = [Log("lena"), Log("otto")]
    try:
        assert await asyncio.to_thread(life.await_row, _has_begun, 120)
        async with _seated(life.folder, logs[0]) as lena, _seated(life.folder, logs[1]) as otto:
            before = len(recorded(life.folder))
            assert await _kill_brokers(life) == KILLS
            talked = {log.name: len(log.said) for log in logs}
            await _until(lambda: all(len(log.said) > talked[log.name] + 1 for log in logs))
            for tasks in (lena, otto):
                tasks[2].cancel()
            until_seq = recorded(life.folder)[-1].seq
            await _until(lambda: all(_is_whole(life.folder, log, until_seq) for log in logs))
        rows = recorded(life.folder)
        assert any(isinstance(row.event, VerdictGiven) for row in rows[before:])
    finally:
        life.kill()
    for log in logs:
        assert not log.repeated
        heard = {post.seq: post for post in log.heard if post.seq <= until_seq}
        assert heard == _owed(life.folder, log.name, until_seq)
        told = [r.event.message_id for r in rows
                if isinstance(r.event, Posted) and r.event.author == log.name]  # fmt: skip
        assert told[: len(log.said)] == log.said
        assert len(set(told)) == len(told)
        assert len(log.said) > KILLS // 4
