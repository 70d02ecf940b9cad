"""The scorer's worker process: the only one that reads held-out data and computes scores.

Started by `scoring.worker_process` as ``python -I`` from a private copy of our sources and the
task's, under a user of its own where that is possible, with an all but empty environment and one
control socket. It splits the data, hands out the training part, keeps the rest in memory only, and
serves any number of scores at the same time, one thread each. It imports numpy, never torch, and
never code of a candidate. A fault of its own answers ``scorer_failed``, never a bad score.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import resource
import signal
import socket
import sys
import threading
import time
import traceback
from pathlib import Path
from queue import SimpleQueue
from typing import Final, cast, get_args

from scoring import control, grader, own_user, private_text
from scoring.block_draw import generator
from scoring.control import Ask, Blind, Broken, Prepare, Ready, Refused, Scored, TooSmall
from scoring.errors import CorpusTooSmallError, InvalidAnswersError, LockBrokenError
from scoring.grading_service import GradingService
from scoring.loading import load_grader
from scoring.lock import lock_manifest, verify
from scoring.pipe_answerer import DeferredAnswerer, PipeAnswerer
from scoring.verdict import Outcome, Score, Split

HEADROOM_BYTES: Final = 512 << 20
"""What all scores together may take beyond what opening left. One takes some 10 MiB and a stack of
8 MiB, whatever it is answered: its buffers follow from what it asks."""
_PR_SET_PDEATHSIG = 1


def main(descriptor: int) -> None:
    """Serve the control socket `descriptor` until its other end closes."""
    own_user.withdraw()
    sys.dont_write_bytecode = True  # a __pycache__ must not appear in a task's locked folder
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the client decides when to end, and says so
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    link = socket.socket(fileno=descriptor)
    first = control.receive(link)
    if first is None or not isinstance(first[0], Prepare):
        return
    worker = _get_ready(link, first[0], *first[1])
    if worker is not None:
        worker.serve()
    sys.stderr.flush()
    os._exit(0)  # threads that still wait for answers have nobody left to tell


def _get_ready(
    link: socket.socket, prepare: Prepare, public: int
) -> Worker | GradingService | None:
    """Split, publish, read; say how it went."""
    try:
        worker = (Worker if prepare.judging is None else GradingService)(link, prepare, public)
    except CorpusTooSmallError as error:
        control.send(
            link,
            TooSmall(error.part, error.size_bytes, error.least_bytes, error.source),
        )
    except Exception as error:  # anything in a task's grade.py; the client raises it
        traceback.print_exc()
        control.send(link, Refused(f"{type(error).__name__}: {error}"))
    else:
        own_user.renounce()
        bound_memory(HEADROOM_BYTES)
        control.send(link, Ready(worker.corpus, worker.manifest, worker.asked))
        return worker
    return None


def bound_memory(headroom_bytes: int) -> None:
    """Let this process grow by so much and no more; then an allocation fails, and that score."""
    with open("/proc/self/status") as status:
        held = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData:"))
    most = held + headroom_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


class Worker:
    """A loaded grader with its held-out data, and the threads that score."""

    def __init__(self, link: socket.socket, prepare: Prepare, public: int) -> None:
        """Prepare the data; held-out text never touches a disk."""
        self._link = link
        self._locked = Path(prepare.locked)
        self._secret = bytes.fromhex(prepare.run_secret)
        self._numbers = itertools.count()
        self._blind: dict[int, SimpleQueue[tuple[int, ...]]] = {}
        self._handing = threading.Lock()
        before = lock_manifest(self._locked)
        module = load_grader(self._locked / "grade.py")
        split_data = cast("grader.Prepare", module.prepare)
        self._grader = cast("grader.Grader", module.GRADER)
        private = private_text.recorded(self._locked)
        if private is None:
            division = split_data(Path(prepare.source))
        else:
            private_text.must_be_as_recorded(private)
            division = split_data(Path(prepare.source), private.folder)
        self.corpus = division.corpus
        self.asked: dict[Split, int] = {s: self._grader.asked(s) for s in get_args(Split)}
        self._examination = self._grader.open(division, self._secret)
        _publish(division.train, public)
        self.manifest = lock_manifest(self._locked, self.corpus.hash, repr(self._grader))
        verify(before, self._locked)

    def serve(self) -> None:
        """Score whatever is asked, side by side, until the other end of the link closes."""
        while (received := control.receive(self._link)) is not None:
            message, descriptors = received
            if isinstance(message, Ask):
                self.begin(message, descriptors)
            elif isinstance(message, Blind):
                self.go_on(message.number, descriptors)

    def begin(self, ask: Ask, descriptors: tuple[int, ...]) -> None:
        """Answer `ask` in a thread of its own; takes the descriptors over."""
        self._blind[ask.number] = SimpleQueue()
        threading.Thread(
            target=self._serve, args=(ask, descriptors), name=f"score-{ask.number}"
        ).start()

    def go_on(self, number: int, descriptors: tuple[int, ...]) -> None:
        """Give the thread that is at `Ask` `number` its blind sandbox, unless it is done."""
        with self._handing:
            waiting = self._blind.get(number)
            if waiting is not None:
                waiting.put(descriptors)
                return
        for descriptor in descriptors:
            os.close(descriptor)

    def _serve(self, ask: Ask, descriptors: tuple[int, ...]) -> None:
        try:
            answer: Scored | Broken = Scored(ask.number, self._score(ask, descriptors))
        except LockBrokenError as error:
            answer = Broken(ask.number, error.name, error.change)
        finally:
            with self._handing:
                waiting = self._blind.pop(ask.number)
            blind = () if waiting.empty() else waiting.get()
            for descriptor in (*descriptors, *blind):
                os.close(descriptor)
        try:
            control.send(self._link, answer)
        except OSError:  # the client is gone; the main thread is about to notice
            return

    def _score(self, ask: Ask, descriptors: tuple[int, ...]) -> Score:
        started = time.monotonic()
        number, asked = next(self._numbers), 0

        def conclude(outcome: Outcome, reason: str, measured: grader.Measured | None) -> Score:
            wall_s = time.monotonic() - started
            if measured is None:
                return Score(outcome, None, reason, 0, 0, wall_s, asked)
            return Score(
                outcome=outcome,
                value=measured.value,
                reason=reason,
                positions=measured.positions,
                probes=measured.probes,
                wall_s=wall_s,
                asked=asked,
                measures=dict(measured.measures),
            )

        try:
            verify(self.manifest, self._locked)
            deadline = started + ask.deadline_s

            def connect(request_fd: int, reply_fd: int) -> PipeAnswerer:
                return PipeAnswerer(
                    request_fd, reply_fd, self._grader.vocab, deadline, self._grader.answers
                )

            blocks = connect(*descriptors)
            # the blind sandbox is started once the first has ended: nothing passes between them
            blind = DeferredAnswerer(blocks, self._blind[ask.number], connect, deadline)
            chance = generator(self._secret, f"probes/{ask.split}/{number}")
            measured = self._examination.examine(ask.split, blocks, blind, chance)
            blocks.finish()
            blind.finish()
            asked = blocks.asked + blind.asked
        except LockBrokenError:
            raise
        except InvalidAnswersError as error:
            return conclude("invalid", error.reason, None)
        except Exception:
            traceback.print_exc()
            return conclude("scorer_failed", "scorer", None)
        return conclude("ok", "", measured)


def _publish(train: bytes, public: int) -> None:
    """Hand the training text to the client, which alone may write files."""
    with open(public, "wb") as file:
        file.write(train)
