"""A whole run in virtual time: one process, one thread, its own event loop.

The same `community.run.run_community` as in real time. Arithmetic is held to one thread: how a
product is shared among processors decides its last digit, and a run must not depend on that.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from threadpoolctl import threadpool_limits

from community.archive.codec import ledger_hash
from community.archive.ledger import LedgerReader
from community.archive.state import RunState
from community.errors import VirtualWorldError
from community.events import Row
from community.run import run_community
from community.run_folder import RunFolder
from community.scenario import Scenario
from community.virtual.loop import VirtualLoop

_MEMORY = Path("/dev/shm")  # noqa: S108 - where a folder is memory; what is in it is ours alone
_RUN_ID = "virtual"


@dataclass(frozen=True, slots=True)
class VirtualRun:
    """What a run in virtual time came to."""

    state: RunState
    ledger_hash: str
    """Over everything that happened and when; see `community.archive.codec.ledger_hash`."""
    events: int
    """Rows of the ledger."""
    why: str
    """The stop condition that held."""


def run_virtual(
    scenario: Scenario,
    scenario_text: str,
    folder: Path | None = None,
    *,
    on_row: Callable[[Row], None] | None = None,
) -> VirtualRun:
    """Run a scenario in virtual time to its end.

    Args:
        scenario: With ``run.time = "virtual"``.
        scenario_text: Its file's text, kept in the ledger.
        folder: The new run's own folder; None keeps nothing.
        on_row: Told of every ledger row.

    Raises:
        VirtualWorldError: the scenario is in real time, or a loop is running in this thread.
        CommunityError: as `community.run.run_community`.
    """
    if scenario.run.time != "virtual":
        raise VirtualWorldError('this scenario runs in real time; set run.time = "virtual"')
    with _folder(folder) as place:
        with virtual_runner() as runner:
            why = runner.run(run_community(scenario, scenario_text, place, on_row=on_row))
        with LedgerReader(place.ledger) as reader:
            rows = list(reader.rows())
    return VirtualRun(RunState.from_rows(rows), ledger_hash(rows), len(rows), why)


@contextmanager
def virtual_runner() -> Iterator[asyncio.Runner]:
    """Give a runner in whose loop time is virtual and arithmetic has one thread."""
    with threadpool_limits(limits=1), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        yield runner


@contextmanager
def _folder(folder: Path | None) -> Iterator[RunFolder]:
    if folder is not None:
        place = folder.absolute()
        yield RunFolder.create(place.parent, place.name)
        return
    memory = str(_MEMORY) if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="rc-virtual-", dir=memory) as base:
        yield RunFolder.create(Path(base), _RUN_ID)
