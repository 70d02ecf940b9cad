"""Tiny candidates that the trainer's tests run, and the record of one such run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from trainer.experiment import TrainResult

HIDDEN = ("xml", "mailbox.py", "email/mime")
SECRET = "a-held-out-byte"

NOTHING = """
import json, os, sys
from torch import nn
def build_model():
    return nn.Linear(2, 2)
def train(model, run):
    pass
"""

HONEST = """
import torch
import torch.nn.functional as F
from torch import nn

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(256, 16), nn.Linear(16, 256, bias=False)
        self.head.weight = nn.Parameter(torch.randn(256, 16) * 0.02)
        self.tied = self.head.weight
    def forward(self, tokens):
        return self.head(F.rms_norm(self.table(tokens), (16,)))

def build_model():
    return Model()

def train(model, run):
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for progress in run.steps():
        at = torch.randint(0, len(run.tokens) - 9, (8,))
        rows = torch.stack([run.tokens[i : i + 9] for i in at]).long()
        logits = model(rows[:, :-1])
        F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten()).backward()
        optimiser.step()
        optimiser.zero_grad()
    print("finished", f"{run.progress():.3f}", run.seed, run.device)
"""


@dataclass(frozen=True)
class Trial:
    """A result with the output that came with it."""

    result: TrainResult
    log: str


RunTrial = Callable[..., Awaitable[Trial]]


def train_body(body: str) -> str:
    """A candidate whose train() has this body."""
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return NOTHING.replace("    pass\n", lines)


def children_of(process: psutil.Process) -> list[psutil.Process]:
    """All living descendants."""
    return [child for child in process.children(recursive=True) if child.is_running()]


async def until_marked(path: Path) -> None:
    """Wait until a candidate has said something."""
    while not (path.exists() and path.read_bytes()):  # noqa: ASYNC110 - a file has no event
        await asyncio.sleep(0.01)
