"""Bringing the next job's tree to its node while the slot there is still busy.

A tree is small, and the way to a node is not: what waits in the queue is sent beforehand to where
it would be run as things stand. Who is picked in the end is decided by `community.queueing`; what
was sent in vain has cost some kilobytes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from community.queueing import Queue, Waiting
from trainer.gpu_pool import GpuPool

Prefetch = Callable[[Mapping[str, bytes], str], Awaitable[None]]
"""Brings files to the node that serves a slot of that name."""


async def fetch_ahead(
    queue: Queue,
    pool: GpuPool,
    files_of: Callable[[Waiting], Mapping[str, bytes]],
    prefetch: Prefetch,
) -> None:
    """Whenever something is queued, send for each slot what it would get next; until cancelled.

    Args:
        queue: What waits.
        pool: The slots.
        files_of: Reads a tree.
        prefetch: Sends it.
    """
    last: dict[str, str] = {}
    while True:
        await queue.put_something()
        for name in pool.names:
            waiting = queue.peek(name)
            if waiting is not None and last.get(name) != waiting.experiment.commit:
                last[name] = waiting.experiment.commit
                await prefetch(files_of(waiting), name)
