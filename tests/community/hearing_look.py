"""What one researcher can find out, held against what the oracle says has reached him."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hearing_oracle import Oracle

from agents.errors import NotVisibleError
from agents.lab import Proposal
from community.lab import AgentLab
from forum.messages import Post


def must_be_thinned(oracle: Oracle, post: Post, carries: str) -> None:
    """Hold a copy against what an edge that carries `carries` lets through."""
    told = oracle.told[post.post_id]
    assert (post.seq, post.at_us, post.author) == (told.seq, told.at_us, told.posted.author)
    assert post.thread == told.posted.thread
    assert post.body.model_dump(mode="json") == oracle.copy(post.post_id, carries)


async def look_at_catching_up(
    lab: AgentLab, oracle: Oracle, name: str, expected: dict[str, str]
) -> None:
    """From the beginning and from late rows on: what arrived since, in order of arrival."""
    rows = sorted(oracle.row_of_arrival(post_id, name) for post_id in expected)
    for after in {0, *rows[-2:]}:
        caught = await lab.catch_up(after)
        arrivals = [oracle.row_of_arrival(post.post_id, name) for post in caught]
        assert arrivals == sorted(arrivals)
        assert sorted(post.post_id for post in caught) == sorted(
            post_id for post_id in expected if oracle.row_of_arrival(post_id, name) > after
        )
        for post in caught:
            must_be_thinned(oracle, post, expected[post.post_id])


async def look_at_queries(
    lab: AgentLab, oracle: Oracle, name: str, now_us: int, commits: Iterable[str]
) -> None:
    """Trees are given out, built on and joined if they reached the asker, and not otherwise."""
    readable = oracle.readable(name, now_us)
    for commit in commits:
        try:
            await lab.read_tree(commit)
        except NotVisibleError:
            assert commit not in readable, f"{name} may not read {commit}"
        else:
            assert commit in readable, f"{name} read {commit}, which never reached him"
            continue
        with pytest.raises(NotVisibleError):
            await lab.merge(oracle.baseline, commit)
        with pytest.raises(NotVisibleError):
            await lab.prepare(Proposal((commit,), {"train.py": "RATE = 5\n"}, "built on it"))
    for post_id, told in oracle.told.items():
        if told.kind == "hypothesis" and told.posted.body["commit"] not in readable:
            outcome = await lab.reproduce(post_id)
            assert outcome.reason == f"hypothesis {post_id!r} never reached {name}"
    assert await lab.assignments() == oracle.open_assignments(name, now_us)
    reached = oracle.reached(name, now_us)
    assert set(await lab.open_leads()) == {p for p in reached if oracle.told[p].kind == "lead"}
