"""A node as the institution sees it: calls, contents that it may lack, its lease.

The lease is renewed by a heartbeat. A node that has not answered for longer than its lease, or that
is known to be gone, is lost: every call under way or coming says so at once. By then it has killed
what ran there, whether or not it can still be reached.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, Final

from trainer.cluster.parcels import PIECE_BYTES, Parcel
from trainer.cluster.records import Fault, NodeFacts
from trainer.errors import ExecutorError, NodeLostError

LEASE_S: Final = 30.0
BEATS: Final = 6
"""Heartbeats in the time of a lease."""
_MARGIN: Final = 1.2
"""So many leases without an answer, and a node counts as lost: it has noticed before."""
CANCEL_S: Final = 5.0
"""How long a node is given to say that what it ran is killed; its lease does it otherwise."""

Call = Callable[..., Coroutine[Any, Any, Any]]
"""Calls a method of the node by name. Raises NodeLostError where it is known to be gone."""


class RemoteNode:
    """One node that is open.

    Args:
        name: For people; unique in the cluster.
        call: Reaches it.
        facts: What it said of itself.
        lease_s: What it was given.
    """

    def __init__(self, name: str, call: Call, facts: NodeFacts, lease_s: float = LEASE_S) -> None:
        self.name = name
        self.facts = facts
        self.sent_bytes = 0
        """Of contents that it lacked."""
        self._call = call
        self._lease_s = lease_s
        self._loop = asyncio.get_running_loop()
        self._heard_s = self._loop.time()
        self._why = ""
        self._lost = asyncio.Event()
        self._sending = asyncio.Lock()
        self._beating = asyncio.create_task(self._beat(), name=f"lease of {name}")

    @property
    def is_lost(self) -> bool:
        """Whether it is gone."""
        return self._lost.is_set()

    async def lost(self) -> str:
        """Wait until it is lost; why."""
        await self._lost.wait()
        return self._why

    async def ask(self, method: str, *arguments: object) -> Any:
        """Call a method and return what it answers.

        Raises:
            NodeLostError: the node is gone, or goes before it answers.
            ExecutorError: a fault of the node's own.

        Cancellation: what the call has begun there goes on; `cancel` ends it.
        """
        if self.is_lost:
            raise NodeLostError(self.name, self._why)
        call = asyncio.create_task(self._call(method, *arguments), name=f"{method} {self.name}")
        lost = asyncio.create_task(self._lost.wait())
        try:
            await asyncio.wait([call, lost], return_when=asyncio.FIRST_COMPLETED)
            if not call.done():
                raise NodeLostError(self.name, self._why)
            try:
                answer = call.result()
            except NodeLostError as error:
                self.lose(error.why)
                raise NodeLostError(self.name, error.why) from error
        finally:
            lost.cancel()
            if not call.cancel() and not call.cancelled():
                call.exception()  # seen: nobody else will look
        self._heard_s = self._loop.time()
        if isinstance(answer, Fault):
            raise ExecutorError(f"node {self.name}: {answer.text}")
        return answer

    async def provide(self, parcels: Iterable[Parcel]) -> None:
        """Send those contents of `parcels` that the node lacks; others travel no second time."""
        sources = {digest: parcel for parcel in parcels for digest in parcel.sources}
        async with self._sending:
            for digest in await self.ask("missing", list(sources)):
                at = 0
                pieces = iter(sources[digest].pieces(digest))
                piece = await asyncio.to_thread(next, pieces)
                while True:
                    coming = None
                    if len(piece) == PIECE_BYTES:
                        coming = await asyncio.to_thread(next, pieces, None)
                    await self.ask("take", digest, piece, at, coming is None)
                    at += len(piece)
                    if coming is None:
                        break
                    piece = coming
                self.sent_bytes += at

    async def cancel(self, key: str) -> None:
        """Kill what runs there under this name; returns once it is dead, or the node is lost."""
        with suppress(ExecutorError, TimeoutError):
            async with asyncio.timeout(CANCEL_S):
                await self.ask("cancel", key)

    def lose(self, why: str) -> None:
        """Take it for gone."""
        self._why = self._why or why
        self._lost.set()

    async def aclose(self) -> None:
        """Let it end everything and go."""
        self._beating.cancel()
        if not self.is_lost:
            with suppress(ExecutorError, TimeoutError):
                async with asyncio.timeout(CANCEL_S):
                    await self.ask("close")
        self.lose("the run has ended")

    async def _beat(self) -> None:
        """Renew the lease until the node is lost."""
        while not self.is_lost:
            await asyncio.sleep(self._lease_s / BEATS)
            left_s = self._heard_s + self._lease_s * _MARGIN - self._loop.time()
            try:
                async with asyncio.timeout(max(left_s, 0.0)):
                    await self.ask("renew")
            except TimeoutError:
                silent_s = self._loop.time() - self._heard_s
                self.lose(f"no answer for {silent_s:.0f} s")
            except NodeLostError:
                return
