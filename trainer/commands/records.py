"""What is asked of a command, and how it ended. Plain records, and the order's wire form."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Literal, Self

WORK: Final = "/work"
"""Where the command works, once inside."""
HOME: Final = "/home/agent"
"""Its home, once inside; kept between two commands of the same owner."""
PROXY_PORT: Final = 3128
"""On its own loopback: the only way out of its network."""

How = Literal["exited", "deadline", "memory", "disk", "processes", "output", "stopped"]
"""stopped: by its caller, for what it said."""


@dataclass(frozen=True, slots=True)
class CommandLimits:
    """What one command may take; beyond it, it is killed with all it has started."""

    wall_s: float = 600.0
    memory_bytes: int = 4 << 30
    """Of all its processes together: memory of their own, shared memory, swap."""
    disk_bytes: int = 512 << 20
    """In the work folder and the home together, as allotted on the disk."""
    files: int = 20_000
    """In both together."""
    processes: int = 512
    """Threads not counted."""
    output_bytes: int = 4 << 20
    """Of each of its two streams."""


@dataclass(frozen=True, slots=True)
class Command:
    """One program to run."""

    argv: tuple[str, ...]
    """The first is the absolute path of a file that the command is shown."""
    stdin: bytes
    environment: Mapping[str, str]
    """All it gets beside what every command has (PATH, HOME, proxies)."""
    work: Path
    """Folder it may write, at `WORK`."""
    home: Path
    """Folder it may write, at `HOME`."""
    reads: tuple[str, ...] = ()
    """Files and folders shown at their own paths, read-only, beside the system's programs."""
    hosts: tuple[str, ...] = ()
    """What it may connect to: ``name``, ``name:port``, ``*.name``, or ``*`` for all of the public
    internet; nothing else, and through the relay alone."""
    hidden: tuple[Path, ...] = ()
    """Must not lie in anything that is shown; the command is not run otherwise."""
    limits: CommandLimits = field(default_factory=CommandLimits)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and what it said."""

    how: How
    """exited, or what it was killed for."""
    code: int | None
    """Exit code if it exited; 128 and the signal's number if one ended it."""
    stdout: bytes
    stderr: bytes
    turned_down: tuple[str, ...]
    """Where it wanted to connect and may not, each once, in order."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the keeper is told."""

    argv: tuple[str, ...]
    stdin: str
    """In base64."""
    environment: Mapping[str, str]
    work: str
    home: str
    shown: tuple[tuple[str, str], ...]
    """(path on the host, path inside) of all that is read-only."""
    links: tuple[tuple[str, str], ...]
    """(path inside, target) of the system's own links, /bin and its like."""
    wall_s: float
    memory_bytes: int
    disk_bytes: int
    files: int
    processes: int

    def packed(self) -> bytes:
        """Return it as it goes over the wire: a length, then JSON."""
        text = json.dumps(asdict(self)).encode()
        return struct.pack("!I", len(text)) + text

    @classmethod
    def unpacked(cls, text: bytes) -> Self:
        """Return what `packed` wrote, without the length."""
        data = json.loads(text)
        for name in ("argv", "shown", "links"):
            data[name] = tuple(tuple(x) if isinstance(x, list) else x for x in data[name])
        return cls(**data)

    def input(self) -> bytes:
        """Return its standard input."""
        return base64.b64decode(self.stdin)
