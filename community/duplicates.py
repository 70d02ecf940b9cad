"""Duplicates: which earlier claims are the same tree as this one, or the same idea.

What is a duplicate says `community.twins`. Whoever proposes one is told when it is prepared, and
whoever knows both hears it from the lab in the claim's thread. Closeness tells of both trees: so
only he is told whom posts gave both of them.
"""

from __future__ import annotations

from itertools import islice

from community.archive.state import RunState
from community.chronicle import Chronicle
from community.clerk import LAB, Clerk
from community.twins import Twins
from forum.messages import Comment

NEAREST = 3
"""How many earlier claims are named."""


def may_compare(state: RunState, agent: str, commit: str, post_id: str) -> bool:
    """Whether `agent` may read the tree of `commit`, and a claim reached him with its tree."""
    is_told = post_id in state.delivered.get(agent, {})
    commits = (commit, state.hypotheses[post_id].commit)
    return is_told and all(state.may_read(agent, each) for each in commits)


async def point_out_duplicates(chronicle: Chronicle, clerk: Clerk, twins: Twins) -> None:
    """Say in the thread of every new claim which earlier one it repeats; until cancelled.

    Along its author's edges, to whom both are known: at once, or when the later of the two arrives
    at the end of a slow edge. Claims and arrivals of an earlier life were seen to then.
    """
    state = chronicle.state
    seen, arrived = set(state.hypotheses), len(state.reach.arrivals)

    def is_news(state: RunState) -> bool:
        return len(state.hypotheses) > len(seen) or len(state.reach.arrivals) > arrived

    while True:
        await chronicle.wait_until(is_news)
        for post_id in [each for each in state.hypotheses if each not in seen]:
            seen.add(post_id)
            await _point_out(state, clerk, twins, post_id, set(state.delivered))
        news = [*islice(state.reach.arrivals, arrived, None)]
        arrived += len(news)
        for reader, post_id in news:
            for claim in _told_apart(state, twins, post_id):
                await _point_out(state, clerk, twins, claim, {reader})


def _told_apart(state: RunState, twins: Twins, post_id: str) -> list[str]:
    """Return the claims that a post which carries a tree may be compared by, in their order."""
    commit = state.posts[post_id].posted.body.get("commit")
    if not commit:
        return []
    near = {other for other, _ in twins.of(state, commit)}
    near.update(state.hypotheses_by_commit.get(commit, ()))
    return [claim for claim in state.hypotheses if claim in near]


async def _point_out(
    state: RunState, clerk: Clerk, twins: Twins, post_id: str, readers: set[str]
) -> None:
    """Tell those of `readers` who may know it what a claim repeats, and were not told before."""
    claim, before = state.hypotheses[post_id], state.posts[post_id].seq
    earlier = [
        (other, apart)
        for other, apart in twins.of(state, claim.commit)
        if state.posts[other].seq < before
    ]
    told = [
        record.posted
        for record in state.posts.values()
        if record.posted.author == LAB and record.posted.message_id.startswith(_mark(post_id))
    ]
    unsaid = readers.difference(*((*each.readers, *each.lost) for each in told))
    for other, apart in earlier[:NEAREST]:
        among = {name for name in unsaid if may_compare(state, name, claim.commit, other)}
        unsaid -= among
        if among:  # each is told of the nearest that he knows
            times = sum(each.message_id.startswith(_mark(post_id, other)) for each in told)
            await clerk.post_for_lab(
                Comment(text=f"This is {other} again{_but_for(apart)}."),
                thread=post_id,
                along=claim.author,
                message_id=f"{_mark(post_id, other)}{times or ''}",
                among=frozenset(among),
            )


def _mark(post_id: str, other: str = "") -> str:
    """Return how the names of messages begin that point out a claim, or that it repeats `other`."""
    return f"lab-near-{post_id}-{other and other + '-'}"


def _but_for(apart: float) -> str:
    return f", but for {100 * apart:.1f} % of a knob's range" if apart else ": the same tree"
