"""The order a sandboxed process gets: one record, as JSON on a descriptor of its own.

Written by the executor, read by the child after the fork; the warm parent between them never sees
it. The descriptors that travel with it are named here too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from trainer.experiment import BudgetKind
from trainer.limits import Limits
from trainer.sandbox.entry import Walls

ORDER, STATUS, MARK = 0, 1, 2
"""Positions of the first three descriptors of a request: the order (this record), the pipe on which
the keeper tells of the process's birth and death, and the pipe for the hand-over mark."""
ARTEFACT, LOG = 3, 4
"""Positions of the next two in the train phase; when serving, the program's own ones follow."""

EXIT_CRASH: Final = 1
EXIT_MEMORY: Final = 3
EXIT_ARTEFACT: Final = 4


@dataclass(frozen=True, slots=True)
class TrainOrder:
    """Train the candidate in the workspace."""

    seed: int
    device: str
    budget_kind: BudgetKind
    budget_amount: float
    leaves: str
    """As in `trainer.experiment.Job`, like the next two."""
    token_bytes: int = 1
    untimed_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ServeOrder:
    """Run `main(arguments, descriptors)` of one file."""

    path: str
    arguments: Mapping[str, str | int | float]
    stays: tuple[int, ...] | None
    """Positions, among its own descriptors, of those that stay open when it locks itself in; None
    for a program that does not."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What one sandboxed process is to do, and behind which walls."""

    walls: Walls
    cpus: tuple[int, ...]
    cuda_uuid: str
    """The one GPU it may use; empty without one."""
    hidden_modules: tuple[str, ...]
    """Must not be loaded in the warm parent, or hiding their files would be in vain."""
    order: TrainOrder | ServeOrder


def to_descriptor(launch: Launch) -> int:
    """A new descriptor with `launch` as JSON; the caller closes it."""
    descriptor = os.memfd_create("launch", os.MFD_CLOEXEC)
    body = json.dumps(asdict(launch)).encode()
    sent = 0
    while sent < len(body):
        sent += os.write(descriptor, body[sent:])
    return descriptor


def from_descriptor(descriptor: int) -> Launch:
    """Read what `to_descriptor` wrote, from its start; closes the descriptor."""
    with os.fdopen(descriptor, "rb") as stream:
        stream.seek(0)
        body = json.load(stream)
    walls = body["walls"]
    order = body["order"]
    return Launch(
        walls=Walls(
            isolation=walls["isolation"],
            code=tuple(walls["code"]),
            workspace=walls["workspace"],
            data=walls["data"],
            devices=tuple(walls["devices"]),
            limits=Limits(**walls["limits"]),
            without=tuple(walls["without"]),
        ),
        cpus=tuple(body["cpus"]),
        cuda_uuid=body["cuda_uuid"],
        hidden_modules=tuple(body["hidden_modules"]),
        order=ServeOrder(**order) if "path" in order else TrainOrder(**order),
    )
