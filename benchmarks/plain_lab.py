"""An experiment without any lock: the plain process that `lock_price` compares the lab with.

Forked, without walls, from a process that has torch warm, it trains and then computes the loss of
the same blocks by itself. Started by `PlainLab` as a process of its own (``python plain_lab.py``).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

STEPS = 3
"""Optimiser steps of an experiment; its price does not depend on them."""


@dataclass(frozen=True, slots=True)
class Part:
    """Wall and processor seconds, signed: a difference of two medians may be either."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Plain:
    """The same without walls, training left out."""

    start_s: float
    scoring: Part
    bits: float


def serve_plain() -> None:
    """Answer orders, one JSON line each: fork, train, score, report the parts."""
    import torch

    from trainer.zygote import warm_up

    torch.set_num_threads(1)
    warm_up()
    for line in sys.stdin:
        order = json.loads(line)
        reading, writing = os.pipe()
        asked = time.monotonic()
        child = os.fork()
        if child == 0:
            report = _plain_experiment(order, asked)
            os.write(writing, json.dumps(report).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as stream:
            print(stream.read(), flush=True)
        os.waitpid(child, 0)


def _plain_experiment(order: Mapping[str, Any], asked: float) -> dict[str, float]:
    """Train and score in this process."""
    import torch

    os.sched_setaffinity(0, order["cpus"])
    sys.path.insert(0, order["tree"])
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for the rest of this process
    tokens = torch.frombuffer(bytearray(Path(order["train"]).read_bytes()), dtype=torch.uint8)
    blocks = torch.from_numpy(np.load(order["blocks"])).long()  # (rows, block)
    torch.manual_seed(order["seed"])
    report = {"start_s": time.monotonic() - asked}
    from train import build_model, train  # type: ignore[import-not-found]

    class Run:
        device, seed = "cpu", order["seed"]
        tokens: torch.Tensor

        def steps(self) -> Any:
            yield from (step / order["steps"] for step in range(order["steps"]))

    run = Run()
    run.tokens = tokens
    model = build_model()
    train(model, run)
    wall, cpu = time.monotonic(), time.process_time()
    model.eval()
    total = 0.0
    with torch.inference_mode():
        for rows in torch.split(blocks, order["rows"]):
            logits = model(rows[:, :-1]).double()
            flat = logits.flatten(0, 1), rows[:, 1:].flatten()
            total += torch.nn.functional.cross_entropy(*flat, reduction="sum").item()
    report |= {"score_wall_s": time.monotonic() - wall, "score_cpu_s": time.process_time() - cpu}
    return report | {"bits": total / np.log(2) / blocks[:, 1:].numel()}


class PlainLab:
    """The plain process as seen from here."""

    def __init__(self, blocks: Path, train: Path, rows: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()},
        )
        self._order = {"blocks": str(blocks), "train": str(train), "rows": rows, "steps": STEPS}

    def run(self, tree: Path, seed: int, cpus: Sequence[int]) -> Plain:
        """One experiment without a lock."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {**self._order, "tree": str(tree), "seed": seed, "cpus": list(cpus)}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline())
        return Plain(
            start_s=said["start_s"],
            scoring=Part(said["score_wall_s"], said["score_cpu_s"]),
            bits=said["bits"],
        )

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


if __name__ == "__main__":
    serve_plain()
