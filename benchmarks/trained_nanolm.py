"""Models of nanolm trained in this process, for benchmarks that need one: no sandbox, no scorer."""

from __future__ import annotations

import importlib.util
import re
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from scoring.grader import Division

TASK = Path(__file__).parents[1] / "scenarios/tasks/nanolm"
TUNED = {
    "DIM": 64,
    "DEPTH": 2,
    "MLP_RATIO": 2,
    "LOGIT_CAP": 0.0,
    "BATCH": 16,
    "CONTEXT": 128,
    "OPTIMIZER": "muon",
    "MATRIX_LR": 0.02,
    "EMBED_LR": 0.2,
    "HEAD_LR": 0.02,
    "BETA1": 0.8,
    "PATTERN": "SL",
    "WINDOW": 16,
}
"""Knobs of a quick learner: about what a day of research finds for budgets of 10 to 20 seconds."""


def divide() -> Division:
    """Return this interpreter's standard library as nanolm divides it."""
    return module("grade", (TASK / "locked/grade.py").read_text()).prepare(
        Path(sysconfig.get_paths()["stdlib"])
    )


def module(name: str, source: str) -> ModuleType:
    """Run `source` as a module of its own."""
    spec = importlib.util.spec_from_loader(name, loader=None)
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    exec(compile(source, name, "exec"), made.__dict__)
    return made


@dataclass
class Steps:
    """What nanolm's `train` is given, for a fixed number of steps."""

    tokens: torch.Tensor
    amount: int
    seed: int = 1
    device: str = "cpu"

    def steps(self) -> Iterator[float]:
        """Progress, once per step."""
        for step in range(self.amount):
            yield step / self.amount

    def remaining(self) -> float:
        """Not asked by the start tree."""
        return 1.0


def train(text: bytes, steps: int, seed: int) -> torch.nn.Module:
    """Train the start tree under `TUNED` on `text`."""
    source = (TASK / "start/train.py").read_text()
    for name, value in TUNED.items():
        source, found = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value!r}", source)
        assert found == 1, name
    tree = module("tuned_start", source)
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = tree.build_model()
    tree.train(model, Steps(torch.frombuffer(bytearray(text), dtype=torch.uint8), steps, seed))
    return model.eval()


def losses(model: torch.nn.Module, text: np.ndarray) -> np.ndarray:
    """Return -log2 p of every byte but the first of each block; uint8 (rows, block) to float64."""
    found = []
    with torch.inference_mode():
        for rows in torch.from_numpy(text.astype(np.int64)).split(8):
            odds = model(rows[:, :-1]).double().log_softmax(-1)
            found.append(-odds.gather(-1, rows[:, 1:, None])[..., 0] / np.log(2))
    return torch.cat(found).numpy()
