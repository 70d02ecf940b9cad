"""Who is let in by the MCP server, and what it says to whoever is not."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp_researcher import OVER, call, community, over_http
from mcp_world import TOKEN, at_home, listening_here, said_by, world

from community.chronicle import Chronicle
from community.errors import RunFolderError, TakingPartError
from community.forum_events import SeatLeft, SeatTaken
from community.mcp.over_http import TOKEN_VARIABLE, token_for
from community.mcp.places import find_place
from community.mcp.serving import Serving, serve
from forum.credentials import credential_path, load_credential
from forum.messages import Notice
from trainer.repository import Repository

OPENING: Mapping[str, Any] = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "by hand", "version": "1"},
    },
}  # fmt: skip


async def _open(url: str, **headers: str) -> httpx2.Response:
    """Open a session by hand with these headers beside those that are always needed."""
    accept = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
    async with httpx2.AsyncClient() as client:
        return await client.post(url, content=json.dumps(OPENING), headers={**accept, **headers})


async def test_only_the_token_opens_and_only_to_pages_of_this_machine(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """No token, a wrong one, a foreign Host (rebound names) and a foreign Origin (a page)."""
    right = {"authorization": f"Bearer {TOKEN}"}
    async with (
        asyncio.timeout(60),
        at_home(chronicle, repository, tmp_path) as home,
        listening_here(home.board) as server,
    ):
        refused = {
            401: ({}, {"authorization": f"Bearer {TOKEN}x"}, {"authorization": f"Basic {TOKEN}"},
                  {"authorization": "Bearer x"}),
            421: ({**right, "host": "evil.example"}, {**right, "host": "evil.example:80"}),
            403: ({**right, "origin": "http://evil.example"}, {**right, "origin": "null"}),
        }  # fmt: skip
        for status, tried in refused.items():
            for headers in tried:
                response = await _open(server.url, **headers)
                assert response.status_code == status, headers
                assert "mcp-session-id" not in response.headers
        allowed = await _open(server.url, **right, origin="http://localhost:3000")
        assert allowed.status_code == 200
        assert "mcp-session-id" in allowed.headers


async def test_of_two_sessions_with_the_token_the_second_is_refused(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """One seat, one session; when the first has gone there is room again."""
    right = {"authorization": f"Bearer {TOKEN}"}
    async with (
        asyncio.timeout(60),
        at_home(chronicle, repository, tmp_path) as home,
        listening_here(home.board) as server,
    ):
        async with Client(over_http(server.url, TOKEN), mode="legacy") as first:
            second = await _open(server.url, **right)
            assert second.status_code == 409
            assert "another client has this researcher's session" in second.text
            assert not (await call(first, "observe")).is_error
        assert (await _open(server.url, **right)).status_code == 200


async def test_of_two_servers_at_a_seat_the_second_is_refused_unless_it_is_to_replace(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """And one that is terminated ends at once, though its client says nothing; the seat waits."""
    async with asyncio.timeout(90), world(chronicle, repository, tmp_path) as there:
        asked = community(str(tmp_path), "--as", "eve")
        first = await asyncio.create_subprocess_exec(
            sys.executable, *asked.args, env=asked.env, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            await said_by(first, "eve (everything) in run")
            place = find_place(str(tmp_path), "eve", None)
            with pytest.raises(TakingPartError, match=r"one sits at a time.*--replace"):
                await serve(Serving(None, place.credential), _never, print)
            assert "eve" in chronicle.state.forum.present
            first.terminate()
            await first.communicate()
            assert first.returncode == 143
        finally:
            if first.returncode is None:
                first.kill()
                await first.communicate()
        await chronicle.wait_until(lambda state: "eve" not in state.forum.present)
        newer = asyncio.create_task(serve(Serving(None, place.credential), _never, print))
        await chronicle.wait_until(lambda state: "eve" in state.forum.present)
        newest = asyncio.create_task(serve(Serving(None, place.credential, True), _never, print))
        await chronicle.wait_until(lambda _: len(_whys(chronicle)) == 2)
        for each in (newer, newest):
            each.cancel()
        await asyncio.wait({newer, newest})
        assert there.home.chronicle is chronicle
    assert _whys(chronicle) == ["left", "another process took the seat", "left"]
    taken = [row.event for row in chronicle.ledger.rows() if isinstance(row.event, SeatTaken)]
    assert [each.mind for each in taken] == ["mcp"] * 3


async def _never(_: object) -> None:
    await asyncio.get_running_loop().create_future()


def _whys(chronicle: Chronicle) -> list[str]:
    return [row.event.why for row in chronicle.ledger.rows() if isinstance(row.event, SeatLeft)]


async def test_when_the_run_is_over_every_call_says_so(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """The client is told what it can do; the server does not look as if it had crashed."""
    async with (
        asyncio.timeout(60),
        at_home(chronicle, repository, tmp_path) as home,
        listening_here(home.board) as server,
        Client(over_http(server.url, TOKEN)) as client,
    ):
        assert not (await call(client, "observe")).is_error
        waiting = asyncio.create_task(call(client, "wait_for_news", seconds=60))
        await home.desk.notify(Notice(kind="stop", text="experiments"))
        for told in (await waiting, await call(client, "lead", title="x", text="y")):
            assert told.is_error
            assert OVER in told.text
            assert "community show" in told.text


def test_a_token_is_made_once_kept_close_and_never_weak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the environment or from a file that only its owner can read."""
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    place = tmp_path / "eve.token"
    token, where = token_for(place)
    assert (len(token) >= 32, where) == (True, str(place))
    assert place.stat().st_mode & 0o777 == 0o600
    assert token_for(place) == (token, where)
    place.chmod(0o644)
    with pytest.raises(TakingPartError, match="chmod 600"):
        token_for(place)
    for weak in ("short", "with blanks in between it"):
        monkeypatch.setenv(TOKEN_VARIABLE, weak)
        with pytest.raises(TakingPartError, match="is no secret"):
            token_for(place)
    monkeypatch.setenv(TOKEN_VARIABLE, "x" * 16)
    assert token_for(place)[0] == "x" * 16


async def test_a_seat_that_cannot_be_had_is_refused_in_words(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Nobody of that name, a URL alone, another's credential, a run that does not go on."""
    async with world(chronicle, repository, tmp_path):
        hers = credential_path(tmp_path / "credentials", "ada")
        with pytest.raises(TakingPartError, match=r"has no seat for zoe.*ada, bob, eve"):
            find_place(str(tmp_path), "zoe", None)
        with pytest.raises(TakingPartError, match="--credential"):
            find_place("mqtt://127.0.0.1:1883", "eve", None)
        with pytest.raises(TakingPartError, match="is ada's, not eve's"):
            find_place(str(tmp_path), "eve", hers)
        url = load_credential(hers).url
        assert find_place(url, "ada", hers).url == url
    with pytest.raises(RunFolderError):
        find_place(str(tmp_path / "nowhere"), "eve", None)
    chronicle.ledger.close()
    with pytest.raises(TakingPartError, match="is not running"):
        find_place(str(tmp_path), "eve", None)
