"""The executor's ends of a sandbox's pipes, read as the event loop finds them readable.

Each reader has a cap before memory or disk is spent. They neither interpret nor trust what comes;
`trainer.train_phase` decides what a stream's end means.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from trainer.errors import ExecutorError

_CHUNK_BYTES: Final = 1 << 16
_PIPE_BYTES: Final = 1 << 18
"""A larger pipe wakes the loop less often; refused quietly where the user's quota is spent."""
_LINE_BYTES: Final = 1 << 14


class PipeReader:
    """Reads one pipe to its end. Subclasses say what to do with the bytes.

    Args:
        descriptor: read end; owned from here on.
        on_change: called after every piece and at the end.
    """

    def __init__(self, descriptor: int, on_change: Callable[[], None]) -> None:
        self.is_ended = False
        self._descriptor = descriptor
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        os.set_blocking(descriptor, False)
        self._loop.add_reader(descriptor, self._read)

    def close(self) -> None:
        """Stop reading and close; may be called again."""
        if self.is_ended:
            return
        self.is_ended = True
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._finish()
        self._on_change()

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._take(data)
            self._on_change()
        else:
            self.close()

    def _take(self, data: bytes) -> None:
        """Bytes have come."""
        raise NotImplementedError

    def _finish(self) -> None:
        """No more will come."""


class LineReader(PipeReader):
    """Hands over complete lines; what exceeds 16 KiB without a newline ends the reading."""

    def __init__(
        self, descriptor: int, on_line: Callable[[bytes], None], on_change: Callable[[], None]
    ) -> None:
        self._buffer = b""
        self._on_line = on_line
        super().__init__(descriptor, on_change)

    def _take(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._on_line(line)
        if len(self._buffer) > _LINE_BYTES:
            self.close()


class FileStream(PipeReader):
    """A pipe that ends in a file. What the disk refuses is kept in `fault` for whoever waits.

    Raising it where it happens would end in the event loop's own log, and the hole in the file
    would be held against the candidate.
    """

    def __init__(self, descriptor: int, path: Path, on_change: Callable[[], None]) -> None:
        self.fault: ExecutorError | None = None
        self._kept = path
        self._file: BinaryIO = path.open("wb", buffering=0)
        enlarge(descriptor, _PIPE_BYTES)
        super().__init__(descriptor, on_change)

    def _write(self, data: bytes) -> None:
        """Write all of `data` (an unbuffered file takes it in pieces); nothing after a fault."""
        rest = memoryview(data)
        try:
            while rest and self.fault is None:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.fault = ExecutorError(
                f"cannot write {self._kept}: {error.strerror}; make room on that disk, then go on "
                "with `community run --resume`"
            )

    def _finish(self) -> None:
        self._file.close()


class LogStream(FileStream):
    """Keeps the first `cap_bytes` of output in a file; the rest is drained inside the kernel."""

    def __init__(
        self, descriptor: int, path: Path, cap_bytes: int, on_change: Callable[[], None]
    ) -> None:
        self.dropped_bytes = 0
        self._room_bytes = cap_bytes
        self._tail = b""
        self._nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        try:
            super().__init__(descriptor, path, on_change)
        except BaseException:
            os.close(self._nowhere)
            raise

    def last_line(self) -> str:
        """The last line that says something, printable characters only, at most 200 of them."""
        return last_line(self._tail)

    def _read(self) -> None:
        if self._room_bytes > 0:
            super()._read()
            return
        try:
            moved = os.splice(self._descriptor, self._nowhere, _PIPE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            moved = 0
        self.dropped_bytes += moved
        if not moved:
            self.close()

    def _take(self, data: bytes) -> None:
        kept = data[: self._room_bytes]
        self.dropped_bytes += len(data) - len(kept)
        self._room_bytes -= len(kept)
        self._tail = (self._tail + kept)[-4096:]
        self._write(kept)

    def _finish(self) -> None:
        if self.dropped_bytes:
            self._write(b"\n[%d bytes more were dropped]\n" % self.dropped_bytes)
        super()._finish()
        os.close(self._nowhere)


class ArtefactStream(FileStream):
    """Writes the artefact to a file beside its final name, up to `cap_bytes`.

    Args:
        descriptor: read end of the artefact pipe.
        path: final name; the file gets it by `keep` only.
        cap_bytes: one byte more ends the reading with `is_too_large`.
        on_change: called after every piece and at the end.
    """

    def __init__(
        self, descriptor: int, path: Path, cap_bytes: int, on_change: Callable[[], None]
    ) -> None:
        self.is_too_large = False
        self.size_bytes = 0
        self._cap_bytes = cap_bytes
        self._path = path
        self.partial = path.with_name(path.name + ".part")
        path.unlink(missing_ok=True)
        super().__init__(descriptor, self.partial, on_change)

    def keep(self) -> Path:
        """Give the complete file its name, read-only.

        A descriptor of it goes into answering sandboxes; their owner must not reopen it to write.
        """
        self.partial.chmod(0o400)
        self.partial.rename(self._path)
        return self._path

    def discard(self) -> None:
        """Close, and remove what has come unless it was kept."""
        self.close()
        self.partial.unlink(missing_ok=True)

    def _take(self, data: bytes) -> None:
        self.size_bytes += len(data)
        if self.size_bytes > self._cap_bytes:
            self.is_too_large = True
            self.close()
        else:
            self._write(data)


def last_line(tail: bytes) -> str:
    """Return the last line of `tail` that says something, as `LogStream.last_line` does."""
    lines = tail.decode(errors="replace").splitlines()
    text = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return "".join(character for character in text if character.isprintable())[:200]


def enlarge(descriptor: int, size_bytes: int) -> None:
    """Ask for a larger pipe."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, size_bytes)
    except OSError:
        return
