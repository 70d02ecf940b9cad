"""Honest models of many kinds: the lock must take all of them, or it is a ban on ideas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from community.attack.trees import appended
from trainer.task import Task

_HEAD = """
import torch
import torch.nn.functional as F


class Model(torch.nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.table = torch.nn.Embedding(256, width)
        self.head = torch.nn.Linear(width, 256)
{init}

    def forward(self, tokens):
        x = self.table(tokens)  # (rows, time, width)
{forward}
        return self.head(x)


def build_model():
    return Model()


def train(model, run):
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in run.steps():
        at = torch.randint(len(run.tokens) - 65, (4, 1))
        rows = run.tokens[at + torch.arange(65)].long()
        loss = F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
"""


def _model(forward: str, init: str = "") -> Callable[[Task], dict[str, bytes]]:
    def change(task: Task) -> dict[str, bytes]:
        body = _HEAD.format(init=_indented(init), forward=_indented(forward))
        return appended(task, body)

    return change


def _indented(code: str) -> str:
    return "\n".join(f"        {line}" for line in code.strip().splitlines())


HONEST: Final[Mapping[str, Callable[[Task], dict[str, bytes]]]] = {
    "left-padded convolution": _model(
        "x = self.mix(F.pad(x.transpose(1, 2), (4, 0))).transpose(1, 2)",
        "self.mix = torch.nn.Conv1d(width, width, 5)",
    ),
    "recurrence": _model(
        "x, _ = self.cell(x)",
        "self.cell = torch.nn.GRU(width, width, batch_first=True)",
    ),
    "batch norm in eval mode": _model(
        "x = self.norm(x.transpose(1, 2)).transpose(1, 2)",
        "self.norm = torch.nn.BatchNorm1d(width)",
    ),
    "token-choice mixture of experts": _model(
        """
weight, chosen = self.gate(x).softmax(-1).max(-1)  # (rows, time) each
every = torch.stack([expert(x) for expert in self.experts], -2)
index = chosen[..., None, None].expand(*chosen.shape, 1, x.size(-1))
x = x + weight[..., None] * every.gather(-2, index)[..., 0, :]
""",
        """
self.gate = torch.nn.Linear(width, 4)
self.experts = torch.nn.ModuleList(torch.nn.Linear(width, width) for _ in range(4))
""",
    ),
    "mask cache keyed by length": _model(
        """
T = tokens.size(1)
if T not in self.masks:
    self.masks[T] = torch.ones(T, T, dtype=torch.bool).tril()
x = x + F.scaled_dot_product_attention(x, x, x, attn_mask=self.masks[T])
""",
        "self.masks = {}",
    ),
    "causal count table": _model(
        """
seen = F.one_hot(tokens, 256).float().cumsum(1)  # (rows, time, vocab), itself included
x = x + self.counted((seen / seen.sum(-1, keepdim=True)))
""",
        "self.counted = torch.nn.Linear(256, width)",
    ),
    "only the last 16 bytes": _model(
        """
T = tokens.size(1)
ago = torch.arange(T)[:, None] - torch.arange(T)
x = x + F.scaled_dot_product_attention(x, x, x, attn_mask=(ago >= 0) & (ago < 16))
"""
    ),
}  # fmt: skip
"""A change of the task's tree by what the model is."""
