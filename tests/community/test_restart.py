"""Restarts in the middle of a confirmation: the second life decides exactly as one life would."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from bench_script import House, NoisyScorePhase, calibrated, house, scenario_of

from community.archive.spreads import prior_of
from community.chronicle import Chronicle
from community.clerk import Clerk
from community.pairing import pairs_of
from community.scheduler import Request
from scoring.evidence.sequential import ALPHA, SCHEDULE, judge_pairs
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


async def test_looks_on_another_machine_are_not_free(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Two pairs before a resume on a slower machine have spent what the first look may spend."""
    other = "cpu, kernel 12 ms"
    sometimes = NoisyScorePhase()
    async with house(chronicle, repository, tmp_path, scenario_of(), score_phase=sometimes) as home:
        calibrated(chronicle)
        claim = await home.propose("ada", 1.1)
        await home.lab("ada").run(home.commit_of(claim), claim)
        record = chronicle.state.hypotheses[claim]
        home.institution.reproduce(claim, "cleo")
        home.institution.leave()
        await chronicle.wait_until(lambda state: not state.pending())
    assert (len(pairs_of(chronicle.state, record)), record.status) == (2, "improved")
    async with house(
        chronicle, repository, tmp_path, scenario_of(), life_class=other, score_phase=sometimes
    ) as home:
        home.institution.resume()
        await chronicle.wait_until(lambda _: bool(record.confirmations))
    decided = record.confirmations[-1]
    pairs = [p for p in pairs_of(chronicle.state, record) if p.child.device_class == other]
    scores = [(p.child.score or 0.0, p.parent.score or 0.0) for p in pairs]
    prior = prior_of(chronicle.state, other)
    assert prior is not None
    left = ALPHA * (1 - SCHEDULE[0].share)
    judged = judge_pairs(*zip(*scores, strict=True), prior, "lower", alpha=left)
    assert decided.pairs == len(pairs)
    assert (decided.threshold, decided.status) == (judged.needed, judged.status)
