"""Worker processes that make runs: one specification at a time each, results on disk, then a word.

A worker writes its record itself before it says so, and dies with its parent: whatever is killed, a
finished run is there and an unfinished one leaves nothing. Ctrl-C goes to the parent alone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from community.errors import CommunityError, StudyRunError
from community.study.records import RunRecord, RunSpec, write_record
from trainer.sandbox.kernel import die_with_parent

Run = Callable[[RunSpec], RunRecord]
"""How a run is made; a function of a module, since workers import it by name."""
_THREADS: Final = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"),
)
"""One thread each: as many workers as cores are enough, and sums do not depend on the machine."""


@dataclass(frozen=True, slots=True)
class Done:
    """A worker's word that a run is on disk, or why not."""

    name: str
    failure: str = ""
    """Empty when it is; else what the person is told."""


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    pipe: Connection
    spec: RunSpec | None = None


def make_runs(specs: Sequence[RunSpec], folder: Path, jobs: int, run: Run) -> Iterator[RunSpec]:
    """Make every run and keep its record in `folder`; yields each when it is on disk.

    Args:
        specs: What is to be run, in order.
        folder: Of the records.
        jobs: How many at a time.
        run: How one is made.

    Raises:
        StudyRunError: one failed, or its worker died; the others under way are given up.
    """
    waiting = list(reversed(specs))
    workers: list[_Worker] = []
    try:
        with _one_thread_each():
            for _ in range(min(jobs, len(specs))):
                workers.append(_start(folder, run))
                _hand(workers[-1], waiting)
        while busy := [worker for worker in workers if worker.spec is not None]:
            for pipe in wait([worker.pipe for worker in busy]):
                worker = next(one for one in busy if one.pipe is pipe)
                yield _finished(worker)
                _hand(worker, waiting)
    finally:
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()
            worker.pipe.close()


def _start(folder: Path, run: Run) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    arguments = (theirs, folder, run, os.getpid())
    process = context.Process(target=_work, args=arguments, name="study worker", daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _hand(worker: _Worker, waiting: list[RunSpec]) -> None:
    worker.spec = waiting.pop() if waiting else None
    if worker.spec is not None:
        worker.pipe.send(worker.spec)


def _finished(worker: _Worker) -> RunSpec:
    spec = worker.spec
    assert spec is not None
    try:
        done: Done = worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join()
        done = Done("", f"its process died ({_ending(worker.process.exitcode)})")
    if done.failure:
        raise failed(spec, done.failure)
    return spec


def failed(spec: RunSpec, why: str) -> StudyRunError:
    """Return the error that tells which run failed, and what becomes of the others."""
    return StudyRunError(
        f"{spec.label}, landscape {spec.replicate} (seed {spec.seed}): {why}; what is finished is "
        "kept, and the same command goes on with the rest"
    )


def _ending(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    return f"killed by {signal.Signals(-code).name}; was there memory enough?"


def _work(pipe: Connection, folder: Path, run: Run, parent: int) -> None:
    """Serve specifications until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        return
    while True:
        try:
            spec: RunSpec = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(Done(write_record(folder, run(spec)).name))
        except CommunityError as error:
            pipe.send(Done("", str(error)))
        except Exception:
            pipe.send(Done("", f"this is a fault of the program\n{traceback.format_exc()}"))


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes that are started meanwhile compute with one thread."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
