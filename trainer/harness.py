"""The train phase inside the sandbox: seeds, hand-over, the candidate, the artefact.

Runs in the same process as candidate code, so nothing here is trusted: the clock that counts, the
caps and the verdict are outside. What it leaves on a pipe is a model's state dict as safetensors,
or the data that its program returned, in the format that the task declares; never a pickle. Next:
`trainer.train_phase` receives it.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import random
import resource
import select
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy
import numpy.random  # newer versions load it late, where partial isolation shows no folder
import safetensors.torch
import torch

from trainer.launch import EXIT_ARTEFACT, EXIT_CRASH, EXIT_MEMORY, TrainOrder

_MARGIN_SHARE = 0.005
_MARGIN_S = 0.010
_COPY_S_PER_BYTE = 6e-9
"""What cloning, packing and piping a state dict costs; measured 2-4 ns per byte, idle machine."""
_DATA_RESERVE_S = 0.02
"""The same of data, of which nobody knows the size beforehand."""
_DTYPES = {1: torch.uint8, 2: torch.uint16}
"""By the bytes of a token."""
_MEMORY_MESSAGES = ("can't allocate memory", "not enough memory", "out of memory")


class Run:
    """What `train(model, run)` and `solve(run)` get: data, seed, device, their view of the budget.

    Attributes:
        tokens: shape (tokens,), the training data: uint8 of bytes, uint16 of tokens.
        seed: drawn by the lab; torch, numpy and random are already seeded with it.
        device: torch's name of the leased device.
    """

    def __init__(self, order: TrainOrder, tokens: torch.Tensor, reserve_s: float = 0.0) -> None:
        self.tokens = tokens
        self.seed = order.seed
        self.device = order.device
        self._amount = order.budget_amount
        self._kind = order.budget_kind
        self._clock: Callable[[], float] = (
            time.monotonic if order.budget_kind == "device_seconds" else time.process_time
        )
        self._start = self._clock()
        self._untimed_s = order.untimed_s
        self._steps = 0
        self._looks = 0
        self._is_stepping = False
        self.reserve_s = reserve_s
        """Kept back for handing over the artefact, in seconds of the budget."""

    def remaining(self) -> float:
        """What is left of the budget: seconds of its clock, or steps; never below 0.

        A candidate that never iterates over `steps` has a budget of steps counted by its looks at
        this and at `progress`, so that a loop until nothing remains comes to its end.
        """
        return max(0.0, self._amount - self._spent())

    def progress(self) -> float:
        """The share of the budget that is spent, in [0, 1]."""
        return min(1.0, self._spent() / self._amount)

    def steps(self) -> Iterator[float]:
        """Progress in [0, 1), once per optimiser step, until the budget ends.

        With a budget of seconds it ends early by the longest recent step and a little more, so
        that the artefact arrives in time. With a budget of steps it yields exactly that many. What
        the task leaves untimed ends with the first step.
        """
        return self._counted_steps() if self._kind == "steps" else self._timed_steps()

    def _counted_steps(self) -> Iterator[float]:
        self._is_stepping = True
        while self._steps < self._amount:
            self._steps += 1
            yield (self._steps - 1) / self._amount

    def _timed_steps(self) -> Iterator[float]:
        recent: deque[float] = deque(maxlen=8)
        fixed_s = _MARGIN_SHARE * self._amount + _MARGIN_S + self.reserve_s
        begin = self._spent()
        while begin + max(recent, default=0.0) + fixed_s < self._amount:
            yield begin / self._amount
            if self.device != "cpu":
                torch.cuda.synchronize()
            self._untimed_s = min(self._untimed_s, self._clock() - self._start)
            end = self._spent()
            recent.append(end - begin)
            begin = end

    def _spent(self) -> float:
        if self._kind != "steps":
            return max(0.0, self._clock() - self._start - self._untimed_s)
        if self._is_stepping:
            return float(self._steps)
        self._looks += 1
        return float(self._looks - 1)


class TrainPhase:
    """One train phase; `prepare` is ours to answer for, `run` the candidate's."""

    def __init__(self, order: TrainOrder, data: str | None, mark: int, artefact: int) -> None:
        self._order = order
        self._data = data
        self._mark = mark
        self._artefact = artefact
        self._tokens = torch.empty(0, dtype=torch.uint8)

    def prepare(self) -> None:
        """Load the training data and seed every source of chance; costs the candidate nothing."""
        if self._data is not None:
            body = bytearray((Path(self._data) / "train.bin").read_bytes())
            if body:
                self._tokens = torch.frombuffer(body, dtype=_DTYPES[self._order.token_bytes])
        seed = self._order.seed
        random.seed(seed)
        numpy.random.seed(seed % 2**32)  # noqa: TID251 - candidates use the global one
        torch.manual_seed(seed)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]

    def run(self) -> int:
        """Hand over, train, stream the artefact; the exit code of a failure.

        After success it waits to be killed, so that the clock stands still when it is read.
        """
        hand_over(self._mark)
        leaves = self._order.leaves
        try:
            left = self._trained_model() if leaves == "model" else self._solution()
        except BaseException as error:  # whatever it raises is the candidate's
            return report(error, EXIT_CRASH)
        try:
            payload = PACKING[leaves](left)
        except BaseException as error:
            return report(error, EXIT_ARTEFACT)
        sys.stdout.flush()
        sys.stderr.flush()
        _stream(self._artefact, payload)
        return _wait_for_the_end()

    def _trained_model(self) -> torch.nn.Module:
        """Call the candidate's two functions."""
        run = Run(self._order, self._tokens)
        module: Any = importlib.import_module("train")
        model: torch.nn.Module = module.build_model()
        run.reserve_s = _COPY_S_PER_BYTE * sum(
            tensor.numel() * tensor.element_size() for tensor in model.state_dict().values()
        )
        module.train(model, run)
        return model

    def _solution(self) -> object:
        """Call the candidate's one function."""
        module: Any = importlib.import_module("solve")
        solution: object = module.solve(Run(self._order, self._tokens, _DATA_RESERVE_S))
        return solution


def hand_over(mark: int) -> None:
    """Tell what this process has used so far; what it uses from here on is the candidate's."""
    held_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    used = {"cpu_s": time.process_time(), "held_bytes": held_bytes}
    os.write(mark, json.dumps(used).encode() + b"\n")
    os.close(mark)


def _pack(model: torch.nn.Module) -> bytes:
    """The state dict as safetensors; every tensor is cloned, so that none share memory."""
    state = {
        name: tensor.detach().to("cpu").clone().contiguous()
        for name, tensor in model.state_dict().items()
    }
    return safetensors.torch.save(state)


def _pack_json(data: Any) -> bytes:
    """JSON of plain data and arrays; text or bytes that are JSON already stay as they are."""
    if isinstance(data, bytes):
        return data
    text = data if isinstance(data, str) else json.dumps(data, allow_nan=False, default=_plain)
    return text.encode()


def _plain(value: Any) -> Any:
    """A tensor's, an array's or one of its numbers' value, as JSON can hold it."""
    return value.tolist()


def _pack_npy(data: Any) -> bytes:
    """One array as .npy of version 1.0."""
    stream = io.BytesIO()
    array = numpy.ascontiguousarray(data)
    numpy.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def _pack_tensors(data: Any) -> bytes:
    """Named tensors or arrays as safetensors."""
    return safetensors.torch.save(
        {
            name: torch.as_tensor(value).detach().to("cpu").clone().contiguous()
            for name, value in data.items()
        }
    )


PACKING: dict[str, Callable[[Any], bytes]] = {
    "model": _pack,
    "json": _pack_json,
    "npy": _pack_npy,
    "safetensors": _pack_tensors,
}
"""By what is left (`trainer.left_data`): how that becomes bytes."""


def report(error: BaseException, otherwise: int) -> int:
    """Print the traceback into the log; the exit code for memory, or `otherwise`."""
    traceback.print_exception(error)
    sys.stdout.flush()
    sys.stderr.flush()
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(words in text for words in _MEMORY_MESSAGES):
        return EXIT_MEMORY
    return otherwise


def _stream(descriptor: int, payload: bytes) -> None:
    """Write everything and close, which ends the stream."""
    view = memoryview(payload)
    while view:
        view = view[os.write(descriptor, view) :]
    os.close(descriptor)


def _wait_for_the_end() -> NoReturn:
    """Sleep until the executor kills this process."""
    while True:
        select.select([], [], [])
