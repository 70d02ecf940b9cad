"""A sandboxed process as seen from outside: born, handed over, its clock, its memory, its end.

Everything here is taken from the kernel or from our own keeper, never from candidate code. It does
not judge; `trainer.train_phase` and `trainer.local_executor` do.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trainer.errors import ExecutorError
from trainer.experiment import Isolation
from trainer.streams import LineReader

_MODEST_BYTES: Final = 256 << 20
_MODEST: Final = 0.5
"""A process that never held this much more than at its hand-over, nor more than this share of its
memory, is not suspected of having provoked the kernel. Torch and a small model come to hold
25 to 90 MiB more; what they begin with is the warm parent's, and depends on the build of torch."""
_DYING_S: Final = 0.1
"""The first thread of a process that ends may be gone this much before the others."""
_HELD: Final = (b"VmRSS", b"VmSwap", b"VmPTE")
_CPU_CLOCK: Final = 2
"""Of the three clocks of a process the one the scheduler keeps, in nanoseconds."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """The moment candidate code began."""

    at_s: float
    """Loop time."""
    cpu_s: float
    """CPU seconds the process had used until then."""
    held_bytes: int
    """The most memory that was resident until then."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How the process ended."""

    code: int
    """Exit code, or minus the signal's number."""
    cpu_s: float
    """All CPU seconds it used."""
    most_bytes: int
    """The most memory that was ever resident."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What it holds right now."""

    resident_bytes: int
    """Resident or swapped out, with the page tables, which can be large where memory is not."""
    threads: int
    is_headless: bool
    """Its first thread has ended and others live on, at two looks that lie apart; the kernel then
    tells no memory."""


class SandboxedProcess:
    """One process behind walls.

    Args:
        status: read end of the keeper's pipe; owned from here on.
        mark: read end of the pipe for the hand-over mark; owned from here on.
    """

    def __init__(self, status: int, mark: int) -> None:
        self.changed = asyncio.Event()
        """Set whenever something has been learnt; whoever waits clears it."""
        self.hand_over: HandOver | None = None
        self.ending: Ending | None = None
        """None while it lives, and for ever if it was lost with its keeper."""
        self.locked_cpu_s: float | None = None
        """CPU seconds it had used when it was locked in; None if it was not."""
        self.refusal = ""
        """Why its keeper ended it instead of locking it in; for people."""
        self._fault = ""
        self._pid: int | None = None
        self._pidfd: int | None = None
        self._is_doomed = False
        self._was_killed = False
        self._last_cpu_s = 0.0
        self._most_seen_bytes = 0
        self._headless_since: float | None = None
        self._loop = asyncio.get_running_loop()
        self._status = LineReader(status, self._take_status, self.changed.set)
        self._mark = LineReader(mark, self._take_mark, self.changed.set)

    @property
    def is_gone(self) -> bool:
        """Whether it has ended or was lost, and everything it said before is known."""
        return self._status.is_ended and self._mark.is_ended

    @property
    def was_killed(self) -> bool:
        """Whether `kill` found it alive; what it ended of otherwise was not us."""
        return self._was_killed

    @property
    def pid(self) -> int | None:
        """Its process id on the host, once known."""
        return self._pid

    def check(self) -> None:
        """Raise what went wrong on our side while the sandbox was set up.

        Raises:
            ExecutorError: a step of setting up was refused; the text names it.
        """
        if self._fault:
            raise ExecutorError(f"a sandbox could not be set up: {self._fault}")

    def cpu_s(self) -> float:
        """CPU seconds of all its threads since it was forked, read from its kernel clock."""
        if self.ending is not None:
            return self.ending.cpu_s
        if self._pid is not None:
            try:
                self._last_cpu_s = time.clock_gettime((~self._pid << 3) | _CPU_CLOCK)
            except OSError:
                return self._last_cpu_s  # it has just ended; the keeper is about to tell
        return self._last_cpu_s

    def running_cpu_s(self) -> float | None:
        """The same at this moment; None if it has ended and only its `ending` will tell."""
        cpu_s = self.cpu_s()
        if self.ending is not None:
            return cpu_s
        return None if self._pidfd is None or _has_exited(self._pidfd) else cpu_s

    def waited_s(self) -> float:
        """Seconds its first thread was ready to run and given no processor; 0 if not known."""
        try:
            return int(Path(f"/proc/{self._pid}/schedstat").read_bytes().split()[1]) / 1e9
        except (OSError, IndexError):
            return 0.0

    def usage(self) -> Usage:
        """Memory and threads; zeros once it has ended."""
        try:
            lines = Path(f"/proc/{self._pid}/status").read_bytes().splitlines()
        except OSError:
            return Usage(0, 0, is_headless=False)
        said = {name: words.split() for name, _, words in (line.partition(b":") for line in lines)}
        held = sum(int(said[name][0]) << 10 for name in _HELD if name in said)
        self._most_seen_bytes = max(self._most_seen_bytes, held)
        threads = int(said[b"Threads"][0])
        is_headless = said[b"State"][0] == b"Z" and threads > 1
        return Usage(held, threads, is_headless=self._stays_headless(now=is_headless))

    def _stays_headless(self, *, now: bool) -> bool:
        """Whether it was headless before as well, `_DYING_S` ago: it is not just dying."""
        if not now:
            self._headless_since = None
            return False
        at_s = self._loop.time()
        if self._headless_since is None:
            self._headless_since = at_s
        return at_s - self._headless_since >= _DYING_S

    def is_lost(self, memory_bytes: int, isolation: Isolation) -> bool:
        """Whether it went with its keeper, or was killed by neither us nor itself.

        Nothing inside may be able to bring this about, or a candidate could ask for reruns without
        end. In a PID namespace of its own a program cannot send itself SIGKILL, every other signal
        it can. The kernel kills for memory (and for processor time, which the caller looks at): so
        it must not have held much of the `memory_bytes` that it was allowed. What its end tells of
        that counts neither page tables nor swap, so what `usage` has seen counts as well.
        """
        if not self.is_gone:
            return False
        if self.ending is None:
            return True
        begun_bytes = self.hand_over.held_bytes if self.hand_over is not None else 0
        most_bytes = max(self.ending.most_bytes, self._most_seen_bytes)
        return (
            self.ending.code == -signal.SIGKILL
            and not (self._was_killed or self.refusal)
            and isolation == "full"
            and most_bytes <= min(begun_bytes + _MODEST_BYTES, memory_bytes * _MODEST)
        )

    def kill(self) -> None:
        """Kill it, and with it everything in its PID namespace; at birth if it is not born yet."""
        self._is_doomed = True
        if self._pidfd is None:
            return
        if _has_exited(self._pidfd):
            return
        try:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._was_killed = True

    async def wait(self, timeout_s: float) -> None:
        """Wait until something has been learnt, or `timeout_s` have passed."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.changed.wait()
        except TimeoutError:
            return
        finally:
            self.changed.clear()

    async def end(self, timeout_s: float) -> bool:
        """Kill it and wait until it is gone; False if that took longer than `timeout_s`."""
        self.kill()
        deadline = self._loop.time() + timeout_s
        while not self.is_gone and self._loop.time() < deadline:
            await self.wait(deadline - self._loop.time())
        return self.is_gone

    def close(self) -> None:
        """Close what this object holds open. The process must be gone, or will be forgotten."""
        self._status.close()
        self._mark.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def _take_status(self, line: bytes) -> None:
        """From the keeper: the child's birth, what came of locking it in, or its end."""
        record = json.loads(line)
        if "pid" in record:
            self._pid = int(record["pid"])
            try:
                self._pidfd = os.pidfd_open(self._pid)
            except OSError:
                return  # ended already
            if self._is_doomed:
                self.kill()
        elif "locked_cpu_s" in record:
            self.locked_cpu_s = float(record["locked_cpu_s"])
        elif "refused" in record:
            self.refusal = str(record["refused"])
        else:
            code, cpu_s, most_bytes = record["exit"], record["cpu_s"], record["most_bytes"]
            self.ending = Ending(int(code), float(cpu_s), int(most_bytes))

    def _take_mark(self, line: bytes) -> None:
        """From our code in the sandbox, before candidate code runs: ready, or a fault."""
        record = json.loads(line)
        if "fault" in record:
            self._fault = str(record["fault"])
        elif self.hand_over is None:
            cpu_s, held_bytes = float(record["cpu_s"]), int(record["held_bytes"])
            self.hand_over = HandOver(self._loop.time(), cpu_s, held_bytes)


def _has_exited(pidfd: int) -> bool:
    """Whether the process behind `pidfd` has exited."""
    exited = select.poll()
    exited.register(pidfd, select.POLLIN)
    return bool(exited.poll(0))
