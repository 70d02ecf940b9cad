"""A clock that jumps: modelled hours in real milliseconds."""

from __future__ import annotations

import asyncio


class JumpLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        real = self._selector.select

        def select(timeout: float | None = None):
            if timeout is None:
                raise RuntimeError("everybody waits for ever")
            self._now += timeout
            return real(0)

        self._selector.select = select

    def time(self) -> float:
        """Return the jumped time in seconds."""
        return self._now


def run_jumping(coroutine):
    """Run a coroutine to its end on a `JumpLoop`."""
    with asyncio.Runner(loop_factory=JumpLoop) as runner:
        return runner.run(coroutine)
