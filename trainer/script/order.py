"""The order that a script's keeper gets: one record, as JSON on a descriptor of its own."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class ScriptOrder:
    """What is to be run, and behind which walls."""

    command: tuple[str, ...]
    """The program by its absolute path, and its arguments."""
    environment: dict[str, str]
    """All of it."""
    code: tuple[str, ...]
    """Absolute paths of programs and libraries that are shown."""
    tree: str
    """The candidate's folder on this machine."""
    data: tuple[tuple[str, str], ...]
    """(file or folder on this machine, absolute path inside) pairs."""
    devices: tuple[str, ...]
    """Device nodes of a card; empty on processor slots."""
    cpus: tuple[int, ...]
    scratch_bytes: int
    memory_bytes: int
    """Of one process; all together are watched from outside."""
    cpu_s: float
    """CPU seconds after which the kernel ends one process; a backstop."""
    leaves: str = ""
    """File of its tree that is handed over when it has ended well."""
    leaves_bytes: int = 0
    """Cap on it; one byte more is handed over of a larger one."""

    def to_descriptor(self) -> int:
        """Return a new descriptor with this record; the caller closes it."""
        descriptor = os.memfd_create("script", os.MFD_CLOEXEC)
        body = memoryview(json.dumps(asdict(self)).encode())
        while body:
            body = body[os.write(descriptor, body) :]
        return descriptor

    @classmethod
    def from_descriptor(cls, descriptor: int) -> ScriptOrder:
        """Read what `to_descriptor` wrote, from its start; closes the descriptor."""
        with os.fdopen(descriptor, "rb") as stream:
            stream.seek(0)
            body = json.load(stream)
        for name in ("command", "code", "devices", "cpus"):
            body[name] = tuple(body[name])
        body["data"] = tuple((source, target) for source, target in body["data"])
        return cls(**body)
