"""The program in an answering sandbox: loads an artefact and answers rows of tokens with logits.

It runs alone where nothing else of ours is mounted, so it imports only torch, safetensors and the
standard library, and those late: the scorer's worker (numpy only) takes its constants from here. It
holds no target and no formula. What it writes is read by `scoring.pipe_answerer`, which believes
nothing of it: candidate code lives in this process.

Wire format, little endian, over two pipes. A request is `HEADER` (rows, time) and rows*time tokens,
of one byte each, or of two where there are more than 256 different ones. Its reply is the same
`HEADER` and rows*time*vocab float32 logits, rows first; where a row gets one answer as a whole (a
classifier's, whose tokens are bytes), rows*vocab of them. Requests may be sent ahead; replies keep
their order. `HEADER` (0, 0) ends: it is answered by (0, 0), and the program returns. Any fault ends
the process without a word on the pipe.
"""

from __future__ import annotations

import importlib
import os
import random
import struct
import sys
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

HEADER = struct.Struct("<II")
"""Rows and time of a request or reply."""
END = (0, 0)
"""The header that ends a conversation, in both directions."""
ARTEFACT_BYTES = 8 << 20
"""Largest artefact that is read unless the arguments say otherwise; as in the task's limits."""
REQUEST_TOKENS = 1 << 16
"""Largest request that is taken: far above what graders ask, so a broken length cannot allocate."""
_WARM_UP_ROWS = (1, 8)
"""Rows of the requests that come before the first real one: as many as graders ask at a time."""


class AnsweringError(Exception):
    """The artefact does not fit the model, or the conversation is broken."""


def _silence() -> None:
    """Point stdout and stderr at nothing, so that no log can carry what is asked from here on."""
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
    except OSError:  # a sandbox without /dev/null: closed is as quiet
        os.closerange(1, 3)
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    os.close(nothing)


def main(
    arguments: Mapping[str, str | int | float],
    descriptors: Sequence[int],
    lock: Callable[[], None] = _silence,
) -> None:
    """Build the candidate's model, load the artefact, lock up, answer until the end header.

    Args:
        arguments: ``vocab`` (logits of an answer), ``block`` (bytes of a block; at most block - 1
            inputs are asked), ``seed``, ``device`` (torch's name) and optionally ``answers``
            (``rows``: one for each row, which has block - 1 bytes; else one for each token) and
            ``artefact_bytes``.
        descriptors: The artefact (a file), the request pipe's read end, the reply pipe's write end.
        lock: Ends loading; what it does not leave in reach, answering does without.

    Raises:
        AnsweringError: names, shapes or dtypes differ, or a request or an answer has a wrong shape.
    """
    artefact_fd, request_fd, reply_fd = descriptors
    vocab, longest = int(arguments["vocab"]), int(arguments["block"]) - 1
    device, is_by_row = str(arguments["device"]), arguments.get("answers") == "rows"
    cap = int(arguments.get("artefact_bytes", ARTEFACT_BYTES))
    model = _load_model(_read_artefact(artefact_fd, cap), int(arguments["seed"]), device)
    for rows in _WARM_UP_ROWS:  # kernels are chosen, and what they read is read, before the lock
        _answer(model, [[0] * longest] * rows, vocab, device, is_by_row)
    lock()
    while True:
        rows, time = HEADER.unpack(_read_exactly(request_fd, HEADER.size))
        if (rows, time) == END:
            _write_all(reply_fd, HEADER.pack(*END))
            return
        shortest = longest if is_by_row else 1
        if not (rows and shortest <= time <= longest and rows * time <= REQUEST_TOKENS):
            raise AnsweringError(f"request of {rows} x {time} tokens is out of bounds")
        tokens = _read_tokens(request_fd, rows * time, is_wide=vocab > 256 and not is_by_row)
        blocks = [tokens[row * time : (row + 1) * time] for row in range(rows)]
        logits = _answer(model, blocks, vocab, device, is_by_row)
        _write_all(reply_fd, HEADER.pack(rows, time))
        _write_all(reply_fd, logits)


def _load_model(artefact: bytes, seed: int, device: str) -> torch.nn.Module:
    """Build the model of the workspace's ``train.py`` and fill it, strictly."""
    import numpy as np
    import torch
    from safetensors.torch import load

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: TID251 - candidates may draw from the global generator
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    model: torch.nn.Module = importlib.import_module("train").build_model()
    _fill(model, load(artefact))
    return model.to(device).eval()


def _fill(model: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Load `tensors` if they are exactly what the model's state dict asks for."""
    expected = model.state_dict()
    if set(tensors) != set(expected):
        odd = sorted(set(tensors) ^ set(expected))[:3]
        raise AnsweringError(f"artefact and model differ in tensors such as {odd}")
    for name, own in expected.items():
        given = tensors[name]
        if given.shape != own.shape or given.dtype != own.dtype:
            raise AnsweringError(
                f"tensor {name!r} is {given.dtype}{tuple(given.shape)}, "
                f"the model wants {own.dtype}{tuple(own.shape)}"
            )
    model.load_state_dict(dict(tensors), strict=True)


def _answer(
    model: torch.nn.Module,
    blocks: Sequence[Sequence[int]],
    vocab: int,
    device: str,
    is_by_row: bool,
) -> memoryview:
    """Return the bytes of float32 logits, shape (rows, time, vocab), or (rows, vocab) by row."""
    import torch

    tokens = torch.tensor(blocks, dtype=torch.int64, device=device)  # (rows, time)
    with torch.inference_mode():
        logits: Any = model(tokens)
        answered = tokens.shape[:1] if is_by_row else tokens.shape
        if tuple(logits.shape) != (*answered, vocab):
            raise AnsweringError(f"the model answered {tuple(tokens.shape)} with a wrong shape")
        plain = logits.to(device="cpu", dtype=torch.float32).contiguous()
    return memoryview(plain.numpy().astype("<f4", copy=False)).cast("B")


def _read_artefact(fd: int, cap: int) -> bytes:
    """Read the whole file from its start (two programs may share one file offset)."""
    size = os.fstat(fd).st_size
    if size > cap:
        raise AnsweringError(f"artefact has {size} bytes, at most {cap} are read")
    parts: list[bytes] = []
    taken = 0
    while taken < size:
        part = os.pread(fd, size - taken, taken)
        if not part:
            raise AnsweringError(f"artefact ended after {taken} of {size} bytes")
        parts.append(part)
        taken += len(part)
    return b"".join(parts)


def _read_tokens(fd: int, count: int, *, is_wide: bool) -> list[int]:
    """Read that many tokens, of two bytes each or of one."""
    if not is_wide:
        return list(_read_exactly(fd, count))
    wide = array("H", _read_exactly(fd, 2 * count))
    if sys.byteorder != "little":
        wide.byteswap()
    return wide.tolist()


def _read_exactly(fd: int, count: int) -> bytes:
    """Read `count` bytes; the asker's early end is an error."""
    parts = bytearray()
    while len(parts) < count:
        part = os.read(fd, count - len(parts))
        if not part:
            raise AnsweringError("the request pipe ended")
        parts += part
    return bytes(parts)


def _write_all(fd: int, content: bytes | memoryview) -> None:
    """Write everything, however small the pipe."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]
