"""Leads in the modelled institution: claimed by the first, held until one that follows is measured.

Leases do not end here; that they do is tested with the real institution.
"""

from __future__ import annotations

from forum.messages import Lead

HELD_S = 60.0


def leads_in(posts) -> set[str]:
    """Return the post ids of leads."""
    return {post.post_id for post in posts if isinstance(post.body, Lead)}


def open_leads(posts, claims, agent: str, hears) -> dict[str, float]:
    """Return visible leads that nobody else holds and nobody has followed to a verdict."""
    found: dict[str, float] = {}
    for post in posts:
        is_heard = post.author == agent or post.author in hears[agent]
        if not isinstance(post.body, Lead) or not is_heard:
            continue
        answers = [each for each in posts if each.thread == post.post_id]
        is_done = any(getattr(claims.get(p.post_id), "verdict_id", "") for p in answers)
        holder = next((p.author for p in answers if p.body.kind == "claim"), "")
        if not is_done and holder in ("", agent):
            found[post.post_id] = HELD_S if holder else 0.0
    return found
