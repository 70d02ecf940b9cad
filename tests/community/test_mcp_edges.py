"""What a researcher's edges do not carry, nothing of his MCP server ever returns."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from bench_script import House
from mcp import Client, MCPError
from mcp_researcher import call
from mcp_types import TextResourceContents
from mcp_world import TOOLS_THAT_READ, at_home, served

from agents.lab import Proposal
from community.chronicle import Chronicle
from community.forum_events import TopologySet
from forum.ids import AgentName
from forum.messages import Comment, Draft, Hypothesis, Lead, Prediction
from trainer.repository import Repository

LEVELS = ("score", "summary", "diff", "everything")
MARK = re.compile(r"[A-Z]+of(?:ada|bob)\d+")
"""A word that one author wrote in one place: WHYofada1."""
RATES = {"ada": 1.4375, "bob": 1.3125}


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_is_returned_that_the_edges_did_not_carry(
    chronicle: Chronicle, repository: Repository, tmp_path: Path, seed: int
) -> None:
    """Random graphs and levels; every tool and resource, asked for hidden things by name too."""
    chance = random.Random(seed)
    edges: dict[str, dict[str, Any]] = {"ada": {}, "bob": {}, "eve": {}}
    for author in RATES:
        if seed == 0 or chance.random() < 0.7:  # the first hears nobody in full, nobody is unheard
            edges[author]["eve"] = LEVELS[0] if seed == 0 else chance.choice(LEVELS)
        if chance.random() < 0.5:
            edges[author]["bob" if author == "ada" else "ada"] = chance.choice(LEVELS)
    async with asyncio.timeout(90), at_home(chronicle, repository, tmp_path) as home:
        chronicle.record(TopologySet(1, edges, "drawn", {}))
        if seed % 2:  # it comes late, and catches up from the ledger
            await _say_everything(home)
        async with served(home.board) as server, Client(server) as client:
            await call(client, "observe")
            if not seed % 2:  # it hears them as they come
                await _say_everything(home)
            told = "\n".join([text async for text in _everything_told(home, client)])
        reached = await home.lab("eve").catch_up(0)
    allowed = "\n".join(post.model_dump_json() for post in reached)
    assert set(MARK.findall(told)) <= set(MARK.findall(allowed))
    for author, rate in RATES.items():
        level = edges[author].get("eve", "")
        commits = [
            each.commit for each in chronicle.state.proposals.values() if each.author == author
        ]
        if level not in ("diff", "everything"):
            assert str(rate) not in told  # neither its diff nor its code
            assert not [commit for commit in commits if commit[:10] in told]
        elif level:
            assert str(rate) in told  # or the test would hold of a server that says nothing
        if not level:
            assert author not in told.replace("of" + author, "")
            assert not re.search(rf"of{author}\d", told)


async def _say_everything(home: House) -> None:
    """Have each author post one of everything, measured and reported on; each text is marked."""
    for author in RATES:
        await _say(home, author)


async def _say(home: House, author: str) -> None:
    opened = home.chronicle.state.opened
    assert opened is not None
    text = f"RATE = {RATES[author]}\n# knob\nWIDTH = 4\n"
    proposal = Proposal((opened.baseline_commit,), {"train.py": text}, f"TITLEof{author}1")
    prepared = await home.lab(author).prepare(proposal)
    hypothesis = Hypothesis(
        title=f"TITLEof{author}1", rationale=f"WHYof{author}1", parents=(opened.baseline_commit,),
        prediction=Prediction(gain=0.1, confidence=0.5), commit=prepared.commit,
        patch=prepared.patch, knobs={"RATE": RATES[author]},
    )  # fmt: skip
    async with home.board.seat(AgentName(author)) as seat:
        said = (await seat.submit(Draft(message_id=f"{author}-h", body=hypothesis))).post_id
        assert said is not None
        lead = Lead(title=f"LEADof{author}1", text=f"TRYof{author}1")
        await seat.submit(Draft(message_id=f"{author}-l", body=lead))
        for number, thread in enumerate((None, said)):
            comment = Comment(text=f"SAYof{author}{number}")
            await seat.submit(Draft(message_id=f"{author}-m{number}", thread=thread, body=comment))
    await home.lab(author).run(prepared.commit, said)
    await home.report(author, said)


async def _everything_told(home: House, client: Client) -> AsyncIterator[str]:
    """Yield whatever the server can be brought to say, to honest questions and to prying ones."""
    state = home.chronicle.state
    posts, commits = [*state.posts], [*state.proposals]
    asked: list[tuple[str, dict[str, Any]]] = [
        (name, {"seconds": 0} if name == "wait_for_news" else {})
        for name in TOOLS_THAT_READ
        if name not in ("read_thread", "verdict")
    ]
    asked += [("wait_for_news", {"seconds": 0, "after": 0})]
    asked += [(name, {key: post}) for post in posts
              for name, key in (("read_thread", "post"), ("verdict", "hypothesis"))]  # fmt: skip
    for commit in commits:
        asked += [("read_code", {"commit": commit}), ("read_code", {"commit": commit[:8]}),
                  ("read_code", {"commit": commit, "path": "train.py"})]  # fmt: skip
        asked.append(("propose", _proposing(commit)))
        asked.append(("merge", {"first": commits[0], "second": commit, "title": "both",
                                "gain": 0.1, "confidence": 0.5}))  # fmt: skip
    for post in posts:
        asked += [("claim_lead", {"lead": post}), ("reproduce", {"hypothesis": post})]
        asked += [("comment", {"thread": post, "text": "and so"}), ("review", _reviewing(post))]
    for name, arguments in asked:
        told = await call(client, name, **arguments)
        hidden = json.dumps(arguments)  # what the question holds, the answer may repeat
        yield _without(told.text + "\n" + json.dumps(dict(told.facts)), hidden)
    for place in ("briefing", "observation", "threads", "leaderboard", "queue", "notebook",
                  *(f"thread/{post}" for post in posts), *(f"verdict/{post}" for post in posts),
                  *(f"code/{commit}" for commit in commits)):  # fmt: skip
        try:
            (page,) = (await client.read_resource(f"community://{place}")).contents
        except MCPError as error:
            yield _without(error.message, place)
            continue
        assert isinstance(page, TextResourceContents)
        yield _without(page.text, place)


def _without(told: str, asked: str) -> str:
    """Return what was told but for the commits that the question itself named."""
    for commit in re.findall(r"[0-9a-f]{8,40}", asked):
        if "names no commit" in told or "is no" in told or "no resource" in told:
            told = told.replace(commit, "").replace(commit[:10], "")
    return told


def _proposing(parent: str) -> dict[str, Any]:
    edit = {"path": "train.py", "how": "replace", "search": "WIDTH = 4", "text": "WIDTH = 9"}
    return {"title": "wider", "parent": parent, "edits": [edit], "gain": 0.1, "confidence": 0.5}


def _reviewing(post: str) -> dict[str, Any]:
    return {"hypothesis": post, "opinion": "doubt", "reproduced": 0.1, "gain_low": 0.0,
            "gain_mid": 0.0, "gain_high": 0.0}  # fmt: skip
