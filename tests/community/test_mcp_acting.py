"""What an MCP client asks for is done once, as its agent's turns, through all restarts."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from mcp import Client
from mcp_researcher import McpResearcher, Told, call
from mcp_world import EVERYTHING, at_home, served, world

from agents.roles import Quotas
from community.archive.state import RunState
from community.chronicle import Chronicle
from community.events import ExperimentQueued, Posted, Proposed, TurnTaken
from community.forum_events import SeatLeft
from trainer.repository import Repository


def proposing(rate: float) -> dict[str, Any]:
    """Return the arguments of a proposal on the baseline."""
    edit = {"path": "train.py", "how": "replace", "search": "RATE = 1.0", "text": f"RATE = {rate}"}
    return {"title": f"rate {rate}", "edits": [edit], "gain": 0.3, "confidence": 0.7}


def rows(chronicle: Chronicle, kind: type[Any]) -> list[Any]:
    """Return the events of one kind."""
    return [row.event for row in chronicle.ledger.rows() if isinstance(row.event, kind)]


async def settled(client: Client, hypothesis: str) -> Told:
    """Wait for news until a hypothesis has a verdict."""
    while not (told := await call(client, "verdict", hypothesis=hypothesis)).facts["status"]:
        await call(client, "wait_for_news", seconds=5)
    return told


async def test_a_call_is_done_once_also_by_a_server_that_was_started_again(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """At once, again, and after the first server was lost while the experiment went on."""
    words = {"thread": "", "text": "hello"}
    async with asyncio.timeout(90), at_home(chronicle, repository, tmp_path) as home:
        home.executor.gate.clear()
        async with served(home.board) as server, Client(server) as client:
            twice = [asyncio.create_task(call(client, "comment", **words)) for _ in range(2)]
            said = {(await each).facts["post"] for each in twice}
            more = await call(client, "comment", **words, request="once more")
            assert len(said | {more.facts["post"]}) == 2
            other = await call(client, "comment", thread="", text="bye", request="once more")
            assert "was another comment" in other.text
            mine = (await call(client, "propose", **proposing(1.5))).facts["post"]
            assert (await call(client, "propose", **proposing(1.5))).facts["post"] == mine
            busy = await call(client, "propose", **proposing(1.6))
            assert busy.is_error
            assert f"{mine} is being measured for you" in busy.text
            assert mine in (await call(client, "queue")).facts["under_way"]
        home.executor.gate.set()
        async with served(home.board) as server, Client(server) as client:
            again = await call(client, "propose", **proposing(1.5))
            assert (again.facts["post"], again.is_error) == (mine, False)
            assert "done before" in again.text
            assert (await call(client, "comment", **words)).facts["post"] in said
            assert (await settled(client, mine)).facts["status"] == "improved"
            await call(client, "notebook", text="1.5 is better")
    turns = [event.turn for event in rows(chronicle, TurnTaken)]
    assert turns == [0, 1, 2, 3]
    assert len(rows(chronicle, Proposed)) == 1
    queued = [e for e in rows(chronicle, ExperimentQueued) if e.hypothesis]
    assert [each.requested_by for each in queued] == ["eve"]
    posted = Counter(event.body["kind"] for event in rows(chronicle, Posted))
    assert posted == {"comment": 2, "hypothesis": 1, "finding": 1}
    assert chronicle.state.agents["eve"].notebook == "1.5 is better"


async def test_turns_that_are_used_up_end_it(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """As with every agent: it leaves for good, and nobody waits for it."""
    role = replace(EVERYTHING, quotas=Quotas(turns=1))
    async with (
        asyncio.timeout(60),
        at_home(chronicle, repository, tmp_path, role=role) as home,
        served(home.board) as server,
        Client(server) as client,
    ):
        assert not (await call(client, "comment", thread="", text="one")).is_error
        told = await call(client, "comment", thread="", text="two")
        assert told.is_error
        assert "its 1 turns are used up" in told.text
        await chronicle.wait_until(lambda state: "eve" not in state.forum.present)
    assert [event.why for event in rows(chronicle, SeatLeft)] == ["its 1 turns are used up"]


async def test_a_tool_that_the_role_does_not_grant_is_not_offered_nor_carried_out(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """The server says what there is instead."""
    role = replace(EVERYTHING, rights=frozenset({"comment"}))
    async with (
        asyncio.timeout(60),
        at_home(chronicle, repository, tmp_path, role=role) as home,
        served(home.board) as server,
        Client(server) as client,
    ):
        offered = {tool.name for tool in (await client.list_tools()).tools}
        assert {"comment", "notebook"} == offered & {"comment", "notebook", "propose", "lead"}
        for name in ("propose", "lead", "merge", "wait", "rm"):
            told = await call(client, name, **proposing(1.5))
            assert told.is_error
            assert "yours are briefing, observe" in told.text
        told = await call(client, "read_thread", post=7, part=0, more="x")
        assert told.is_error
        assert all(name in told.text for name in ("post:", "part:", "more:"))


async def test_a_broker_that_is_killed_loses_and_doubles_nothing(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A call made meanwhile is carried out when it is back, and what was missed is read."""
    async with (
        asyncio.timeout(120),
        world(chronicle, repository, tmp_path) as there,
        served(there.home.board) as server,
        Client(server) as client,
    ):
        before = (await call(client, "wait_for_news", seconds=0)).facts["cursor"]
        there.broker._process.kill()
        speaking = asyncio.create_task(call(client, "comment", thread="", text="still here"))
        await asyncio.sleep(0)
        await there.restart_broker()
        assert not (await speaking).is_error
        hers = await there.home.propose("ada", 1.5)
        news = await call(client, "wait_for_news", seconds=60, after=before)
        assert hers in news.facts["posts"]
    said = [e.body for e in rows(chronicle, Posted) if e.author == "eve"]
    assert [body["text"] for body in said] == ["still here"]


async def test_a_scripted_client_researches_and_reviews(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Looks, proposes, reads its verdicts, reviews what it is asked to: with no model."""
    async with (
        asyncio.timeout(90),
        at_home(chronicle, repository, tmp_path) as home,
        served(home.board) as server,
        Client(server) as client,
    ):
        await call(client, "observe")
        home.executor.gate.clear()
        hers = await home.propose("ada", 1.2)
        researcher = McpResearcher(client, {"RATE": (1.5, 1.6, 1.7)}, "train.py")
        researching = asyncio.create_task(researcher.research(hypotheses=2))
        await chronicle.wait_until(lambda state: _reviewed(state, hers))
        home.executor.gate.set()
        await researching
    assert len(researcher.verdicts) == 2
    assert set(researcher.verdicts.values()) <= {"improved", "not_improved", "undecided"}
    proposers = [claim.proposer for claim in chronicle.state.hypotheses.values()]
    assert proposers == ["ada", "eve", "eve"]
    assert [e.body["kind"] for e in rows(chronicle, Posted)].count("review") == 1


def _reviewed(state: RunState, hypothesis: str) -> bool:
    bodies = [post.posted.body for post in state.posts.values()]
    return any(b["kind"] == "review" and b["hypothesis"] == hypothesis for b in bodies)
