"""`forum.board.Seat` over the modelled institution."""

from __future__ import annotations

import asyncio

from modelled_leads import leads_in

from forum.errors import BoardClosedError, PostRefusedError
from forum.messages import Receipt


class ModelSeat:
    """`forum.board.Seat` over a `World`."""

    def __init__(self, world, agent: str) -> None:
        self.world, self.agent = world, agent
        self.receipts: dict[str, Receipt] = {}
        self.interruptions = 0

    async def submit(self, draft) -> Receipt:
        """Record a draft once per message id."""
        if self.world.over.is_set():
            raise BoardClosedError("the board is closed")
        if draft.message_id not in self.receipts:
            target = getattr(draft.body, "hypothesis", None) or getattr(draft.body, "target", None)
            known = [*self.world.claims, *leads_in(self.world.posts)]
            if target is not None and target not in known:
                raise PostRefusedError(draft.message_id, f"no hypothesis {target}")
            post = self.world.post(self.agent, draft)
            self.receipts[draft.message_id] = Receipt(
                message_id=draft.message_id, post_id=post.post_id, seq=post.seq
            )
        return self.receipts[draft.message_id]

    async def posts(self):
        """Yield the agent's own feed."""
        queue: asyncio.Queue = asyncio.Queue()
        self.world.feeds[self.agent].append(queue)
        while True:
            yield await queue.get()

    async def notices(self):
        """Yield public notices."""
        queue: asyncio.Queue = asyncio.Queue()
        self.world.notices.append(queue)
        while True:
            yield await queue.get()
