"""Leads: directions that somebody pointed at and nobody owns, and the leases of who follows them.

Whoever a lead has reached and who may propose can claim it, by a post as for a reproduction. The
claim is a lease of run time; claiming again before it ends renews it, and nobody else gets it
meanwhile. Who holds it follows the lead by a hypothesis in its thread; while that is queued or
running the lease does not end, and once it is judged the lead is done with. A lease that ends, or
whose holder leaves, makes the lead claimable again. All of it is in the ledger: a run that is
taken up again goes on with the same leases, as run time stood still.

Who may not know who holds a lead is told only that somebody does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Literal

from community.archive.state import HypothesisState, RunState
from community.chronicle import Chronicle
from community.events import Posted
from community.forum_events import LeadClaimed, LeadReleased
from community.references import usual_wall_s

LEASE_RUNS = 4.0
"""A lease lasts so many usual runs, to think and to ask for an experiment,"""
LEAST_LEASE_S = 30.0
"""but at least this."""
MOST_HELD = 2
"""Leads that one researcher may hold: whoever holds them all follows none."""
MOST_LEASES = 4
"""Leases in a row that one may have of a lead without following it."""


def is_lead(state: RunState, post_id: str) -> bool:
    """Whether a post is a lead."""
    record = state.posts.get(post_id)
    return record is not None and record.posted.body.get("kind") == "lead"


def lease_us(state: RunState) -> int:
    """Return how long a lease lasts, in microseconds of run time."""
    return round(1e6 * max(LEAST_LEASE_S, LEASE_RUNS * usual_wall_s(state)))


def ended(state: RunState, lease: LeadClaimed, now_us: int) -> Literal["done", "expired", ""]:
    """Say whether a lease has ended, and how; empty while it holds."""
    followed = list(_followed(state, lease))
    if any(claim.changes for claim in followed):
        return "done"
    if any(claim.experiments for claim in followed):
        return ""
    return "expired" if now_us >= lease.until_us else ""


def open_leads(state: RunState, agent: str, now_us: int) -> dict[str, float]:
    """Return the leads that `agent` may claim or holds, oldest first.

    Those that reached him and are not done with. With each, the seconds for which he holds it; 0
    where nobody does.
    """
    found: dict[str, float] = {}
    for post_id in state.reach.leads.get(agent, ()):
        if post_id in state.forum.leads_done:
            continue
        lease = state.forum.leases.get(post_id)
        if lease is None or ended(state, lease, now_us) == "expired":
            found[post_id] = 0.0
        elif lease.by == agent and not ended(state, lease, now_us):
            found[post_id] = max(1e-6, (lease.until_us - now_us) / 1e6)
    return found


def refuses_claim(state: RunState, author: str, lead: str, now_us: int) -> str:
    """Say why `author` may not claim or renew a lead now; empty when he may."""
    if lead in state.forum.leads_done:
        return f"lead {lead!r} was followed to its end; see what came of it in its thread"
    lease = state.forum.leases.get(lead)
    how = ended(state, lease, now_us) if lease is not None else ""
    if lease is not None and lease.by == author and how != "done":
        if state.forum.leases_in_a_row[lead] >= MOST_LEASES and not any(_followed(state, lease)):
            return f"lead {lead!r} was yours {MOST_LEASES} times; follow it, or leave it to others"
        return ""
    if lease is None or how == "expired":
        held = [
            one.lead
            for one in state.forum.leases.values()
            if one.by == author and not ended(state, one, now_us) and not any(_followed(state, one))
        ]
        if len(held) >= MOST_HELD:
            return f"you hold {', '.join(held)}; follow one of them first, or let its lease end"
        return ""
    return f"somebody follows lead {lead!r} already; it may be claimed when his lease ends"


def refuses_following(state: RunState, author: str, thread: str | None, now_us: int) -> str:
    """Say why a hypothesis of `author` may not stand in `thread`; empty when it may.

    One in a lead's thread follows that lead, which takes a lease.
    """
    if thread is None or not is_lead(state, thread):
        return ""
    lease = state.forum.leases.get(thread)
    if lease is None or lease.by != author or ended(state, lease, now_us):
        return f"{author} does not hold lead {thread!r}; claim it before following it"
    return ""


def leased(state: RunState, posted: Posted, now_us: int) -> tuple[LeadClaimed | LeadReleased, ...]:
    """Return what is to be recorded with a post: for a claim of a lead, its lease."""
    if posted.body.get("kind") != "claim" or not is_lead(state, str(posted.body["target"])):
        return ()
    lead = str(posted.body["target"])
    claimed = LeadClaimed(lead, posted.author, now_us + lease_us(state))
    before = state.forum.leases.get(lead)
    if before is not None and before.by != posted.author:
        return LeadReleased(lead, before.by, "expired"), claimed
    return (claimed,)


def give_back(chronicle: Chronicle, agent: str) -> None:
    """Record that what `agent` held and has not followed is free: he has left for good."""
    state = chronicle.state
    for lease in list(state.forum.leases.values()):
        if lease.by == agent and not any(_followed(state, lease)):
            chronicle.record(LeadReleased(lease.lead, agent, "given_back"))


async def end_leases(chronicle: Chronicle) -> None:
    """Record the end of every lease, until cancelled.

    Cancellation: what has ended by then is recorded by the next life.
    """
    while True:
        await chronicle.wait_until(lambda state: bool(state.forum.leases))
        state, now_us = chronicle.state, chronicle.clock.now_us()
        for lease in list(state.forum.leases.values()):
            if why := ended(state, lease, now_us):
                chronicle.record(LeadReleased(lease.lead, lease.by, why))
        waits_us = [
            lease.until_us - now_us
            for lease in state.forum.leases.values()
            if lease.until_us > now_us
        ]
        try:
            async with asyncio.timeout(min(waits_us) / 1e6 if waits_us else None):
                await chronicle.next_row()
        except TimeoutError:
            continue


def _followed(state: RunState, lease: LeadClaimed) -> Iterator[HypothesisState]:
    """Yield the hypotheses by which the holder of a lease has followed the lead."""
    for claim in state.hypotheses.values():
        is_his = claim.author == lease.by
        if is_his and state.posts[claim.post_id].posted.thread == lease.lead:
            yield claim
