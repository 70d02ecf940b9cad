"""A person takes part in a live run from another process, and an observer follows it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from e2e_life import Life, recorded, state_of
from e2e_scenarios import scenario_text

from community.archive.codec import decode_event
from community.errors import TakingPartError
from community.events import Noticed, Posted, Row
from community.taking_part import take_part
from forum.credentials import credential_path, load_credential
from forum.errors import PostRefusedError, RequestRefusedError
from forum.mqtt_board import MqttBoard


def _has_begun(row: Row) -> bool:
    return isinstance(row.event, Noticed) and row.event.notice == "start"


async def test_a_person_comments_and_steers_a_live_run(small: Path, tmp_path: Path) -> None:
    """With nothing but the run's folder; every word and deed is in the ledger, under one name."""
    text = scenario_text(
        small,
        ("ada explorer random", "bob explorer random"),
        topology={"family": "isolated"},
        stop={"experiments": 400},
    )
    (tmp_path / "two.toml").write_text(text)
    life = Life.begin("two.toml", cwd=tmp_path)
    try:
        assert life.await_row(_has_begun, 120)
        async with take_part(life.folder) as person:
            opened = await person.comment(None, "good morning")
            answer = await person.comment(opened, "anybody there?")
            await person.act("pause", "ada", "lunch")
            with pytest.raises(RequestRefusedError, match="no hypothesis"):
                await person.act("boost", "p9999")
            with pytest.raises(PostRefusedError, match="no post"):
                await person.comment("p9999", "hello")
            await person.act("resume", "ada")
            name = person.name
        mode = credential_path(life.folder / "credentials", name).stat().st_mode
        assert stat.S_IMODE(mode) == 0o600
        mine = credential_path(life.folder / "credentials", name)
        async with take_part(load_credential(mine).url, mine) as person:
            await person.lead("more depth", "nobody has tried")
        assert life.await_row(lambda row: row.seq >= 30, 120)  # so that there is a whole page
        watcher = load_credential(credential_path(life.folder / "credentials", "observer"))
        async with MqttBoard.joining(None, watcher).observe() as watch:
            page = await watch.request("rows", {"limit": 30}, "first")
        with pytest.raises(TakingPartError, match="not a person's"):
            async with take_part(life.folder, life.folder / "credentials" / "observer.json"):
                pass
    finally:
        life.kill()
    rows = [Row(seq, at_us, decode_event(kind, body)) for seq, at_us, kind, body in page["rows"]]
    assert rows == recorded(life.folder)[:30]
    state = state_of(life.folder)
    assert [(e.person, e.action) for _, e in state.forum.acts] == [
        (name, "pause"),
        (name, "resume"),
    ]
    posts = [state.posts[post_id].posted for post_id in (opened, answer)]
    assert [(post.author, post.thread) for post in posts] == [(name, None), (name, opened)]
    heard = {post.body["text"] for post in _read_by(life.folder, "bob")}
    assert {"good morning", "anybody there?"} <= heard
    with pytest.raises(TakingPartError, match="not running"):
        async with take_part(life.folder):
            pass


def _read_by(folder: Path, agent: str) -> list[Posted]:
    posts = [row.event for row in recorded(folder) if isinstance(row.event, Posted)]
    return [post for post in posts if agent in post.readers and post.body["kind"] == "comment"]
