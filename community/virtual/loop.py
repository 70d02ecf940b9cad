"""An event loop with virtual time: the clock jumps to the next timer when nothing is ready.

The clock counts integer microseconds. At one instant callbacks run in the order in which they were
scheduled, and a timer fires only when everything that follows from the instant before is done. The
loop has no selector: it never sleeps, and it refuses threads, child processes and sockets, none of
which have virtual time. If everybody waits and nobody has a timer, no time will ever change that:
`WaitsForEverError` names who waits, and where.

Order is part of a run, so tasks hash by their number: asyncio keeps them in sets (task groups,
`asyncio.wait`), and a set of ordinary tasks is walked in the order of their addresses.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import signal
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from community.errors import VirtualWorldError
from community.virtual.waiting import waits_for_ever

MOST_AT_ONCE = 20_000_000
"""Callbacks at one instant. A large community does thousands; who never ends goes round for ever,
each turn taking no time."""
_FEW_CANCELLED = 256
"""Below that, cancelled timers stay where they are until their time comes."""

_Context = contextvars.Context | None


class _Call(asyncio.Handle):
    """A callback that is ready; the same as its parent, made in a third of the time."""

    __slots__ = ()

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: VirtualLoop,
        context: _Context,
    ) -> None:
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = contextvars.copy_context() if context is None else context
        self._cancelled = False
        self._repr = None
        self._source_traceback = None


class _Timer(asyncio.TimerHandle):
    """A callback with a time."""

    __slots__ = ()

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: VirtualLoop,
        context: _Context,
    ) -> None:
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = contextvars.copy_context() if context is None else context
        self._cancelled = False
        self._repr = None
        self._source_traceback = None
        self._when = when
        self._scheduled = True


class _NumberedTask(asyncio.Task[Any]):
    """A task whose place in a set does not depend on its address."""

    def __init__(self, number: int, coro: Coroutine[Any, Any, Any], **kwargs: Any) -> None:
        self._number = number  # first: the parent registers itself in a set
        super().__init__(coro, **kwargs)

    def __hash__(self) -> int:
        return self._number


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop; give it to `asyncio.Runner` as its ``loop_factory``."""

    _ready: deque[asyncio.Handle]
    _stopping: bool
    _closed: bool
    _thread_id: int | None
    _timer_cancelled_count: int

    def __init__(self) -> None:
        super().__init__()
        self.now_us = 0
        """Virtual microseconds since the loop was made."""
        self.callbacks = 0
        """How many have run."""
        self._timers: list[tuple[int, int, asyncio.TimerHandle]] = []
        """A heap of (time, number, timer): at one time, in the order of their numbers."""
        self._number = 0
        self._jumped_at = 0
        """How many callbacks had run when the clock last moved."""
        self._signals: dict[int, Any] = {}

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self.now_us / 1_000_000

    def call_soon(  # type: ignore[override]  # typeshed's is generic in what it takes
        self, callback: Callable[..., object], *args: Any, context: _Context = None
    ) -> asyncio.Handle:
        """Run `callback` at this instant, after what was scheduled before."""
        if self._closed:
            raise RuntimeError("Event loop is closed")
        handle = _Call(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: _Context = None,
    ) -> asyncio.TimerHandle:
        """Run `callback` in `delay` seconds, to the nearest microsecond."""
        return self._call_at_us(self.now_us + round(delay * 1e6), callback, args, context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: _Context = None
    ) -> asyncio.TimerHandle:
        """Run `callback` at a time of `time()`."""
        return self._call_at_us(round(when * 1e6), callback, args, context)

    def _call_at_us(
        self,
        when_us: int,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: _Context,
    ) -> asyncio.TimerHandle:
        if self._closed:
            raise RuntimeError("Event loop is closed")
        when_us = max(when_us, self.now_us)
        timer = _Timer(when_us / 1_000_000, callback, args, self, context)
        self._number += 1
        heapq.heappush(self._timers, (when_us, self._number, timer))
        return timer

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: _Context = None
    ) -> asyncio.Handle:
        """Run `callback` soon; from this loop's own thread only, say from a signal's handler.

        Raises:
            VirtualWorldError: another thread asks for it.
        """
        if self._thread_id not in (None, threading.get_ident()):
            _refuse("a thread that calls back")
        return self.call_soon(callback, *args, context=context)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        name: str | None = None,
        context: _Context = None,
    ) -> asyncio.Task[Any]:
        """Start `coro` as a task."""
        if self._closed:
            raise RuntimeError("Event loop is closed")
        self._number += 1
        return _NumberedTask(self._number, coro, loop=self, name=name, context=context)

    def add_signal_handler(  # type: ignore[override]
        self, sig: int, callback: Callable[..., object], *args: Any
    ) -> None:
        """Have `callback` run soon after a signal came."""
        if sig not in self._signals:
            self._signals[sig] = signal.getsignal(sig)
        signal.signal(sig, lambda *_: self.call_soon(callback, *args) and None)

    def remove_signal_handler(self, sig: int) -> bool:
        """Give a signal back to whom it belonged; whether there was a handler."""
        if sig not in self._signals:
            return False
        signal.signal(sig, self._signals.pop(sig))
        return True

    def close(self) -> None:
        """Close the loop; a second call does nothing."""
        for sig in tuple(self._signals):
            self.remove_signal_handler(sig)
        self._timers.clear()
        super().close()

    def _run_once(self) -> None:
        """Run what is ready now; if nothing is, go to the next timer first."""
        ready = self._ready
        if not ready and not self._stopping:
            self._jump()
        count = len(ready)
        self.callbacks += count
        for _ in range(count):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()
        if self.callbacks - self._jumped_at > MOST_AT_ONCE:
            raise VirtualWorldError(
                f"time stands still at {self.time():g} s: {MOST_AT_ONCE} callbacks ran and none "
                "of them waited for time to pass; look for a loop that awaits nothing but what is "
                "ready"
            )

    def _jump(self) -> None:
        """Move the clock to the next timer, and make all that are due then ready."""
        first_us = self._first_timer_us()
        if first_us is None:
            raise waits_for_ever(self)
        self.now_us = max(self.now_us, first_us)
        self._jumped_at = self.callbacks
        timers = self._timers
        while timers and timers[0][0] <= self.now_us:
            timer = heapq.heappop(timers)[2]
            timer._scheduled = False  # type: ignore[attr-defined]
            if timer._cancelled:
                self._timer_cancelled_count -= 1
            else:
                self._ready.append(timer)

    def _first_timer_us(self) -> int | None:
        """Return when the next timer is due that was not cancelled; None where there is none."""
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
            self._timer_cancelled_count -= 1
        return timers[0][0] if timers else None

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Forget cancelled timers once they are most of all timers."""
        if not handle._scheduled:  # type: ignore[attr-defined]
            return
        self._timer_cancelled_count += 1
        if self._timer_cancelled_count > max(_FEW_CANCELLED, len(self._timers) // 2):
            self._timers = [each for each in self._timers if not each[2]._cancelled]
            heapq.heapify(self._timers)
            self._timer_cancelled_count = 0

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> NoReturn:
        """Refuse: a thread has no virtual time."""
        _refuse(f"a thread for {getattr(func, '__qualname__', func)!r}")

    def add_reader(self, fd: Any, *args: Any) -> NoReturn:  # type: ignore[override]
        """Refuse: a descriptor is ready at no virtual time."""
        _refuse("a descriptor to be read")

    def add_writer(self, fd: Any, *args: Any) -> NoReturn:  # type: ignore[override]
        """Refuse."""
        _refuse("a descriptor to be written")

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: a child process has no virtual time."""
        _refuse("a child process")

    async def subprocess_shell(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        _refuse("a child process")

    async def create_connection(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: a network has no virtual time."""
        _refuse("a connection")

    async def create_server(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        _refuse("a server")

    async def create_datagram_endpoint(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        _refuse("a socket")


def _refuse(what: str) -> NoReturn:
    raise VirtualWorldError(
        f"{what} was asked for in virtual time, where there is one thread and nothing outside it; "
        "that belongs behind the parts that a modelled run replaces (executor, score phase, board)"
    )
