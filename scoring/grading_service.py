"""Grades artefacts of data in the scorer's worker, by a child process for each look at one.

The worker reads grader and held-out data once and forks from then on. A child may take so much
processor time and memory and then is gone, so a hostile artefact costs its own grade and nothing
else. Every artefact is graded twice, by two children that know nothing of each other: a grader
whose two answers differ grades nothing (``scorer_failed``), so that a score is a fact about the
bytes, not about the moment. One thread serves all of it: forking beside threads is not safe.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn, cast, get_args

from scoring import control
from scoring.control import Broken, Scored
from scoring.control import Grade as Asked
from scoring.data_grading import Checks, Grade, GraderFile, HeldOut, Scores, grade
from scoring.errors import LockBrokenError
from scoring.held_out import read_held_out
from scoring.judging import Judging
from scoring.loading import load_grader
from scoring.lock import lock_manifest, verify
from scoring.verdict import Score, Split

TIMES: Final = 2
"""How often each artefact is graded."""
MOST_ANSWER_BYTES: Final = 32 << 10
_PR_SET_PDEATHSIG: Final = 1
_PIECE_BYTES: Final = 4096


@dataclass(slots=True)
class _Grading:
    """One artefact on its way."""

    asked: Asked
    artefact: int
    """Its descriptor."""
    deadline: float
    """By `time.monotonic`."""
    begun: float
    pid: int = 0
    pipe: int = -1
    answer: bytearray = field(default_factory=bytearray)
    grades: list[Grade] = field(default_factory=list)
    cpu_s: float = 0.0


class GradingService:
    """A loaded grader of data with what it holds out, and the children that grade."""

    def __init__(self, link: socket.socket, prepare: control.Prepare, public: int) -> None:
        """Load and read everything; `public`, for training data, gets nothing."""
        assert prepare.judging is not None
        os.close(public)
        self._link = link
        self._locked = Path(prepare.locked)
        self._judging = Judging.of(prepare.judging)
        before = lock_manifest(self._locked)
        module = load_grader(self._locked / "grade.py")
        self._grader = GraderFile(cast(Checks, module.check), cast(Scores, module.score))
        self._held_out: Mapping[Split, HeldOut]
        self._held_out, self.corpus = read_held_out(self._locked)
        self.asked: dict[Split, int] = dict.fromkeys(get_args(Split), 0)
        self.manifest = lock_manifest(self._locked, self.corpus.hash, repr(self._judging))
        verify(before, self._locked)
        self._under_way: dict[int, _Grading] = {}
        """By the pipe on which the child answers."""

    def serve(self) -> None:
        """Grade whatever is asked, side by side, until the other end of the link closes."""
        poll = select.poll()
        poll.register(self._link, select.POLLIN)
        while True:
            for ready, _ in poll.poll(self._wait_ms()):
                if ready == self._link.fileno():
                    received = control.receive(self._link)
                    if received is None:
                        self._end()
                        return
                    if isinstance(received[0], Asked):
                        self._begin(poll, received[0], received[1][0])
                else:
                    self._take(poll, self._under_way[ready])
            for grading in list(self._under_way.values()):
                if time.monotonic() > grading.deadline:
                    self._leave(poll, grading, "late")

    def _wait_ms(self) -> int | None:
        if not self._under_way:
            return None
        first = min(grading.deadline for grading in self._under_way.values())
        return max(0, math.ceil(1000 * (first - time.monotonic())))

    def _begin(self, poll: select.poll, asked: Asked, artefact: int) -> None:
        now = time.monotonic()
        grading = _Grading(asked, artefact, now + asked.deadline_s, now)
        try:
            verify(self.manifest, self._locked)
        except LockBrokenError as error:
            os.close(artefact)
            self._say(Broken(asked.number, error.name, error.change))
            return
        self._look(poll, grading)

    def _look(self, poll: select.poll, grading: _Grading) -> None:
        """Start a child that grades it once."""
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._grade_and_exit(grading, theirs)
        os.close(theirs)
        grading.pid, grading.pipe = pid, ours
        grading.answer.clear()
        self._under_way[ours] = grading
        poll.register(ours, select.POLLIN)

    def _grade_and_exit(self, grading: _Grading, pipe: int) -> NoReturn:
        """Be the child."""
        code = 1
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            self._link.close()
            most_s = math.ceil(self._judging.cpu_s)
            resource.setrlimit(resource.RLIMIT_CPU, (most_s, most_s))
            held_out = self._held_out[grading.asked.split]
            found = grade(grading.artefact, self._judging, self._grader, held_out)
            body = found.text().encode()
            while body:
                body = body[os.write(pipe, body) :]
            code = 0
        except MemoryError:
            code = 3
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(BaseException):
                sys.stderr.flush()
            os._exit(code)

    def _take(self, poll: select.poll, grading: _Grading) -> None:
        """Read what a child says; at its end, see how it ended."""
        piece = os.read(grading.pipe, _PIECE_BYTES)
        grading.answer += piece
        if piece and len(grading.answer) <= MOST_ANSWER_BYTES:
            return
        reason = self._bury(poll, grading)
        if not reason:
            try:
                grading.grades.append(Grade.of(grading.answer.decode()))
            except (ValueError, TypeError):
                reason = "grader"
        if reason:
            self._conclude(grading, _invalid(reason, grading))
        elif len(grading.grades) < TIMES:
            self._look(poll, grading)
        else:
            self._conclude(grading, self._score(grading))

    def _leave(self, poll: select.poll, grading: _Grading, reason: str) -> None:
        """Give up a child that has not answered."""
        self._bury(poll, grading)
        self._conclude(grading, _invalid(reason, grading))

    def _bury(self, poll: select.poll, grading: _Grading) -> str:
        """Wait for the end of a child that has closed its pipe; returns what is wrong with it."""
        poll.unregister(grading.pipe)
        del self._under_way[grading.pipe]
        os.close(grading.pipe)
        if time.monotonic() > grading.deadline or len(grading.answer) > MOST_ANSWER_BYTES:
            os.kill(grading.pid, signal.SIGKILL)
        _, status, used = os.wait4(grading.pid, 0)
        grading.cpu_s += used.ru_utime + used.ru_stime
        code = os.waitstatus_to_exitcode(status)
        if code in (-signal.SIGXCPU, -signal.SIGKILL):
            return "limit"
        return {0: "", 3: "memory"}.get(code, "grader")

    def _score(self, grading: _Grading) -> Score:
        first, *others = grading.grades
        if any(other != first for other in others):
            told = (f"{self._locked}/grade.py grades the same bytes differently:", *grading.grades)
            sys.stderr.write("\n".join(map(str, told)) + "\n")
            sys.stderr.flush()
            return Score("scorer_failed", None, "scorer", 0, 0, _wall_s(grading))
        if first.reason:
            return _invalid(first.reason, grading)
        value = first.measures[self._judging.metric]
        return Score(
            outcome="ok",
            value=value,
            reason="",
            positions=0,
            probes=0,
            wall_s=_wall_s(grading),
            cpu_s=grading.cpu_s,
            sha256=first.sha256,
            measures=dict(first.measures),
        )

    def _conclude(self, grading: _Grading, score: Score) -> None:
        os.close(grading.artefact)
        try:
            verify(self.manifest, self._locked)
        except LockBrokenError as error:
            self._say(Broken(grading.asked.number, error.name, error.change))
            return
        self._say(Scored(grading.asked.number, score))

    def _say(self, message: Scored | Broken) -> None:
        with suppress(OSError):  # the client is gone, which the link tells next
            control.send(self._link, message)

    def _end(self) -> None:
        """End all children: nobody is left to tell."""
        for grading in self._under_way.values():
            with suppress(ProcessLookupError):
                os.kill(grading.pid, signal.SIGKILL)


def _wall_s(grading: _Grading) -> float:
    return time.monotonic() - grading.begun


def _invalid(reason: str, grading: _Grading) -> Score:
    told = grading.grades[-1] if grading.grades else None
    return Score(
        outcome="invalid",
        value=None,
        reason=reason,
        positions=0,
        probes=0,
        wall_s=_wall_s(grading),
        cpu_s=grading.cpu_s,
        sha256=told.sha256 if told else "",
        told=told.told if told else "",
    )
