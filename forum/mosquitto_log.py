"""Incidents in Mosquitto's log, as its debug level tells them.

Mosquitto 2.0 refuses in silence, or not at all where it filters later: a will and a subscription
are judged here by the same rights. Only users that proved their password stand in these lines, and
topics hold no line breaks, so nobody can write a line about somebody else.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO, Final

from forum.incidents import Incident, IncidentTally
from forum.topics import Topics

MAX_LOG_BYTES: Final = 64 * 1024 * 1024
"""A log that has grown so long is emptied once it has been read."""
_READ_S = 0.5
_CHUNK_BYTES = 1024 * 1024
_DENIED = re.compile(r"Denied PUBLISH from (\S+) \(d\d, q\d, r(\d), m\d+, '(.*)', \.\.\. \(")
_CONNECTED = re.compile(r"New client connected from .* as (\S+) \(")
_SUBSCRIBE = re.compile(r"Received SUBSCRIBE from (\S+)$")
_FILTER = re.compile(r"\t(.*) \(QoS \d\)$")
_TOPIC = re.compile(r"\t(.*)$")
_BROKEN = re.compile(
    r"Bad socket read/write on client (\S+): (.*)$|"
    r"Client (\S+) disconnected due to (oversize packet|protocol error|malformed packet)"
)


class LogReader:
    """Turns lines into incidents; keeps what a line needs of those before it."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._newest = ""
        self._subscriber = ""
        self._is_will = False
        self.tally = IncidentTally()

    def take(self, line: str) -> None:
        """Take in one line, with its stamp."""
        said = line.partition(": ")[2]
        if said.startswith("\t"):
            self._take_detail(said)
            return
        self._subscriber, self._is_will = "", said.startswith("Will message specified")
        if found := _CONNECTED.match(said):
            self._newest = found[1]
        elif found := _SUBSCRIBE.match(said):
            self._subscriber = found[1]
        elif found := _DENIED.match(said):
            self.tally.note(found[1], "publish", f"wrote to {found[3]!r}, which is not his")
        elif said.endswith("disconnected, not authorised."):
            self.tally.note("", "login", "wrong user or password")
        elif found := _BROKEN.match(said):
            who, what = (found[1], found[2]) if found[1] else (found[3], found[4])
            why = f"sent what is not served (retained, too large, malformed, QoS 2): {what}"
            self.tally.note("" if who == "<unknown>" else who, "packet", why)

    def _take_detail(self, said: str) -> None:
        found = _TOPIC.match(said) if self._is_will else _FILTER.match(said)
        if found is None:
            return
        if self._is_will and not self._topics.may_publish(self._newest, found[1]):
            self.tally.note(self._newest, "will", f"a will on {found[1]!r}, which is not his")
        user = self._subscriber
        if user and not self._topics.may_subscribe(user, found[1]):
            self.tally.note(user, "subscribe", f"wanted to read {found[1]!r}")


async def follow_log(path: Path, topics: Topics) -> AsyncIterator[Incident]:
    """Yield the incidents that are written to a log from now on; for ever.

    Cancellation: nothing remains.
    """
    reader, log = LogReader(topics), _GrowingLog(path)
    try:
        while True:
            lines = log.read()
            for line in lines:
                reader.take(line)
            for incident in reader.tally.take():
                yield incident
            await asyncio.sleep(0 if lines else _READ_S)
    finally:
        log.close()


class _GrowingLog:
    """A file that another program appends to; it may be missing yet, be rotated, or emptied."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        self._open(os.SEEK_END)

    def read(self) -> list[str]:
        """Return the whole lines that were added, a chunk at most."""
        if self._file is None:
            self._open(os.SEEK_SET)
        chunk = b"" if self._file is None else self._file.read(_CHUNK_BYTES)
        if self._file is not None and not chunk:
            self._look_after(self._file)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()
        self._file, self._rest = None, b""

    def _open(self, whence: int) -> None:
        try:
            self._file = self._path.open("rb")
        except FileNotFoundError:
            return
        self._file.seek(0, whence)

    def _look_after(self, file: BinaryIO) -> None:
        """Empty a log that was read and has grown long; let go of one that was rotated."""
        held = os.fstat(file.fileno())
        try:
            now = self._path.stat()
        except FileNotFoundError:
            self.close()
            return
        if (now.st_dev, now.st_ino) != (held.st_dev, held.st_ino):
            self.close()
        elif now.st_size > MAX_LOG_BYTES:
            os.truncate(self._path, 0)  # Mosquitto appends
            file.seek(0)
        elif now.st_size < file.tell():
            file.seek(0)
