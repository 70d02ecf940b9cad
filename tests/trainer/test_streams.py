"""Streams from a sandbox onto a disk that is full or slow: whole files, or a fault."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from trainer.streams import ArtefactStream, FileStream, LogStream


class Grudging:
    """A file that takes a little of what is offered, and after `room` bytes nothing more."""

    def __init__(self, room: int) -> None:
        self.content = b""
        self._room = room
        self.refused = 0

    def write(self, data: memoryview) -> int:
        """Take up to 1000 bytes."""
        taken = bytes(data[: min(1000, self._room - len(self.content))])
        if not taken:
            self.refused += 1
            raise OSError(28, "No space left on device")
        self.content += taken
        return len(taken)

    def close(self) -> None:
        """Nothing is open."""


def begrudge(stream: FileStream, room: int) -> Grudging:
    """Put such a file in the place of the stream's own."""
    stream._file.close()
    stream._file = disk = Grudging(room)
    return disk


async def read_to_end(stream: FileStream, writing: int, content: bytes) -> None:
    """Put `content` into the pipe and wait until `stream` has read all of it."""
    await asyncio.to_thread(_write_all, writing, content)
    async with asyncio.timeout(10):
        while not stream.is_ended:  # noqa: ASYNC110 - every piece calls on_change, one wait is enough
            await asyncio.sleep(0)


def _write_all(writing: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(writing, rest) :]
    os.close(writing)


@pytest.mark.parametrize("kind", [ArtefactStream, LogStream])
async def test_short_writes_lose_nothing(tmp_path: Path, kind: type[ArtefactStream | LogStream]):
    """A file that takes a kilobyte at a time gets every byte in order."""
    reading, writing = os.pipe()
    stream = kind(reading, tmp_path / "kept", 1 << 20, lambda: None)
    content = os.urandom(100_000)
    disk = begrudge(stream, 1 << 20)
    await read_to_end(stream, writing, content)
    assert disk.content == content
    assert stream.fault is None


@pytest.mark.parametrize("kind", [ArtefactStream, LogStream])
async def test_a_full_disk_is_remembered_and_the_rest_is_drained(
    tmp_path: Path, kind: type[ArtefactStream | LogStream]
):
    """The loop hears of no exception, the file ends at the hole, and the writer goes on."""
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    reading, writing = os.pipe()
    stream = kind(reading, tmp_path / "kept", 1 << 20, lambda: None)
    content = os.urandom(1 << 19)
    disk = begrudge(stream, 2500)
    await read_to_end(stream, writing, content)
    assert "kept" in str(stream.fault)
    assert "No space left on device; make room" in str(stream.fault)
    assert (disk.content, disk.refused) == (content[:2500], 1)
    assert not complaints
