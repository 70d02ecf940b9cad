"""What a card does while a candidate has it, asked of the driver from outside, for people.

One ``nvidia-smi`` runs beside each train phase on a card and prints a line at every look: memory in
use on the card and the share of time in which a kernel ran. The slot is the candidate's alone, so
that is its own doing. Nothing is decided by it; where the tool is missing or says nothing that can
be read, nothing is told. Next: `trainer.experiment.TrainResult`.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from trainer.experiment import DeviceUse

EVERY_MS: Final = 250
"""Between two looks; one costs the card nothing and a processor a few milliseconds."""
_QUERY: Final = ("--query-gpu=memory.used,utilization.gpu", "--format=csv,noheader,nounits")
_LINE: Final = re.compile(r"\s*(\d+)\s*,\s*(\d+)\s*")


class Looks:
    """What was seen so far."""

    def __init__(self) -> None:
        self._peak_mib = 0
        self._busy_percent = 0
        self._count = 0

    def add(self, line: str) -> None:
        """Take one line of the tool; what is none is passed over."""
        if found := _LINE.fullmatch(line):
            self._peak_mib = max(self._peak_mib, int(found[1]))
            self._busy_percent += min(100, int(found[2]))
            self._count += 1

    def so_far(self) -> DeviceUse | None:
        """Return what that comes to; None before the first look."""
        if not self._count:
            return None
        return DeviceUse(self._peak_mib << 20, self._busy_percent / 100 / self._count, self._count)


@asynccontextmanager
async def watched(uuid: str) -> AsyncIterator[Looks]:
    """Look at the card of this name until the block exits.

    Args:
        uuid: The card's own name; empty for a processor, at which nobody looks.
    """
    looks = Looks()
    tool = shutil.which("nvidia-smi") if uuid else None
    process = await _started(tool, uuid) if tool is not None else None
    if process is None:
        yield looks
        return
    reading = asyncio.create_task(_read(process, looks), name=f"watch {uuid}")
    try:
        yield looks
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        reading.cancel()
        await asyncio.wait([reading])


async def _started(tool: str, uuid: str) -> Process | None:
    """Start the tool; None where it cannot be."""
    arguments = ("-i", uuid, *_QUERY, f"--loop-ms={EVERY_MS}")
    try:
        return await asyncio.create_subprocess_exec(
            tool, *arguments, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
        )
    except OSError:
        return None


async def _read(process: Process, looks: Looks) -> None:
    """Take line after line, as long as they are lines."""
    assert process.stdout is not None
    with suppress(ValueError):  # a line longer than any of the tool's
        while line := await process.stdout.readline():
            looks.add(line.decode("ascii", "replace").strip())
