"""Late posts reach their readers when they are due: what an edge delays is on its way until then.

The clerk records with a post when which reader may have it; here that moment is waited for, the
arrival recorded (from then on the lab and catching up know of it too) and the copy sent. What is
still on its way when the run ends is not delivered; a run that goes on goes on with it.
"""

from __future__ import annotations

import asyncio
import heapq
from itertools import groupby
from typing import cast

from community.archive.reach import OnWay
from community.chronicle import Chronicle
from community.forum_events import Delivered
from forum.board import Desk
from forum.ids import AgentName
from forum.messages import Carries
from forum.visibility import thin


class LatePosts:
    """Delivers copies in the order in which they are due, those of one moment in the ledger's.

    Args:
        chronicle: The ledger and its fold.
        desk: The clerk's place at the board.
    """

    def __init__(self, chronicle: Chronicle, desk: Desk) -> None:
        self._chronicle = chronicle
        self._desk = desk
        self._taken = 0
        """Copies of the fold's list that are in the heap, or were."""
        self._heap: list[OnWay] = []

    async def serve(self) -> None:
        """Deliver what is due until cancelled.

        Cancellation: a copy whose arrival is recorded and that was not sent is caught up.
        """
        while True:
            self._take_in()
            now_us = self._chronicle.clock.now_us()
            due: list[OnWay] = []
            while self._heap and self._heap[0].due_us <= now_us:
                due.append(heapq.heappop(self._heap))
            if due:
                await self._deliver(due)
            else:
                await self._wait(now_us)

    def _take_in(self) -> None:
        reach = self._chronicle.state.reach
        for copy in reach.delayed[self._taken :]:
            if copy.reader in reach.awaited.get(copy.post_id, {}):  # not in an earlier life
                heapq.heappush(self._heap, copy)
        self._taken = len(reach.delayed)

    async def _wait(self, now_us: int) -> None:
        """Wait until the first copy is due, or another one is under way."""
        nap_s = (self._heap[0].due_us - now_us) / 1e6 if self._heap else None
        try:
            async with asyncio.timeout(nap_s):
                await self._chronicle.wait_until(
                    lambda state: len(state.reach.delayed) > self._taken
                )
        except TimeoutError:
            return

    async def _deliver(self, due: list[OnWay]) -> None:
        """Record arrivals in one transaction, then send the copies."""
        state = self._chronicle.state
        carried = {copy: state.reach.awaited[copy.post_id][copy.reader] for copy in due}
        self._chronicle.record(
            *(
                Delivered(post_id, tuple(copy.reader for copy in copies))
                for post_id, copies in groupby(due, lambda copy: copy.post_id)
            )
        )
        for copy, carries in carried.items():
            thinned = thin(state.posts[copy.post_id].as_post(), cast(Carries, carries))
            if thinned is not None:
                await self._desk.deliver(AgentName(copy.reader), thinned)
