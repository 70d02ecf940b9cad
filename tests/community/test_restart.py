"""Restarts in the middle of a confirmation: the second life decides exactly as one life would."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from bench_script import House, calibrated, house, scenario_of

from community.chronicle import Chronicle
from community.clerk import Clerk
from community.scheduler import Request
from trainer.repository import Repository

LIMIT = 20


async def _turns(count: int = 50) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def _improved(home: House) -> str:
    """Have ada's gain of 0.5 screened; returns the post id."""
    calibrated(home.chronicle)
    post_id = await home.propose("ada", 1.5)
    await home.lab("ada").run(home.commit_of(post_id), post_id)
    return post_id


async def test_a_restart_publishes_what_the_lab_had_found(
    chronicle: Chronicle, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between the lab's decision and its post: the second life posts it, once."""

    async def killed(*_: object, **__: object) -> None:
        return None

    async with house(chronicle, repository, tmp_path, scenario_of()) as home:
        claim = await _improved(home)
        with monkeypatch.context() as patched:
            patched.setattr(Clerk, "post_for_lab", killed)
            assert home.institution.reproduce(claim, "lab") == ""
            await chronicle.wait_until(lambda state: state.hypotheses[claim].status == "reproduced")
            await _turns()
        home.institution.leave()
    for _ in range(2):
        async with house(chronicle, repository, tmp_path, scenario_of()) as home:
            home.institution.resume()
            await _turns()
    said = [r.posted for r in chronicle.state.posts.values() if r.posted.author == "lab"]
    assert [post.thread for post in said] == [claim]


async def test_a_restart_keeps_what_is_pinned_on_its_slot(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Four runs for the second slot wait through a kill; the first slot stays idle beside them."""
    opened = chronicle.state.opened
    assert opened is not None
    run = Request(
        opened.baseline_commit, opened.baseline_tree_key, "", "sentinel", "dev", "lab", "lab",
        slot="cpu1",
    )  # fmt: skip
    async with house(chronicle, repository, tmp_path, scenario_of()) as home:
        home.executor.gate.clear()
        names = [home.scheduler.admit(run) for _ in range(4)]
        await _turns()
        assert home.scheduler.running == 1
        home.institution.leave()
    async with house(chronicle, repository, tmp_path, scenario_of()) as home:
        home.institution.resume()
        verdicts = [await home.scheduler.verdict(name) for name in names]
    assert {verdict.slot for verdict in verdicts} == {"cpu1"}
