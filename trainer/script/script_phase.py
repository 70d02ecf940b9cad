"""One attempt of a script as its executor watches it: the clock, the caps, what it came to.

The clock is the wall's, from the moment the command is executed to its end, and its own word about
time counts for nothing. Its number is read from what it printed (`trainer.script.final_block`).
"""

from __future__ import annotations

import asyncio
import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trainer.experiment import GRACE, Isolation, Job, Outcome, TrainResult
from trainer.sandboxed_process import HandOver, SandboxedProcess
from trainer.script.final_block import BlockReader
from trainer.script.output import ScriptOutput
from trainer.script.tree_usage import shared_out_bytes, tree_usage
from trainer.streams import ArtefactStream
from trainer.train_phase import END_S, LOG_NAME, MEMORY_SLACK

TOLD_NAME: Final = "told.json"
"""Beside the log: what a script reported, in place of an artefact."""
LEFT_NAME: Final = "left.data"
"""The file that a graded script left."""
_START_S: Final = 30.0
_BLINK_S: Final = 1.0
"""Looking away longer than this was not meant: we were stopped, or the whole machine was."""
_TICK_S: Final = 0.05
_LOOK_S: Final = 0.25
"""Between two looks at memory."""


@dataclass(frozen=True, slots=True)
class _End:
    outcome: Outcome
    reason: str
    detail: str


class ScriptPhase:
    """Watches one attempt of one job.

    Args:
        job: what is run; its budget is in device seconds.
        process: the sandboxed process, perhaps not born yet.
        output: read end of the output pipe; owned from here on.
        reader: finds the number.
        requested_s: loop time at which the run was asked for.
        artefact: read end of the pipe for the file that it leaves; owned from here on. None where
            its word is taken.
    """

    def __init__(
        self,
        job: Job,
        process: SandboxedProcess,
        output: int,
        reader: BlockReader,
        requested_s: float,
        artefact: int | None = None,
    ) -> None:
        self._job = job
        self._process = process
        self._requested_s = requested_s
        self._loop = asyncio.get_running_loop()
        self._launched_s = self._looked_s = self._weighed_s = self._loop.time()
        self._unseen_s = 0.0
        path = job.folder / LOG_NAME
        self._left: ArtefactStream | None = None
        if artefact is not None:
            place = job.folder / LEFT_NAME
            self._left = ArtefactStream(artefact, place, job.artefact_bytes, process.changed.set)
        self._output = ScriptOutput(output, path, job.log_bytes, reader, process.changed.set)

    async def run(self, isolation: Isolation) -> TrainResult:
        """Watch until the attempt is over; nothing of it runs afterwards.

        Raises:
            ExecutorError: the sandbox could not be set up, or its output could not be written.

        Cancellation: the script and all that it started are killed.
        """
        process = self._process
        try:
            end = self._end()
            while end is None:
                await process.wait(_TICK_S)
                self._notice_gap()
                end = self._end()
            over_s = self._loop.time()
            await self._bury()
            numbers: dict[str, float] = {}
            if end.outcome == "ok":
                end, numbers = self._told()
            begin = process.hand_over or HandOver(over_s, 0.0, 0)
            cpu_s = process.ending.cpu_s if process.ending is not None else process.cpu_s()
            wall_s = over_s - begin.at_s
            return TrainResult(
                outcome=end.outcome,
                reason=end.reason,
                detail=end.detail,
                cpu_s=max(0.0, cpu_s - begin.cpu_s),
                wall_s=wall_s,
                charge_s=self._job.budget.charge_s(cpu_s, max(0.0, wall_s - self._unseen_s)),
                start_s=begin.at_s - self._requested_s,
                artefact=self._kept(numbers) if end.outcome == "ok" else None,
                isolation=isolation,
            )
        finally:
            process.kill()
            self._output.close()
            if self._left is not None:
                self._left.discard()

    async def _bury(self) -> None:
        """Kill what is left, wait for its end, take the last of its output."""
        await self._process.end(END_S)
        deadline = self._loop.time() + END_S
        ends = [self._output, *([self._left] if self._left is not None else [])]
        while not all(end.is_ended for end in ends) and self._loop.time() < deadline:
            await self._process.wait(deadline - self._loop.time())
        for end in ends:
            end.close()
            if end.fault:
                raise end.fault

    def _end(self) -> _End | None:
        """What has ended the attempt, if anything has."""
        process = self._process
        process.check()
        if full := self._output.fault:
            raise full
        if self._output.is_too_large:
            return _End("invalid", "report", "it printed more than 64 MiB")
        if process.is_gone:
            return self._own_ending()
        if process.hand_over is None:
            is_late = self._loop.time() > self._launched_s + _START_S
            return _End("interrupted", "lost", "the sandbox did not start") if is_late else None
        return self._overdrawn() or self._too_much()

    def _overdrawn(self) -> _End | None:
        budget, begin = self._job.budget, self._process.hand_over
        assert begin is not None
        wall_s = self._loop.time() - begin.at_s
        if wall_s <= budget.amount * GRACE:
            return None
        if wall_s - self._unseen_s <= budget.amount * GRACE:
            return _End("interrupted", "lost", f"nobody looked for {self._unseen_s:.1f} s")
        return _End("invalid", "limit", f"not over after {budget.amount:g} seconds")

    def _notice_gap(self) -> None:
        """Remember for how long since the hand-over nobody looked."""
        begin, last_s = self._process.hand_over, self._looked_s
        self._looked_s = self._loop.time()
        gap_s = self._looked_s - max(last_s, begin.at_s) if begin is not None else 0.0
        if gap_s > _BLINK_S:
            self._unseen_s += gap_s

    def _too_much(self) -> _End | None:
        """Whether it and all that it started hold more memory than they may."""
        if self._process.pid is None or self._loop.time() < self._weighed_s + _LOOK_S:
            return None
        self._weighed_s = self._loop.time()
        most_bytes = self._job.memory_bytes * MEMORY_SLACK
        usage = tree_usage(self._process.pid)
        held_bytes = usage.held_bytes
        if held_bytes > most_bytes and len(usage.processes) > 1:
            held_bytes = shared_out_bytes(usage.processes) or held_bytes
        if held_bytes > most_bytes:
            return _End("invalid", "memory", f"{held_bytes >> 20} MiB resident")
        return None

    def _own_ending(self) -> _End:
        """What it means that the script ended by itself."""
        ending, last = self._process.ending, self._output.last_line()
        if ending is None:
            return _End("interrupted", "lost", "its keeper ended while it ran")
        if self._process.hand_over is None:
            return _End("interrupted", "lost", "the process ended before the hand-over")
        if ending.code == 0:
            return _End("ok", "", "")
        if ending.code == -signal.SIGXCPU:
            return _End("invalid", "limit", "the kernel's CPU limit ended it")
        if ending.code == -signal.SIGKILL:
            if self._process.is_lost(self._job.memory_bytes, "full"):
                return _End("interrupted", "lost", "somebody else killed it")
            return _End("invalid", "memory", "the kernel killed it, most likely for memory")
        how = f"exit code {ending.code}" if ending.code > 0 else f"signal {-ending.code}"
        return _End("invalid", "crash", f"{how}; {last}")

    def _told(self) -> tuple[_End, dict[str, float]]:
        """What a script that ended well has reported, or left."""
        block = self._output.block()
        if self._left is not None:
            if self._left.is_too_large:
                words = f"it left more than {self._job.artefact_bytes} bytes"
                return _End("invalid", "artefact", words), {}
            if not self._left.size_bytes:
                last = self._output.last_line()
                words = f"it left no file where its task says; its last line: {last}"
                return _End("invalid", "artefact", words), {}
            return _End("ok", "", ""), dict(block.numbers)
        if block.value is None:
            detail = block.fault
            if last := self._output.last_line():
                detail += f"; its last line: {last}"
            return _End("invalid", "report", detail), {}
        return _End("ok", "", ""), {"": block.value, **block.numbers}

    def _kept(self, numbers: dict[str, float]) -> Path:
        """Return the file that is scored: what it left, else its own word."""
        told = self._keep(numbers)
        return told if self._left is None else self._left.keep()

    def _keep(self, numbers: dict[str, float]) -> Path:
        """Write down what it reported, the metric under the empty name."""
        path = self._job.folder / TOLD_NAME
        path.write_text(json.dumps(numbers), encoding="utf-8")
        return path
