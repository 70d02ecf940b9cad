"""Duplicates: which earlier claims are the same tree as this one, or the same idea.

What is a duplicate says `community.twins`. Whoever proposes one is told when it is prepared, and
whoever knows both hears it from the lab in the claim's thread. Closeness tells of both trees: so
only he is told whom posts gave both of them.
"""

from __future__ import annotations

from community.archive.state import RunState
from community.chronicle import Chronicle
from community.clerk import Clerk
from community.twins import Twins
from forum.messages import Comment

NEAREST = 3
"""How many earlier claims are named."""


def may_compare(state: RunState, agent: str, commit: str, post_id: str) -> bool:
    """Whether `agent` may read the tree of `commit`, and a claim reached him with its tree."""
    readable = state.readable(agent)
    is_told = post_id in state.delivered.get(agent, {})
    return is_told and {commit, state.hypotheses[post_id].commit} <= readable


async def point_out_duplicates(chronicle: Chronicle, clerk: Clerk, twins: Twins) -> None:
    """Say in the thread of every new claim which earlier one it repeats; until cancelled.

    Along its author's edges, to whom both are known. Claims of an earlier life were seen to then.
    """
    seen = set(chronicle.state.hypotheses)
    while True:
        await chronicle.wait_until(lambda state: len(state.hypotheses) > len(seen))
        for post_id in [each for each in chronicle.state.hypotheses if each not in seen]:
            seen.add(post_id)
            await _point_out(chronicle.state, clerk, twins, post_id)


async def _point_out(state: RunState, clerk: Clerk, twins: Twins, post_id: str) -> None:
    claim, before = state.hypotheses[post_id], state.posts[post_id].seq
    earlier = [
        (other, apart)
        for other, apart in twins.of(state, claim.commit)
        if state.posts[other].seq < before
    ]
    unsaid = set(state.delivered)
    for other, apart in earlier[:NEAREST]:
        among = {name for name in unsaid if may_compare(state, name, claim.commit, other)}
        unsaid -= among
        if among:  # each is told of the nearest that he knows
            await clerk.post_for_lab(
                Comment(text=f"This is {other} again{_but_for(apart)}."),
                thread=post_id,
                along=claim.author,
                message_id=f"lab-near-{post_id}-{other}",
                among=frozenset(among),
            )


def _but_for(apart: float) -> str:
    return f", but for {100 * apart:.1f} % of a knob's range" if apart else ": the same tree"
