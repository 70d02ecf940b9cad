"""A script's output: its first part and its last in a file, every line of it read for a number.

The final block comes last, so the end is kept whatever came before. What is read, kept and written
is bounded; a script that prints without end is ended for it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from trainer.script.final_block import Block, BlockReader
from trainer.streams import FileStream, last_line

TAIL_BYTES: Final = 64 << 10
"""Of the end so much is kept."""
MOST_BYTES: Final = 64 << 20
"""A script that prints more than this is ended."""


class ScriptOutput(FileStream):
    """Keeps the first `cap_bytes` of output and its end, and reads all of it for the number.

    Args:
        descriptor: read end of the pipe; owned from here on.
        path: the log's.
        cap_bytes: of the file, but for the end that is added to it.
        reader: gets every byte.
        on_change: called after every piece and at the end.
    """

    def __init__(
        self,
        descriptor: int,
        path: Path,
        cap_bytes: int,
        reader: BlockReader,
        on_change: Callable[[], None],
    ) -> None:
        self.size_bytes = 0
        self._room_bytes = cap_bytes
        self._tail = bytearray()
        self._reader = reader
        super().__init__(descriptor, path, on_change)

    @property
    def is_too_large(self) -> bool:
        """Whether more has come than any script needs to say."""
        return self.size_bytes > MOST_BYTES

    def last_line(self) -> str:
        """The last line that says something, printable characters only, at most 200 of them."""
        return last_line(bytes(self._tail[-4096:]))

    def block(self) -> Block:
        """What it reported; to be asked once, when the output has ended."""
        return self._reader.close()

    def _take(self, data: bytes) -> None:
        self.size_bytes += len(data)
        if self.is_too_large:
            self.close()
            return
        self._reader.feed(data)
        kept = data[: self._room_bytes]
        self._room_bytes -= len(kept)
        self._tail += data
        del self._tail[:-TAIL_BYTES]
        self._write(kept)

    def _finish(self) -> None:
        kept_bytes = self._file.tell()
        missing_bytes = self.size_bytes - kept_bytes
        if missing_bytes > 0 and self.fault is None:
            end = bytes(self._tail)[-missing_bytes:]
            left_out = missing_bytes - len(end)
            if left_out:
                self._write(b"\n[%d bytes are left out here]\n" % left_out)
            self._write(end)
        super()._finish()
