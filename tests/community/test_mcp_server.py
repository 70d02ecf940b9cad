"""The MCP server over both transports, asked by the official client: every tool, every resource."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp_researcher import Told, call, over_http, over_stdio
from mcp_types import TextResourceContents
from mcp_world import TOOLS_THAT_ACT, TOOLS_THAT_READ, World, listening, world

from community.chronicle import Chronicle
from community.forum_events import SeatLeft
from forum.ids import AgentName
from forum.messages import Draft, Lead
from trainer.repository import Repository

HUNCH: dict[str, Any] = {
    "opinion": "support", "reproduced": 0.6, "gain_low": 0.1, "gain_mid": 0.4, "gain_high": 0.6,
    "fails": 0.1, "text": "it may well help",
}  # fmt: skip


def edit(search: str, text: str) -> list[dict[str, str]]:
    """Return one edit of the task's only file."""
    return [{"path": "train.py", "how": "replace", "search": search, "text": text}]


def proposing(rate: float, **more: Any) -> dict[str, Any]:
    """Return the arguments of a proposal on the baseline."""
    return {
        "title": f"rate {rate}", "rationale": "more of it", "parent": "", "gain": 0.3,
        "edits": edit("RATE = 1.0", f"RATE = {rate}"), "confidence": 0.7, "lead": "",
        "insists": True, **more,
    }  # fmt: skip


async def good(client: Client, name: str, **arguments: Any) -> Told:
    """Call a tool that has to work."""
    told = await call(client, name, **arguments)
    assert not told.is_error, (name, told.text)
    return told


async def settled(client: Client, hypothesis: str) -> Told:
    """Wait for news until a hypothesis has a verdict."""
    async with asyncio.timeout(30):
        while not (told := await good(client, "verdict", hypothesis=hypothesis)).facts["status"]:
            await good(client, "wait_for_news", seconds=5)
    return told


async def exercise(client: Client, there: World) -> None:
    """Call every tool and read every resource, each with something to find."""
    home = there.home
    told = await client.list_tools()
    assert [tool.name for tool in told.tools] == [*TOOLS_THAT_READ, *TOOLS_THAT_ACT]
    for tool in told.tools:
        assert tool.input_schema["type"] == "object"
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint == (tool.name in TOOLS_THAT_READ)
    assert "data" in (client.instructions or "")

    briefing = await good(client, "briefing")
    assert "You do whatever is to be done." in briefing.text
    home.executor.gate.clear()
    hers = await home.propose("ada", 1.5)
    news = await good(client, "wait_for_news", seconds=20)
    assert hers in news.facts["posts"]
    assert hers in (await good(client, "observe")).facts["review"]
    assert hers in (await good(client, "queue")).text
    assert "sealed" in (await good(client, "review", hypothesis=hers, **HUNCH)).text
    home.executor.gate.set()
    await home.lab("ada").run(home.commit_of(hers), hers)
    await home.report("ada", hers)

    wider = {"parent": briefing.facts["baseline"], "edits": edit("WIDTH = 4", "WIDTH = 7")}
    mine = (await good(client, "propose", **proposing(1.0, **wider))).facts["post"]
    assert (await settled(client, mine)).facts["status"] == "not_improved"
    assert (await settled(client, hers)).facts["status"] == "improved"
    board = await good(client, "leaderboard")
    assert {each["author"] for each in board.facts["commits"]} == {"lab", "ada", "eve"}
    commit = home.commit_of(hers)
    code = await good(client, "read_code", commit=commit[:10], path="train.py")
    assert "RATE = 1.5" in code.text

    await good(client, "reproduce", hypothesis=hers)
    async with asyncio.timeout(30):
        while (await settled(client, hers)).facts["status"] == "improved":
            await good(client, "wait_for_news", seconds=5)
    merging = {"title": "both", "rationale": "", "gain": 0.1, "confidence": 0.6}
    both = await good(client, "merge", first=commit, second=home.commit_of(mine), **merging)
    await settled(client, both.facts["post"])

    lead = (await good(client, "lead", title="the width", text="look at it")).facts["post"]
    async with home.board.seat(AgentName("ada")) as seat:
        body = Lead(title="warm it up", text="it may help")
        his = (await seat.submit(Draft(message_id="a-lead", body=body))).post_id
    async with asyncio.timeout(20):
        while his not in (await good(client, "observe")).facts["leads"]:
            await good(client, "wait_for_news", seconds=5)
    await good(client, "claim_lead", lead=his)
    await good(client, "comment", thread=hers, text="well done")
    assert lead in (await good(client, "threads")).facts["threads"]
    assert "well done" in (await good(client, "read_thread", post=hers)).text
    await good(client, "notebook", text="RATE up to 1.5 helps")
    assert "helps" in (await good(client, "read_notebook")).text
    await _read_everything(client, hers, commit)


async def _read_everything(client: Client, post: str, commit: str) -> None:
    pages = [each.uri for each in (await client.list_resources()).resources]
    families = [
        each.uri_template for each in (await client.list_resource_templates()).resource_templates
    ]
    names = {"{post}": post, "{commit}": commit, "{hypothesis}": post}
    for family in families:
        brace = family[family.index("{") :]
        pages.append(family.replace(brace, names[brace]))
    assert len(pages) == 9
    for uri in pages:
        (content,) = (await client.read_resource(uri)).contents
        assert isinstance(content, TextResourceContents)
        assert content.mime_type == "text/plain"
        assert content.text.strip()
    with pytest.raises(MCPError, match="no resource"):
        await client.read_resource("community://../credentials")


async def test_every_tool_and_resource_over_stdio(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """The server is started by the client, as coding agents do; closing it leaves the seat free."""
    async with asyncio.timeout(120), world(chronicle, repository, tmp_path) as there:
        async with Client(over_stdio(str(tmp_path), "--as", "eve"), mode="legacy") as client:
            await exercise(client, there)
        await chronicle.wait_until(lambda state: "eve" not in state.forum.present)
    farewells = [
        row.event.why for row in chronicle.ledger.rows() if isinstance(row.event, SeatLeft)
    ]
    assert farewells == ["left"]


async def test_every_tool_and_resource_over_http(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A server that listens; the client speaks the newest protocol there is."""
    async with (
        asyncio.timeout(120),
        world(chronicle, repository, tmp_path) as there,
        listening(tmp_path) as server,
    ):
        async with Client(over_http(server.url, server.token)) as client:
            await exercise(client, there)
        server.process.terminate()
        assert await server.process.wait() == 143
        await chronicle.wait_until(lambda state: "eve" not in state.forum.present)
