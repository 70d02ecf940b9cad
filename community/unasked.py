"""What the institution says and records unasked while researchers work, as tasks of a run.

Reviews are opened, late posts arrive, retractions and duplicates are told in the threads they are
about, leases of leads end.
"""

from __future__ import annotations

import asyncio

from community.chronicle import Chronicle
from community.clerk import Clerk
from community.duplicates import point_out_duplicates
from community.late_posts import LatePosts
from community.leads import end_leases
from community.retraction_news import tell_of_retractions
from community.sealed_reviews import SealedReviews
from community.twins import Twins
from forum.board import Desk


def serve_unasked(
    group: asyncio.TaskGroup, chronicle: Chronicle, desk: Desk, clerk: Clerk, twins: Twins
) -> list[asyncio.Task[None]]:
    """Start all of it in `group`; whoever ends the run cancels what is returned."""
    work = {
        "sealed reviews": SealedReviews(chronicle, desk).serve(),
        "late posts": LatePosts(chronicle, desk).serve(),
        "retractions": tell_of_retractions(chronicle, clerk),
        "duplicates": point_out_duplicates(chronicle, clerk, twins),
        "leases of leads": end_leases(chronicle),
    }
    return [group.create_task(each, name=name) for name, each in work.items()]
