"""Answering ends made of plain threads, for answers that no torch program would give; nanolm."""

import importlib.util
import os
import sysconfig
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from scoring.answering import HEADER
from scoring.grader import Division
from scoring.scorer import Channel

STDLIB = Path(sysconfig.get_paths()["stdlib"])
NANOLM = Path(__file__).parents[2] / "scenarios" / "tasks" / "nanolm" / "locked"
SECRET = b"a run's secret"


def serve_raw(behave: Callable[[int, int], None]) -> Channel:
    """Return a channel to a thread that runs `behave(request_fd, reply_fd)` and then hangs up."""
    request_read, request_write = os.pipe()
    reply_read, reply_write = os.pipe()

    def run() -> None:
        try:
            behave(request_read, reply_write)
        except OSError:
            pass
        finally:
            os.close(request_read)
            os.close(reply_write)

    threading.Thread(target=run, daemon=True).start()
    return Channel(request_write, reply_read)


def read_exactly(fd: int, count: int) -> bytes:
    """Read `count` bytes or raise OSError at the end."""
    content = b""
    while len(content) < count:
        part = os.read(fd, count - len(content))
        if not part:
            raise OSError("ended")
        content += part
    return content


def write_all(fd: int, content: bytes) -> None:
    """Write everything."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]


def answer_with(logits: Callable[[np.ndarray], np.ndarray]) -> Callable[[int, int], None]:
    """Behave like the answering program around a function of token blocks."""

    def behave(request_fd: int, reply_fd: int) -> None:
        while True:
            rows, time = HEADER.unpack(read_exactly(request_fd, HEADER.size))
            if rows == 0:
                write_all(reply_fd, HEADER.pack(0, 0))
                return
            tokens = np.frombuffer(read_exactly(request_fd, rows * time), np.uint8)
            answer = logits(tokens.reshape(rows, time)).astype("<f4")
            write_all(reply_fd, HEADER.pack(rows, time) + answer.tobytes())

    return behave


def uniform(tokens: np.ndarray) -> np.ndarray:
    """Know nothing."""
    return np.zeros((*tokens.shape, 256), np.float32)


@cache
def nanolm_division() -> Division:
    """Return this interpreter's library as nanolm divides it."""
    spec = importlib.util.spec_from_file_location("nanolm_grade", NANOLM / "grade.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.prepare(STDLIB)
