"""An institution on a real broker, its experiments scripted, and MCP servers at seats of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_script import House, calibrated, house, scenario_of
from mcp.server import Server
from mcp_researcher import community

from agents.roles import Role, load_role
from community.chronicle import Chronicle
from community.events import AgentJoined
from community.mcp.over_http import OverHttp
from community.mcp.serving import serve_seat
from community.scenario import Scenario
from forum.board import Board
from forum.broker import EmbeddedBroker
from forum.credentials import Credential, credential_path, write_credentials
from forum.ids import AgentName
from forum.mqtt_board import MqttBoard
from trainer.repository import Repository

EVERYTHING = Role(
    "everything",
    "You do whatever is to be done.",
    frozenset({"propose", "reproduce", "review", "merge", "lead", "comment"}),
)
NAMES = ("ada", "bob", "eve")
TOKEN = "a-token-of-the-tests-own"
TOOLS_THAT_READ = (
    "briefing", "observe", "threads", "read_thread", "read_code", "leaderboard", "queue",
    "verdict", "read_notebook", "wait_for_news",
)  # fmt: skip
TOOLS_THAT_ACT = (
    "propose", "merge", "reproduce", "review", "lead", "claim_lead", "comment", "notebook",
)  # fmt: skip


@dataclass
class World:
    """A run that goes on, and its broker."""

    home: House
    broker: EmbeddedBroker
    folder: Path

    async def restart_broker(self) -> None:
        """Kill the broker and start it again where it was."""
        self.broker._process.kill()
        await self.broker.aclose()
        self.broker = await EmbeddedBroker.start(
            self.broker.run_id, NAMES, port=self.broker.port, credentials=self.broker.credentials
        )


def at_home(
    chronicle: Chronicle,
    repository: Repository,
    folder: Path,
    board: Board | None = None,
    role: Role = EVERYTHING,
) -> AbstractAsyncContextManager[House]:
    """Run the institution: ada and bob are called by the test, eve comes from elsewhere."""
    for name in NAMES:
        mind = "remote" if name == "eve" else "policy:random"
        chronicle.record(AgentJoined(name, "explorer", mind, ()))
    roles = {"ada": load_role("explorer"), "bob": load_role("explorer"), "eve": role}
    return house(
        calibrated(chronicle), repository, folder, _scenario(), guests=("eve",), board=board,
        roles=roles,
    )  # fmt: skip


@asynccontextmanager
async def world(chronicle: Chronicle, repository: Repository, folder: Path) -> AsyncIterator[World]:
    """Run it on a real broker, with credentials in its folder, until the block ends."""
    broker = await EmbeddedBroker.start(folder.name, NAMES)
    logins = broker.credentials.logins
    url = f"mqtt://{broker.host}:{broker.port}"
    held = [Credential(name, logins[name].password, folder.name, url) for name in NAMES]
    write_credentials(folder / "credentials", held)
    board = MqttBoard(broker.host, broker.port, broker.run_id, broker.credentials)
    made: World | None = None
    try:
        async with at_home(chronicle, repository, folder, board) as home:
            made = World(home, broker, folder)
            yield made
    finally:
        await (made.broker if made else broker).aclose()


def _scenario() -> Scenario:
    data = scenario_of(None).model_dump()
    data["agents"] = [
        {"name": name, "role": "explorer", "mind": "remote" if name == "eve" else "policy:random"}
        for name in NAMES
    ]
    data["noise"]["confirm_pairs"] = 2
    return Scenario.model_validate(data)


@dataclass
class Listening:
    """A ``community mcp --http``."""

    process: asyncio.subprocess.Process
    url: str
    token: str


@asynccontextmanager
async def listening(folder: Path, *arguments: str, **environment: str) -> AsyncIterator[Listening]:
    """Run ``community mcp FOLDER --as eve --http 0 ARGUMENTS`` until the block ends."""
    asked = community(str(folder), "--as", "eve", "--http", "0", *arguments, **environment)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *asked.args, env=asked.env, stderr=asyncio.subprocess.PIPE
    )
    try:
        said = await said_by(process, "listening at ")
        token = environment.get("COMMUNITY_MCP_TOKEN") or (
            credential_path(folder / "credentials", "eve").with_name("eve.token").read_text()
        )
        yield Listening(process, said, token.strip())
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(20):
            await process.communicate()


async def said_by(process: asyncio.subprocess.Process, beginning: str) -> str:
    """Return the rest of the line that a process writes to standard error with this beginning."""
    assert process.stderr is not None
    told = []
    async with asyncio.timeout(60):
        async for line in process.stderr:
            told.append(line.decode())
            if told[-1].startswith(beginning):
                return told[-1].removeprefix(beginning).strip()
    raise AssertionError("".join(told))


@asynccontextmanager
async def served(board: Board, name: str = "eve") -> AsyncIterator[Server[Any]]:
    """Serve a seat of `board` in this process, as ``community mcp`` does in its own."""
    made: asyncio.Future[Server[Any]] = asyncio.get_running_loop().create_future()

    async def transport(server: Server[Any]) -> None:
        made.set_result(server)
        await asyncio.get_running_loop().create_future()

    async with board.seat(AgentName(name)) as seat:
        serving = asyncio.create_task(serve_seat(seat, AgentName(name), False, transport, _hush))
        try:
            await asyncio.wait({serving, made}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                await serving
            yield await made
        finally:
            serving.cancel()
            await asyncio.wait({serving})


@asynccontextmanager
async def listening_here(board: Board) -> AsyncIterator[OverHttp]:
    """Serve eve's seat of `board` over HTTP in this process, to `TOKEN`."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    transport = OverHttp(0, TOKEN, lines.put_nowait)
    async with board.seat(AgentName("eve")) as seat:
        serving = asyncio.create_task(serve_seat(seat, AgentName("eve"), False, transport, _hush))
        try:
            assert (await lines.get()).startswith("listening at ")
            yield transport
        finally:
            serving.cancel()
            await asyncio.wait({serving})


def _hush(line: str) -> None:
    """Tell nobody."""
