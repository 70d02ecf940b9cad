"""Sealed reviews reach their readers when the experiment that they are about begins.

`community.archive.reach` says when that is; here the copies are sent. Who was away, or whose feed
broke, catches up from the ledger, which gives out the same from the same moment on.
"""

from __future__ import annotations

from itertools import islice
from typing import cast

from community.chronicle import Chronicle
from forum.board import Desk
from forum.ids import AgentName
from forum.messages import Carries
from forum.visibility import thin


class SealedReviews:
    """Sends reviews on as they are opened.

    Those opened before this object was made belong to an earlier life of the run: their readers
    catch up.

    Args:
        chronicle: The ledger and its fold.
        desk: The clerk's place at the board.
    """

    def __init__(self, chronicle: Chronicle, desk: Desk) -> None:
        self._chronicle = chronicle
        self._desk = desk
        self._sent = len(chronicle.state.reach.opened)

    async def serve(self) -> None:
        """Send what is opened, in the ledger's order, until cancelled.

        Cancellation: readers who missed something catch up.
        """
        while True:
            await self._chronicle.wait_until(lambda state: len(state.reach.opened) > self._sent)
            fresh = list(islice(self._chronicle.state.reach.opened, self._sent, None))
            self._sent += len(fresh)
            for post_id in fresh:
                await self._send(post_id)

    async def _send(self, post_id: str) -> None:
        state = self._chronicle.state
        record = state.posts[post_id]
        for reader, carries in record.posted.readers.items():
            if post_id not in state.delivered.get(reader, {}):
                continue  # at the end of a slow edge: see `community.late_posts`
            copy = thin(record.as_post(), cast(Carries, carries))
            if reader != record.posted.author and copy is not None:
                await self._desk.deliver(AgentName(reader), copy)
