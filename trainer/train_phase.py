"""One train phase as the executor watches it: clocks, caps, and what the attempt came to.

The candidate's clock is read from outside every few hundredths of a second, and once more at the
moment its artefact is complete (the harness then sleeps, so a late reading is still exact; of a
process that ended meanwhile the kernel's last word counts). What has arrived is judged when the
process is gone and its clock has stopped. Next: the `TrainResult` goes to whoever asked for the
run.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trainer.errors import ExecutorError
from trainer.experiment import Isolation, Job, Outcome, TrainResult
from trainer.launch import EXIT_ARTEFACT, EXIT_MEMORY
from trainer.left_data import FORMATS, artefact_name
from trainer.limits import THREADS
from trainer.sandboxed_process import HandOver, SandboxedProcess
from trainer.streams import ArtefactStream, LogStream

LOG_NAME: Final = "log.txt"
MEMORY_SLACK: Final = 1.2
"""Resident memory above the limit times this: shared mappings, which RLIMIT_DATA does not count."""
END_S: Final = 5.0
"""A killed process is gone within milliseconds; if not, the warm parent's end takes it along."""

_START_S: Final = 30.0
_BLINK_S: Final = 1.0
"""Looking away longer than this was not meant: we were stopped, or the whole machine was."""
_LATE_ARTEFACT_S: Final = 1.0
"""How long a process may live on after it closed its artefact pipe half-way."""
_LONG_TICK_S: Final = 0.05
_SHORT_TICK_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class _End:
    """What ended the attempt."""

    outcome: Outcome
    reason: str
    detail: str


_FINE: Final = _End("ok", "", "")


class TrainPhase:
    """Watches one attempt of one job.

    Args:
        job: what is run.
        process: the sandboxed process, perhaps not born yet.
        artefact: read end of the artefact pipe; owned from here on.
        log: read end of the output pipe; owned from here on.
        requested_s: loop time at which the run was asked for.
    """

    def __init__(
        self, job: Job, process: SandboxedProcess, artefact: int, log: int, requested_s: float
    ) -> None:
        self._job = job
        self._process = process
        self._requested_s = requested_s
        self._loop = asyncio.get_running_loop()
        self._launched_s = self._looked_s = self._loop.time()
        self._unseen_s = 0.0
        self._isolation: Isolation = "none"
        self._arrived_s: float | None = None
        self._arrived_cpu_s: float | None = None
        self._form_fault: str | None = None
        self._cpu_s = 0.0
        changed = process.changed.set
        try:
            self._log = LogStream(log, job.folder / LOG_NAME, job.log_bytes, changed)
        except BaseException:
            os.close(log)
            os.close(artefact)
            raise
        self._format = FORMATS[job.leaves]
        path = job.folder / artefact_name(job.leaves)
        try:
            self._artefact = ArtefactStream(artefact, path, job.artefact_bytes, self._on_artefact)
        except BaseException:
            self._log.close()
            os.close(artefact)
            raise

    async def run(self, isolation: Isolation) -> TrainResult:
        """Watch until the attempt is over; nothing of it runs afterwards.

        Raises:
            ExecutorError: the sandbox could not be set up, or its output could not be written.

        Cancellation: the process is killed, the partial artefact removed.
        """
        process, self._isolation = self._process, isolation
        try:
            end = self._end()
            while end is None:
                await process.wait(self._tick_s())
                self._notice_gap()
                if self._arrived_s is not None and self._form_fault is None:
                    self._form_fault = await self._judge(self._format.form_fault)
                end = self._end()
            over_s = self._loop.time()
            await self._bury()
            if end.outcome == "ok" and (fault := await self._judge(self._format.content_fault)):
                end = _End("invalid", "artefact", fault)
            artefact = self._artefact.keep() if end.outcome == "ok" else None
            begin = process.hand_over or HandOver(over_s, self._cpu_s, 0)
            cpu_s, wall_s = max(0.0, self._cpu_s - begin.cpu_s), over_s - begin.at_s
            return TrainResult(
                outcome=end.outcome,
                reason=end.reason,
                detail=end.detail,
                cpu_s=cpu_s,
                wall_s=wall_s,
                charge_s=self._job.budget.charge_s(cpu_s, max(0.0, wall_s - self._unseen_s)),
                start_s=begin.at_s - self._requested_s,
                artefact=artefact,
                isolation=isolation,
            )
        finally:
            process.kill()
            self._artefact.discard()
            self._log.close()

    async def _bury(self) -> None:
        """Kill the process, wait for its end, take the last of its output."""
        await self._process.end(END_S)
        deadline = self._loop.time() + END_S
        while not self._log.is_ended and self._loop.time() < deadline:
            await self._process.wait(deadline - self._loop.time())

    async def _judge(self, fault: Callable[[Path], str]) -> str:
        """What is wrong with the bytes that have come; off the loop, and on nobody's clock."""
        path = self._artefact.partial
        try:
            return await asyncio.to_thread(fault, path)
        except OSError as error:
            raise ExecutorError(
                f"cannot read {path}: {error.strerror}; see to that disk"
            ) from error

    def _on_artefact(self) -> None:
        """Something of the artefact has come; at its end the clock is read at once."""
        if self._artefact.is_ended and self._arrived_s is None:
            self._arrived_s = self._loop.time()
            self._arrived_cpu_s = self._process.running_cpu_s()
        self._process.changed.set()

    def _end(self) -> _End | None:
        """What has ended the attempt, if anything has."""
        process = self._process
        process.check()
        if full := self._artefact.fault or self._log.fault:
            raise full
        begin = process.hand_over
        self._cpu_s = process.cpu_s()
        if self._artefact.is_too_large:
            return _End("invalid", "artefact", f"more than {self._job.artefact_bytes} bytes")
        if self._form_fault == "" and begin is not None:
            if self._arrived_cpu_s is None and process.ending is not None:
                self._arrived_cpu_s = process.ending.cpu_s
            if self._arrived_cpu_s is not None and self._arrived_s is not None:
                self._cpu_s = self._arrived_cpu_s
                return self._overdrawn(self._cpu_s, self._arrived_s) or _FINE
        if process.is_gone and self._form_fault is not None:
            return self._own_ending()
        if begin is None:
            is_late = self._loop.time() > self._launched_s + _START_S
            return _End("interrupted", "lost", "the sandbox did not start") if is_late else None
        if end := self._overdrawn(self._cpu_s, self._loop.time()) or self._too_much():
            return end
        if self._form_fault and self._is_overdue():
            return _End("invalid", "artefact", self._form_fault)
        return None

    def _is_overdue(self) -> bool:
        """Whether it has lived on for long after it closed its artefact pipe half-way."""
        is_living = not self._process.is_gone and self._arrived_s is not None
        return is_living and self._loop.time() > (self._arrived_s or 0.0) + _LATE_ARTEFACT_S

    def _overdrawn(self, cpu_s: float, at_s: float) -> _End | None:
        """Whether the budget or the wall cap was exceeded by then."""
        budget, begin = self._job.budget.clock, self._process.hand_over
        assert begin is not None
        wall_s = at_s - begin.at_s
        clocks = {"cpu_seconds": cpu_s - begin.cpu_s, "device_seconds": wall_s, "steps": 0.0}
        if clocks[budget.kind] > budget.limit:
            if budget.kind == "device_seconds" and wall_s - self._unseen_s <= budget.limit:
                return _End("interrupted", "lost", f"nobody looked for {self._unseen_s:.1f} s")
            unit = budget.kind.replace("_", " ")
            detail = f"{clocks[budget.kind]:.2f} of {budget.amount:g} {unit} used, not finished"
            return _End("invalid", "limit", detail)
        if wall_s > budget.wall_cap_s:
            # the cap is for those who sleep; our absence and a full processor are not their doing
            own_s = wall_s - self._unseen_s - self._process.waited_s()
            if own_s > budget.wall_cap_s:
                return _End("invalid", "limit", f"not finished after {wall_s:.1f} s of wall time")
        return None

    def _notice_gap(self) -> None:
        """Remember for how long since the hand-over nobody looked."""
        begin, last_s = self._process.hand_over, self._looked_s
        self._looked_s = self._loop.time()
        gap_s = self._looked_s - max(last_s, begin.at_s) if begin is not None else 0.0
        if gap_s > _BLINK_S:
            self._unseen_s += gap_s

    def _too_much(self) -> _End | None:
        """Whether it holds more memory or threads than it may."""
        usage = self._process.usage()
        if usage.resident_bytes > self._job.memory_bytes * MEMORY_SLACK:
            return _End("invalid", "memory", f"{usage.resident_bytes >> 20} MiB resident")
        if usage.threads > THREADS:
            return _End("invalid", "limit", f"{usage.threads} threads")
        if usage.is_headless:
            self._process.kill()
        return None

    def _own_ending(self) -> _End:
        """What it means that the process ended by itself."""
        ending, last = self._process.ending, self._log.last_line()
        if ending is None:
            return _End("interrupted", "lost", "the warm parent ended while it ran")
        self._cpu_s = ending.cpu_s
        if self._process.hand_over is None:
            return _End("interrupted", "lost", "the process ended before the hand-over")
        if ending.code == EXIT_MEMORY:
            return _End("invalid", "memory", last)
        if ending.code == EXIT_ARTEFACT:
            return _End("invalid", "artefact", last)
        if ending.code == 0:
            return _End("invalid", "artefact", "it ended without handing over what it should leave")
        if ending.code == -signal.SIGXCPU:
            return _End("invalid", "limit", "the kernel's CPU limit ended it")
        if ending.code == -signal.SIGKILL:
            return self._overdrawn(ending.cpu_s, self._loop.time()) or self._killing()
        if ending.code < 0:
            return _End("invalid", "crash", f"{_signal_name(-ending.code)}; {last}")
        return _End("invalid", "crash", last)

    def _killing(self) -> _End:
        """What it means that it was killed, before we knew of any reason to."""
        if self._process.was_killed:
            return _End("invalid", "crash", "its first thread ended while others ran on")
        if self._process.is_lost(self._job.memory_bytes, self._isolation):
            return _End("interrupted", "lost", "somebody else killed it")
        return _End("invalid", "memory", "the kernel killed it, most likely for memory")

    def _tick_s(self) -> float:
        """How long to look away: not longer than what is left of the budget."""
        begin, budget = self._process.hand_over, self._job.budget.clock
        if begin is None or budget.kind == "steps":
            return _LONG_TICK_S
        left_s = budget.limit - (self._cpu_s - begin.cpu_s)
        return min(max(left_s, _SHORT_TICK_S), _LONG_TICK_S)


def _signal_name(number: int) -> str:
    """A signal's name; real-time signals have numbers only."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
