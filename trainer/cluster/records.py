"""What passes between the institution and a node. Records only; both sides have the same code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trainer.devices import Slot
from trainer.executor import Lockdown, Overuse
from trainer.experiment import Isolation, Job, TrainResult
from trainer.script_table import ScriptTable


@dataclass(frozen=True, slots=True)
class Blob:
    """A file by its content."""

    path: str
    """Relative to the folder it is part of."""
    digest: str
    """SHA-256 of its bytes, in hex."""
    size_bytes: int


Contents = tuple[Blob, ...]
"""A folder: its files, sorted by path."""


@dataclass(frozen=True, slots=True)
class NodeWish:
    """What a node is asked to be."""

    name: str
    """How the institution calls it, for people."""
    count: int
    """Slots."""
    device: str
    """``cpu`` or ``cuda``."""
    slots_per_gpu: int
    first: int
    """How many slots earlier nodes on the same machine hold: processors are dealt on from there."""
    job_bytes: int
    """Memory that one job may take."""
    lease_s: float
    """Without a word from the institution for so long, everything that runs there is killed."""
    hidden: tuple[str, ...]
    """As in `trainer.local_executor.LocalExecutor`, like `allow`."""
    allow: tuple[Isolation, ...]
    code: str
    """`trainer.cluster.node.code_hash` of the institution."""
    script: ScriptTable | None = None
    """Of a script task: its table."""
    metric: str = ""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a node says of itself once it is ready."""

    slots: tuple[Slot, ...]
    """By the names that they have there."""
    isolation: Isolation
    machine: str
    """What timings there depend on: see `trainer.devices.machine_class`."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something failed there that is nobody's doing who is measured; the text is for people."""

    text: str


@dataclass(frozen=True, slots=True)
class TrainAsk:
    """A job, and the contents of its folders."""

    key: str
    """Names this attempt on its node."""
    slot: str
    """By the node's own name."""
    workspace: Contents
    data: Contents
    job: Job
    """Its folders are those of the machine it comes from, and mean nothing here."""


@dataclass(frozen=True, slots=True)
class TrainAnswer:
    """What an attempt came to, with the files that it left."""

    result: TrainResult
    """Its `artefact` is a path there, and tells only that there is one."""
    log: bytes
    artefact: bytes | None


@dataclass(frozen=True, slots=True)
class ServeAsk:
    """A program without the descriptors of the machine it comes from."""

    key: str
    slot: str
    program: Blob
    workspace: Contents
    arguments: Mapping[str, str | int | float]
    ends: tuple[Blob | str, ...]
    """Its descriptors in order: a file by its content, ``in`` for a pipe it reads, ``out`` for one
    it writes."""
    memory_bytes: int
    cpu_s: float
    wall_s: float
    lockdown: Lockdown | None


@dataclass(frozen=True, slots=True)
class Told:
    """What a served program has written, and how it is, at one moment."""

    written: Mapping[int, bytes] = field(default_factory=dict)
    """By position of the descriptor."""
    ended: tuple[int, ...] = ()
    """Positions of those that nobody will write to any more."""
    isolation: Isolation = "none"
    cpu_s: float = 0.0
    is_alive: bool = True
    is_locked: bool = False
    overuse: Overuse | None = None
    """To be asked at its end, as the next."""
    is_lost: bool = False
