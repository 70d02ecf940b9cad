"""Duplicates are pointed out to whoever knows both trees, and to nobody else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from bench_script import House, calibrated, house, scenario_of, screened

from agents.closeness import CLOSE
from community.chronicle import Chronicle
from community.scenario import Scenario, TopologySection
from trainer.repository import Repository

KNOBS = """
[RATE]
kind = "float"
low = 0.5
high = 20.5
[WIDTH]
kind = "int"
low = 1
high = 16
"""
"""A twentieth of RATE's range is 1; 0.1 is close."""


def star(**changed: object) -> Scenario:
    """Return a scenario in which bob and cleo hear ada, she hears them, and they not each other."""
    topology = TopologySection.model_validate({"family": "star", **changed})
    return scenario_of().model_copy(update={"topology": topology})


def comments(chronicle: Chronicle, thread: str) -> list[tuple[str, set[str]]]:
    """Return (text, whom it has reached) of the lab's comments in a thread."""
    state = chronicle.state
    return [
        (
            record.posted.body["text"],
            {name for name, posts in state.delivered.items() if post_id in posts},
        )
        for post_id, record in state.posts.items()
        if record.posted.author == "lab" and record.posted.thread == thread
    ]


async def settle(home: House) -> None:
    """Let what goes on beside the test come to rest."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_the_proposer_is_told_what_it_repeats(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """The same tree and a close one, with their distance; what came of it only once he heard."""
    async with house(calibrated(chronicle), repository, tmp_path, star(), knobs_toml=KNOBS) as home:
        first = await screened(home, "ada", 1.5)
        assert (await home.prepare_twin("bob", 2.6)).near == ()
        (near,) = (await home.prepare_twin("bob", 1.6)).near
        assert near.hypothesis == first
        assert near.distance == pytest.approx(0.1 / 20)
        assert near.distance < CLOSE
        assert near.outcome is None
        (same,) = (await home.prepare_twin("bob", 1.5)).near
        assert (same.hypothesis, same.distance) == (first, 0.0)
        await home.report("ada", first)
        (near,) = (await home.prepare_twin("bob", 1.61)).near
        assert near.outcome is not None
        assert (near.outcome.score, near.outcome.log_tail) == (2.5, "")
        own = (await home.prepare_twin("ada", 1.6)).near[0]
        assert own.outcome is not None


async def test_nobody_is_told_of_what_never_reached_him(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Neither in the answer to a proposal nor by a comment: cleo knows one of the two trees."""
    async with house(calibrated(chronicle), repository, tmp_path, star(), knobs_toml=KNOBS) as home:
        first = await home.propose("bob", 1.5)
        again = await home.propose("ada", 1.6)
        await settle(home)
        said = comments(chronicle, again)
        assert said == [
            (f"This is {first} again, but for 0.5 % of a knob's range.", {"ada", "bob"})
        ]
        assert comments(chronicle, first) == []
        third = await home.propose("bob", 1.5, width=5)
        await settle(home)
        assert comments(chronicle, third) == []


async def test_an_edge_below_the_diff_tells_of_no_closeness(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Who is given titles and no trees learns nothing of how near they are to each other."""
    async with house(
        calibrated(chronicle), repository, tmp_path, star(carries="summary"), knobs_toml=KNOBS
    ) as home:
        await home.propose("bob", 1.5)
        again = await home.propose("ada", 1.5)
        await settle(home)
        assert comments(chronicle, again) == []
        near = (await home.prepare_twin("ada", 1.5)).near
        assert [each.hypothesis for each in near] == [again]  # her own, not bob's
        mine = await home.propose("ada", 1.55)
        await settle(home)
        assert [readers for _, readers in comments(chronicle, mine)] == [{"ada"}]


async def test_who_hears_late_is_told_when_the_second_of_the_two_arrives(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Of ada, quick to him, cleo knows the tree at once; bob's takes its time. Nothing twice."""
    edges = [
        {"author": "ada", "reader": "cleo"},
        {"author": "bob", "reader": "cleo", "delay_s": 0.2},
        {"author": "bob", "reader": "ada"},
    ]
    topology = TopologySection.model_validate({"family": "edges", "edges": edges})
    scenario = scenario_of().model_copy(update={"topology": topology})
    async with house(calibrated(chronicle), repository, tmp_path, scenario, knobs_toml=KNOBS) as h:
        first = await h.propose("bob", 1.5)
        again = await h.propose("ada", 1.6)
        await settle(h)
        words = f"This is {first} again, but for 0.5 % of a knob's range."
        assert comments(chronicle, again) == [(words, {"ada"})]
        async with asyncio.timeout(10):
            await chronicle.wait_until(lambda state: first in state.delivered.get("cleo", {}))
        await settle(h)
        assert comments(chronicle, again) == [(words, {"ada"}), (words, {"cleo"})]
        other = await h.propose("bob", 1.55)
        async with asyncio.timeout(10):
            await chronicle.wait_until(lambda state: other in state.delivered.get("cleo", {}))
        await settle(h)
        assert comments(chronicle, again) == [(words, {"ada"}), (words, {"cleo"})]


async def test_without_knobs_only_the_same_tree_is_a_duplicate(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """There is no space in which anything could be close."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        first = await home.propose("ada", 1.5)
        assert [near.hypothesis for near in (await home.prepare_twin("bob", 1.5)).near] == [first]
        assert (await home.prepare_twin("bob", 1.5001)).near == ()
