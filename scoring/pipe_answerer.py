"""The asking end of the score phase: sends blocks, reads exactly the bytes that must come back.

Runs in the scorer's worker, one per sandbox and score. It believes nothing of what it reads: every
wait is bounded by one absolute deadline, every length is known beforehand. The format is described
in `scoring.answering`; what the logits mean is the grader's matter.
"""

from __future__ import annotations

import fcntl
import math
import os
import select
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue

import numpy as np

from scoring.answering import END, HEADER
from scoring.errors import InvalidAnswersError
from scoring.grader import AnswerForm, Logits, Tokens

_PIPE_BYTES = 1 << 20
"""Asked of the kernel for replies: the largest an unprivileged process gets; 64 KiB works too."""


class PipeAnswerer:
    """A sandbox behind a pair of pipes; implements `scoring.grader.Answerer`."""

    def __init__(
        self,
        request_fd: int,
        reply_fd: int,
        vocab: int,
        deadline: float,
        form: AnswerForm = "tokens",
    ) -> None:
        """Take the pipe ends, which stay the caller's to close.

        Args:
            request_fd: Write end of the requests' pipe.
            reply_fd: Read end of the replies' pipe.
            vocab: Logits of one answer.
            deadline: `time.monotonic` seconds after which any wait ends as ``late``.
            form: What gets an answer.
        """
        self._request_fd = request_fd
        self._reply_fd = reply_fd
        self._vocab = vocab
        self._deadline = deadline
        self._form = form
        self._is_finished = False
        self.asked = 0
        """Tokens that were sent so far."""
        self._buffer = np.empty(0, dtype="<f4")
        os.set_blocking(request_fd, False)
        os.set_blocking(reply_fd, False)
        with suppress(OSError):  # the user's share of pipe pages is spent: only speed is lost
            fcntl.fcntl(reply_fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def answers(self, requests: Iterable[Tokens]) -> Iterator[Logits]:
        """Ask with one request sent ahead, so that the sandbox never waits for us."""
        asked: tuple[int, int] | None = None
        for tokens in requests:
            rows, length = tokens.shape
            self._send(HEADER.pack(rows, length) + tokens.tobytes())
            self.asked += rows * length
            if asked is not None:
                yield self._receive(asked)
            asked = (rows, length)
        if asked is not None:
            yield self._receive(asked)

    def finish(self) -> None:
        """End the conversation, once; anything before the sandbox's own end header is surplus.

        Raises:
            InvalidAnswersError: protocol, short or late.
        """
        if self._is_finished:
            return
        self._is_finished = True
        self._send(HEADER.pack(*END))
        self._expect(END)

    def _receive(self, shape: tuple[int, int]) -> Logits:
        self._expect(shape)
        answered = shape if self._form == "tokens" else shape[:1]
        count = math.prod(answered) * self._vocab
        if self._buffer.size < count:
            self._buffer = np.empty(count, dtype="<f4")
        flat = self._buffer[:count]
        self._fill(flat.view(np.uint8).data)
        return flat.reshape(*answered, self._vocab)

    def _expect(self, shape: tuple[int, int]) -> None:
        header = bytearray(HEADER.size)
        self._fill(memoryview(header))
        if HEADER.unpack(header) != shape:
            raise InvalidAnswersError("protocol")

    def _fill(self, space: memoryview) -> None:
        """Read until `space` is full."""
        while space:
            try:
                got = os.readv(self._reply_fd, [space])
            except BlockingIOError:
                self._wait(self._reply_fd, select.POLLIN)
                continue
            if not got:
                raise InvalidAnswersError("short")
            space = space[got:]

    def _send(self, content: bytes) -> None:
        rest = memoryview(content)
        while rest:
            try:
                rest = rest[os.write(self._request_fd, rest) :]
            except BlockingIOError:
                self._wait(self._request_fd, select.POLLOUT)
            except BrokenPipeError:  # nobody listens; what was answered before tells the reason
                return

    def _wait(self, fd: int, event: int) -> None:
        """Wait until `fd` is ready; the deadline is absolute, so trickling does not extend it."""
        left_s = self._deadline - time.monotonic()
        poll = select.poll()
        poll.register(fd, event)
        if left_s <= 0 or not poll.poll(math.ceil(left_s * 1000)):
            raise InvalidAnswersError("late")


class DeferredAnswerer:
    """A sandbox that is started when another conversation is over; implements `Answerer`.

    Args:
        after: The conversation that is finished before the first question of this one.
        ends: Where this one's pipe ends arrive, once; an empty tuple says that none will.
        connect: Makes the answerer of the two ends.
        deadline: As in `PipeAnswerer`.
    """

    def __init__(
        self,
        after: PipeAnswerer,
        ends: SimpleQueue[tuple[int, ...]],
        connect: Callable[[int, int], PipeAnswerer],
        deadline: float,
    ) -> None:
        self._after = after
        self._ends = ends
        self._connect = connect
        self._deadline = deadline
        self._answerer: PipeAnswerer | None = None

    def answers(self, requests: Iterable[Tokens]) -> Iterator[Logits]:
        """Ask as `PipeAnswerer.answers` does, when there is somebody to be asked."""
        yield from self._connected().answers(requests)

    @property
    def asked(self) -> int:
        """Tokens that were sent so far."""
        return self._answerer.asked if self._answerer is not None else 0

    def finish(self) -> None:
        """End both conversations, as `PipeAnswerer.finish` does."""
        self._connected().finish()

    def _connected(self) -> PipeAnswerer:
        if self._answerer is None:
            self._after.finish()
            try:
                ends = self._ends.get(timeout=max(0.0, self._deadline - time.monotonic()))
            except Empty:
                raise InvalidAnswersError("late") from None
            if not ends:
                raise InvalidAnswersError("short")
            self._ends.put(ends)  # they are the worker's to close
            self._answerer = self._connect(*ends)
        return self._answerer
